import { type Access, type CheckRules, evaluateAccessToken, scopeOf } from '../domain/check.ts';
import { formatKeyId, parseKeyId, TOKEN_ID, tokenIdOf } from '../domain/credentials.ts';
import { notFound } from '../domain/errors.ts';
import { newEvent } from '../domain/events.ts';
import { type Clock, type EpochMillis, isoTime } from '../domain/expiry.ts';
import type { ApiKey, CheckedKey, Generation, MalformedKey, Token } from '../domain/records.ts';
import type { Answer } from '../http/answer.ts';
import { fromCursor, toCursor } from '../http/cursor.ts';
import type { ManagementRequest, ManagementRoute } from '../http/management.ts';
import { pageInput, parseInput } from '../http/schemas.ts';
import { shownOrigin } from '../operations/present-key.ts';
import { readVisibleDeployment } from '../table/deployments.ts';
import { readKeyOfTokens, revokeTokens } from '../table/keys.ts';
import type { Table } from '../table/retried-calls.ts';
import { listTokens, readTokenOfKey, revokeToken, type UsedToken } from '../table/tokens.ts';

/** The key that a request refers to. */
interface RequestedKey {
  deployment: Generation;
  key: ApiKey | MalformedKey;
  /**
   * The fields of the key that a check reads; undefined if they are malformed, so that no token of the key is valid.
   */
  checked: CheckedKey | undefined;
}

/**
 * Returns the routes for the access tokens of a key. Each route first checks that the person is allowed to see the
 * Deployment.
 */
export function accessTokenRoutes(
  table: Table,
  { clock, rules }: { clock: Clock; rules: CheckRules },
): Record<string, ManagementRoute> {
  return {
    'GET /deployments/{deploymentId}/api-keys/{keyId}/tokens': list,
    'DELETE /deployments/{deploymentId}/api-keys/{keyId}/tokens': revokeAll,
    'DELETE /deployments/{deploymentId}/api-keys/{keyId}/tokens/{accessTokenId}': revokeOne,
  };

  async function list(request: ManagementRequest): Promise<Answer> {
    const found = await keyOf(request);
    const { deployment, key } = found;
    const { person, routeKey, query } = request;
    const { limit, cursor } = parseInput(pageInput, query, 'query');
    const listing = [routeKey, deployment.id, deployment.generation, key.ulid, person.sub];
    const now = clock();
    const { items, next } = await listTokens(table, key, {
      entryOf: (one) => {
        const access = accessOf(found, one.token, now);
        return access && shown(one, access);
      },
      after: fromCursor(listing, cursor),
      limit,
    });
    const nextCursor = next === undefined ? undefined : toCursor(listing, next);
    return { status: 200, body: { items, nextCursor } };
  }

  async function revokeOne(request: ManagementRequest): Promise<Answer> {
    const found = await keyOf(request);
    const { deployment, key } = found;
    const { accessTokenId: id } = request.params;
    const token = TOKEN_ID.test(id) ? await readTokenOfKey(table, deployment, key.ulid, id) : undefined;
    const now = clock();
    // A malformed item is not a valid token. Delete it anyway, because someone could repair it.
    const isRevocable = token && ('malformed' in token || accessOf(found, token, now));
    if (!isRevocable) throw notFound('access token');
    const data = { ...eventData(key), tokenId: id };
    const event = newEvent('token.revoked', deployment, request.actor, now, data);
    if (!(await revokeToken(table, token, event))) throw notFound('access token');
    return { status: 204 };
  }

  async function revokeAll(request: ManagementRequest): Promise<Answer> {
    const { deployment, key } = await keyOf(request);
    const event = newEvent('api_key.tokens_revoked', deployment, request.actor, clock(), eventData(key));
    if (!(await revokeTokens(table, deployment, key, event))) throw notFound('API key');
    return { status: 204 };
  }

  async function keyOf({ person, params }: ManagementRequest): Promise<RequestedKey> {
    const deployment = await readVisibleDeployment(table, person, params.deploymentId);
    const id = parseKeyId(params.keyId);
    const isOfThisDeployment = id?.deploymentId === deployment.id;
    const found = id && isOfThisDeployment ? await readKeyOfTokens(table, deployment, id.ulid) : undefined;
    if (!found) throw notFound('API key');
    return { deployment, ...found };
  }

  /** Returns the access that a token gives according to the check; undefined if the token is not active. */
  function accessOf(
    { deployment, key, checked }: RequestedKey,
    token: Token,
    now: EpochMillis,
  ): Access | undefined {
    const { deploymentId, ulid } = key;
    const credential = { kind: 'token', deploymentId, ulid } as const;
    const verdict = evaluateAccessToken(credential, { deployment, key: checked, token }, now, rules);
    return verdict.allowed ? verdict.access : undefined;
  }
}

function eventData({ deploymentId, ulid, name }: ApiKey | MalformedKey) {
  return { keyId: formatKeyId(deploymentId, ulid), ...(name !== undefined && { name }) };
}

/** Returns a token in the format of the listing, without the token itself or its hash. */
function shown({ token, lastUse }: UsedToken, access: Access) {
  return {
    id: tokenIdOf(token.hash),
    issuedAt: isoTime(access.issuedAt),
    expiresAt: isoTime(access.expiresAt),
    // A token whose scopes were not narrowed has the scopes of its key.
    scope: token.scopes && scopeOf(access),
    lastUsedAt: lastUse && new Date(lastUse.at).toISOString(),
    lastUsedFrom: lastUse && shownOrigin(lastUse),
  };
}
