import { parseToken } from '../domain/check.ts';
import { type Credential, formatKeyId, hashOf } from '../domain/credentials.ts';
import type { Clock } from '../domain/expiry.ts';
import { invalidClient, type OAuthRequest, type OAuthRoute } from '../http/oauth.ts';
import { parseParameters, presentedParameters } from '../http/parameters.ts';
import { authenticate } from '../operations/authenticate-client.ts';
import type { Table } from '../table/retried-calls.ts';
import { deleteToken, readKey, readToken } from '../table/tokens.ts';

/**
 * POST /oauth/revoke (RFC 7009). Returns 200 for any token, so that the response reveals nothing. Deletes a token only
 * if it belongs to the client's own key (§2.1). If the table is unavailable, returns 503, never 200 (§2.2.1).
 */
export function revokeRoute(table: Table, clock: Clock, maxIdleDays?: number): OAuthRoute {
  return async (request) => {
    if (request.client.clientSecret === '') await authenticateByToken(table, request);
    else await authenticate(table, request, clock, maxIdleDays);
    const { token } = parseParameters(presentedParameters, request.parameters);
    const credential = ownToken(request, token);
    if (credential) await deleteToken(table, { ...credential, hash: hashOf(token) });
    // Without this header, API Gateway adds the content type text/plain, which simple-oauth2 treats as an error.
    return { status: 200, headers: { 'Content-Type': 'application/json' } };
  };
}

/**
 * Authenticates a client without a secret. A key with trust rules has no secret, so its client is public, and the token
 * to revoke authenticates it (RFC 7009 §2.1, §5). Reads the token first. Callers without a valid token therefore cannot
 * find out whether a key exists, either from the response or from its timing.
 * @throws ServiceError 401 invalid_client, which is the same for every cause; 503 if the table is unavailable
 */
async function authenticateByToken(table: Table, request: OAuthRequest): Promise<void> {
  const token = request.parameters.get('token') ?? '';
  const credential = ownToken(request, token);
  if (!credential || !(await readToken(table, credential, hashOf(token))).records.token)
    throw invalidClient('unknown_token');
  const { key } = await readKey(table, credential.deploymentId, credential.ulid);
  if (key?.secrets.length !== 0) throw invalidClient('no_secret');
}

/** Returns the parts of the token if it is an access token of the client's key; undefined for any other token. */
function ownToken({ client }: Pick<OAuthRequest, 'client'>, token: string): Credential | undefined {
  const credential = parseToken(token);
  const isOwn =
    credential?.kind === 'token' && formatKeyId(credential.deploymentId, credential.ulid) === client.clientId;
  return isOwn ? credential : undefined;
}
