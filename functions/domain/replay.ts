import type { ServiceEvent } from './events.ts';
import type { ApiKey, Deployment } from './records.ts';

/** Why a person must look at a key that came back from a backup. */
export type Doubt = 'its new secret is lost' | 'its bounds are not known' | 'it was made since';

/** A key as a backup had it, after what has happened to it since. */
export interface Replayed {
  /** Undefined: it was deleted. */
  key: ApiKey | undefined;
  doubts: ReadonlySet<Doubt>;
}

/** Fields whose new value an event tells, or that decide nothing. Expiry, networks and trust rules are not among them. */
const TOLD = new Set(['name', 'description', 'scopes', 'enabled']);

/**
 * What has happened to one key since a backup, done again to the key as the backup has it. An event tells which
 * fields have changed, and of most not to what: a key whose bounds are not known is disabled. Done
 * again to a key that has it already, an event changes nothing.
 * @param events of this key, oldest first
 */
export function replayKey(before: ApiKey, events: readonly ServiceEvent[]): Replayed {
  const doubts = new Set<Doubt>();
  let key = before;
  for (const { type, createdAt, data } of events) {
    if (type === 'api_key.deleted') return { key: undefined, doubts: new Set() };
    if (type === 'api_key.leaked' && !key.leak) {
      key = { ...key, enabled: false, leak: { reportedAt: createdAt, wasEnabled: key.enabled } };
    }
    if (type === 'api_key.rotated' && !key.secrets.some((secret) => secret.createdAt === createdAt)) {
      key = rotatedSince(key, createdAt, data.retireOld);
      doubts.add('its new secret is lost');
    }
    const changed = Array.isArray(data.changed) ? data.changed : [];
    if (changed.includes('name') && typeof data.name === 'string') key = { ...key, name: data.name };
    if (changed.includes('scopes') && Array.isArray(data.scopes)) key = { ...key, scopes: data.scopes };
    if (changed.some((field) => !TOLD.has(field))) doubts.add('its bounds are not known');
    if (type === 'api_key.disabled') key = { ...key, enabled: false };
    if (type === 'api_key.enabled') key = { ...key, enabled: true, activeSince: createdAt };
  }
  return { key: doubts.has('its bounds are not known') ? { ...key, enabled: false } : key, doubts };
}

/**
 * The secret that came with the rotation is known to nobody but its holder. The older ones retire when the rotation
 * said; where that was at the first use of the new one, which may have been at once, they have retired.
 */
function rotatedSince(key: ApiKey, createdAt: number, retireOld: unknown): ApiKey {
  const until = typeof retireOld === 'number' ? createdAt + retireOld * 1000 : createdAt;
  const secrets = key.secrets.map((secret) => ({
    ...secret,
    retiresAt: Math.min(secret.retiresAt ?? until, until),
  }));
  const isMended = key.leak && retireOld === 'now';
  return {
    ...key,
    secrets,
    activeSince: createdAt,
    ...(isMended && { enabled: key.leak?.wasEnabled ?? false, leak: undefined }),
  };
}

/**
 * The same for a Deployment.
 * @param events of this life of it, oldest first
 * @returns undefined when this life was ended
 */
export function replayDeployment(
  before: Deployment,
  events: readonly ServiceEvent[],
): Deployment | undefined {
  let deployment = before;
  for (const { type, data } of events) {
    if (type === 'deployment.deleted') return undefined;
    if (type !== 'deployment.edited') continue;
    if (typeof data.name === 'string') deployment = { ...deployment, name: data.name };
    if (Array.isArray(data.groups)) deployment = { ...deployment, groups: data.groups };
  }
  return deployment;
}
