import type { CheckRules } from '../domain/check.ts';
import { scopeOf } from '../domain/check.ts';
import { ServiceError } from '../domain/errors.ts';
import { type Clock, expiryOfIssue } from '../domain/expiry.ts';
import { mintCredential } from '../domain/mint.ts';
import type { ApiKey } from '../domain/records.ts';
import { effectiveScopes, narrowScopes } from '../domain/scopes.ts';
import { hashOf } from '../domain/secrets.ts';
import type { OAuthRoute } from '../http/oauth.ts';
import { parseParameters, tokenParameters } from '../http/parameters.ts';
import type { Table } from '../table/client.ts';
import { putToken } from '../table/tokens.ts';
import { authenticate } from './client.ts';

/**
 * POST /oauth/token: a key's ID and secret for an access token (RFC 6749 §4.4). One read and one write. The
 * token copies generation and epoch as they were read: if the key changes in between, the token is dead.
 */
export function tokenRoute(table: Table, { clock, rules }: { clock: Clock; rules: CheckRules }): OAuthRoute {
  return async ({ parameters, client }) => {
    const { scope } = parseParameters(tokenParameters, parameters);
    const { deployment, key } = await authenticate(table, client, clock);
    const scopes = requestedScopes(scope, key, rules);
    const now = clock();
    const accessToken = mintCredential('token', deployment.id, key.ulid);
    const expiresAt = expiryOfIssue(now, rules);
    await putToken(table, {
      deploymentId: deployment.id,
      ulid: key.ulid,
      hash: hashOf(accessToken),
      generation: deployment.generation,
      epoch: key.epoch,
      scopes,
      issuedAt: Math.floor(now / 1000),
      expiresAt,
    });
    return {
      status: 200,
      // RFC 6749 §5.1 asks for it beside Cache-Control.
      headers: { Pragma: 'no-cache' },
      body: {
        access_token: accessToken,
        token_type: 'Bearer',
        expires_in: lifetimeFrom(now, expiresAt, key),
        scope: scopeOf({
          deploymentId: deployment.id,
          scopes: effectiveScopes(scopes, key.scopes, rules.scopes),
        }),
      },
    };
  };
}

/** Undefined for a token that shall follow its key. */
function requestedScopes(scope: string | undefined, key: ApiKey, rules: CheckRules): string[] | undefined {
  if (scope === undefined) return undefined;
  const allowed = effectiveScopes(undefined, key.scopes, rules.scopes);
  const scopes = narrowScopes(scope, allowed, key.deploymentId);
  if (scopes) return scopes;
  throw new ServiceError(400, 'invalid_scope', 'scope is malformed, or asks for what the key does not have.');
}

/** Whole seconds from now until the token, or the key under it, ends without a use. */
function lifetimeFrom(
  now: number,
  expiresAt: number,
  { validUntil = Number.POSITIVE_INFINITY }: ApiKey,
): number {
  return Math.floor(Math.min(expiresAt - now / 1000, (validUntil - now) / 1000));
}
