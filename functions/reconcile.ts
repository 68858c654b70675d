import type { Context } from 'aws-lambda';
import { type Look, ownTable, reconcile } from './jobs/reconcile.ts';
import { compareRegistrations, compareRows } from './jobs/reconcile-source.ts';
import { readDeploymentsSource, readTableConfig } from './runtime/config.ts';
import { newLogger } from './runtime/logger.ts';
import { reconcileMeasures } from './runtime/report.ts';
import { openTable } from './runtime/table.ts';
import { PURGE_PATIENCE } from './table/faults.ts';
import { openSource } from './table/source-rows.ts';

/** Milliseconds reserved for the last page of a slice and what follows it. */
const RESERVE = 60_000;
/**
 * The maximum number of Deployments of a page that are deleted without a person. Streams lose a few changes, not a
 * whole table.
 */
const MOST_GONE = 5;

const logger = newLogger('reconcile');
const table = openTable(readTableConfig(), PURGE_PATIENCE, logger);
const source = readDeploymentsSource();
const measures = reconcileMeasures();
const looks: Look[] = [ownTable({ table, clock: Date.now })];
if (source) {
  const comparison = {
    table,
    from: openSource(source, PURGE_PATIENCE),
    clock: Date.now,
    onRefused: (key: object, reason: string) =>
      logger.warn('row rejected', { key: JSON.stringify(key), reason }),
    mostGone: MOST_GONE,
  };
  looks.push({ name: 'ROWS', page: (after) => compareRows(after, comparison) });
  looks.push({ name: 'REGISTRATIONS', page: (after) => compareRegistrations(after, comparison) });
}

/** Runs one slice of a pass if one is due. Invoked by a schedule, far more often than passes start. */
export const handler = async (_event: unknown, context: Context): Promise<void> => {
  const hasTime = () => context.getRemainingTimeInMillis() > RESERVE;
  const log = (message: string, fields: Record<string, string | number>) =>
    logger.info(message, { ...fields, ...measures(fields) });
  for (const look of looks) await reconcile(look, { table, clock: Date.now, hasTime, log });
};
