import { hasExpired } from './check.ts';
import { DAY_MILLIS, type EpochMillis } from './expiry.ts';
import type { ApiKey } from './records.ts';

/**
 * The status of a key, as people see it. If several statuses apply, the first of these is shown: leaked, disabled,
 * expired, idle. Keys are listed regardless of their status.
 */
export type KeyStatus = 'active' | 'leaked' | 'disabled' | 'expired' | 'idle';

/**
 * Returns the status of a key, as people see it.
 * @param now epoch milliseconds
 */
export function statusOf(key: ApiKey, now: EpochMillis, maxIdleDays: number | undefined): KeyStatus {
  if (key.leak) return 'leaked';
  if (!key.enabled) return 'disabled';
  if (hasExpired(key, now)) return 'expired';
  return isIdle(key, now, maxIdleDays) ? 'idle' : 'active';
}

/**
 * Reports whether the key has been unused for too long. An idle key cannot get new tokens; its existing tokens stay
 * valid.
 * @param now epoch milliseconds
 * @param maxIdleDays undefined if keys never become idle
 */
export function isIdle(key: ApiKey, now: EpochMillis, maxIdleDays: number | undefined): boolean {
  return maxIdleDays !== undefined && now - activeAt(key) >= maxIdleDays * DAY_MILLIS;
}

/** Returns when the key was last used, created or reactivated, whichever is latest, in epoch milliseconds. */
export function activeAt({ createdAt, activeSince = 0, lastUsedAt = 0 }: ApiKey): EpochMillis {
  return Math.max(createdAt, activeSince, lastUsedAt);
}
