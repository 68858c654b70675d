import { randomUUID } from 'node:crypto';
import {
  type AttributeValue,
  CreateTableCommand,
  DeleteItemCommand,
  DynamoDBClient,
  PutItemCommand,
} from '@aws-sdk/client-dynamodb';
import type { DynamoDBRecord } from 'aws-lambda';
import { afterAll } from 'vitest';
import { type Backfill, backfill } from '../../cli/backfilling.ts';
import type { DeploymentsSource } from '../../functions/domain/deployments-source.ts';
import { type SyncDependencies, syncFromStream } from '../../functions/jobs/sync-deployments.ts';
import type { SourceTable } from '../../functions/table/source-rows.ts';
import { callEngine, ENGINE_CREDENTIALS } from '../../local/dynamodb/engine.ts';
import { removeAtStop } from './engine.ts';
import { inProcess, startTable } from './in-process.ts';

const TABLES = 'arn:aws:dynamodb:us-east-1:000000000000:table/';

export type PlatformRow = Record<string, AttributeValue>;

/** Returns a row of the platform's table that describes a Deployment. */
export const rowOf = (id: string, more: PlatformRow = {}): PlatformRow => ({
  key: { S: `row-${id}` },
  type: { S: 'deployment' },
  deployment: { S: id },
  ...more,
});

/**
 * Creates a platform table on an engine, with a stream of real records. The table's name is unique, because an engine
 * that test files share may still return the stream of an earlier table with the same name.
 */
export async function createPlatformTable(endpoint: string) {
  const client = new DynamoDBClient({ endpoint, region: 'us-east-1', credentials: ENGINE_CREDENTIALS });
  const TableName = `platform-${randomUUID()}`;
  removeAtStop(TableName);
  const { TableDescription } = await client.send(
    new CreateTableCommand({
      TableName,
      BillingMode: 'PAY_PER_REQUEST',
      KeySchema: [{ AttributeName: 'key', KeyType: 'HASH' }],
      AttributeDefinitions: [{ AttributeName: 'key', AttributeType: 'S' }],
      StreamSpecification: { StreamEnabled: true, StreamViewType: 'NEW_AND_OLD_IMAGES' },
    }),
  );
  const StreamArn = TableDescription?.LatestStreamArn;
  const stream = <T>(operation: string, input: object) =>
    callEngine<T>(endpoint, `DynamoDBStreams_20120810.${operation}`, input);
  let iterator: string | undefined;
  /** The `deploymentsSource` setting for a table in which the platform stores Deployments and other items. */
  const source: DeploymentsSource = {
    table: TABLES + TableName,
    stream: `${TABLES}${TableName}/stream/2026-01-01T00:00:00.000`,
    id: 'deployment',
    name: 'label',
    groups: 'teams',
    where: { type: 'deployment' },
    deleted: { status: ['deleted', 'archived'] },
    // Most tests delete more Deployments than the default limit allows.
    deletions: { perHour: 1_000_000, share: 1 },
  };
  const from: SourceTable = { client, source };
  return {
    from,
    source,
    put: (Item: PlatformRow) => client.send(new PutItemCommand({ TableName, Item })),
    remove: (id: string) =>
      client.send(new DeleteItemCommand({ TableName, Key: { key: { S: `row-${id}` } } })),
    /** Returns the records since the last call, as the stream's event source mapping would deliver them. */
    records: async (): Promise<DynamoDBRecord[]> => {
      if (!iterator) {
        const { StreamDescription } = await stream<{ StreamDescription: { Shards: { ShardId: string }[] } }>(
          'DescribeStream',
          { StreamArn },
        );
        const ShardId = StreamDescription.Shards[0]?.ShardId;
        const shard = { StreamArn, ShardId, ShardIteratorType: 'TRIM_HORIZON' };
        iterator = (await stream<{ ShardIterator: string }>('GetShardIterator', shard)).ShardIterator;
      }
      const { Records, NextShardIterator } = await stream<{
        Records: DynamoDBRecord[];
        NextShardIterator: string;
      }>('GetRecords', { ShardIterator: iterator });
      iterator = NextShardIterator;
      return Records;
    },
  };
}

/**
 * Starts the service in this process, with a platform table that it follows. The engine of both tables stops after the
 * file's tests.
 */
export async function startFollowing() {
  const engine = await startTable();
  const platform = await createPlatformTable(engine.endpoint);
  afterAll(() => engine.stop());
  const { source, from } = platform;
  const service = inProcess(engine, { source });
  const { table } = service;
  const clock = () => service.time.now;
  return {
    engine,
    platform,
    service,
    table,
    clock,
    /** Applies stream records of the platform's table. */
    sync: (records: DynamoDBRecord[], change: Partial<SyncDependencies> = {}) =>
      syncFromStream(records, {
        table,
        source,
        clock,
        sendToDeadLetterQueue: async () => {},
        log: () => {},
        onOutcome: () => {},
        ...change,
      }),
    /** Deletes Deployments whose rows are gone without a limit, as `npm run backfill -- --prune` does. */
    prune: (change: Partial<Backfill> = {}) =>
      backfill({
        table,
        from,
        clock,
        onRejectedRow: () => {},
        most: 100,
        prunes: true,
        begin: { of: '', part: 'rows', after: undefined },
        onPosition: () => {},
        onProgress: () => {},
        ...change,
      }),
  };
}
