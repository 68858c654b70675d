/** The days of a key's activity strip. */

/** One day, in milliseconds. */
export const DAY_MILLIS = 86_400_000;
/** Number of days that the strip shows, including today. */
export const STRIP_DAYS = 90;

/** Returns the dates in UTC of the last 90 days, oldest first, like `2030-01-31`. @param now epoch milliseconds */
export function stripDates(now: number): string[] {
  const dateOf = (_: unknown, n: number) =>
    new Date(now - (STRIP_DAYS - 1 - n) * DAY_MILLIS).toISOString().slice(0, 10);
  return Array.from({ length: STRIP_DAYS }, dateOf);
}

/**
 * Returns the strip in words, for people who cannot see it.
 * @param activeDays dates in UTC, oldest first
 */
export function activityWords(activeDays: readonly string[]): string {
  const last = activeDays.at(-1);
  if (!last) return 'Not used in the last 90 days';
  const date = new Date(last).toLocaleDateString('en-GB', { dateStyle: 'medium', timeZone: 'UTC' });
  return `Used on ${activeDays.length} of the last 90 days, most recently on ${date}`;
}
