import { useState } from 'preact/hooks';
import { ActionDialog, RevokeToken } from './action-dialog.tsx';
import { KeyFacts, type OneKeyDialogProps, useKeyChanges } from './key-actions.tsx';
import { CameFrom, Failure, Scopes, Time } from './parts.tsx';
import { paths } from './paths.ts';
import type { AccessToken, ApiKey } from './resources.ts';
import { type Pages, useAction, usePages, useTools } from './state.ts';
import { exactTime, withoutDeployment } from './words.ts';

/** Returns the cache key for an API key's loaded access tokens. */
const listingOf = (keyId: string) => `access-tokens ${keyId}`;

/** Loads the first active access tokens of a key. */
export function useAccessTokens(deploymentId: string, keyId: string): Pages<AccessToken> {
  const { api } = useTools();
  return usePages(listingOf(keyId), (cursor) => api.accessTokens(deploymentId, keyId, cursor));
}

interface CardProps {
  apiKey: ApiKey;
  deploymentId: string;
  listing: Pages<AccessToken>;
}

/** Shows the active access tokens of a key, most recently used first. */
export function AccessTokens({ apiKey, deploymentId, listing }: CardProps) {
  const { api } = useTools();
  const { isBusy, error, run } = useAction();
  const { onTokensRevoked } = useKeyChanges(deploymentId);
  const [revoking, setRevoking] = useState<AccessToken>();
  const { data, update } = listing;
  const tokens = (data?.items ?? []).toSorted(byUse);
  const nextCursor = data?.nextCursor;
  return (
    <section class="card" aria-label="Active tokens">
      <div class="card-head">
        <h2>
          Active tokens{' '}
          {data && (
            <span class="count">
              {tokens.length.toLocaleString('en')}
              {nextCursor && '+'}
            </span>
          )}
        </h2>
        {(tokens.length > 0 || nextCursor) && (
          <a href={paths.keyDialog(deploymentId, apiKey.id, 'revoke-tokens')}>Revoke all tokens</a>
        )}
      </div>
      {listing.error !== undefined && <Failure error={listing.error} retry={listing.reload} />}
      {data && tokens.length === 0 && !nextCursor && (
        <p class="quiet">No pipeline has an active access token from this key.</p>
      )}
      {tokens.length > 0 && (
        <ul class="rows">
          {tokens.map((token) => (
            <TokenRow key={token.id} token={token} onRevoke={() => setRevoking(token)} />
          ))}
        </ul>
      )}
      {error !== undefined && <Failure error={error} />}
      {nextCursor && (
        <p>
          <button type="button" onClick={() => run(listing.more)} disabled={isBusy}>
            {isBusy ? 'Loading…' : 'Show more tokens'}
          </button>
        </p>
      )}
      {revoking && (
        <RevokeToken
          title="Revoke access token"
          revoke={() => api.revokeAccessToken(deploymentId, apiKey.id, revoking.id)}
          onRevoked={() => {
            update(({ items, ...page }) => ({
              ...page,
              items: items.filter(({ id }) => id !== revoking.id),
            }));
            onTokensRevoked(apiKey.id);
          }}
          onClose={() => setRevoking(undefined)}
        >
          <p>
            Anything using the token issued <Time of={revoking.issuedAt} /> loses access immediately. This
            can’t be undone. The key keeps working, so its pipeline can get a new token.
          </p>
          <LastUse token={revoking} />
        </RevokeToken>
      )}
    </section>
  );
}

/** Shows when a token was last used, and from where. */
function LastUse({ token: { lastUsedAt, lastUsedFrom } }: { token: AccessToken }) {
  // The service does not record a use within the first minutes after the token was issued.
  if (!lastUsedAt) return <p class="quiet">No use recorded since it was issued</p>;
  return (
    <p class="quiet">
      Last used <Time of={lastUsedAt} /> {lastUsedFrom && <CameFrom origin={lastUsedFrom} />}
    </p>
  );
}

/** Compares tokens by their last use, most recent first. Sorting RFC 3339 times as text also sorts them by time. */
function byUse(one: AccessToken, other: AccessToken): number {
  const [a, b] = [one, other].map(({ lastUsedAt, issuedAt }) => lastUsedAt ?? issuedAt) as [string, string];
  return a < b ? 1 : a > b ? -1 : 0;
}

function TokenRow({ token, onRevoke }: { token: AccessToken; onRevoke: () => void }) {
  const { issuedAt, expiresAt, scope } = token;
  return (
    <li class="row-with-button">
      <div>
        <strong>
          Issued <Time of={issuedAt} />
        </strong>{' '}
        <span class="quiet">
          expires <Time of={expiresAt} />
        </span>
        <LastUse token={token} />
        {scope !== undefined && <Scopes scopes={withoutDeployment(scope)} />}
      </div>
      <button
        type="button"
        class="small"
        onClick={onRevoke}
        aria-label={`Revoke the token issued ${exactTime(issuedAt)}`}
      >
        Revoke
      </button>
    </li>
  );
}

/** Dialog that revokes all access tokens of a key. The key keeps its secret or trust rules. */
export function RevokeAllTokens({ deploymentId, apiKey, onClose, changes }: OneKeyDialogProps) {
  const { api, cache, say } = useTools();
  const revoke = async () => {
    await api.revokeAllAccessTokens(deploymentId, apiKey.id);
    cache.set(listingOf(apiKey.id), { items: [] });
    changes.onTokensRevoked(apiKey.id);
    say(`All tokens of “${apiKey.name}” revoked`);
    onClose();
  };
  return (
    <ActionDialog
      title="Revoke all tokens"
      action="Revoke all tokens"
      busy="Revoking…"
      isDanger
      onAction={revoke}
      onClose={onClose}
    >
      <p>
        Anything using an access token of this key loses access immediately. This can’t be undone. The key
        keeps working, so its pipelines can get new tokens. If its secret leaked,{' '}
        <strong>report the leak</strong> instead.
      </p>
      <KeyFacts apiKey={apiKey} />
    </ActionDialog>
  );
}
