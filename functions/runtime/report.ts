/**
 * What functions write to their logs: lines without secrets, metrics, and one report for each purpose.
 */

import { redactCredentials } from '../domain/credentials.ts';
import type { FollowOutcome } from '../domain/deployments-source.ts';
import type { Issue } from '../domain/last-use.ts';
import type { PurgeOutcome } from '../domain/purge-outcome.ts';
import type { OnMalformed } from '../table/schema.ts';
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

/** The log to which a function writes errors that an operator must see. */
export interface ErrorLog {
  error: (message: string, fields: Record<string, unknown>) => void;
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
interface Measure {
  value: number;
  unit: 'Count' | 'Milliseconds';
}

/** Returns the dimension that every metric has: the name of the stack. */
const ofStack = (env: Record<string, string | undefined>) => ({
  [METRIC.dimension]: env[ENV.stackName] ?? 'unknown',
});

/**
 * Returns fields that turn a log line into a measurement (CloudWatch embedded metric format).
 * @param dimensions dimensions whose values callers cannot choose, because each distinct value creates a metric that
 * costs money
 */
function measured(
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
const counted = (metric: string, dimensions: Record<string, string>): Record<string, unknown> =>
  measured({ [metric]: { value: 1, unit: 'Count' } }, dimensions);

interface CallIdentifiers {
  apiId?: string | undefined;
  requestId?: string | undefined;
  client_id?: string | undefined;
}

/**
 * Returns functions that log and count the checks that did not allow a call, with one log line for each check. Failures
 * have their own metric for the alarm, because Lambda counts every 401 of a REST API as an error.
 */
export function checkReport(env: Record<string, string | undefined> = process.env) {
  const dimension = ofStack(env);
  return {
    denied: (reason: string, origin: CallIdentifiers) =>
      writeLine('INFO', 'denied', { ...origin, ...counted(METRIC.checksRefused, { ...dimension, reason }) }),
    failed: (error: unknown, origin: CallIdentifiers) =>
      writeLine('ERROR', 'failed', {
        ...origin,
        // Log the cause of a ServiceError, which contains the details that clients do not see.
        error: String((error instanceof Error && error.cause) || error),
        ...counted(METRIC.checksFailed, dimension),
      }),
  };
}

/**
 * Returns a function that counts all failed client authentications in a single metric of the stack, regardless of their
 * cause. The client ID is in the rejection's log line.
 */
export function clientReport(env: Record<string, string | undefined> = process.env) {
  const dimension = ofStack(env);
  return () => writeLine('INFO', 'client rejected', counted(METRIC.refusedAuthentications, dimension));
}

/**
 * Returns a function that counts calls to which the service responded with 500 or 503. The log line *failed* that
 * precedes the count contains the cause.
 */
export function failureReport(env: Record<string, string | undefined> = process.env) {
  const dimension = ofStack(env);
  return () => writeLine('ERROR', 'call failed', counted(METRIC.callsFailed, dimension));
}

/** Returns the metric fields for the log line about a completed sweep of all keys. */
export function sweepMeasures(env: Record<string, string | undefined> = process.env) {
  const dimension = ofStack(env);
  return (marked: number): Record<string, unknown> =>
    measured({ [METRIC.keysSwept]: { value: marked, unit: 'Count' } }, dimension);
}

/**
 * Returns a function that counts issued access tokens, with one log line for each token. The line contains the key, the
 * request ID that the access log also has, and as much of the source as the `lastUsedFrom` setting allows.
 */
export function issueReport(env: Record<string, string | undefined> = process.env) {
  const dimension = ofStack(env);
  return ({ keyId, requestId, address, client }: Issue) =>
    writeLine('INFO', 'token issued', {
      client_id: keyId,
      request_id: requestId,
      address: address || undefined,
      client: client || undefined,
      ...counted(METRIC.tokensIssued, dimension),
    });
}

/** Log message for each outcome of a purge. */
const PURGE_MESSAGES: Record<PurgeOutcome['type'], string> = {
  purged: 'purged',
  deferred: 'purge continues later',
  current: 'not purged: the Deployment exists',
  malformed: 'not purged: the Deployment is malformed',
  key_exists: 'not purged: the key exists',
  failed: 'purge failed',
  swept: 'purge markers swept',
};

/**
 * Returns a function that logs the outcome of each purge as one line, and adds metrics for a completed purge or sweep.
 * The function logs failures as errors.
 */
export function purgeReport(
  log: Record<'info' | 'error', (message: string, fields: Record<string, unknown>) => void>,
  env: Record<string, string | undefined> = process.env,
) {
  const dimension = ofStack(env);
  return (outcome: PurgeOutcome): void => {
    const { type, ...rest } = outcome;
    const measures = purgeMeasures(outcome);
    const fields = { ...renamed(rest), ...(measures && measured(measures, dimension)) };
    if (type === 'failed') log.error(PURGE_MESSAGES[type], fields);
    else log.info(PURGE_MESSAGES[type], fields);
  };
}

/** Renames a log line's fields to the names that log queries use. */
function renamed(fields: Record<string, unknown>): Record<string, unknown> {
  const names: Record<string, string> = { deploymentId: 'deployment_id', keyUlid: 'key_ulid' };
  return Object.fromEntries(Object.entries(fields).map(([name, value]) => [names[name] ?? name, value]));
}

/** Returns the metrics for an outcome; undefined if nothing was completed. */
function purgeMeasures(outcome: PurgeOutcome): Record<string, Measure> | undefined {
  if (outcome.type === 'swept') {
    return { [METRIC.oldPurgeMarkers]: { value: outcome.found, unit: 'Count' } };
  }
  if (outcome.type !== 'purged') return undefined;
  const { deleted, lag } = outcome;
  return {
    [METRIC.itemsPurged]: { value: deleted, unit: 'Count' },
    ...(lag !== undefined && { [METRIC.purgeLag]: { value: lag, unit: 'Milliseconds' } }),
  };
}

/**
 * Returns a function that logs the effect that a change to a followed table had on a Deployment. It logs a stopped
 * deletion as an error and counts it. It does not log a change that was not needed.
 */
export function changeReport(
  log: Record<'info' | 'error', (message: string, fields: Record<string, unknown>) => void>,
  env: Record<string, string | undefined> = process.env,
) {
  const stopped = stoppedDeletion(env);
  return (id: string, outcome: FollowOutcome, sequenceNumber?: string): void => {
    const fields = { deployment_id: id, outcome, sequenceNumber };
    if (outcome === 'stopped') log.error('deletion stopped', { ...fields, ...stopped() });
    else if (outcome !== 'unchanged') log.info('change applied', fields);
  };
}

/**
 * Returns a function that returns the fields that count a stopped deletion, for the deletion's log line. The fields
 * contain the current time, so each log line needs its own.
 */
export function stoppedDeletion(env: Record<string, string | undefined> = process.env) {
  const dimension = ofStack(env);
  return () => counted(METRIC.deletionsStopped, dimension);
}

/**
 * Returns functions that return the metric fields for the log line about a slice of reconciliation: one for passes over
 * the service's own table, and one for passes that compare it with a followed table.
 */
export function reconcileMeasures(env: Record<string, string | undefined> = process.env) {
  const dimension = ofStack(env);
  const count = (metric: string, value: number) =>
    measured({ [metric]: { value, unit: 'Count' } }, dimension);
  return {
    ofTable: ({ orphans }: Record<'orphans', number>) => count(METRIC.orphansFound, orphans),
    ofSource: ({ registered, edited, deleted }: Record<'registered' | 'edited' | 'deleted', number>) =>
      count(METRIC.deploymentsCorrected, registered + edited + deleted),
  };
}

/**
 * Returns a function that logs a malformed item and counts it for the alarm. The log line contains the item's primary
 * key without the hash of a token, and never contains the item's content.
 */
export function malformedReport(
  log: ErrorLog,
  env: Record<string, string | undefined> = process.env,
): OnMalformed {
  const dimension = ofStack(env);
  return ({ pk, sk }) =>
    log.error('malformed item', {
      pk,
      sk: sk.replace(/#[\w-]{43}$/, '#…'),
      ...counted(METRIC.malformedItems, dimension),
    });
}
