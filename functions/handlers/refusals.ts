import type { ServiceError } from '../domain/errors.ts';
import { newEvent, type ServiceEvent } from '../domain/events.ts';
import type { Clock } from '../domain/expiry.ts';
import type { ManagementRequest } from '../http/management.ts';
import type { Table } from '../table/client.ts';
import { readDeployment } from '../table/deployments.ts';
import { listEvents, putEvent } from '../table/events.ts';

/**
 * Records a refused call of a signed-in person among the events of the Deployment that it was about. Of one that is
 * not there any more, administrators alone will see it; of one that never was, nothing is written, since everybody
 * who is signed in can make up IDs.
 */
export function refusalRecord(table: Table, clock: Clock) {
  return async ({ params, routeKey, actor }: ManagementRequest, error: ServiceError): Promise<void> => {
    const { deploymentId } = params;
    if (deploymentId === '') return;
    const now = clock();
    const deployment = await readDeployment(table, deploymentId);
    const last = deployment ? undefined : await lastEvent(table, deploymentId, now);
    if (!deployment && !last) return;
    const life = { id: deploymentId, generation: deployment?.generation ?? '' };
    const data = { call: routeKey, status: error.status, code: error.code };
    const event = newEvent('call.refused', life, actor, now, data);
    // What is refused after the end ends with the history, and does not draw it out.
    await putEvent(table, last ? { ...event, expiresAt: last.expiresAt } : event);
  };
}

async function lastEvent(table: Table, deploymentId: string, now: number): Promise<ServiceEvent | undefined> {
  const newest = { after: undefined, limit: 1, now };
  const { items } = await listEvents(table, deploymentId, newest);
  return items[0];
}
