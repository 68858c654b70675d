import type { Context } from 'aws-lambda';
import { sweepKeys } from './handlers/sweep-keys.ts';
import { readMaxIdleDays, readTableConfig } from './runtime/config.ts';
import { newLogger } from './runtime/logger.ts';
import { openTable } from './runtime/table.ts';
import { CALL_PATIENCE } from './table/faults.ts';

/** Milliseconds that one key, and what follows it, may take. */
const RESERVE = 10_000;

const logger = newLogger('sweep-keys');
const table = openTable(readTableConfig(), CALL_PATIENCE, logger);
const maxIdleDays = readMaxIdleDays();

/** Woken by a schedule, once a day. */
export const handler = async (_event: unknown, context: Context): Promise<void> => {
  const hasTime = () => context.getRemainingTimeInMillis() > RESERVE;
  const marked = await sweepKeys({ table, clock: Date.now, maxIdleDays, hasTime });
  logger.info('keys swept', { marked });
};
