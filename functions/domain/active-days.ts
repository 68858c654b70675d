import type { EpochMillis } from './expiry.ts';

/** A key's active days: the days in UTC on which a use of the key was recorded. */

const DAY = 86_400_000;
/** Number of days, including today, whose uses the API shows. */
export const SHOWN_DAYS = 90;

/**
 * Returns the number of days between 1970-01-01 and the day that contains a given time. @param at a time on that day,
 * in epoch milliseconds
 */
export function dayOf(at: EpochMillis): number {
  return Math.floor(at / DAY);
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
    .map((day) => new Date(day * DAY).toISOString().slice(0, 10));
}

/** Returns the active days that are too old to be shown. @param now epoch milliseconds */
export function outdatedDays(days: ReadonlySet<number> | undefined, now: EpochMillis): number[] {
  return [...(days ?? [])].filter((day) => day <= dayOf(now) - SHOWN_DAYS);
}
