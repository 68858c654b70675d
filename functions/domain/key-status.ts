import type { ApiKey } from './records.ts';

/** Whether a key can be used now, and if not, why. All of them stay listed. */
export type KeyStatus = 'active' | 'leaked' | 'disabled' | 'expired';

/** @param now epoch milliseconds */
export function statusOf({ leak, enabled, validUntil }: ApiKey, now: number): KeyStatus {
  if (leak) return 'leaked';
  if (!enabled) return 'disabled';
  if (validUntil !== undefined && validUntil <= now) return 'expired';
  return 'active';
}
