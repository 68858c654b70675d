import type { Context } from 'aws-lambda';
import { type Look, ownTable, reconcile } from './jobs/reconcile.ts';
import { compareRegistrations, compareRows } from './jobs/reconcile-source.ts';
import { readDeploymentsSource, readTableConfig } from './runtime/config.ts';
import { newLogger } from './runtime/logger.ts';
import { reconcileMeasures } from './runtime/report.ts';
import { openTable } from './runtime/table.ts';
import { PURGE_PATIENCE } from './table/faults.ts';
import { openSource } from './table/source-rows.ts';

/** Milliseconds that the last page of a slice, and what follows it, may take. */
const RESERVE = 60_000;
/** Most Deployments of a page that it deletes without a person: streams lose a few changes, not a table. */
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
      logger.warn('row refused', { key: JSON.stringify(key), reason }),
    mostGone: MOST_GONE,
  };
  looks.push({ name: 'ROWS', page: (after) => compareRows(after, comparison) });
  looks.push({ name: 'REGISTRATIONS', page: (after) => compareRegistrations(after, comparison) });
}

/** Woken by a schedule, far more often than a pass begins: each time one slice of it, if one is due. */
export const handler = async (_event: unknown, context: Context): Promise<void> => {
  const hasTime = () => context.getRemainingTimeInMillis() > RESERVE;
  const log = (message: string, fields: Record<string, string | number>) =>
    logger.info(message, { ...fields, ...measures(fields) });
  for (const look of looks) await reconcile(look, { table, clock: Date.now, hasTime, log });
};
