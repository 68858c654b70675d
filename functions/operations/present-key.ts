import { formatKeyId } from '../domain/identifiers.ts';
import { type KeyStatus, statusOf } from '../domain/key-status.ts';
import { timeOfUlid } from '../domain/mint.ts';
import type { ApiKey, MalformedKey } from '../domain/records.ts';
import { livingSecrets } from '../domain/rotation.ts';
import { unboundRules } from '../domain/trust.ts';

/**
 * Returns a key as the API shows it, without secrets or hashes.
 * @param now epoch milliseconds
 */
export function shownKey(key: ApiKey | MalformedKey, now: number, maxIdleDays?: number) {
  return 'malformed' in key ? shownMalformedKey(key) : shownWellFormedKey(key, now, maxIdleDays);
}

function shownWellFormedKey(key: ApiKey, now: number, maxIdleDays: number | undefined) {
  const unbound = unboundRules(key.trust);
  return {
    id: formatKeyId(key.deploymentId, key.ulid),
    name: key.name,
    description: key.description ?? null,
    scopes: key.scopes,
    enabled: key.enabled,
    status: statusOf(key, now, maxIdleDays),
    leakedAt: time(key.leak?.reportedAt),
    createdAt: time(key.createdAt),
    createdBy: key.createdBy,
    expiresAt: time(key.validUntil),
    lastUsedAt: time(key.lastUsedAt),
    lastUsedFrom: fromWhere(key),
    networks: key.networks ?? [],
    trust: key.trust,
    unboundTrust: unbound.length > 0 ? unbound : undefined,
    credentials: livingSecrets(key, now).map(({ createdAt, retiresAt, retiresOnFirstUse, lastUsedAt }) => ({
      createdAt: time(createdAt),
      retiresAt: time(retiresAt),
      retiresOnFirstUse,
      lastUsedAt: time(lastUsedAt),
    })),
  };
}

/**
 * Returns the readable fields of a malformed item. It gets no new tokens. While it is enabled, its existing tokens may
 * be valid.
 */
function shownMalformedKey({ deploymentId, ulid, ...key }: MalformedKey) {
  const id = formatKeyId(deploymentId, ulid);
  return {
    id,
    name: key.name ?? id,
    description: key.description ?? null,
    scopes: key.scopes ?? [],
    enabled: key.enabled ?? false,
    status: (key.enabled ? 'active' : 'disabled') satisfies KeyStatus,
    malformed: true,
    createdAt: time(timeOfUlid(ulid)),
    createdBy: key.createdBy ?? '',
    networks: [],
    credentials: [],
  };
}

/** Returns where a key was last used from; undefined if that was not recorded. */
function fromWhere({ lastUsedAddress, lastUsedClient }: ApiKey) {
  const from = { address: lastUsedAddress || undefined, client: lastUsedClient || undefined };
  return from.address || from.client ? from : undefined;
}

function time(ms: number | undefined): string | undefined {
  return ms === undefined ? undefined : new Date(ms).toISOString();
}
