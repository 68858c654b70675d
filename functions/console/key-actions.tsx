import type { JSX } from 'preact';
import { Menu } from './menu.tsx';
import { PersonName, Time } from './parts.tsx';
import { type OneKeyDialog, paths } from './paths.ts';
import type { ApiKey } from './resources.ts';
import { changeCached, type Listing, useTools } from './state.ts';
import type { TableQuery } from './table-query.ts';

/** Updates the lists after the service has confirmed a change. */
export interface KeyChanges {
  onChanged: (key: ApiKey) => void;
  onDeleted: (keyIds: readonly string[]) => void;
  /** Called after some of a key's access tokens were revoked and the key itself did not change. */
  onTokensRevoked: (keyId: string) => void;
}

export interface KeyDialogProps {
  deploymentId: string;
  /** The table from which the dialog was opened; undefined if it was opened from the key's own page. */
  table?: TableQuery | undefined;
  /** Closes the dialog, which returns to the page behind it. */
  onClose: () => void;
  /** Returns to the page behind the dialog after the key was deleted. */
  onGone?: () => void;
  changes: KeyChanges;
}

export type OneKeyDialogProps = KeyDialogProps & { apiKey: ApiKey };

/**
 * Returns functions that update the table and the key's page after a key was changed or deleted, without another API
 * call.
 */
export function useKeyChanges(deploymentId: string): KeyChanges {
  const { cache, setChanged, redraw } = useTools();
  const listing = `keys ${deploymentId}`;
  const bumpRevision = (keyId: string) => cache.set(`revision ${keyId}`, revisionOf(cache, keyId) + 1);
  const edit = (change: (items: ApiKey[]) => ApiKey[]) => {
    changeCached<Listing<ApiKey>>(cache, listing, (known) => ({ ...known, items: change(known.items) }));
    redraw();
  };
  return {
    onChanged: (key) => {
      cache.set(`key ${key.id}`, key);
      bumpRevision(key.id);
      edit((items) =>
        items.some(({ id }) => id === key.id)
          ? items.map((one) => (one.id === key.id ? key : one))
          : [...items, key],
      );
      setChanged(key.id);
    },
    onDeleted: (keyIds) => {
      for (const keyId of keyIds) cache.delete(`key ${keyId}`);
      edit((items) => items.filter(({ id }) => !keyIds.includes(id)));
    },
    onTokensRevoked: (keyId) => {
      bumpRevision(keyId);
      redraw();
    },
  };
}

/** Returns a number that changes whenever the person changes a key or its tokens. */
export function useKeyRevision(keyId: string): number {
  return revisionOf(useTools().cache, keyId);
}

const revisionOf = (cache: Map<string, unknown>, keyId: string): number =>
  Number(cache.get(`revision ${keyId}`) ?? 0);

interface ActionsProps {
  apiKey: ApiKey;
  deploymentId: string;
  /** The list of keys behind the dialogs; undefined on a key's own page. */
  table?: TableQuery;
}

/** Returns the actions that a key's status allows: links to the key's dialogs, and a button that enables the key. */
export function useKeyActions({ apiKey, deploymentId, table }: ActionsProps): Record<string, JSX.Element> {
  const { api, say } = useTools();
  const { onChanged } = useKeyChanges(deploymentId);
  const { id, status, enabled, malformed, trust } = apiKey;
  const link = (dialog: OneKeyDialog, label: string, className?: string) => ({
    [dialog]: (
      <a class={className} href={paths.keyDialog(deploymentId, id, dialog, table)}>
        {label}
      </a>
    ),
  });
  const enable = async () => {
    try {
      onChanged(await api.editKey(deploymentId, id, { enabled: true }));
      say(`“${apiKey.name}” ${status === 'idle' ? 'reactivated' : 'enabled'}`);
    } catch (error) {
      say(`Could not enable “${apiKey.name}”: ${error instanceof Error ? error.message : ''}`);
    }
  };
  const enabling = {
    enable: (
      <button type="button" onClick={enable}>
        {status === 'idle' ? 'Reactivate' : 'Enable'}
      </button>
    ),
  };
  const canEnable = !malformed && (status === 'disabled' || status === 'idle');
  const isLeaked = status === 'leaked';
  return {
    ...(!malformed && link('edit', 'Edit')),
    ...(!malformed && trust && link('ci', 'CI setup')),
    ...(!malformed && trust && link('explain', 'Explain a token')),
    ...(!malformed && !trust && !isLeaked && link('rotate', 'Rotate secret')),
    ...(!malformed && !trust && link('leaked', isLeaked ? 'Replace secret' : 'Report a leak')),
    ...(canEnable && enabling),
    ...(enabled && link('revoke-tokens', 'Revoke all tokens')),
    ...(enabled && link('disable', 'Disable')),
    ...link('delete', 'Delete', 'danger-text'),
  };
}

/** A menu of the actions for a key. A table has many menus, so a menu creates its entries only when it opens. */
export function KeyMenu(props: ActionsProps) {
  return (
    <Menu label={props.apiKey.name}>
      <KeyMenuEntries {...props} />
    </Menu>
  );
}

function KeyMenuEntries(props: ActionsProps) {
  return <>{Object.values(useKeyActions(props))}</>;
}

/** Details that distinguish keys with the same name: ID, last use and creator. */
export function KeyFacts({ apiKey }: { apiKey: ApiKey }) {
  const { id, name, lastUsedAt, createdAt, createdBy, createdByName } = apiKey;
  return (
    <dl class="details compact">
      <dt>Name</dt>
      <dd dir="auto">{name}</dd>
      <dt>ID</dt>
      <dd class="mono">{id}</dd>
      <dt>Last used</dt>
      <dd>{lastUsedAt ? <Time of={lastUsedAt} isExact /> : 'never'}</dd>
      <dt>Created</dt>
      <dd>
        <Time of={createdAt} />
        {createdBy && (
          <>
            {' by '}
            <PersonName sub={createdBy} name={createdByName} isPlain />
          </>
        )}
      </dd>
    </dl>
  );
}
