import { scopeOf } from '../domain/check.ts';
import { hashOf, isUlid, mintCredential, newUlid } from '../domain/credentials.ts';
import { accessEnded, notFound } from '../domain/errors.ts';
import { newEvent } from '../domain/events.ts';
import {
  type Clock,
  type EpochMillis,
  expiryOfTemporaryToken,
  isoTime,
  toSeconds,
} from '../domain/expiry.ts';
import { type Person, visibleTo } from '../domain/people.ts';
import type { Deployment, Generation, TemporaryToken } from '../domain/records.ts';
import { effectiveScopes } from '../domain/scopes.ts';
import type { Answer } from '../http/answer.ts';
import { fromCursor, toCursor } from '../http/cursor.ts';
import type { ManagementRequest, ManagementRoute } from '../http/management.ts';
import { newTemporaryTokenInput, pageInput, parseInput } from '../http/schemas.ts';
import { idempotentCall } from '../operations/idempotency.ts';
import { readDeployment, readVisibleDeployment } from '../table/deployments.ts';
import type { Table } from '../table/retried-calls.ts';
import {
  deleteTemporaryToken,
  listTemporaryTokens,
  type MalformedTemporaryToken,
  putTemporaryToken,
  readTemporaryToken,
} from '../table/temporary-tokens.ts';

interface Dependencies {
  clock: Clock;
  /** Scopes that the stack defines. */
  scopes: readonly string[];
}

/**
 * Returns the routes for temporary tokens. People see their own tokens, and administrators see all tokens. Each route
 * first checks that the person is allowed to see the Deployment.
 */
export function temporaryTokenRoutes(
  table: Table,
  dependencies: Dependencies,
): Record<string, ManagementRoute> {
  return {
    'POST /deployments/{deploymentId}/temporary-tokens': (request) =>
      issueTemporaryToken(table, dependencies, request),
    'GET /deployments/{deploymentId}/temporary-tokens': (request) =>
      listVisibleTokens(table, dependencies, request),
    'DELETE /deployments/{deploymentId}/temporary-tokens/{tokenId}': (request) =>
      revokeTemporaryToken(table, dependencies, request),
  };
}

async function issueTemporaryToken(
  table: Table,
  { clock, scopes: known }: Dependencies,
  request: ManagementRequest,
): Promise<Answer> {
  const { person, actor } = request;
  const deployment = await deploymentOf(table, request);
  const input = parseInput(newTemporaryTokenInput(known), request.body({}));
  const call = idempotentCall(table, request, deployment, clock);
  const earlier = await call.earlierAnswer();
  if (earlier) return earlier;

  const now = clock();
  const ulid = newUlid(now);
  const accessToken = mintCredential('temporary', deployment.id, ulid);
  const temporaryToken: TemporaryToken = {
    deploymentId: deployment.id,
    ulid,
    hash: hashOf(accessToken),
    generation: deployment.generation,
    sub: person.sub,
    name: person.name,
    signedInAt: person.signIn?.at,
    // Store the scopes as a check will return them: without duplicates, and in the order in which the stack defines
    // them.
    scopes: effectiveScopes(input.scopes, undefined, known),
    issuedAt: toSeconds(now),
    expiresAt: expiryOfTemporaryToken(now),
  };

  const answer = issued(temporaryToken, known, now);
  const event = newEvent('temporary_token.issued', deployment, actor, now, eventData(temporaryToken));
  const record = call.record(answer, now);
  const outcome = await putTemporaryToken(table, temporaryToken, event, { record, signIn: person.signIn });
  if (outcome === 'repeated') return call.firstAnswer();
  if (outcome === 'ended') throw accessEnded();
  if (outcome === 'gone') throw notFound('Deployment');
  return { ...answer, body: { ...answer.body, access_token: accessToken } };
}

/** Returns the response to the call that issues a temporary token, without the token itself. */
function issued(temporaryToken: TemporaryToken, known: readonly string[], now: EpochMillis) {
  const { id, expiresAt, scope } = shown(temporaryToken, known);
  return {
    status: 201,
    headers: { Location: `/deployments/${temporaryToken.deploymentId}/temporary-tokens/${id}` },
    body: {
      id,
      token_type: 'Bearer',
      expires_in: Math.floor(temporaryToken.expiresAt - now / 1000),
      expiresAt,
      scope,
    },
  };
}

async function listVisibleTokens(
  table: Table,
  { clock, scopes: known }: Dependencies,
  request: ManagementRequest,
): Promise<Answer> {
  const { person, routeKey, query } = request;
  const deployment = await deploymentOf(table, request);
  const { limit, cursor } = parseInput(pageInput, query, 'query');
  const listing = [routeKey, deployment.id, deployment.generation, person.sub];
  const { items, next } = await listTemporaryTokens(table, deployment, {
    after: fromCursor(listing, cursor),
    limit,
    now: clock(),
    isWanted: (temporaryToken) => isOf(person, temporaryToken),
  });
  const nextCursor = next === undefined ? undefined : toCursor(listing, next);
  return {
    status: 200,
    body: { items: items.map((temporaryToken) => shown(temporaryToken, known)), nextCursor },
  };
}

async function revokeTemporaryToken(
  table: Table,
  { clock }: Dependencies,
  request: ManagementRequest,
): Promise<Answer> {
  const { person, params, actor } = request;
  const deployment = await readVisibleDeployment(table, person, params.deploymentId);
  const now = clock();
  const temporaryToken = await temporaryTokenOf(table, deployment, request, now);
  const event = newEvent('temporary_token.revoked', deployment, actor, now, eventData(temporaryToken));
  if (!(await deleteTemporaryToken(table, temporaryToken, event))) throw notFound('temporary token');
  return { status: 204 };
}

async function deploymentOf(table: Table, { person, params }: ManagementRequest): Promise<Deployment> {
  return visibleTo(person, await readDeployment(table, params.deploymentId));
}

/**
 * Returns the temporary token that a request names.
 * @throws ServiceError 404 if there is no such token, or if the person is not allowed to see it
 */
async function temporaryTokenOf(
  table: Table,
  deployment: Generation,
  { person, params }: ManagementRequest,
  now: EpochMillis,
) {
  const isId = isUlid(params.tokenId);
  const temporaryToken = isId ? await readTemporaryToken(table, deployment, params.tokenId, now) : undefined;
  if (!temporaryToken || !isOf(person, temporaryToken)) throw notFound('temporary token');
  return temporaryToken;
}

function isOf(person: Person, temporaryToken: TemporaryToken | MalformedTemporaryToken): boolean {
  return person.isAdministrator || temporaryToken.sub === person.sub;
}

function eventData({ ulid, sub, scopes }: TemporaryToken | MalformedTemporaryToken) {
  return { temporaryTokenId: ulid, ...(sub !== undefined && { sub }), ...(scopes && { scopes }) };
}

/** Returns a temporary token in the format of a listing, without the token itself or its hash. */
function shown(
  { ulid, deploymentId, sub, name, scopes, issuedAt, expiresAt }: TemporaryToken,
  known: readonly string[],
) {
  return {
    id: ulid,
    // Omit scopes that the stack no longer defines, because they have no effect.
    scope: scopeOf({ deploymentId, scopes: effectiveScopes(scopes, undefined, known) }),
    createdAt: isoTime(issuedAt),
    createdBy: sub,
    createdByName: name,
    expiresAt: isoTime(expiresAt),
  };
}
