import type { Context } from 'aws-lambda';
import { type Look, ownTable, reconcile } from './jobs/reconcile.ts';
import { areDeletionsStopped, compareRegistrations, compareRows } from './jobs/reconcile-source.ts';
import { deletionLimit } from './operations/limit-deletions.ts';
import { readDeploymentsSource, readJobConfig } from './runtime/config.ts';
import { openJobTable } from './runtime/job-table.ts';
import { newLogger } from './runtime/logger.ts';
import { changeReport, reconcileMeasures, stoppedDeletion } from './runtime/report.ts';
import { openSource } from './table/source-rows.ts';
import { PURGE_RETRIES } from './table/table.ts';

/** Time reserved for the last page of a slice and the work after it, in milliseconds. */
const RESERVE = 60_000;
/**
 * Maximum number of Deployments per page that the comparison deletes without confirmation by a person. A stream can
 * lose a few changes, but not a whole table.
 */
const MOST_GONE = 5;

const logger = newLogger('reconcile');
const table = openJobTable(readJobConfig(), PURGE_RETRIES, logger);
const source = readDeploymentsSource();
const measures = reconcileMeasures();
const stopped = stoppedDeletion();
const looks: Look[] = [ownTable({ table, clock: Date.now })];
if (source) {
  const comparison = {
    table,
    from: openSource(source, PURGE_RETRIES),
    clock: Date.now,
    onRefused: (key: object, reason: string) =>
      logger.warn('row rejected', { key: JSON.stringify(key), reason }),
    onMended: changeReport(logger),
    countDeletion: deletionLimit({ table, limit: source.deletions, clock: Date.now }),
    mostGone: MOST_GONE,
  };
  looks.push({ name: 'ROWS', page: (after) => compareRows(after, comparison) });
  looks.push({ name: 'REGISTRATIONS', page: (after) => compareRegistrations(after, comparison) });
}

/**
 * Lambda handler that runs one slice of a pass if one is due. A schedule invokes the function far more often than
 * passes start.
 */
export const handler = async (_event: unknown, context: Context): Promise<void> => {
  const hasTime = () => context.getRemainingTimeInMillis() > RESERVE;
  const log = (message: string, fields: Record<string, string | number>) =>
    logger.info(message, { ...fields, ...measures(fields) });
  // Log the error in each run, so that the alarm stays active until a person has acted.
  if (source && (await areDeletionsStopped(table))) logger.error('deletions are stopped', stopped);
  for (const look of looks) await reconcile(look, { table, clock: Date.now, hasTime, log });
};
