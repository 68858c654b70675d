import { useEffect, useRef, useState } from 'preact/hooks';
import { useLocation } from 'preact-iso';
import { type BulkAction, BulkDialog } from './bulk-dialog.tsx';
import { DeleteDeployment, DeploymentSettings } from './deployment-dialogs.tsx';
import { DeploymentFrame, useDeployment } from './deployment-frame.tsx';
import { KeyMenu, useKeyChanges } from './key-actions.tsx';
import { KeyDialogs } from './key-dialogs.tsx';
import { stateOf } from './key-fields.ts';
import { Empty, ExactTimes, Failure, Pages, PersonName, Search, Skeleton, Time } from './parts.tsx';
import { paths, type View } from './paths.ts';
import type { ApiKey } from './resources.ts';
import { useAll, useClose, useTools } from './state.ts';
import { type Column, EMPTY_QUERY, FILTERS, type TableQuery } from './table-query.ts';
import {
  FILTER_RULES,
  PAGE_SIZE,
  type TableView,
  tableView,
  withPageSelected,
  withSelected,
} from './table-view.ts';
import { counted } from './words.ts';

/** A Deployment has at most 1,000 keys, which the API returns in ten pages. */
const MOST = 10;

type KeysView = Extract<View, { page: 'keys' }>;

/** Shows a Deployment's API keys in a table whose state is kept in the URL. */
export default function KeysPage({ view: { deploymentId, table: query, dialog } }: { view: KeysView }) {
  const { api, person, setChanged } = useTools();
  const { route } = useLocation();
  const deployment = useDeployment(deploymentId);
  const listing = useAll<ApiKey>(`keys ${deploymentId}`, (cursor) => api.keys(deploymentId, cursor), MOST);
  const changes = useKeyChanges(deploymentId);
  const close = useClose(paths.keys(deploymentId, query), dialog !== undefined);
  const { data, error, reload, partial } = listing;
  const add = (
    <a class="button primary" href={paths.addKey(deploymentId, query)}>
      Create API key
    </a>
  );
  const place = JSON.stringify({ ...query, selected: [] });
  const isFirst = useRef(true);
  useEffect(() => {
    // Once the person changes the search or filter, the table no longer keeps the changed key in view.
    if (!isFirst.current) setChanged(undefined);
    isFirst.current = false;
  }, [place]);
  const keys = data?.items ?? partial;
  const isEmpty = data !== undefined && keys.length === 0;
  return (
    <DeploymentFrame
      deploymentId={deploymentId}
      deployment={deployment}
      tab="keys"
      action={keys.length > 0 && add}
    >
      {error !== undefined && <Failure error={error} retry={reload} />}
      {isEmpty && (
        <Empty title="No API keys yet">
          <p>A pipeline uses an API key to get access tokens for this Deployment.</p>
          {add}
        </Empty>
      )}
      {!isEmpty && (
        <KeyTable
          deploymentId={deploymentId}
          keys={keys}
          progress={data ? 'complete' : error === undefined ? 'loading' : 'failed'}
          query={query}
          onQuery={(next) => route(paths.keys(deploymentId, next), true)}
        />
      )}
      {dialog?.name === 'settings' && person.isAdministrator && deployment.data && (
        <DeploymentSettings
          deployment={deployment.data}
          onClose={close}
          onChange={(changed) => deployment.update(() => changed)}
        />
      )}
      {dialog?.name === 'delete-deployment' && person.isAdministrator && deployment.data && (
        <DeleteDeployment deployment={deployment.data} keyCount={data && keys.length} onClose={close} />
      )}
      {dialog && ('keyId' in dialog || dialog.name === 'add') && (
        <KeyDialogs
          dialog={dialog}
          deploymentId={deploymentId}
          table={query}
          onClose={close}
          changes={changes}
        />
      )}
    </DeploymentFrame>
  );
}

interface TableProps {
  deploymentId: string;
  keys: readonly ApiKey[];
  /** Whether all keys have been loaded, are still being loaded, or could not be loaded. */
  progress: 'complete' | 'loading' | 'failed';
  query: TableQuery;
  onQuery: (query: TableQuery) => void;
}

function KeyTable({ deploymentId, keys, progress, query, onQuery }: TableProps) {
  const { changed } = useTools();
  const isComplete = progress === 'complete';
  const [bulk, setBulk] = useState<BulkAction>();
  const view = tableView(keys, query, Date.now());
  // A key that was just created or changed stays in view, even if it does not match the filter or is on another page.
  const pinned = keys.find(({ id }) => id === changed && !view.rows.some((row) => row.id === id));
  const rows = pinned ? [pinned, ...view.rows] : view.rows;
  const select = (selected: TableQuery['selected']) => onQuery({ ...query, selected });
  // Keys from later pages do not move the newest keys, which come first. Any other order needs all keys.
  const isNewestFirst = query.column === EMPTY_QUERY.column && query.isDescending;
  const isPlaced = isComplete || (isNewestFirst && view.number === query.number);
  return (
    <>
      <div class="bar">
        <Search
          label="Search name, ID or description"
          value={query.search}
          onInput={(search) => onQuery({ ...query, search, number: 1, selected: [] })}
        />
        <span class="count" role="status">
          {countWords(view, keys.length, progress, query)}
        </span>
        {keys.length > 0 && <SortChoice deploymentId={deploymentId} query={query} />}
        <ExactTimes />
      </div>
      <Filters deploymentId={deploymentId} query={query} view={isComplete ? view : undefined} />
      {view.selected.length > 0 && (
        <Selection
          view={view}
          isComplete={isComplete}
          query={query}
          onSelect={select}
          onAct={(action) => setBulk({ action, keys: view.selected })}
        />
      )}
      {isComplete && rows.length === 0 && (
        <p class="nothing">
          No API key matches. <a href={paths.keys(deploymentId)}>Show all</a>
        </p>
      )}
      {progress === 'loading' && !(isPlaced && rows.length > 0) && (
        <Skeleton rows={10} isTable label="Loading API keys" />
      )}
      {isPlaced && rows.length > 0 && (
        <table class="table keys">
          <TableHead deploymentId={deploymentId} query={query} view={view} onSelect={select} />
          <tbody>
            {rows.map((key) => (
              <KeyRow
                key={key.id}
                apiKey={key}
                deploymentId={deploymentId}
                query={query}
                isChanged={key.id === changed}
                isSelected={view.selected.includes(key)}
                onSelect={(isSelected) => select(withSelected(view, key.id, isSelected))}
              />
            ))}
          </tbody>
        </table>
      )}
      {isComplete && (
        <Pages
          page={view.number}
          count={view.matching.length}
          size={PAGE_SIZE}
          label="API keys"
          pathOf={(number) => paths.keys(deploymentId, { ...query, number })}
        />
      )}
      {bulk && (
        <BulkDialog
          deploymentId={deploymentId}
          bulk={bulk}
          onClose={() => setBulk(undefined)}
          onDone={() => select([])}
        />
      )}
    </>
  );
}

function countWords(
  { matching: { length: count } }: TableView,
  all: number,
  progress: TableProps['progress'],
  { search, filter }: TableQuery,
): string {
  const isNarrowed = search.trim() !== '' || filter !== undefined;
  const found = `${count.toLocaleString('en')} of ${counted(all, 'API key')}`;
  if (progress === 'complete') return count < all ? found : counted(all, 'API key');
  if (progress === 'failed') return `Not all API keys were ${isNarrowed ? `searched: ${found}` : 'loaded'}`;
  if (all === 0) return isNarrowed ? 'Searching…' : 'Loading…';
  return isNarrowed ? `Searching: ${found} so far` : `Loading: ${counted(all, 'API key')} so far`;
}

/** Links that filter by status. Omits filters that do not match any key. */
function Filters({
  deploymentId,
  query,
  view,
}: {
  deploymentId: string;
  query: TableQuery;
  /** The content of the table; undefined while keys are loading, because the numbers would keep changing. */
  view: TableView | undefined;
}) {
  const link = (filter: TableQuery['filter'], label: string, count?: number) => (
    <a
      key={label}
      class="chip"
      aria-current={query.filter === filter ? 'true' : undefined}
      href={paths.keys(deploymentId, { ...query, filter, number: 1, selected: [] })}
    >
      {label} <small>{count?.toLocaleString('en')}</small>
    </a>
  );
  return (
    <nav class="chips" aria-label="Filter by status">
      {link(undefined, 'All', view?.found)}
      {FILTERS.filter((one) => (view && view.counts[one] > 0) || one === query.filter).map((one) =>
        link(one, FILTER_RULES[one].label, view?.counts[one]),
      )}
    </nav>
  );
}

interface SelectionProps {
  view: TableView;
  isComplete: boolean;
  query: TableQuery;
  onSelect: (selected: TableQuery['selected']) => void;
  onAct: (action: BulkAction['action']) => void;
}

/** Shows how many keys are selected, and the actions for all of them. */
function Selection({ view: { selected, matching }, isComplete, query, onSelect, onAct }: SelectionProps) {
  const others = matching.length - selected.length;
  // An action for all keys that match must not leave out those that are still loading.
  const isPartial = !isComplete && query.selected === 'all';
  return (
    <section class="selection" aria-label="Selected API keys">
      <strong role="status">{selected.length.toLocaleString('en')} selected</strong>
      {isComplete && others > 0 && query.selected !== 'all' && (
        <button type="button" class="link" onClick={() => onSelect('all')}>
          Select all {matching.length.toLocaleString('en')}
        </button>
      )}
      <button type="button" class="link" onClick={() => onSelect([])}>
        Clear
      </button>
      <span class="gap" />
      <button type="button" disabled={isPartial} onClick={() => onAct('enable')}>
        Enable
      </button>
      <button type="button" disabled={isPartial} onClick={() => onAct('disable')}>
        Disable
      </button>
      <button type="button" class="danger-quiet" disabled={isPartial} onClick={() => onAct('delete')}>
        Delete
      </button>
    </section>
  );
}

/** The orders that the sort field offers: label, column, and whether the order is descending. */
const ORDERS: readonly (readonly [label: string, column: Column, isDescending: boolean])[] = [
  ['Newest first', 'created', true],
  ['Oldest first', 'created', false],
  ['Name', 'name', false],
  ['Name, Z to A', 'name', true],
  ['Status', 'status', false],
  ['Status, reversed', 'status', true],
  ['Recently used', 'used', true],
  ['Not used for longest', 'used', false],
  ['Expires first', 'expires', false],
  ['Expires last', 'expires', true],
];

/** A field that sorts the table, for windows that are too narrow for all headings. */
function SortChoice({ deploymentId, query }: Pick<HeadProps, 'deploymentId' | 'query'>) {
  const { route } = useLocation();
  const current = ORDERS.findIndex(
    ([, column, isDescending]) => column === query.column && isDescending === query.isDescending,
  );
  const sort = (index: number) => {
    const [, column = EMPTY_QUERY.column, isDescending = true] = ORDERS[index] ?? [];
    route(paths.keys(deploymentId, { ...query, column, isDescending, number: 1 }));
  };
  return (
    <span class="sort">
      <select
        aria-label="Sort by"
        value={current}
        onChange={(event) => sort(Number(event.currentTarget.value))}
      >
        {ORDERS.map(([label], index) => (
          <option key={label} value={index}>
            {label}
          </option>
        ))}
      </select>
    </span>
  );
}

interface HeadProps {
  deploymentId: string;
  query: TableQuery;
  view: TableView;
  onSelect: (selected: string[]) => void;
}

const HEADINGS: readonly (readonly [label: string, column?: Column])[] = [
  ['Name', 'name'],
  ['Status', 'status'],
  ['Scopes'],
  ['Last used', 'used'],
  ['Expires', 'expires'],
  ['Created', 'created'],
];

/** Columns that are sorted with the latest value first, because people usually look for the latest value. */
const LATEST_FIRST: readonly Column[] = ['used', 'created'];

function TableHead({ deploymentId, query, view, onSelect }: HeadProps) {
  const isAll = view.rows.length > 0 && view.rows.every((row) => view.selected.includes(row));
  const heading = ([label, column]: (typeof HEADINGS)[number]) => {
    if (!column) {
      return (
        <th key={label} scope="col">
          {label}
        </th>
      );
    }
    const isSorted = query.column === column;
    const isDescending = isSorted ? !query.isDescending : LATEST_FIRST.includes(column);
    const direction = query.isDescending ? 'descending' : 'ascending';
    return (
      <th key={label} scope="col" aria-sort={isSorted ? direction : undefined}>
        <a href={paths.keys(deploymentId, { ...query, column, isDescending, number: 1 })}>{label}</a>
      </th>
    );
  };
  return (
    <thead>
      <tr>
        <td class="check">
          <input
            type="checkbox"
            aria-label="Select all API keys on this page"
            checked={isAll}
            indeterminate={!isAll && view.rows.some((row) => view.selected.includes(row))}
            onChange={(event) => onSelect(withPageSelected(view, event.currentTarget.checked))}
          />
        </td>
        {HEADINGS.map(heading)}
        <td />
      </tr>
    </thead>
  );
}

interface RowProps {
  apiKey: ApiKey;
  deploymentId: string;
  query: TableQuery;
  isChanged: boolean;
  isSelected: boolean;
  onSelect: (isSelected: boolean) => void;
}

function KeyRow({ apiKey, deploymentId, query, isChanged, isSelected, onSelect }: RowProps) {
  const { id, name, scopes, lastUsedAt, expiresAt, createdAt, createdBy, createdByName } = apiKey;
  const row = useRef<HTMLTableRowElement>(null);
  const state = stateOf(apiKey, Date.now());
  useEffect(() => {
    if (isChanged) row.current?.scrollIntoView({ block: 'nearest' });
  }, [isChanged]);
  const [first, ...more] = scopes;
  return (
    <tr ref={row} class={isChanged ? 'changed' : undefined} aria-selected={isSelected || undefined}>
      <td class="check">
        <input
          type="checkbox"
          aria-label={`Select ${name}`}
          checked={isSelected}
          onChange={(event) => onSelect(event.currentTarget.checked)}
        />
      </td>
      <td class="main-cell">
        <a href={paths.key(deploymentId, id)} dir="auto">
          {name}
        </a>
        <code title={id}>{shortId(id)}</code>
      </td>
      <td class="status-cell">
        <span class={`state ${state.tone}`}>{state.words}</span>
      </td>
      <td class="mono quiet" data-label="Scopes" title={scopes.join('\n')}>
        {first ?? 'none'}
        {more.length > 0 && ` +${more.length}`}
      </td>
      <td data-label="Last used">{lastUsedAt ? <Time of={lastUsedAt} /> : <Never />}</td>
      <td data-label="Expires">{expiresAt ? <Time of={expiresAt} /> : <Never />}</td>
      <td class="quiet two-lines" data-label="Created">
        <Time of={createdAt} />
        {createdBy && (
          <span>
            by <PersonName sub={createdBy} name={createdByName} />
          </span>
        )}
      </td>
      <td class="menu-cell">
        <KeyMenu apiKey={apiKey} deploymentId={deploymentId} table={query} />
      </td>
    </tr>
  );
}

const Never = () => 'never';

/** Shortens a key ID by omitting its middle part, which is the same for all keys of the Deployment. */
function shortId(id: string): string {
  return `${id.slice(0, id.length - 26)}…${id.slice(-10)}`;
}
