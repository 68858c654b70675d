import { formatKeyId, timeOfUlid } from '../domain/credentials.ts';
import type { EpochMillis } from '../domain/expiry.ts';
import { type KeyPolicy, policyViolations } from '../domain/key-policy.ts';
import { type KeyStatus, statusOf } from '../domain/key-status.ts';
import { activeDates, type UseOrigin } from '../domain/last-use.ts';
import type { ApiKey, MalformedKey } from '../domain/records.ts';
import { activeSecrets } from '../domain/rotation.ts';
import { broadRules, type TrustedIssuer, unboundRules } from '../domain/trust.ts';

/** The stack's rules that affect how the API shows a key. */
export interface KeyRules {
  /** Number of days without use after which a key becomes idle; undefined if keys never become idle. */
  maxIdleDays: number | undefined;
  policy: KeyPolicy;
  /** Issuers that the stack trusts. */
  issuers: readonly TrustedIssuer[];
}

/** Returns the stack's rules for keys from its settings. Without a policy, every key is allowed. */
export function rulesOf({
  maxIdleDays,
  policy = {},
  trust: { issuers },
}: {
  maxIdleDays?: number | undefined;
  policy?: KeyPolicy;
  trust: Pick<KeyRules, 'issuers'>;
}): KeyRules {
  return { maxIdleDays, policy, issuers };
}

/**
 * Returns a key in the API's format, without secrets or hashes.
 * @param now epoch milliseconds
 */
export function shownKey(key: ApiKey | MalformedKey, now: EpochMillis, rules: KeyRules) {
  return 'malformed' in key ? shownMalformedKey(key) : shownWellFormedKey(key, now, rules);
}

function shownWellFormedKey(key: ApiKey, now: EpochMillis, { maxIdleDays, policy, issuers }: KeyRules) {
  const unbound = unboundRules(key.trust, issuers);
  const broad = broadRules(key.trust, issuers);
  const violations = policyViolations(key, policy);
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
    createdByName: key.createdByName,
    expiresAt: time(key.validUntil),
    lastUsedAt: time(key.lastUsedAt),
    lastUsedFrom: shownOrigin({ address: key.lastUsedAddress, client: key.lastUsedClient }),
    activeDays: activeDates(key.activeDays, now),
    networks: key.networks ?? [],
    trust: key.trust,
    unboundTrust: unbound.length > 0 ? unbound : undefined,
    broadTrust: broad.length > 0 ? broad : undefined,
    policyViolations: violations.length > 0 ? violations : undefined,
    credentials: activeSecrets(key, now).map(({ createdAt, retiresAt, retiresOnFirstUse, lastUsedAt }) => ({
      createdAt: time(createdAt),
      retiresAt: time(retiresAt),
      retiresOnFirstUse,
      lastUsedAt: time(lastUsedAt),
    })),
  };
}

/**
 * Returns the readable fields of a key whose item is malformed. Such a key cannot get new tokens. While the key is
 * enabled, its existing tokens can be valid.
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
    activeDays: [],
    networks: [],
    credentials: [],
  };
}

/** Returns the data of a key for the events about its creation, changes and deletion. */
export function keyEventData({ deploymentId, ulid, name, scopes }: ApiKey | MalformedKey) {
  return {
    keyId: formatKeyId(deploymentId, ulid),
    ...(name !== undefined && { name }),
    ...(scopes && { scopes }),
  };
}

/** Returns the source of the last use of a key or token; undefined if it was not recorded. */
export function shownOrigin({ address, client }: { [Field in keyof UseOrigin]?: string | undefined }) {
  return address || client ? { address: address || undefined, client: client || undefined } : undefined;
}

function time(at: EpochMillis | undefined): string | undefined {
  return at === undefined ? undefined : new Date(at).toISOString();
}
