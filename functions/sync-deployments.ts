import type { DynamoDBStreamEvent } from 'aws-lambda';
import { syncFromStream } from './jobs/sync-deployments.ts';
import { readSyncConfig } from './runtime/config.ts';
import { newLogger } from './runtime/logger.ts';
import { openQueue } from './runtime/queue.ts';
import { changeReport, malformedReport } from './runtime/report.ts';
import { openTable, PURGE_RETRIES } from './table/retried-calls.ts';
import { sdkTransport } from './table/sdk-transport.ts';

const { source, refusedChangesQueueUrl, ...config } = readSyncConfig();
const logger = newLogger('sync-deployments');
const table = openTable(config, sdkTransport(), PURGE_RETRIES, malformedReport(logger));
const onOutcome = changeReport(logger);
const sendToDeadLetterQueue = openQueue(refusedChangesQueueUrl);

/** Lambda handler that applies changes to the platform's table of Deployments. That table's stream invokes it. */
export const handler = ({ Records }: DynamoDBStreamEvent) =>
  syncFromStream(Records, {
    table,
    source,
    clock: Date.now,
    sendToDeadLetterQueue,
    log: (message, fields) => logger.warn(message, fields),
    onOutcome,
  });
