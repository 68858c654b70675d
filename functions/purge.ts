import type { Context, DynamoDBStreamEvent, EventBridgeEvent, SQSEvent } from 'aws-lambda';
import { purgeFromQueue, purgeFromStream, RESERVE, sweepMarkers } from './jobs/purge.ts';
import { readPurgeConfig } from './runtime/config.ts';
import { newLogger } from './runtime/logger.ts';
import { openQueue } from './runtime/queue.ts';
import { malformedReport, purgeReport } from './runtime/report.ts';
import { PURGE_RETRIES } from './table/retried-calls.ts';
import { openJobTable } from './table/sdk-transport.ts';

const config = readPurgeConfig();
const logger = newLogger('purge');
const dependencies = {
  table: openJobTable(config, PURGE_RETRIES, malformedReport(logger)),
  clock: Date.now,
  defer: openQueue(config.continuationQueueUrl),
  report: purgeReport(logger),
};

type PurgeEvent = DynamoDBStreamEvent | SQSEvent | EventBridgeEvent<string, unknown>;

/** Lambda handler for the purge. The table's stream, the queue for unfinished purges, and a schedule invoke it. */
export const handler = async (event: PurgeEvent, context: Context) => {
  const hasTime = () => context.getRemainingTimeInMillis() > RESERVE;
  if (!('Records' in event)) return sweepMarkers(dependencies);
  if (isStream(event)) return purgeFromStream(event.Records, hasTime, dependencies);
  return purgeFromQueue(event.Records, hasTime, dependencies);
};

function isStream(event: DynamoDBStreamEvent | SQSEvent): event is DynamoDBStreamEvent {
  return event.Records[0]?.eventSource === 'aws:dynamodb';
}
