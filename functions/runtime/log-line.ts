import { redactCredentials } from '../domain/secrets.ts';
import * as ENV from './env.ts';
import * as METRIC from './metric-names.ts';

/**
 * Writes one log line in the logger's format without loading the logger. Use it in functions that run on every call.
 */
export function writeLine(
  level: 'INFO' | 'WARN' | 'ERROR',
  message: string,
  fields: Record<string, unknown> = {},
): void {
  const line = { level, message, timestamp: new Date().toISOString(), ...fields };
  process.stdout.write(`${JSON.stringify(line, redacting)}\n`);
}

/** An `ErrorLog` that writes its lines with `writeLine`. */
export const errorLine = {
  error: writeLine.bind(undefined, 'ERROR'),
};

/** Matches text that might be a JWT, based on its length and its dot. */
const JWT = /eyJ[\w.-]*/g;
const WITH_HEADER_AND_PAYLOAD = /^eyJ[\w-]{12,}\./;
/** Matches the credentials in an Authorization header. */
const AUTHORIZATION = /(Basic|Bearer)(\s|\+|%20)+[^\s",]+/gi;

/**
 * Removes secrets and tokens from text: this service's credentials, JWTs, and the credentials in an Authorization
 * header. The text before them does not matter. This is only the last line of defence; callers must not pass secrets in
 * the first place.
 */
export function redact(text: string): string {
  return redactCredentials(text)
    .replace(AUTHORIZATION, '$1…')
    .replace(JWT, (run) => (WITH_HEADER_AND_PAYLOAD.test(run) ? 'eyJ…' : run));
}

/**
 * A replacer for JSON.stringify that redacts every string and property name before they are escaped. An escaped line
 * break ends in a letter. If a secret directly followed that letter, the redactor would not find the secret.
 */
export function redacting(_name: string, value: unknown): unknown {
  if (typeof value === 'string') return redact(value);
  if (!isNamed(value) || Object.keys(value).every((name) => redact(name) === name)) return value;
  return Object.fromEntries(Object.entries(value).map(([name, it]) => [redact(name), it]));
}

/**
 * Reports whether a value is an object that the log shows with its property names. The logger formats errors itself.
 */
function isNamed(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Error);
}

/** One value of a metric. */
export interface Measure {
  value: number;
  unit: 'Count' | 'Milliseconds';
}

/** Returns the dimension that every metric has: the name of the stack. */
export const ofStack = (env: Record<string, string | undefined>) => ({
  [METRIC.dimension]: env[ENV.stackName] ?? 'unknown',
});

/**
 * Returns fields that turn a log line into a measurement (CloudWatch embedded metric format).
 * @param dimensions dimensions whose values callers cannot choose, because each distinct value creates a metric that
 * costs money
 */
export function measured(
  measures: Record<string, Measure>,
  dimensions: Record<string, string>,
): Record<string, unknown> {
  const all = Object.entries(measures);
  return {
    _aws: {
      Timestamp: Date.now(),
      CloudWatchMetrics: [
        {
          Namespace: METRIC.namespace,
          Dimensions: [Object.keys(dimensions)],
          Metrics: all.map(([Name, { unit }]) => ({ Name, Unit: unit })),
        },
      ],
    },
    ...dimensions,
    ...Object.fromEntries(all.map(([name, { value }]) => [name, value])),
  };
}

/** Returns fields that turn a log line into a metric with the value 1. */
export const counted = (metric: string, dimensions: Record<string, string>): Record<string, unknown> =>
  measured({ [metric]: { value: 1, unit: 'Count' } }, dimensions);
