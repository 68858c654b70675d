import { hasExpired } from './check.ts';
import { ServiceError } from './errors.ts';
import { DAY_MILLIS, type EpochMillis } from './expiry.ts';
import type { ApiKey } from './records.ts';

/** The stack's rules for keys. They apply when a key is created, edited or rotated; existing keys keep working. */
export interface KeyPolicy {
  /** Maximum number of days from a key's creation or last rotation to its expiry; undefined means no limit. */
  maxKeyDays?: number | undefined;
  /** Whether people can create keys with a secret. @default true */
  keysWithSecrets?: boolean | undefined;
}

/** How a key violates the policy: the key has no expiry, expires too late, or has a secret. */
export type PolicyViolation = 'no_expiry' | 'expiry_too_late' | 'secret';

/** Returns how a key violates the policy. Only keys that are older than the policy can violate it. */
export function policyViolations(key: ApiKey, policy: KeyPolicy): PolicyViolation[] {
  const latest = latestExpiry(key, policy);
  const violations: PolicyViolation[] = [];
  if (latest !== undefined) {
    if (key.validUntil === undefined) violations.push('no_expiry');
    else if (key.validUntil > latest) violations.push('expiry_too_late');
  }
  if (policy.keysWithSecrets === false && key.secrets.length > 0) violations.push('secret');
  return violations;
}

/**
 * Returns a new key that conforms to the policy. A key without an expiry gets the latest expiry that the policy allows.
 * @param now epoch milliseconds
 * @throws ServiceError 409 `policy`
 */
export function newKeyWithinPolicy(key: ApiKey, policy: KeyPolicy, now: EpochMillis): ApiKey {
  if (policy.keysWithSecrets === false && key.secrets.length > 0) {
    throw forbidden('This service allows no keys with a secret. Create the key with trust rules.');
  }
  return { ...key, validUntil: expiryWithinPolicy(key, key.validUntil, policy, now) };
}

/**
 * Returns a key's expiry after an edit. Without a policy, this is the requested expiry.
 * @param wanted epoch milliseconds; undefined for no expiry, which the policy replaces with the latest expiry that it
 * allows
 * @param now epoch milliseconds
 * @returns epoch milliseconds
 * @throws ServiceError 409 `policy` if the requested expiry is later than the policy allows
 */
export function expiryWithinPolicy(
  key: ApiKey,
  wanted: EpochMillis | undefined,
  policy: KeyPolicy,
  now: EpochMillis,
): EpochMillis | undefined {
  const latest = latestExpiry(key, policy);
  if (latest === undefined) return wanted;
  if (latest <= now) {
    const advice = key.secrets.length > 0 ? 'Rotate it first.' : 'Create another key.';
    throw forbidden(`This key has reached the limit of ${policy.maxKeyDays} days. ${advice}`);
  }
  const expiry = wanted ?? latest;
  if (expiry > latest) {
    throw forbidden(`expiresAt must be ${new Date(latest).toISOString()} or earlier, or null for that time.`);
  }
  return expiry;
}

/**
 * Returns a key's expiry after a rotation. If the key had no expiry, or expired at the latest time that the policy
 * allowed, it now expires at the new latest allowed time. A rotation never extends an earlier expiry or an expired key.
 * @param rotated the key with its new secret
 * @param now epoch milliseconds
 * @returns epoch milliseconds
 */
export function expiryAfterRotation(
  key: ApiKey,
  rotated: ApiKey,
  policy: KeyPolicy,
  now: EpochMillis,
): EpochMillis | undefined {
  const latest = latestExpiry(rotated, policy);
  const isChosen = key.validUntil !== undefined && key.validUntil !== latestExpiry(key, policy);
  if (latest === undefined || hasExpired(key, now)) return key.validUntil;
  return isChosen ? Math.min(Number(key.validUntil), latest) : latest;
}

/** Returns the latest expiry that the policy allows, in epoch milliseconds; undefined if the policy sets no limit. */
function latestExpiry({ createdAt, secrets }: ApiKey, { maxKeyDays }: KeyPolicy): EpochMillis | undefined {
  const rotatedAt = secrets.at(-1)?.createdAt ?? createdAt;
  return maxKeyDays === undefined ? undefined : Math.max(createdAt, rotatedAt) + maxKeyDays * DAY_MILLIS;
}

const forbidden = (detail: string) => new ServiceError(409, 'policy', detail);
