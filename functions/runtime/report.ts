import * as ENV from './env.ts';
import { writeLine } from './line.ts';
import { counted, measured } from './metric.ts';
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
  const ofStack = { [METRIC.dimension]: env[ENV.stackName] ?? 'unknown' };
  return {
    refused: (reason: string, origin: Origin) =>
      writeLine('INFO', 'refused', { ...origin, ...counted(METRIC.checksRefused, { ...ofStack, reason }) }),
    failed: (error: unknown, origin: Origin) =>
      writeLine('ERROR', 'failed', {
        ...origin,
        // A ServiceError tells clients little; what it was is in its cause.
        error: String((error instanceof Error && error.cause) || error),
        ...counted(METRIC.checksFailed, ofStack),
      }),
  };
}

/**
 * Counts clients that could not prove themselves: one metric for the stack, whatever they sent. Whose key it was
 * stands in the line that says why the call was refused.
 */
export function clientReport(env: Record<string, string | undefined> = process.env) {
  const stack = env[ENV.stackName] ?? 'unknown';
  return () =>
    writeLine(
      'INFO',
      'client refused',
      counted(METRIC.refusedAuthentications, { [METRIC.dimension]: stack }),
    );
}

/** Counts the tokens that keys are swapped for, a line each. */
export function issueReport(env: Record<string, string | undefined> = process.env) {
  const stack = env[ENV.stackName] ?? 'unknown';
  return () => writeLine('INFO', 'token issued', counted(METRIC.tokensIssued, { [METRIC.dimension]: stack }));
}

type Fields = Record<string, string | number | undefined>;

/** What a line of the purge measures, as fields to add to it: nothing, where it tells of no end. */
export function purgeMeasures(env: Record<string, string | undefined> = process.env) {
  const ofStack = { [METRIC.dimension]: env[ENV.stackName] ?? 'unknown' };
  return (message: string, { deleted, lag, found }: Fields): Record<string, unknown> => {
    if (message === 'purge markers swept') {
      return measured({ [METRIC.oldPurgeMarkers]: { value: Number(found), unit: 'Count' } }, ofStack);
    }
    if (message !== 'purged') return {};
    return measured(
      {
        [METRIC.itemsPurged]: { value: Number(deleted), unit: 'Count' },
        ...(lag !== undefined && { [METRIC.purgeLag]: { value: Number(lag), unit: 'Milliseconds' } }),
      },
      ofStack,
    );
  };
}

/** What a slice of reconciliation measures, as fields to add to its line. */
export function reconcileMeasures(env: Record<string, string | undefined> = process.env) {
  const ofStack = { [METRIC.dimension]: env[ENV.stackName] ?? 'unknown' };
  return ({ orphans, registered, edited, deleted }: Fields): Record<string, unknown> =>
    orphans !== undefined
      ? measured({ [METRIC.orphansFound]: { value: Number(orphans), unit: 'Count' } }, ofStack)
      : measured(
          {
            [METRIC.deploymentsMended]: {
              value: Number(registered) + Number(edited) + Number(deleted),
              unit: 'Count',
            },
          },
          ofStack,
        );
}
