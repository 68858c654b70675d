import type { Issue } from '../domain/last-use.ts';
import type { PurgeOutcome } from '../domain/purge-outcome.ts';
import { counted, type Measure, measured, ofStack, writeLine } from './log-line.ts';
import * as METRIC from './metric-names.ts';

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
  current: 'not purged: it lives',
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
  return (id: string, outcome: string, sequenceNumber?: string): void => {
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

type Fields = Record<string, string | number | undefined>;

/** Returns a function that returns the metric fields for the log line about a slice of reconciliation. */
export function reconcileMeasures(env: Record<string, string | undefined> = process.env) {
  const dimension = ofStack(env);
  return ({ orphans, registered, edited, deleted }: Fields): Record<string, unknown> =>
    orphans !== undefined
      ? measured({ [METRIC.orphansFound]: { value: Number(orphans), unit: 'Count' } }, dimension)
      : measured(
          {
            [METRIC.deploymentsMended]: {
              value: Number(registered) + Number(edited) + Number(deleted),
              unit: 'Count',
            },
          },
          dimension,
        );
}
