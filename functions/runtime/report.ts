import type { PurgeOutcome } from '../domain/purge-outcome.ts';
import { writeLine } from './line.ts';
import { counted, type Measure, measured, ofStack } from './metric.ts';
import * as METRIC from './metric-names.ts';

interface Origin {
  apiId?: string | undefined;
  requestId?: string | undefined;
}

/**
 * Returns functions that log checks that did not allow the call, one line each, and count them. Failures have their own
 * metric for the alarm, because Lambda counts every 401 of a REST API as an error.
 */
export function checkReport(env: Record<string, string | undefined> = process.env) {
  const dimension = ofStack(env);
  return {
    refused: (reason: string, origin: Origin) =>
      writeLine('INFO', 'denied', { ...origin, ...counted(METRIC.checksRefused, { ...dimension, reason }) }),
    failed: (error: unknown, origin: Origin) =>
      writeLine('ERROR', 'failed', {
        ...origin,
        // The cause of a ServiceError has the details that clients do not see.
        error: String((error instanceof Error && error.cause) || error),
        ...counted(METRIC.checksFailed, dimension),
      }),
  };
}

/**
 * Returns a function that counts failed client authentications, whatever their cause, in one metric for the stack. The
 * log line about the rejection has the client ID.
 */
export function clientReport(env: Record<string, string | undefined> = process.env) {
  const dimension = ofStack(env);
  return () => writeLine('INFO', 'client rejected', counted(METRIC.refusedAuthentications, dimension));
}

/** Returns a function that counts issued access tokens, with a log line each. */
export function issueReport(env: Record<string, string | undefined> = process.env) {
  const dimension = ofStack(env);
  return () => writeLine('INFO', 'token issued', counted(METRIC.tokensIssued, dimension));
}

/** The message of the log line for each outcome of a purge. */
const PURGE_MESSAGES: Record<PurgeOutcome['type'], string> = {
  purged: 'purged',
  deferred: 'purge continues later',
  current: 'not purged: it lives',
  malformed: 'not purged: the Deployment is malformed',
  key_exists: 'not purged: the key exists',
  failed: 'purge failed',
  swept: 'purge markers swept',
};

/** Returns a function that logs the outcomes of purges, one line each, and measures those that complete something. */
export function purgeReport(
  log: { info: (message: string, fields: Record<string, unknown>) => void },
  env: Record<string, string | undefined> = process.env,
) {
  const dimension = ofStack(env);
  return (outcome: PurgeOutcome): void => {
    const { type, ...rest } = outcome;
    const measures = purgeMeasures(outcome);
    log.info(PURGE_MESSAGES[type], {
      ...renamed(rest),
      ...(measures && measured(measures, dimension)),
    });
  };
}

/** Renames the fields of a log line to the names that log queries use. */
function renamed(fields: Record<string, unknown>): Record<string, unknown> {
  const names: Record<string, string> = { deploymentId: 'deployment_id', keyUlid: 'key_ulid' };
  return Object.fromEntries(Object.entries(fields).map(([name, value]) => [names[name] ?? name, value]));
}

/** Returns the measures of an outcome; undefined if it completes nothing. */
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

type Fields = Record<string, string | number | undefined>;

/** Returns a function that measures a slice of reconciliation, as fields to add to its log line. */
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
