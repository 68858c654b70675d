import type { Context } from 'aws-lambda';
import { ownTable, RESERVE, reconcile } from './jobs/reconcile.ts';
import { areDeletionsStopped, compareRegistrations, compareRows } from './jobs/reconcile-source.ts';
import { deletionLimit } from './operations/limit-deletions.ts';
import { readDeploymentsSource, readJobConfig } from './runtime/config.ts';
import { newLogger } from './runtime/logger.ts';
import { changeReport, malformedReport, reconcileMeasures, stoppedDeletion } from './runtime/report.ts';
import { PURGE_RETRIES } from './table/retried-calls.ts';
import { openJobTable } from './table/sdk-transport.ts';
import { openSource } from './table/source-rows.ts';

/**
 * Maximum number of Deployments per page that the comparison deletes without confirmation by a person. A stream can
 * lose a few changes, but not a whole table.
 */
const MAX_MISSING = 5;

const logger = newLogger('reconcile');
const table = openJobTable(readJobConfig(), PURGE_RETRIES, malformedReport(logger));
const source = readDeploymentsSource();
const measures = reconcileMeasures();
const stopped = stoppedDeletion();
const comparison = source && {
  table,
  from: openSource(source, PURGE_RETRIES),
  clock: Date.now,
  onRejectedRow: (key: object, reason: string) =>
    logger.warn('row rejected', { key: JSON.stringify(key), reason }),
  onRepaired: changeReport(logger),
  countDeletion: deletionLimit({ table, limit: source.deletions, clock: Date.now }),
  maxMissing: MAX_MISSING,
};

/**
 * Lambda handler that runs one slice of a pass if one is due. A schedule invokes the function far more often than
 * passes start.
 */
export const handler = async (_event: unknown, context: Context): Promise<void> => {
  const hasTime = () => context.getRemainingTimeInMillis() > RESERVE;
  const slice = { table, clock: Date.now, hasTime };
  // Log the error in each run, so that the alarm stays active until a person has acted.
  if (comparison && (await areDeletionsStopped(table))) logger.error('deletions are stopped', stopped());
  await reconcile(ownTable(slice), { ...slice, log: logWith(measures.ofTable) });
  if (!comparison) return;
  const log = logWith(measures.ofSource);
  await reconcile({ name: 'ROWS', page: (after) => compareRows(after, comparison) }, { ...slice, log });
  await reconcile(
    { name: 'REGISTRATIONS', page: (after) => compareRegistrations(after, comparison) },
    { ...slice, log },
  );
};

/** Returns a function that logs a slice with its metric. */
function logWith<Fields extends object>(measuresOf: (fields: Fields) => Record<string, unknown>) {
  return (message: string, fields: Fields) => logger.info(message, { ...fields, ...measuresOf(fields) });
}
