import type { ServiceEvent } from './events.ts';

/** The `source` attribute of every event on the bus. EventBridge rules match it. */
export const EVENT_SOURCE = 'deployment-api-keys';

/** Converts an event to CloudEvents 1.0, the form in which it is sent. It never contains a secret or a hash. */
export function cloudEventOf({ id, type, deploymentId, generation, actor, createdAt, data }: ServiceEvent) {
  const keyId = typeof data.keyId === 'string' ? `/api-keys/${data.keyId}` : '';
  return {
    specversion: '1.0',
    // The ID of the event, so every delivery of it has the same ID.
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
