import type { PurgeOutcome } from '../domain/purge-outcome.ts';
import { writeLine } from './line.ts';
import { counted, type Measure, measured, ofStack } from './metric.ts';
import * as METRIC from './metric-names.ts';

interface Origin {
  apiId?: string | undefined;
  requestId?: string | undefined;
}

/**
 * What becomes of checks that let nobody in: one line each, which is a metric too. Failures have one of their own,
 * for the alarm: in Lambda's metric a REST API's every 401 is an error.
 */
export function checkReport(env: Record<string, string | undefined> = process.env) {
  const dimension = ofStack(env);
  return {
    refused: (reason: string, origin: Origin) =>
      writeLine('INFO', 'refused', { ...origin, ...counted(METRIC.checksRefused, { ...dimension, reason }) }),
    failed: (error: unknown, origin: Origin) =>
      writeLine('ERROR', 'failed', {
        ...origin,
        // A ServiceError tells clients little; what it was is in its cause.
        error: String((error instanceof Error && error.cause) || error),
        ...counted(METRIC.checksFailed, dimension),
      }),
  };
}

/**
 * Counts clients that could not prove themselves: one metric for the stack, whatever they sent. Whose key it was
 * stands in the line that says why the call was refused.
 */
export function clientReport(env: Record<string, string | undefined> = process.env) {
  const dimension = ofStack(env);
  return () => writeLine('INFO', 'client refused', counted(METRIC.refusedAuthentications, dimension));
}

/** Counts the tokens that keys are swapped for, a line each. */
export function issueReport(env: Record<string, string | undefined> = process.env) {
  const dimension = ofStack(env);
  return () => writeLine('INFO', 'token issued', counted(METRIC.tokensIssued, dimension));
}

/** The message of the log line for each outcome of a purge. */
const PURGE_MESSAGES: Record<PurgeOutcome['type'], string> = {
  purged: 'purged',
  deferred: 'purge goes on later',
  current: 'not purged: it lives',
  malformed: 'not purged: the Deployment is malformed',
  key_exists: 'not purged: the key exists',
  failed: 'purge failed',
  swept: 'purge markers swept',
};

/** Returns a function that logs the outcomes of purges, a line each, and measures those that end something. */
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

/** The fields of a log line, by the names that queries of the log use. */
function renamed(fields: Record<string, unknown>): Record<string, unknown> {
  const names: Record<string, string> = { deploymentId: 'deployment_id', keyUlid: 'key_ulid' };
  return Object.fromEntries(Object.entries(fields).map(([name, value]) => [names[name] ?? name, value]));
}

/** What an outcome measures; undefined when it ends nothing. */
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

/** What a slice of reconciliation measures, as fields to add to its line. */
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
