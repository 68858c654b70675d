import type { Context, DynamoDBStreamEvent, EventBridgeEvent, SQSEvent } from 'aws-lambda';
import { purgeFromQueue, purgeFromStream, sweepMarkers } from './jobs/purge.ts';
import { readPurgeConfig } from './runtime/config.ts';
import { newLogger } from './runtime/logger.ts';
import { openQueue } from './runtime/queue.ts';
import { purgeReport } from './runtime/report.ts';
import { openTable } from './runtime/table.ts';
import { PURGE_PATIENCE } from './table/faults.ts';

/** Milliseconds reserved for the last page of a run and what follows it. */
const RESERVE = 10_000;

const config = readPurgeConfig();
const logger = newLogger('purge');
const dependencies = {
  table: openTable(config, PURGE_PATIENCE, logger),
  clock: Date.now,
  defer: openQueue(config.continuationQueueUrl),
  report: purgeReport(logger),
};

type PurgeEvent = DynamoDBStreamEvent | SQSEvent | EventBridgeEvent<string, unknown>;

/** Invoked by the table's stream, by the queue of unfinished purges, and by a schedule. */
export const handler = async (event: PurgeEvent, context: Context) => {
  const hasTime = () => context.getRemainingTimeInMillis() > RESERVE;
  if (!('Records' in event)) return sweepMarkers(dependencies);
  if (isStream(event)) return purgeFromStream(event.Records, hasTime, dependencies);
  return purgeFromQueue(event.Records, hasTime, dependencies);
};

function isStream(event: DynamoDBStreamEvent | SQSEvent): event is DynamoDBStreamEvent {
  return event.Records[0]?.eventSource === 'aws:dynamodb';
}
