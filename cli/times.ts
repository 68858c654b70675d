import { DAY_MILLIS } from '../functions/domain/expiry.ts';
import { UsageError } from './failure.ts';

const UNITS: Readonly<Record<string, number>> = { h: DAY_MILLIS / 24, d: DAY_MILLIS, w: 7 * DAY_MILLIS };

/** Returns a duration such as `12h`, `90d` or `4w` in milliseconds. @throws UsageError that names the option */
export function readDuration(text: string, option: string): number {
  const { number, unit = '' } = /^(?<number>\d{1,5})(?<unit>[hdw])$/.exec(text)?.groups ?? {};
  const milliseconds = Number(number) * (UNITS[unit] ?? Number.NaN);
  if (milliseconds > 0) return milliseconds;
  throw new UsageError(`${option} must be a number of hours, days or weeks, such as 12h, 90d or 4w.`);
}

/**
 * Returns a time in RFC 3339, from text that contains either such a time or a duration from now. @throws UsageError
 * that names the option
 */
export function readTime(text: string, option: string): string {
  if (/^\d+[a-z]$/i.test(text)) return new Date(Date.now() + readDuration(text, option)).toISOString();
  const time = /^\d{4}-\d\d-\d\d/.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(time)) {
    throw new UsageError(`${option} must be a time such as 2030-01-01T12:00:00Z, or a duration such as 90d.`);
  }
  return new Date(time).toISOString();
}

/**
 * Parses an RFC 3339 timestamp with a time zone, and returns epoch milliseconds. @throws UsageError that names the
 * option
 */
export function readMoment(text: string, option: string): number {
  const time = /^\d{4}-\d\d-\d\dT.*(Z|[+-]\d\d:\d\d)$/.test(text) ? Date.parse(text) : Number.NaN;
  if (!Number.isNaN(time)) return time;
  throw new UsageError(`${option} must be a moment in RFC 3339, such as 2030-01-01T12:00:00Z.`);
}
