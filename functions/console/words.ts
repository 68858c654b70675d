/**
 * The time units, each with the smallest number of seconds for which it is used, and its length in seconds. The unit
 * "day" is used from two days on, so that the text is `in 24 hours` instead of `tomorrow`.
 */
const UNITS = [
  ['year', 365 * 86_400, 365 * 86_400],
  ['month', 60 * 86_400, 30 * 86_400],
  ['day', 2 * 86_400, 86_400],
  ['hour', 3600, 3600],
  ['minute', 60, 60],
] as const;

const relative = new Intl.RelativeTimeFormat('en', { numeric: 'auto' });
const exact = new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium', timeStyle: 'long' });
const day = new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium' });

/**
 * Returns a relative time: `3 hours ago`, `in 24 hours`, `just now`.
 * @param time RFC 3339
 * @param now epoch milliseconds
 */
export function ago(time: string, now: number): string {
  const seconds = (Date.parse(time) - now) / 1000;
  const [unit, , length] = UNITS.find(([, least]) => Math.abs(seconds) >= least) ?? [];
  if (!unit || !length) return seconds > 0 ? 'in less than a minute' : 'just now';
  return relative.format(Math.round(seconds / length), unit);
}

/** Formats a time: `23 Nov 2026, 06:20:31 UTC` */
export const exactTime = (time: string): string => exact.format(new Date(time));

/** Formats a date: `23 Nov 2026` */
export const dayOf = (time: string): string => day.format(new Date(time));

/** Formats a duration in the largest unit that divides it evenly: `7 days`, `1 hour`, `90 seconds` */
export function duration(seconds: number): string {
  const [unit, length] = (
    [
      ['day', 86_400],
      ['hour', 3600],
      ['minute', 60],
    ] as const
  ).find(([, each]) => seconds > 0 && seconds % each === 0) ?? ['second', 1];
  return counted(seconds / length, unit);
}

/** Formats a count with its noun: `1 API key`, `1,000 API keys` */
export const counted = (count: number, noun: string): string =>
  `${count.toLocaleString('en')} ${noun}${count === 1 ? '' : 's'}`;

/** Returns the scopes of a token without the one that names its Deployment, which the page already shows. */
export const withoutDeployment = (scope: string): string[] => scope.split(' ').slice(1);

const DEFAULT_SCOPES = new Map([
  ['code:deploy', 'Deploy code to this Deployment'],
  ['airflow:read', 'Read from the Airflow API, such as DAGs and their runs'],
  ['airflow:write', 'Change things with the Airflow API, such as triggering DAG runs'],
]);
const VERBS = new Map([
  ['read', 'Read'],
  ['write', 'Create and change'],
  ['deploy', 'Deploy'],
  ['admin', 'Administer'],
  ['delete', 'Delete'],
]);

/** Describes a scope, such as `Read logs` for `logs:read`. Returns undefined for a scope that has no description. */
export function scopeWords(scope: string): string | undefined {
  const [resource = '', verb = '', ...rest] = scope.split(':');
  const words = VERBS.get(verb);
  const derived = words && rest.length === 0 ? `${words} ${resource.replaceAll('-', ' ')}` : undefined;
  return DEFAULT_SCOPES.get(scope) ?? derived;
}
