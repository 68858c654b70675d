import type { Context } from 'aws-lambda';
import { RESERVE, sweepKeys } from './jobs/sweep-keys.ts';
import { writeGroupEntries } from './jobs/write-group-entries.ts';
import { recordRejectedCalls } from './operations/record-rejected-calls.ts';
import { readJobConfig, readKeyPolicy, readMaxIdleDays, readTrustedIssuers } from './runtime/config.ts';
import { newLogger } from './runtime/logger.ts';
import { malformedReport, sweepMeasures } from './runtime/report.ts';
import { CALL_RETRIES } from './table/retried-calls.ts';
import { openJobTable } from './table/sdk-transport.ts';

const logger = newLogger('sweep-keys');
const table = openJobTable(readJobConfig(), CALL_RETRIES, malformedReport(logger));
const measures = sweepMeasures();
const maxIdleDays = readMaxIdleDays();
const issuers = readTrustedIssuers();
const policy = readKeyPolicy();

/** The event that the hourly schedule sends. The daily schedule sends an EventBridge event, which has no `task`. */
interface SweepEvent {
  task?: 'rejected-calls';
}

/**
 * Lambda handler with two schedules: an hourly schedule for the rejected calls, and a daily schedule that also checks
 * the keys.
 */
export const handler = async ({ task }: SweepEvent, context: Context): Promise<void> => {
  const hasTime = () => context.getRemainingTimeInMillis() > RESERVE;
  const grouped = await writeGroupEntries({ table, clock: Date.now, hasTime });
  if (grouped !== undefined) logger.info('entries of groups written', { deployments: grouped });
  if (task === undefined) {
    const marked = await sweepKeys({ table, clock: Date.now, maxIdleDays, issuers, policy, hasTime });
    logger.info('keys swept', { marked, ...measures(marked) });
  }
  const log = (message: string, fields: object) => logger.warn(message, { ...fields });
  const events = await recordRejectedCalls({ table, clock: Date.now, hasTime, log });
  logger.info('rejected calls recorded', { events });
};
