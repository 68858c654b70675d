import type { ServiceEvent } from './events.ts';

/** What `source` of an event on the bus is, and what rules match. */
export const EVENT_SOURCE = 'deployment-api-keys';

/** An event as it is sent: the attributes of CloudEvents 1.0. It never holds a secret or a hash. */
export function cloudEventOf({ id, type, deploymentId, generation, actor, createdAt, data }: ServiceEvent) {
  const keyId = typeof data.keyId === 'string' ? `/api-keys/${data.keyId}` : '';
  return {
    specversion: '1.0',
    // Of the event itself: a second delivery has the same.
    id,
    source: EVENT_SOURCE,
    type,
    subject: `deployments/${deploymentId}${keyId}`,
    time: new Date(createdAt).toISOString(),
    datacontenttype: 'application/json',
    data: { deploymentId, generation, actor, ...data },
  };
}

export type CloudEvent = ReturnType<typeof cloudEventOf>;
