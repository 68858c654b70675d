import type { Context, EventBridgeEvent, SQSEvent } from 'aws-lambda';
import { endAccessFromQueue, endAccessOfAll, RESERVE } from './jobs/end-access.ts';
import { readJobConfig, readPeopleQueueUrl, readUserPoolId } from './runtime/config.ts';
import { newLogger } from './runtime/logger.ts';
import { openQueue } from './runtime/queue.ts';
import { malformedReport } from './runtime/report.ts';
import { openUserPool } from './runtime/user-pool.ts';
import { PURGE_RETRIES } from './table/retried-calls.ts';
import { openJobTable } from './table/sdk-transport.ts';

const logger = newLogger('end-access');
const userPoolId = readUserPoolId();
const dependencies = {
  table: openJobTable(readJobConfig(), PURGE_RETRIES, malformedReport(logger)),
  clock: Date.now,
  defer: openQueue(readPeopleQueueUrl()),
  signOut: userPoolId === undefined ? undefined : openUserPool(userPoolId),
};

/**
 * Finds the keys of people whose access was ended. A queue invokes this function, and a schedule invokes it for tasks
 * that the queue missed.
 */
export const handler = async (event: SQSEvent | EventBridgeEvent<string, unknown>, context: Context) => {
  const hasTime = () => context.getRemainingTimeInMillis() > RESERVE;
  const all = { ...dependencies, hasTime };
  return 'Records' in event ? endAccessFromQueue(event.Records, all) : endAccessOfAll(all);
};
