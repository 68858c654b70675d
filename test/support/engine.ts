import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { createServer } from 'node:net';
import { CreateTableCommand, type DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { type DynamoDBDocumentClient, paginateQuery } from '@aws-sdk/lib-dynamodb';
import { callEngine, deleteTable } from '../../local/dynamodb/engine.ts';

/** An in-memory DynamoDB for one test file, without streams and TTL. */
export interface Engine {
  endpoint: string;
  stop: () => Promise<void>;
}

/** The tables that this process has created and not yet removed. */
const made: string[] = [];

/** Removes a table when this process stops its engine. Call this function in the process that stops the engine. */
export const removeAtStop = (tableName: string) => void made.push(tableName);

async function removeTables(endpoint: string): Promise<void> {
  for (const tableName of made.splice(0)) await deleteTable(endpoint, tableName);
}

/** Starts the embedded engine, or uses the one at DYNAMODB_ENDPOINT if that is set. */
export async function startEngine(): Promise<Engine> {
  const given = process.env.DYNAMODB_ENDPOINT?.replace(/\/$/, '');
  if (given) return { endpoint: given, stop: () => removeTables(given) };
  const path = createRequire(import.meta.url).resolve('@dynoxide/linux-x64/dynoxide');
  const port = await freePort();
  const engine = spawn(path, ['--host', '127.0.0.1', '--port', String(port)], { stdio: 'ignore' });
  const kill = () => engine.kill('SIGKILL');
  process.once('exit', kill);
  const endpoint = `http://127.0.0.1:${port}`;
  for (;;) {
    const isUp = await fetch(endpoint).then(
      () => true,
      () => false,
    );
    if (isUp) break;
    if (engine.exitCode !== null) throw new Error('the engine did not start');
  }
  const stop = async () => {
    const { TableNames } = await callEngine<{ TableNames: string[] }>(
      endpoint,
      'DynamoDB_20120810.ListTables',
      {},
    );
    kill();
    await once(engine, 'exit');
    process.off('exit', kill);
    // The embedded engine's tables disappear when the engine stops. On an engine at DYNAMODB_ENDPOINT, the tables would
    // persist and interfere with the next test file.
    const removed = made.splice(0);
    const left = TableNames.filter((name) => !removed.includes(name));
    if (left.length > 0) {
      throw new Error(
        `Nothing removes these tables: ${left.join(', ')}. Create them with createTable, or call removeAtStop, in the process that stops the engine.`,
      );
    }
  };
  return { endpoint, stop };
}

/** Name and type of a key attribute. */
type KeyAttribute = readonly [name: string, type: 'S' | 'N'];

/** Creates a table. By default, it has the same keys as the service's table. */
export async function createTable(
  client: DynamoDBClient,
  tableName: string,
  [partition, sort]: readonly [KeyAttribute, KeyAttribute] = [
    ['pk', 'S'],
    ['sk', 'S'],
  ],
): Promise<void> {
  removeAtStop(tableName);
  await client.send(
    new CreateTableCommand({
      TableName: tableName,
      BillingMode: 'PAY_PER_REQUEST',
      KeySchema: [
        { AttributeName: partition[0], KeyType: 'HASH' },
        { AttributeName: sort[0], KeyType: 'RANGE' },
      ],
      AttributeDefinitions: [partition, sort].map(([AttributeName, AttributeType]) => ({
        AttributeName,
        AttributeType,
      })),
    }),
  );
}

/** Returns all items of a partition in the order of their sort keys, with strongly consistent reads. */
export async function itemsOf(
  client: DynamoDBDocumentClient,
  tableName: string,
  pk: string,
): Promise<Record<string, unknown>[]> {
  const pages = paginateQuery(
    { client },
    {
      TableName: tableName,
      KeyConditionExpression: 'pk = :pk',
      ExpressionAttributeValues: { ':pk': pk },
      ConsistentRead: true,
    },
  );
  const items: Record<string, unknown>[] = [];
  for await (const { Items = [] } of pages) items.push(...Items);
  return items;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}
