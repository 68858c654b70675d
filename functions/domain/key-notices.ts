import type { EpochMillis } from './expiry.ts';
import { activeAt, statusOf } from './key-status.ts';
import type { ApiKey } from './records.ts';

/** How long before a key's expiry the service notifies people, in milliseconds: 7 days. */
const NOTICE = 604_800_000;

/**
 * Returns the notice about a key that expires soon, has expired or is idle, and the time to which the notice refers.
 * People get one notice for each such time.
 * @param now epoch milliseconds
 * @returns undefined if there is nothing to notify people about
 */
export function noticeOf(
  key: ApiKey,
  now: EpochMillis,
  maxIdleDays: number | undefined,
): { type: 'expired' | 'idle' | 'expiring'; of: EpochMillis } | undefined {
  const { validUntil } = key;
  const status = statusOf(key, now, maxIdleDays);
  if (status === 'idle') return { type: status, of: activeAt(key) };
  if (validUntil === undefined || (status !== 'expired' && status !== 'active')) return undefined;
  if (status === 'expired') return { type: status, of: validUntil };
  return validUntil - now <= NOTICE ? { type: 'expiring', of: validUntil } : undefined;
}
