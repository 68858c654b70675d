import { cloudEventOf } from '../domain/cloud-event.ts';
import { notFound } from '../domain/errors.ts';
import type { Clock } from '../domain/expiry.ts';
import { maySee } from '../domain/people.ts';
import { fromCursor, toCursor } from '../http/cursor.ts';
import type { ManagementRoute } from '../http/management.ts';
import { eventsInput, parseInput } from '../http/schemas.ts';
import { readDeployment } from '../table/deployments.ts';
import { listEvents } from '../table/events.ts';
import type { Table } from '../table/retried-calls.ts';

/**
 * GET …/events: the events of a Deployment, newest first. Members see the events of its current generation.
 * Administrators see the events of all generations, even if the Deployment no longer exists.
 */
export function eventRoutes(table: Table, clock: Clock): Record<string, ManagementRoute> {
  return {
    'GET /deployments/{deploymentId}/events': async ({
      person,
      params: { deploymentId },
      query,
      routeKey,
    }) => {
      const deployment = await readDeployment(table, deploymentId);
      const isVisible = deployment !== undefined && maySee(person, deployment);
      if (!isVisible && !person.isAdministrator) throw notFound('Deployment');
      const { limit, cursor, type, keyId } = parseInput(eventsInput, query, 'query');
      const filters = [type ?? '', keyId ?? ''];
      const listing = [routeKey, deploymentId, deployment?.generation ?? '', person.sub, ...filters];
      const { items, next } = await listEvents(table, deploymentId, {
        after: fromCursor(listing, cursor),
        limit,
        now: clock(),
        generation: person.isAdministrator ? undefined : deployment?.generation,
        filter: { type, keyId },
      });
      const isEmpty = items.length === 0 && next === undefined && cursor === undefined;
      if (!deployment && isEmpty && !(await hasEvents(deploymentId))) throw notFound('Deployment');
      const nextCursor = next === undefined ? undefined : toCursor(listing, next);
      return { status: 200, body: { items: items.map(cloudEventOf), nextCursor } };
    },
  };

  /** Reports whether a deleted Deployment has any events, regardless of the filter. */
  async function hasEvents(deploymentId: string): Promise<boolean> {
    const { items } = await listEvents(table, deploymentId, { after: undefined, limit: 1, now: clock() });
    return items.length > 0;
  }
}
