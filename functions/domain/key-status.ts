import type { ApiKey } from './records.ts';

const DAY = 24 * 60 * 60 * 1000;
/** How long before its expiry people are told of it, in milliseconds: 7 days. */
const NOTICE = 7 * DAY;

/** Whether a key can be used now, and if not, why. All of them stay listed. */
export type KeyStatus = 'active' | 'leaked' | 'disabled' | 'expired' | 'idle';

/** Decided on read. @param now epoch milliseconds */
export function statusOf(key: ApiKey, now: number, maxIdleDays: number | undefined): KeyStatus {
  if (key.leak) return 'leaked';
  if (!key.enabled) return 'disabled';
  if (key.validUntil !== undefined && key.validUntil <= now) return 'expired';
  return isIdle(key, now, maxIdleDays) ? 'idle' : 'active';
}

/**
 * Has the key been unused for too long?
 * @param maxIdleDays undefined: no time is too long
 */
export function isIdle(key: ApiKey, now: number, maxIdleDays: number | undefined): boolean {
  return maxIdleDays !== undefined && now - activeAt(key) >= maxIdleDays * DAY;
}

/** When it was last used, made, or taken into use again. */
function activeAt({ createdAt, activeSince = 0, lastUsedAt = 0 }: ApiKey): number {
  return Math.max(createdAt, activeSince, lastUsedAt);
}

/**
 * What people are to be told of a key that time has changed, and of which moment: told once of each.
 * @param now epoch milliseconds
 */
export function noticeOf(
  key: ApiKey,
  now: number,
  maxIdleDays: number | undefined,
): { type: 'expired' | 'idle' | 'expiring'; of: number } | undefined {
  const { validUntil } = key;
  const status = statusOf(key, now, maxIdleDays);
  if (status === 'idle') return { type: status, of: activeAt(key) };
  if (validUntil === undefined || (status !== 'expired' && status !== 'active')) return undefined;
  if (status === 'expired') return { type: status, of: validUntil };
  return validUntil - now <= NOTICE ? { type: 'expiring', of: validUntil } : undefined;
}
