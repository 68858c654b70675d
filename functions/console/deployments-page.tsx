import { useLocation } from 'preact-iso';
import { RegisterDeployment } from './deployment-dialogs.tsx';
import { useDeployments } from './deployments.ts';
import { Empty, Failure, Find, Heading, Pages, Search, Skeleton, Time } from './parts.tsx';
import { DEPLOYMENT_ID, DEPLOYMENT_ID_RULE, paths, type View } from './paths.ts';
import type { Deployment } from './resources.ts';
import { useClose, useTools } from './state.ts';
import { counted } from './words.ts';

/** Number of Deployments per page. */
const SIZE = 50;
type DeploymentsView = Extract<View, { page: 'deployments' }>;

/** Lists all Deployments that the person can access, with a search field. */
export default function DeploymentsPage({ view }: { view: DeploymentsView }) {
  const { person } = useTools();
  const { route } = useLocation();
  const { search, number, isRegistering } = view;
  const listing = useDeployments(search);
  const close = useClose(paths.deployments(), isRegistering);
  const { data, error, reload, partial, found, further } = listing;
  const isEmpty = data?.items.length === 0;
  // The list keeps the API's order, so entries from later pages do not move the entries that are already shown.
  const rows = found.slice((number - 1) * SIZE, number * SIZE);
  const register = person.isAdministrator && (
    <a class="button primary" href={paths.register()}>
      Register Deployment
    </a>
  );
  return (
    <main>
      <div class="head">
        <Heading title="Deployments">Deployments</Heading>
        {(data ?? partial.length > 0) && !isEmpty && register}
      </div>
      {error !== undefined && <Failure error={error} retry={reload} />}
      {further.error !== undefined && <Failure error={further.error} retry={further.retry} />}
      {isEmpty && <NoDeployments register={register} />}
      {!isEmpty && (
        <>
          <div class="bar">
            <Search
              label="Search ID or name"
              value={search}
              onInput={(next) => route(paths.deployments(next), true)}
            />
            <span class="count" role="status">
              {countWords(listing, search)}
            </span>
          </div>
          <DeploymentTable deployments={rows} />
          {rows.length === 0 && (further.isBusy || (!data && error === undefined)) && (
            <Skeleton rows={8} isTable label="Loading your Deployments" />
          )}
          {data && found.length === 0 && !further.isBusy && further.error === undefined && (
            <p class="nothing">
              No Deployment matches “{search}”. <a href={paths.deployments()}>Show all</a>
            </p>
          )}
          {data && (
            <Pages
              page={number}
              count={found.length}
              size={SIZE}
              label="Deployments"
              pathOf={(to) => paths.deployments(search, to)}
            />
          )}
        </>
      )}
      {/* Show the search for deleted Deployments only after the list has loaded, so that the layout does not shift. */}
      {data && person.isAdministrator && <DeletedDeployment />}
      {isRegistering && person.isAdministrator && <RegisterDeployment onClose={close} />}
    </main>
  );
}

function countWords(listing: ReturnType<typeof useDeployments>, search: string): string {
  const { found, data, error, partial, further } = listing;
  if (further.isBusy) return 'Searching…';
  if (!data && error !== undefined) return 'Not all Deployments were loaded';
  if (!data) return partial.length === 0 ? 'Loading…' : `Loading: ${countOf(partial.length)} so far`;
  if (further.error !== undefined) return 'Not all Deployments were searched';
  const { items, nextCursor } = data;
  if (nextCursor && search) {
    return `${countOf(found.length)} found. Beyond the first ${items.length.toLocaleString('en')}, only the beginning of the ID is searched.`;
  }
  if (nextCursor) return `The first ${countOf(items.length)}`;
  if (found.length < items.length) return `${found.length.toLocaleString('en')} of ${countOf(items.length)}`;
  return countOf(items.length);
}

const countOf = (count: number) => counted(count, 'Deployment');

function DeploymentTable({ deployments }: { deployments: readonly Deployment[] }) {
  const { changed } = useTools();
  if (deployments.length === 0) return null;
  return (
    <table class="table deployments">
      <thead>
        <tr>
          <th scope="col">Name</th>
          <th scope="col">Groups</th>
          <th scope="col">Registered</th>
        </tr>
      </thead>
      <tbody>
        {deployments.map(({ id, name, groups, createdAt }) => (
          <tr key={id} class={id === changed ? 'changed' : undefined}>
            <td class="main-cell">
              <a href={paths.keys(id)}>
                <bdi>{name}</bdi>
              </a>
              <code>{id}</code>
            </td>
            <td class="quiet" data-label="Groups">
              {groups.length > 0 ? <bdi>{groups.join(', ')}</bdi> : 'Administrators only'}
            </td>
            <td class="quiet" data-label="Registered">
              <Time of={createdAt} />
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

/**
 * Explains what to do when there are no Deployments yet: an administrator can register one, and a member must ask an
 * administrator.
 */
function NoDeployments({ register }: { register: preact.ComponentChildren }) {
  const { person } = useTools();
  if (person.isAdministrator) {
    return (
      <Empty title="Register your first Deployment" icon="stack">
        <p>
          A Deployment is what your pipelines deploy to, such as one installation of Apache Airflow. Register
          it here, and then create API keys for its pipelines. Your platform can also register Deployments
          with the API.
        </p>
        {register}
      </Empty>
    );
  }
  return (
    <Empty title="No Deployments for you yet" icon="stack">
      <p>
        You see a Deployment when it belongs to one of your groups. Ask an administrator to add one of them to
        your Deployment.
      </p>
      <dl class="facts">
        <div>
          <dt>Your groups</dt>
          <dd>{person.groups.length > 0 ? <bdi>{person.groups.join(', ')}</bdi> : 'none'}</dd>
        </div>
        <div>
          <dt>Your ID</dt>
          <dd class="mono">{person.sub}</dd>
        </div>
      </dl>
    </Empty>
  );
}

/**
 * Finds a deleted Deployment's events by the Deployment's ID. After a Deployment is deleted, only administrators can
 * see its events.
 */
function DeletedDeployment() {
  const { route } = useLocation();
  return (
    <details class="gone">
      <summary>Events of a deleted Deployment</summary>
      <Find
        label="Deployment ID"
        hint="Events are kept for 90 days."
        action="Show events"
        format={{ maxLength: 64, pattern: DEPLOYMENT_ID, title: DEPLOYMENT_ID_RULE }}
        onFind={(id) => route(paths.events(id))}
      />
    </details>
  );
}
