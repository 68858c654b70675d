import type { Context } from 'aws-lambda';
import { reconcile } from './handlers/reconcile.ts';
import { readTableConfig } from './runtime/config.ts';
import { newLogger } from './runtime/logger.ts';
import { reconcileMeasures } from './runtime/report.ts';
import { openTable } from './runtime/table.ts';
import { PURGE_PATIENCE } from './table/faults.ts';

/** Milliseconds that the last page of a slice, and what follows it, may take. */
const RESERVE = 60_000;

const logger = newLogger('reconcile');
const table = openTable(readTableConfig(), PURGE_PATIENCE, logger);
const measures = reconcileMeasures();

/** Woken by a schedule, far more often than a pass begins: each time one slice of it, if one is due. */
export const handler = async (_event: unknown, context: Context): Promise<void> => {
  await reconcile({
    table,
    clock: Date.now,
    hasTime: () => context.getRemainingTimeInMillis() > RESERVE,
    log: (message, fields) => logger.info(message, { ...fields, ...measures(fields) }),
  });
};
