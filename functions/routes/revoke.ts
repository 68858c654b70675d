import { parseToken } from '../domain/check.ts';
import type { Clock } from '../domain/expiry.ts';
import { type Credential, formatKeyId } from '../domain/identifiers.ts';
import { hashOf } from '../domain/secrets.ts';
import { invalidClient, type OAuthRequest, type OAuthRoute } from '../http/oauth.ts';
import { parseParameters, presentedParameters } from '../http/parameters.ts';
import { authenticate } from '../operations/authenticate-client.ts';
import type { TokenStore } from '../table/lean-tokens.ts';

/**
 * POST /oauth/revoke (RFC 7009). The answer is 200 for any token, so that it reveals nothing. Only a token of the
 * client's own key is deleted (§2.1). When the table cannot answer, the status is 503, never 200 (§2.2.1).
 */
export function revokeRoute(
  store: Pick<TokenStore, 'readKey' | 'readToken' | 'deleteToken'>,
  clock: Clock,
  maxIdleDays?: number,
): OAuthRoute {
  return async (request) => {
    if (request.client.clientSecret === '') await authenticateByToken(store, request);
    else await authenticate(store, request, clock, maxIdleDays);
    const { token } = parseParameters(presentedParameters, request.parameters);
    const credential = ownToken(request, token);
    if (credential) await store.deleteToken({ ...credential, hash: hashOf(token) });
    // Without this header, API Gateway adds text/plain, which simple-oauth2 treats as an error.
    return { status: 200, headers: { 'Content-Type': 'application/json' } };
  };
}

/**
 * Authenticates a client without a secret. A key with trust rules has no secret, so its client is public, and the token
 * to revoke authenticates it (RFC 7009 §2.1, §5). The token is read first. Callers without a valid token thus cannot
 * find out whether a key exists, neither from the answer nor from its timing.
 * @throws ServiceError 401 invalid_client, the same for every cause; 503 when the table cannot answer
 */
async function authenticateByToken(
  { readToken, readKey }: Pick<TokenStore, 'readKey' | 'readToken'>,
  request: OAuthRequest,
): Promise<void> {
  const token = request.parameters.get('token') ?? '';
  const credential = ownToken(request, token);
  if (!credential || !(await readToken(credential, hashOf(token))).token) throw invalidClient();
  const { key } = await readKey(credential.deploymentId, credential.ulid);
  if (key?.secrets.length !== 0) throw invalidClient();
}

/** Returns the parts of an access token of the client's key; undefined for any other token. */
function ownToken({ client }: Pick<OAuthRequest, 'client'>, token: string): Credential | undefined {
  const credential = parseToken(token);
  const isOwn =
    credential?.kind === 'token' && formatKeyId(credential.deploymentId, credential.ulid) === client.clientId;
  return isOwn ? credential : undefined;
}
