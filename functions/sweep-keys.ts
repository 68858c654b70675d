import type { Context } from 'aws-lambda';
import { sweepKeys } from './jobs/sweep-keys.ts';
import { recordRejectedCalls } from './operations/record-rejected-calls.ts';
import { readMaxIdleDays, readTableConfig } from './runtime/config.ts';
import { newLogger } from './runtime/logger.ts';
import { openTable } from './runtime/table.ts';
import { CALL_PATIENCE } from './table/faults.ts';

/** Milliseconds reserved for one key and what follows it. */
const RESERVE = 10_000;

const logger = newLogger('sweep-keys');
const table = openTable(readTableConfig(), CALL_PATIENCE, logger);
const maxIdleDays = readMaxIdleDays();

/** The event that the hourly schedule sends. The daily one sends an EventBridge event, which has no `task`. */
interface SweepEvent {
  task?: 'rejected-calls';
}

/** Invoked by two schedules: hourly for the rejected calls, and daily also for the keys. */
export const handler = async ({ task }: SweepEvent, context: Context): Promise<void> => {
  const hasTime = () => context.getRemainingTimeInMillis() > RESERVE;
  if (task === undefined) {
    const marked = await sweepKeys({ table, clock: Date.now, maxIdleDays, hasTime });
    logger.info('keys swept', { marked });
  }
  const log = (message: string, fields: object) => logger.warn(message, { ...fields });
  const events = await recordRejectedCalls({ table, clock: Date.now, hasTime, log });
  logger.info('rejected calls recorded', { events });
};
