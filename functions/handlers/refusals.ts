import type { ServiceError } from '../domain/errors.ts';
import { newEvent } from '../domain/events.ts';
import type { Clock } from '../domain/expiry.ts';
import type { ManagementRequest } from '../http/management.ts';
import type { Table } from '../table/client.ts';
import { readDeployment } from '../table/deployments.ts';
import { putEvent } from '../table/events.ts';

/**
 * Records a refused call of a signed-in person among the events of the Deployment that it was about. Of one that is
 * not there, administrators alone will see it.
 */
export function refusalRecord(table: Table, clock: Clock) {
  return async ({ params, routeKey, actor }: ManagementRequest, error: ServiceError): Promise<void> => {
    if (params.deploymentId === '') return;
    const generation = (await readDeployment(table, params.deploymentId))?.generation ?? '';
    const event = newEvent('call.refused', { id: params.deploymentId, generation }, actor, clock(), {
      call: routeKey,
      status: error.status,
      code: error.code,
    });
    await putEvent(table, event);
  };
}
