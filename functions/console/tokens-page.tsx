import { useRef, useState } from 'preact/hooks';
import { useLocation } from 'preact-iso';
import { RevokeToken } from './action-dialog.tsx';
import { DeploymentFrame, useDeployment } from './deployment-frame.tsx';
import { useDeployments } from './deployments.ts';
import { Dialog, DoneFooter } from './dialog.tsx';
import {
  Code,
  Empty,
  ExactTimes,
  Failure,
  focusScopes,
  Heading,
  LabelledValue,
  NO_SCOPE,
  Notice,
  PersonName,
  ScopeChoice,
  Scopes,
  Skeleton,
  Time,
} from './parts.tsx';
import { paths, type View } from './paths.ts';
import { Picker } from './picker.tsx';
import type { Deployment, IssuedToken, TemporaryToken } from './resources.ts';
import { temporaryTokenSnippet } from './snippets.ts';
import { useAction, useAll, useDropWhenHidden, useTools } from './state.ts';
import { exactTime, withoutDeployment } from './words.ts';

/** Maximum number of API pages that each list loads. */
const MOST = 10;

type TokensView = Extract<View, { page: 'token' | 'temporary-tokens' }>;

/** Shows the temporary tokens of a Deployment. At `/token`, the person chooses the Deployment. */
export default function TokensPage({ view }: { view: TokensView }) {
  if (view.page === 'token') return <TokenPage deploymentId={view.deploymentId} />;
  return <DeploymentTokens deploymentId={view.deploymentId} />;
}

function DeploymentTokens({ deploymentId }: { deploymentId: string }) {
  const deployment = useDeployment(deploymentId);
  return (
    <DeploymentFrame deploymentId={deploymentId} deployment={deployment} tab="temporary-tokens">
      <Tokens deploymentId={deploymentId} />
    </DeploymentFrame>
  );
}

function TokenPage({ deploymentId }: { deploymentId: string | undefined }) {
  const { route } = useLocation();
  const [typed, setTyped] = useState('');
  const { data, error, reload, partial, found, further } = useDeployments(typed);
  const deployments = data?.items ?? partial;
  const chosen = deploymentId ?? (data && deployments.length === 1 ? deployments[0]?.id : undefined);
  return (
    <main>
      <div class="head">
        <Heading title="Temporary tokens">Temporary tokens</Heading>
      </div>
      {error !== undefined && <Failure error={error} retry={reload} />}
      {!data && deployments.length < 2 && !deploymentId && error === undefined && (
        <Skeleton rows={1} isTable label="Loading your Deployments" />
      )}
      {data && deployments.length === 0 && !deploymentId && (
        <Empty title="No Deployments for you yet" icon="stack">
          <p>A temporary token is for one Deployment, and you don’t have access to any.</p>
        </Empty>
      )}
      {(deployments.length > 1 || deploymentId) && (
        <Picker
          label="Deployment"
          placeholder="Search ID or name"
          options={offered(typed ? found : deployments, deploymentId)}
          value={chosen}
          onChange={(id) => route(paths.token(id), true)}
          onType={setTyped}
          further={further}
        />
      )}
      {chosen && <Tokens key={chosen} deploymentId={chosen} />}
      {!chosen && deployments.length > 1 && (
        <p class="lead">A temporary token calls APIs as you. Choose the Deployment that it is for.</p>
      )}
    </main>
  );
}

/** Adds the Deployment in the URL to the choices, because the list might be incomplete. */
function offered(
  deployments: readonly Deployment[],
  named: string | undefined,
): readonly Pick<Deployment, 'id' | 'name'>[] {
  const isMissing = named !== undefined && !deployments.some(({ id }) => id === named);
  return isMissing ? [{ id: named, name: named }, ...deployments] : deployments;
}

/** Creates, lists and revokes temporary tokens of a Deployment. */
function Tokens({ deploymentId }: { deploymentId: string }) {
  const { api } = useTools();
  const listing = useAll<TemporaryToken>(
    `tokens ${deploymentId}`,
    (cursor) => api.temporaryTokens(deploymentId, cursor),
    MOST,
  );
  return (
    <>
      <p class="lead">
        A temporary token calls APIs as you. It expires 24 hours after issue; using it doesn’t extend it. For
        a pipeline, <a href={paths.keys(deploymentId)}>create an API key</a> instead.
      </p>
      <NewToken deploymentId={deploymentId} onIssued={listing.reload} />
      <TokenList deploymentId={deploymentId} listing={listing} />
    </>
  );
}

function NewToken({ deploymentId, onIssued }: { deploymentId: string; onIssued: () => void }) {
  const { api, config } = useTools();
  const { isBusy, error, run } = useAction();
  // Least privilege, as for API keys: the person chooses what the token may do.
  const [scopes, setScopes] = useState<string[]>([]);
  const [lacksScope, setLacksScope] = useState(false);
  const [token, setToken] = useState<IssuedToken>();
  const attempt = useRef({ scopes: '', id: '' });
  useDropWhenHidden(() => setToken(undefined));
  const create = (event: SubmitEvent) => {
    event.preventDefault();
    if (isBusy) return;
    setLacksScope(scopes.length === 0);
    if (scopes.length === 0) return focusScopes(event.currentTarget);
    run(async () => {
      const requestedScopes = scopes.join(' ');
      if (attempt.current.scopes !== requestedScopes || !attempt.current.id) {
        attempt.current = { scopes: requestedScopes, id: crypto.randomUUID() };
      }
      setToken(await api.issueToken(deploymentId, scopes, attempt.current.id));
      attempt.current.id = '';
      onIssued();
    });
  };
  return (
    <>
      {token?.access_token && <IssuedTokenDialog token={token} onClose={() => setToken(undefined)} />}
      <form class="card" aria-label="Create a temporary token" onSubmit={create}>
        {token && !token.access_token && (
          <Notice kind="error">
            <p>
              The token was created, but the response was lost. Create another one. The lost token expires in
              24 hours.
            </p>
          </Notice>
        )}
        {error !== undefined && <Failure error={error} />}
        <ScopeChoice
          known={config.scopes}
          chosen={scopes}
          error={lacksScope ? NO_SCOPE : undefined}
          onChange={(chosen) => {
            setLacksScope(false);
            setScopes(chosen);
          }}
        />
        <div class="actions">
          <button type="submit" class="primary" disabled={isBusy}>
            {isBusy ? 'Creating the token…' : 'Create temporary token'}
          </button>
        </div>
      </form>
    </>
  );
}

/** Shows a new token. This is possible only once. */
function IssuedTokenDialog({ token, onClose }: { token: IssuedToken; onClose: () => void }) {
  return (
    <Dialog title="Your temporary token" isWide isDismissible={false} onClose={onClose}>
      <Notice kind="warning">
        <p>
          <strong>This is the only time that the token is shown.</strong> It expires{' '}
          {exactTime(token.expiresAt)}, 24 hours after issue.
        </p>
      </Notice>
      <LabelledValue label="Token" text={token.access_token ?? ''} />
      <Scopes scopes={withoutDeployment(token.scope)} />
      <h3>Try it in a shell</h3>
      <Code text={temporaryTokenSnippet({ service: location.origin })} what="curl snippet" />
      <DoneFooter label="Done" onClose={onClose} />
    </Dialog>
  );
}

interface ListProps {
  deploymentId: string;
  listing: ReturnType<typeof useAll<TemporaryToken>>;
}

function TokenList({ deploymentId, listing }: ListProps) {
  const { api } = useTools();
  const { data, error, reload, update } = listing;
  const [revoking, setRevoking] = useState<TemporaryToken>();
  if (!data && error !== undefined) return <Failure error={error} retry={reload} />;
  if (!data) return <Skeleton rows={3} isTable label="Loading the temporary tokens" />;
  if (data.items.length === 0) {
    return (
      <Empty title="No temporary tokens">
        <p>Tokens that are valid are listed here, and you can revoke them.</p>
      </Empty>
    );
  }
  const newestFirst = data.items.toSorted(
    (one, other) => Date.parse(other.createdAt) - Date.parse(one.createdAt),
  );
  return (
    <>
      {error !== undefined && <Failure error={error} retry={reload} />}
      <div class="bar">
        <h2>Valid tokens</h2>
        <span class="count">{data.items.length.toLocaleString('en')}</span>
        <ExactTimes />
      </div>
      <table class="table">
        <thead>
          <tr>
            <th scope="col">Issued to</th>
            <th scope="col">Scopes</th>
            <th scope="col">Issued</th>
            <th scope="col">Expires</th>
            <td />
          </tr>
        </thead>
        <tbody>
          {newestFirst.map((token) => (
            <tr key={token.id}>
              <td class="main-cell">
                <PersonName sub={token.createdBy} name={token.createdByName} isFirst />
              </td>
              <td class="mono quiet" data-label="Scopes">
                {withoutDeployment(token.scope).join(', ')}
              </td>
              <td data-label="Issued">
                <Time of={token.createdAt} />
              </td>
              <td data-label="Expires">
                <Time of={token.expiresAt} />
              </td>
              <td class="menu-cell">
                <button
                  type="button"
                  class="small"
                  onClick={() => setRevoking(token)}
                  aria-label={`Revoke the token issued ${exactTime(token.createdAt)}`}
                >
                  Revoke
                </button>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      {revoking && (
        <RevokeToken
          title="Revoke temporary token"
          revoke={() => api.revokeToken(deploymentId, revoking.id)}
          onRevoked={() =>
            update(({ items, ...page }) => ({ ...page, items: items.filter(({ id }) => id !== revoking.id) }))
          }
          onClose={() => setRevoking(undefined)}
        >
          <p>
            Anything using the token issued <Time of={revoking.createdAt} /> to{' '}
            <PersonName sub={revoking.createdBy} name={revoking.createdByName} isPlain /> loses access
            immediately. This can’t be undone.
          </p>
        </RevokeToken>
      )}
    </>
  );
}
