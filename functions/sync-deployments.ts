import type { DynamoDBStreamEvent } from 'aws-lambda';
import { syncFromStream } from './jobs/sync-deployments.ts';
import { readSyncConfig } from './runtime/config.ts';
import { newLogger } from './runtime/logger.ts';
import { openQueue } from './runtime/queue.ts';
import { openTable } from './runtime/table.ts';
import { PURGE_PATIENCE } from './table/faults.ts';

const { source, refusedChangesQueueUrl, ...config } = readSyncConfig();
const logger = newLogger('sync-deployments');
const table = openTable(config, PURGE_PATIENCE, logger);
const setAside = openQueue(refusedChangesQueueUrl);

/** Applies changes of the platform's table of Deployments. Invoked by that table's stream. */
export const handler = ({ Records }: DynamoDBStreamEvent) =>
  syncFromStream(Records, {
    table,
    source,
    clock: Date.now,
    setAside,
    log: (message, fields) => logger.warn(message, fields),
  });
