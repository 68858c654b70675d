import { newUlid } from './credentials.ts';
import { type EpochMillis, type EpochSeconds, expiryAfter } from './expiry.ts';
import type { Actor } from './records.ts';

/** How long the service keeps an event, in seconds: 90 days. */
export const EVENT_LIFETIME = 90 * 24 * 60 * 60;

/** Types of events about a Deployment, its keys, their access tokens, and people's temporary tokens. */
export const EVENT_TYPES = [
  'deployment.registered',
  'deployment.edited',
  'deployment.deleted',
  'deployment.purged',
  'deployment.restored',
  'api_key.created',
  'api_key.edited',
  'api_key.rotated',
  'api_key.secret_retired',
  'api_key.secret_retiring',
  'api_key.disabled',
  'api_key.enabled',
  'api_key.deleted',
  'api_key.leaked',
  'api_key.expiring',
  'api_key.expired',
  'api_key.idle',
  'api_key.trust_unbound',
  'api_key.policy_violated',
  'api_key.tokens_revoked',
  'call.refused',
  'token.revoked',
  'token.leaked',
  'temporary_token.leaked',
  'temporary_token.issued',
  'temporary_token.revoked',
  'person.access_ended',
  'person.access_restored',
  'person.keys_found',
  'person.erased',
] as const;

export type EventType = (typeof EVENT_TYPES)[number];

/** One entry in a Deployment's history. Events outlive the Deployment and never contain a secret or a complete hash. */
export interface ServiceEvent {
  /** ULID of the event, which contains its time. */
  id: string;
  type: EventType;
  deploymentId: string;
  generation: string;
  actor: Actor;
  /** Time of the event, in epoch milliseconds. */
  createdAt: EpochMillis;
  /** The key ID, the changed fields, or counts, as a flat object without secrets. */
  data: Record<string, string | number | boolean | string[]>;
  /** When the event expires, in epoch seconds. This is the TTL attribute. */
  expiresAt: EpochSeconds;
}

/**
 * Creates an event.
 * @param now epoch milliseconds
 */
export function newEvent(
  type: EventType,
  { id, generation }: { id: string; generation: string },
  actor: Actor,
  now: EpochMillis,
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
    expiresAt: expiryAfter(now, EVENT_LIFETIME),
  };
}
