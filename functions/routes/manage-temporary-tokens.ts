import { scopeOf } from '../domain/check.ts';
import { accessEnded, notFound } from '../domain/errors.ts';
import { newEvent } from '../domain/events.ts';
import { type Clock, expiryOfGrant } from '../domain/expiry.ts';
import { isUlid } from '../domain/identifiers.ts';
import { mintCredential, newUlid } from '../domain/mint.ts';
import { type Person, visibleTo } from '../domain/people.ts';
import type { Deployment, Generation, Grant } from '../domain/records.ts';
import { effectiveScopes } from '../domain/scopes.ts';
import { hashOf } from '../domain/secrets.ts';
import { fromCursor, toCursor } from '../http/cursor.ts';
import type { ManagementRequest, ManagementRoute } from '../http/management.ts';
import { newTemporaryTokenInput, pageInput, parseInput } from '../http/schemas.ts';
import { idempotentCall } from '../operations/idempotency.ts';
import { readDeployment, readVisibleDeployment } from '../table/deployments.ts';
import type { Table } from '../table/table.ts';
import {
  deleteGrant,
  listGrants,
  type MalformedGrant,
  putGrant,
  readGrant,
} from '../table/temporary-tokens.ts';

/**
 * Returns the routes for temporary tokens. People see their own tokens, and administrators see all tokens. Each route
 * first checks that the person is allowed to see the Deployment.
 */
export function temporaryTokenRoutes(
  table: Table,
  { clock, scopes: known }: { clock: Clock; scopes: readonly string[] },
): Record<string, ManagementRoute> {
  return {
    'POST /deployments/{deploymentId}/temporary-tokens': async (request) => {
      const deployment = await deploymentOf(request);
      const input = parseInput(newTemporaryTokenInput(known), request.body({}));
      const call = idempotentCall(table, request, deployment, clock);
      const earlier = await call.earlierAnswer();
      if (earlier) return earlier;
      const now = clock();
      const ulid = newUlid(now);
      const accessToken = mintCredential('temporary', deployment.id, ulid);
      const grant: Grant = {
        deploymentId: deployment.id,
        ulid,
        hash: hashOf(accessToken),
        generation: deployment.generation,
        sub: request.person.sub,
        name: request.person.name,
        signedInAt: request.person.signIn?.at,
        // Store the scopes as a check will return them: without duplicates, and in the order in which the stack defines
        // them.
        scopes: effectiveScopes(input.scopes, undefined, known),
        issuedAt: Math.floor(now / 1000),
        expiresAt: expiryOfGrant(now),
      };
      const { id, expiresAt, scope } = shown(grant, known);
      const answer = {
        status: 201,
        headers: { Location: `/deployments/${deployment.id}/temporary-tokens/${id}` },
        body: {
          id,
          token_type: 'Bearer',
          expires_in: Math.floor(grant.expiresAt - now / 1000),
          expiresAt,
          scope,
        },
      };
      const event = newEvent('temporary_token.issued', deployment, request.actor, now, eventData(grant));
      const record = call.record(answer, now);
      const outcome = await putGrant(table, grant, event, { record, signIn: request.person.signIn });
      if (outcome === 'repeated') return call.firstAnswer();
      if (outcome === 'ended') throw accessEnded();
      if (outcome === 'gone') throw notFound('Deployment');
      return { ...answer, body: { ...answer.body, access_token: accessToken } };
    },

    'GET /deployments/{deploymentId}/temporary-tokens': async (request) => {
      const deployment = await deploymentOf(request);
      const { person, routeKey, query } = request;
      const { limit, cursor } = parseInput(pageInput, query, 'query');
      const listing = [routeKey, deployment.id, deployment.generation, person.sub];
      const { items, next } = await listGrants(table, deployment, {
        after: fromCursor(listing, cursor),
        limit,
        now: clock(),
        isWanted: (grant) => isOf(person, grant),
      });
      const nextCursor = next === undefined ? undefined : toCursor(listing, next);
      return { status: 200, body: { items: items.map((grant) => shown(grant, known)), nextCursor } };
    },

    'DELETE /deployments/{deploymentId}/temporary-tokens/{tokenId}': async (request) => {
      const deployment = await readVisibleDeployment(table, request.person, request.params.deploymentId);
      const now = clock();
      const grant = await grantOf(request, deployment, now);
      const event = newEvent('temporary_token.revoked', deployment, request.actor, now, eventData(grant));
      if (!(await deleteGrant(table, grant, event))) throw notFound('temporary token');
      return { status: 204 };
    },
  };

  async function deploymentOf({ person, params }: ManagementRequest): Promise<Deployment> {
    return visibleTo(person, await readDeployment(table, params.deploymentId));
  }

  async function grantOf({ person, params }: ManagementRequest, deployment: Generation, now: number) {
    const isId = isUlid(params.tokenId);
    const grant = isId ? await readGrant(table, deployment, params.tokenId, now) : undefined;
    if (!grant || !isOf(person, grant)) throw notFound('temporary token');
    return grant;
  }
}

function isOf(person: Person, grant: Grant | MalformedGrant): boolean {
  return person.isAdministrator || grant.sub === person.sub;
}

function eventData({ ulid, sub, scopes }: Pick<Grant, 'ulid'> & Partial<Grant>) {
  return { temporaryTokenId: ulid, ...(sub !== undefined && { sub }), ...(scopes && { scopes }) };
}

/** Returns a temporary token in the format of a listing, without the token itself or its hash. */
function shown(
  { ulid, deploymentId, sub, name, scopes, issuedAt, expiresAt }: Grant,
  known: readonly string[],
) {
  return {
    id: ulid,
    // Omit scopes that the stack no longer defines, because they have no effect.
    scope: scopeOf({ deploymentId, scopes: effectiveScopes(scopes, undefined, known) }),
    createdAt: new Date(issuedAt * 1000).toISOString(),
    createdBy: sub,
    createdByName: name,
    expiresAt: new Date(expiresAt * 1000).toISOString(),
  };
}
