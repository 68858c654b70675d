import { formatKeyId } from '../domain/identifiers.ts';
import { type KeyStatus, statusOf } from '../domain/key-status.ts';
import { timeOfUlid } from '../domain/mint.ts';
import type { ApiKey, MalformedKey } from '../domain/records.ts';
import { livingSecrets } from '../domain/rotation.ts';
import { unboundRules } from '../domain/trust.ts';

/**
 * A key as the API shows it: never its secret, and nothing made from it.
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

/** Of a malformed item, what can be read. It gets no tokens. While it is enabled, those that it has may be valid. */
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

/** Undefined where nothing was kept of it. */
function fromWhere({ lastUsedAddress, lastUsedClient }: ApiKey) {
  const from = { address: lastUsedAddress || undefined, client: lastUsedClient || undefined };
  return from.address || from.client ? from : undefined;
}

function time(ms: number | undefined): string | undefined {
  return ms === undefined ? undefined : new Date(ms).toISOString();
}
