import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { BatchWriteCommand, DeleteCommand, DynamoDBDocumentClient, GetCommand } from '@aws-sdk/lib-dynamodb';
import { afterAll, beforeEach } from 'vitest';
import { httpsTransport } from '../../functions/table/https-transport.ts';
import type { Operation, Port } from '../../functions/table/port.ts';
import type { Table } from '../../functions/table/retried-calls.ts';
import type { Item, ItemKey } from '../../functions/table/schema.ts';
import { sdkTransport, translation } from '../../functions/table/sdk-transport.ts';
import { ENGINE_CREDENTIALS } from '../../local/dynamodb/engine.ts';
import { createTable, itemsOf, startEngine } from './engine.ts';

const NAME = 'keys';

/** One attempt at a call to the table. */
export interface Sent {
  operation: Operation;
  input: Record<string, unknown>;
}

/** The table, and a client with which tests read and write the table directly. */
export interface TestTable extends Table {
  client: DynamoDBDocumentClient;
}

/** The table accessed through an SDK client, which can be a fake or an engine's client. */
export function tableOn(client: unknown, more: Partial<Table> = {}): TestTable {
  const sdk = client as DynamoDBDocumentClient;
  return {
    port: sdkTransport(sdk),
    tableName: NAME,
    retryPolicy: { attemptTimeout: 10_000, attempts: 3 },
    onMalformed: () => {},
    ...more,
    client: sdk,
  };
}

/** Function that runs before and after each attempt. If it throws, the caller receives the error. */
export function watched(
  port: Port,
  around: (when: 'before' | 'after', sent: Sent) => void | Promise<void>,
): Port {
  return async (operation, input, timeout) => {
    const sent = { operation, input: input as unknown as Record<string, unknown> };
    await around('before', sent);
    const outcome = await port(operation, input, timeout);
    await around('after', sent);
    return outcome;
  };
}

/**
 * Starts an engine with the table, but without the functions. The engine stops after the file's tests.
 *
 * @param partitions partitions that are empty at the start of each test
 * @returns `sent`, which lists the calls of the code under test, and functions that read and write the table directly
 */
export async function startStore(...partitions: string[]) {
  const engine = await startEngine();
  const base = new DynamoDBClient({
    endpoint: engine.endpoint,
    region: 'us-east-1',
    credentials: ENGINE_CREDENTIALS,
  });
  await createTable(base, NAME);
  const client = DynamoDBDocumentClient.from(base, translation());
  const sent: Sent[] = [];
  const malformed: ItemKey[] = [];
  const record = (when: 'before' | 'after', call: Sent) => void (when === 'before' && sent.push(call));
  const https = httpsTransport({ region: 'us-east-1', endpoint: engine.endpoint, ...ENGINE_CREDENTIALS });
  const table = tableOn(client, {
    port: watched(sdkTransport(client), record),
    onMalformed: (key) => malformed.push(key),
  });
  const partition = (pk: string): Promise<Item[]> => itemsOf(client, NAME, pk);
  /** Sends puts and deletes in batches of 25. A batch must not contain the same item twice. */
  const write = async (requests: object[]) => {
    for (let at = 0; at < requests.length; at += 25) {
      const RequestItems = { [NAME]: requests.slice(at, at + 25) };
      await client.send(new BatchWriteCommand({ RequestItems }));
    }
  };
  /** Empties partitions and forgets the recorded calls, so that each test starts with none. */
  const clear = async (...some: string[]) => {
    for (const pk of some) {
      await write((await partition(pk)).map(({ sk }) => ({ DeleteRequest: { Key: { pk, sk } } })));
    }
    sent.length = 0;
    malformed.length = 0;
  };
  afterAll(async () => {
    client.destroy();
    await engine.stop();
  });
  beforeEach(() => clear(...partitions));
  return {
    table,
    /** The table accessed through the HTTPS transport instead of an SDK client. */
    httpsTable: { ...table, port: watched(https, record) },
    sent,
    malformed,
    put: (...items: Item[]) => write(items.map((Item) => ({ PutRequest: { Item } }))),
    get: async ({ pk, sk }: ItemKey): Promise<Item | undefined> => {
      const { Item } = await client.send(
        new GetCommand({ TableName: NAME, Key: { pk, sk }, ConsistentRead: true }),
      );
      return Item;
    },
    remove: ({ pk, sk }: ItemKey) => client.send(new DeleteCommand({ TableName: NAME, Key: { pk, sk } })),
    /** Returns all items of a partition in the order of their sort keys. */
    partition,
    clear,
  };
}
