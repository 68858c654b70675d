import type { ServiceEvent } from './events.ts';
import { ERASED, OF_PEOPLE } from './people.ts';

/** The `source` attribute of every event on the bus. EventBridge rules match this value. */
export const EVENT_SOURCE = 'deployment-api-keys';

/**
 * Converts an event to CloudEvents 1.0, the format in which it is sent. The result never contains a secret or a
 * complete hash.
 */
export function cloudEventOf({
  id,
  type,
  deploymentId,
  generation,
  actor,
  createdAt,
  data,
}: Omit<ServiceEvent, 'expiresAt'>) {
  return {
    specversion: '1.0',
    // Use the ID of the stored event, so that every delivery of the event has the same ID.
    id,
    source: EVENT_SOURCE,
    type,
    subject: subjectOf(deploymentId, data),
    time: new Date(createdAt).toISOString(),
    datacontenttype: 'application/json',
    data: { ...(deploymentId !== OF_PEOPLE.id && { deploymentId, generation }), actor, ...data },
  };
}

function subjectOf(deploymentId: string, { keyId, sub }: ServiceEvent['data']): string {
  // The event about an erasure has no `sub`. Its subject is that of the erased person's other events.
  if (deploymentId === OF_PEOPLE.id) return `people/${encodeURIComponent(String(sub ?? ERASED))}`;
  return `deployments/${deploymentId}${typeof keyId === 'string' ? `/api-keys/${keyId}` : ''}`;
}

export type CloudEvent = ReturnType<typeof cloudEventOf>;
