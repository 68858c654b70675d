import type { ComponentChildren } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { useLocation } from 'preact-iso';
import { ApiError } from './api.ts';
import { EventItem } from './events.tsx';
import { KeyCard } from './key-card.tsx';
import { KeyDialogs } from './key-dialogs.tsx';
import {
  Code,
  Dialog,
  Empty,
  Failure,
  Field,
  Heading,
  LabelledValue,
  Notice,
  ScopeChoice,
  Scopes,
  Skeleton,
  Time,
} from './parts.tsx';
import { type KeyDialog, paths } from './paths.ts';
import type { ApiKey, Deployment, IssuedToken, ServiceEvent, TemporaryToken } from './resources.ts';
import { temporaryTokenSnippet } from './snippets.ts';
import { type Listing, type Loaded, useAction, useLoad, useTools } from './state.ts';
import { exactTime } from './words.ts';

export function DeploymentsPage() {
  const { api } = useTools();
  const listing = useLoad<Listing<Deployment>>('deployments', () => api.deployments());
  return (
    <main>
      <div class="head">
        <Heading title="Deployments">Deployments</Heading>
      </div>
      <List
        listing={listing}
        more={api.deployments}
        loading="Loading your Deployments"
        empty={
          <Empty title="No Deployments yet">
            <p>
              A Deployment appears here when your platform has registered it and you are in one of its groups.
              If one is missing, ask an administrator of the platform.
            </p>
          </Empty>
        }
      >
        {({ id, name, groups }) => (
          <li key={id} class="card link">
            <div>
              <h2>
                <a href={paths.keys(id)}>{name}</a>
              </h2>
              <p class="quiet mono">{id}</p>
            </div>
            {groups.length > 0 && <p class="quiet groups">{groups.join(', ')}</p>}
          </li>
        )}
      </List>
      {/* Shown only after the list has loaded, so that it does not jump. */}
      {listing.data && <GoneDeployment />}
    </main>
  );
}

/**
 * Finds the events of a deleted Deployment by its ID. They outlive the Deployment, and only administrators can see
 * them.
 */
function GoneDeployment() {
  const { route } = useLocation();
  const [id, setId] = useState('');
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    route(paths.events(id));
  };
  return (
    <details class="gone">
      <summary>Events of a deleted Deployment</summary>
      <form onSubmit={submit}>
        <Field label="Deployment ID" hint="Only for administrators. Events are kept for 90 days.">
          {(attributes) => (
            <span class="side-by-side">
              <input
                {...attributes}
                required
                maxLength={64}
                pattern="[A-Za-z0-9][A-Za-z0-9_\-]*"
                autoComplete="off"
                spellcheck={false}
                value={id}
                onInput={(event) => setId(event.currentTarget.value)}
              />
              <button type="submit">Show</button>
            </span>
          )}
        </Field>
      </form>
    </details>
  );
}

export function KeysPage({ deploymentId, dialog }: { deploymentId: string; dialog?: KeyDialog | undefined }) {
  const { api } = useTools();
  const listing = useLoad<Listing<ApiKey>>(`keys ${deploymentId}`, () => api.keys(deploymentId));
  const close = useClose(paths.keys(deploymentId), dialog !== undefined);
  const add = (
    <a class="button primary" href={paths.addKey(deploymentId)}>
      Create API key
    </a>
  );
  return (
    <DeploymentFrame deploymentId={deploymentId} tab="keys" action={add}>
      <List
        listing={listing}
        more={(cursor) => api.keys(deploymentId, cursor)}
        loading="Loading API keys"
        empty={
          <Empty title="No API keys yet">
            <p>A pipeline uses an API key to get access tokens for this Deployment.</p>
            {add}
          </Empty>
        }
      >
        {(key) => <KeyCard key={key.id} apiKey={key} deploymentId={deploymentId} onChange={listing.reload} />}
      </List>
      {dialog && (
        <KeyDialogs
          dialog={dialog}
          deploymentId={deploymentId}
          onClose={close}
          onChange={listing.reload}
          onDeleted={(keyId) => listing.update((page) => without(page, keyId))}
        />
      )}
    </DeploymentFrame>
  );
}

export function TemporaryTokensPage({ deploymentId }: { deploymentId: string }) {
  const { api } = useTools();
  const listing = useLoad<Listing<TemporaryToken>>(`tokens ${deploymentId}`, () =>
    api.temporaryTokens(deploymentId),
  );
  const [revoking, setRevoking] = useState<TemporaryToken>();
  const get = (
    <a class="button primary" href={paths.token(deploymentId)}>
      Create temporary token
    </a>
  );
  return (
    <DeploymentFrame deploymentId={deploymentId} tab="temporary-tokens" action={get}>
      <List
        listing={listing}
        more={(cursor) => api.temporaryTokens(deploymentId, cursor)}
        loading="Loading the temporary tokens"
        empty={
          <Empty title="No temporary tokens">
            <p>Use a temporary token to call APIs as yourself for 24 hours, for example from a shell.</p>
            {get}
          </Empty>
        }
      >
        {(token) => (
          <li key={token.id} class="card">
            <div class="card-head">
              <h2 class="name">
                Expires <Time of={token.expiresAt} />
              </h2>
              <button
                type="button"
                onClick={() => setRevoking(token)}
                aria-label={`Revoke the token issued ${exactTime(token.createdAt)}`}
              >
                Revoke
              </button>
            </div>
            <Scopes scopes={withoutDeployment(token.scope)} />
            <dl class="facts">
              <div>
                <dt>Issued</dt>
                <dd>
                  <Time of={token.createdAt} /> to <span class="who">{token.createdBy}</span>
                </dd>
              </div>
            </dl>
          </li>
        )}
      </List>
      {revoking && (
        <RevokeToken
          token={revoking}
          deploymentId={deploymentId}
          onClose={() => setRevoking(undefined)}
          onRevoked={() => listing.update((page) => without(page, revoking.id))}
        />
      )}
    </DeploymentFrame>
  );
}

/** The events of a Deployment, which may be deleted. */
export function EventsPage({ deploymentId }: { deploymentId: string }) {
  const { api } = useTools();
  const listing = useLoad<Listing<ServiceEvent>>(`events ${deploymentId}`, () => api.events(deploymentId));
  return (
    <DeploymentFrame deploymentId={deploymentId} tab="events">
      <p class="lead">Events of the last 90 days, newest first.</p>
      <List
        listing={listing}
        more={(cursor) => api.events(deploymentId, cursor)}
        loading="Loading the events"
        empty={
          <Empty title="No events">
            <p>Nothing has happened in the last 90 days.</p>
          </Empty>
        }
      >
        {(event) => <EventItem key={event.id} event={event} />}
      </List>
    </DeploymentFrame>
  );
}

interface RevokeProps {
  token: TemporaryToken;
  deploymentId: string;
  onClose: () => void;
  onRevoked: () => void;
}

function RevokeToken({ token, deploymentId, onClose, onRevoked }: RevokeProps) {
  const { api } = useTools();
  const { isBusy, error, run } = useAction();
  const revoke = () =>
    run(async () => {
      await api.revokeToken(deploymentId, token.id);
      onRevoked();
      onClose();
    });
  return (
    <Dialog title="Revoke temporary token" onClose={onClose}>
      <p>
        Anything using the token issued <Time of={token.createdAt} /> to{' '}
        <span class="who">{token.createdBy}</span> loses access immediately. This can’t be undone.
      </p>
      {error !== undefined && <Failure error={error} />}
      <footer>
        <button type="button" onClick={onClose}>
          Cancel
        </button>
        <button type="button" class="danger" onClick={revoke} disabled={isBusy}>
          {isBusy ? 'Revoking…' : 'Revoke token'}
        </button>
      </footer>
    </Dialog>
  );
}

/** `/token`: creates a temporary token to copy. */
export function TokenPage({ deploymentId }: { deploymentId: string | undefined }) {
  const { api } = useTools();
  const { data, error, reload } = useLoad<Listing<Deployment>>('deployments', () => api.deployments());
  const { route } = useLocation();
  const deployments = data?.items ?? [];
  const chosen = deploymentId ?? (deployments.length === 1 ? deployments[0]?.id : undefined);
  return (
    <main class="narrow">
      <div class="head">
        <Heading title="Temporary token">Temporary token</Heading>
      </div>
      <p class="lead">
        Call APIs as yourself for 24 hours. Using the token does not extend it. For a pipeline, create an API
        key instead.
      </p>
      {error !== undefined && <Failure error={error} retry={reload} />}
      {!data && error === undefined && <Skeleton rows={1} label="Loading your Deployments" />}
      {data && deployments.length === 0 && !deploymentId && (
        <Empty title="No Deployments yet">
          <p>A temporary token is for one Deployment, and you don’t have access to any.</p>
        </Empty>
      )}
      {data && (deployments.length > 1 || deploymentId) && (
        <Field label="Deployment">
          {(attributes) => (
            <select
              {...attributes}
              value={chosen ?? ''}
              onChange={(event) => route(paths.token(event.currentTarget.value), true)}
            >
              <option value="" disabled>
                Choose a Deployment
              </option>
              {offered(deployments, deploymentId).map(({ id, name }) => (
                <option key={id} value={id}>
                  {name === id ? id : `${name} (${id})`}
                </option>
              ))}
            </select>
          )}
        </Field>
      )}
      {data && chosen && <GetToken key={chosen} deploymentId={chosen} />}
    </main>
  );
}

/** Adds the Deployment in the URL to the choices, because it may not be on the first page. */
function offered(deployments: Deployment[], named: string | undefined): Pick<Deployment, 'id' | 'name'>[] {
  const isMissing = named !== undefined && !deployments.some(({ id }) => id === named);
  return isMissing ? [{ id: named, name: named }, ...deployments] : deployments;
}

function GetToken({ deploymentId }: { deploymentId: string }) {
  const { api, config } = useTools();
  const { isBusy, error, run } = useAction();
  const [scopes, setScopes] = useState<string[]>(config.scopes);
  const [token, setToken] = useState<IssuedToken>();
  const attempt = useRef({ scopes: '', id: '' });
  useDropWhenHidden(() => setToken(undefined));
  const get = () =>
    run(async () => {
      const asked = scopes.join(' ');
      if (attempt.current.scopes !== asked || !attempt.current.id) {
        attempt.current = { scopes: asked, id: crypto.randomUUID() };
      }
      setToken(await api.issueToken(deploymentId, scopes, attempt.current.id));
      attempt.current.id = '';
    });

  if (token?.access_token) {
    return (
      <section class="card result" aria-label="Your temporary token">
        <Notice kind="warning">
          <p>
            <strong>This is the only time that the token is shown.</strong> It expires{' '}
            <Time of={token.expiresAt} /> ({exactTime(token.expiresAt)}).
          </p>
        </Notice>
        <LabelledValue label="Token" text={token.access_token} />
        <Scopes scopes={withoutDeployment(token.scope)} />
        <h2>Try it</h2>
        <Code text={temporaryTokenSnippet({ service: location.origin })} what="curl snippet" />
        <div class="actions">
          <button type="button" onClick={() => setToken(undefined)}>
            Create another token
          </button>
          <a href={paths.temporaryTokens(deploymentId)}>View and revoke temporary tokens</a>
        </div>
      </section>
    );
  }
  return (
    <>
      {token && (
        <Notice kind="error">
          <p>
            The token was created, but the response was lost. Create another one. The lost token expires in 24
            hours.
          </p>
        </Notice>
      )}
      {error !== undefined && <Failure error={error} />}
      <ScopeChoice known={config.scopes} chosen={scopes} onChange={setScopes} />
      <div class="actions">
        <button type="button" class="primary" onClick={get} disabled={isBusy}>
          {isBusy ? 'Creating the token…' : 'Create temporary token'}
        </button>
      </div>
    </>
  );
}

/**
 * Drops a secret when the page is hidden, so that a page that the browser keeps for the back button does not contain
 * it.
 */
export function useDropWhenHidden(drop: () => void) {
  useEffect(() => {
    addEventListener('pagehide', drop);
    return () => removeEventListener('pagehide', drop);
  }, []);
}

/** The pages of a Deployment. */
const TABS = [
  { tab: 'keys', title: 'API keys', path: paths.keys },
  { tab: 'temporary-tokens', title: 'Temporary tokens', path: paths.temporaryTokens },
  { tab: 'events', title: 'Events', path: paths.events },
] as const;

interface FrameProps {
  deploymentId: string;
  tab: (typeof TABS)[number]['tab'];
  action?: ComponentChildren;
  children: ComponentChildren;
}

/** What all pages of a Deployment share: its name and the navigation. */
function DeploymentFrame({ deploymentId, tab, action, children }: FrameProps) {
  const { api } = useTools();
  const { data, error, reload } = useLoad(`deployment ${deploymentId}`, () => api.deployment(deploymentId));
  const name = data?.name ?? deploymentId;
  // Events outlive a Deployment. Their own API call decides whether the person may see them.
  const isGone = tab === 'events' && error instanceof ApiError && error.status === 404;
  if (error !== undefined && !isGone) {
    return (
      <main>
        <div class="head">
          <Heading title={deploymentId}>{deploymentId}</Heading>
        </div>
        <Failure error={error} retry={reload} />
        <p>
          <a href={paths.deployments()}>All Deployments</a>
        </p>
      </main>
    );
  }
  const { title } = TABS.find((one) => one.tab === tab) ?? TABS[0];
  return (
    <main>
      <nav aria-label="Breadcrumb" class="breadcrumb">
        <a href={paths.deployments()}>Deployments</a> <span aria-hidden="true">/</span>{' '}
        <span class="mono">{deploymentId}</span>
      </nav>
      <div class="head">
        <Heading title={`${title} of ${name}`}>{name}</Heading>
        {action}
      </div>
      {!isGone && (
        <nav aria-label="This Deployment" class="sections">
          {TABS.map((one) => (
            <a
              key={one.tab}
              href={one.path(deploymentId)}
              aria-current={one.tab === tab ? 'page' : undefined}
            >
              {one.title}
            </a>
          ))}
        </nav>
      )}
      {children}
    </main>
  );
}

interface ListProps<T> {
  listing: Loaded<Listing<T>>;
  more: (cursor: string) => Promise<Listing<T>>;
  loading: string;
  empty: ComponentChildren;
  children: (item: T) => ComponentChildren;
}

/** A list in all its states: loading, failed, empty, and page by page. */
function List<T>({ listing, more, loading, empty, children }: ListProps<T>) {
  const { isBusy, error, run } = useAction();
  const { data } = listing;
  if (!data && listing.error !== undefined) return <Failure error={listing.error} retry={listing.reload} />;
  if (!data) return <Skeleton rows={3} label={loading} />;
  const { nextCursor } = data;
  // A page may be empty and not the last one.
  if (data.items.length === 0 && !nextCursor) return <>{empty}</>;
  const showMore = () =>
    run(async () => {
      const next = await more(nextCursor ?? '');
      listing.update(({ items }) => ({ items: [...items, ...next.items], nextCursor: next.nextCursor }));
    });
  return (
    <>
      {listing.error !== undefined && <Failure error={listing.error} retry={listing.reload} />}
      <ul class="list">{data.items.map(children)}</ul>
      {error !== undefined && <Failure error={error} />}
      {nextCursor && (
        <button type="button" onClick={showMore} disabled={isBusy}>
          {isBusy ? 'Loading…' : 'Show more'}
        </button>
      )}
    </>
  );
}

const without = <T extends { id: string }>({ items, ...page }: Listing<T>, id: string): Listing<T> => ({
  ...page,
  items: items.filter((item) => item.id !== id),
});

/** Removes the scope that names the Deployment, which the page already shows. */
const withoutDeployment = (scope: string) => scope.split(' ').slice(1);

/**
 * Returns a function that closes a dialog. It goes back to where the dialog was opened, so that the back button does
 * not open it again. A dialog opened by its URL is replaced by its page.
 */
function useClose(page: string, isOpen: boolean): () => void {
  const { route } = useLocation();
  const wasClosed = useRef(!isOpen);
  useEffect(() => {
    if (!isOpen) wasClosed.current = true;
  }, [isOpen]);
  return () => {
    if (wasClosed.current) history.back();
    else route(page, true);
  };
}
