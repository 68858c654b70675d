import { DAY_MILLIS, type EpochMillis } from './expiry.ts';
import { truncated } from './networks.ts';

/** Source of a call, as API Gateway reports it. It is never taken from a header that a client could forge. */
export interface CallSource {
  /** Source address of the call; undefined if the event does not contain a source address. */
  address?: string | undefined;
  userAgent?: string | undefined;
}

/** How much the service records about where a key or token was used from. The service always records the use itself. */
export type LastUsedFrom = 'full' | 'truncated' | 'off';

/** Recorded source of a use. A field that is not recorded is ''. */
export interface UseOrigin {
  address: string;
  /** Name and version of the client: the first word of its User-Agent. */
  client: string;
}

/** A recorded use. */
export interface LastUse extends UseOrigin {
  /** Time of the use. */
  at: EpochMillis;
}

/** The key for which a token was issued, the request that issued the token, and the source of that request. */
export interface Issue extends UseOrigin {
  keyId: string;
  /** Request ID from API Gateway. */
  requestId: string;
}

/**
 * A product name and version. The service does not record a first word that is longer, because that word might be a
 * secret that was sent in the wrong header.
 */
const PRODUCT = /^[\w.+-]{1,32}(\/[\w.+-]{1,32})?(?=[ (]|$)/;

export function originOf({ address = '', userAgent = '' }: CallSource, mode: LastUsedFrom): UseOrigin {
  if (mode === 'off') return { address: '', client: '' };
  return {
    address: mode === 'full' ? address : truncated(address),
    client: PRODUCT.exec(userAgent)?.[0] ?? '',
  };
}

/**
 * Returns the limit for recording a use now, in epoch milliseconds: the service records the use only if the last
 * recorded use is not later than this limit. The service records a use at most once per slideInterval and at most once
 * per second. Without this limit, the holder of a credential could block its revocation by using it continuously,
 * because a transaction fails while another write to the same item is in progress.
 * @param slideInterval seconds
 * @param now epoch milliseconds
 */
export function recordedBefore(slideInterval: number, now: EpochMillis): EpochMillis {
  return Math.min(now - slideInterval * 1000, now - (now % 1000) - 1);
}

/**
 * Reports whether a use must be recorded.
 * @param lastUsedAt the last recorded use, in epoch milliseconds
 * @param before the result of `recordedBefore`
 */
export function isUseDue(lastUsedAt: EpochMillis | undefined, before: EpochMillis): boolean {
  return lastUsedAt === undefined || lastUsedAt <= before;
}

/**
 * Number of days, including today, for which the API shows whether a key was active: whether a use of the key was recorded
 * on that day in UTC.
 */
export const SHOWN_DAYS = 90;

/**
 * Returns the number of days between 1970-01-01 and the day that contains a given time. @param at a time on that day,
 * in epoch milliseconds
 */
export function dayOf(at: EpochMillis): number {
  return Math.floor(at / DAY_MILLIS);
}

/**
 * Returns the active days that the API shows, oldest first, as dates like `2030-01-31`.
 * @param now epoch milliseconds
 */
export function activeDates(days: ReadonlySet<number> | undefined, now: EpochMillis): string[] {
  const today = dayOf(now);
  return [...(days ?? [])]
    .filter((day) => day > today - SHOWN_DAYS && day <= today)
    .sort((a, b) => a - b)
    .map((day) => new Date(day * DAY_MILLIS).toISOString().slice(0, 10));
}

/** Returns the active days that are too old to be shown. @param now epoch milliseconds */
export function outdatedDays(days: ReadonlySet<number> | undefined, now: EpochMillis): number[] {
  return [...(days ?? [])].filter((day) => day <= dayOf(now) - SHOWN_DAYS);
}
