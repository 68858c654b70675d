import { parseToken } from '../domain/check.ts';
import type { Clock } from '../domain/expiry.ts';
import { hashOf } from '../domain/secrets.ts';
import type { OAuthRoute } from '../http/oauth.ts';
import { parseParameters, presentedParameters } from '../http/parameters.ts';
import type { TokenStore } from '../table/lean-tokens.ts';
import { authenticate } from './client.ts';

/**
 * POST /oauth/revoke (RFC 7009): 200 whatever the token, so that the answer tells nothing; only a token of the
 * client's own key is deleted (§2.1). When the table cannot answer it is a 503, never a 200 (§2.2.1).
 */
export function revokeRoute(
  store: Pick<TokenStore, 'readKey' | 'deleteToken'>,
  clock: Clock,
  maxIdleDays?: number,
): OAuthRoute {
  return async (request) => {
    const { parameters } = request;
    const { key } = await authenticate(store, request, clock, maxIdleDays);
    const { token } = parseParameters(presentedParameters, parameters);
    const credential = parseToken(token);
    const isOfThisClient =
      credential?.kind === 'token' &&
      credential.deploymentId === key.deploymentId &&
      credential.ulid === key.ulid;
    if (isOfThisClient) await store.deleteToken({ ...credential, hash: hashOf(token) });
    // Left out, API Gateway would say text/plain, which simple-oauth2 takes for an error.
    return { status: 200, headers: { 'Content-Type': 'application/json' } };
  };
}
