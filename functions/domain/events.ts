import { newUlid } from './mint.ts';
import type { Actor } from './records.ts';

/** How long an event is kept, in seconds: 90 days. */
export const EVENT_LIFETIME = 90 * 24 * 60 * 60;

/** What can happen to a Deployment, to its keys and to people's temporary tokens. */
export type EventType =
  | 'deployment.registered'
  | 'deployment.edited'
  | 'deployment.deleted'
  | 'deployment.purged'
  | 'deployment.restored'
  | 'api_key.created'
  | 'api_key.edited'
  | 'api_key.rotated'
  | 'api_key.secret_retired'
  | 'api_key.disabled'
  | 'api_key.enabled'
  | 'api_key.deleted'
  | 'api_key.leaked'
  | 'api_key.expiring'
  | 'api_key.expired'
  | 'api_key.idle'
  | 'api_key.trust_unbound'
  | 'call.refused'
  | 'token.leaked'
  | 'temporary_token.leaked'
  | 'temporary_token.issued'
  | 'temporary_token.revoked';

/** One entry of a Deployment's history. It outlives the Deployment and never contains a secret or a hash. */
export interface ServiceEvent {
  /** A ULID of the time of the event. */
  id: string;
  type: EventType;
  deploymentId: string;
  generation: string;
  actor: Actor;
  /** Epoch milliseconds. */
  createdAt: number;
  /** The key ID, changed fields or counts. Flat, and without secrets. */
  data: Record<string, string | number | boolean | string[]>;
  /** Epoch seconds: the TTL attribute. */
  expiresAt: number;
}

/**
 * Creates an event.
 * @param now epoch milliseconds
 */
export function newEvent(
  type: EventType,
  { id, generation }: { id: string; generation: string },
  actor: Actor,
  now: number,
  data: ServiceEvent['data'] = {},
): ServiceEvent {
  return {
    id: newUlid(now),
    type,
    deploymentId: id,
    generation,
    actor,
    createdAt: now,
    data,
    expiresAt: Math.ceil(now / 1000) + EVENT_LIFETIME,
  };
}
