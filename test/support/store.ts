import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import {
  BatchWriteCommand,
  DeleteCommand,
  DynamoDBDocumentClient,
  GetCommand,
  QueryCommand,
} from '@aws-sdk/lib-dynamodb';
import { type Table, TRANSLATION } from '../../functions/table/client.ts';
import type { Item, ItemKey } from '../../functions/table/schema.ts';
import { openWire, type Wire } from '../../functions/table/wire.ts';
import { ENGINE_CREDENTIALS } from '../../local/dynamodb/engine.ts';
import { makeTable, startEngine } from './engine.ts';

const NAME = 'keys';

/** A call that the table code sent: a command of the SDK (`Put`), or an operation without the SDK (`PutItem`). */
export interface Sent {
  name: string;
  input: Record<string, unknown>;
}

/**
 * Starts an engine with the table, without the functions around it.
 *
 * @returns the commands of the code under test in `sent`, and functions that read and write the table directly
 */
export async function startStore() {
  const engine = await startEngine();
  const base = new DynamoDBClient({
    endpoint: engine.endpoint,
    region: 'us-east-1',
    credentials: ENGINE_CREDENTIALS,
  });
  await makeTable(base, NAME);
  const client = DynamoDBDocumentClient.from(base, TRANSLATION);
  const sent: Sent[] = [];
  const malformed: ItemKey[] = [];
  const watched = {
    send: async (command: { input: Record<string, unknown> }) => {
      sent.push({ name: command.constructor.name.replace('Command', ''), input: command.input });
      return client.send(command as never);
    },
  } as unknown as DynamoDBDocumentClient;
  const table: Table = { client: watched, tableName: NAME, onMalformed: (key) => malformed.push(key) };
  const patience = { attemptTimeout: 10_000, attempts: 3 };
  const bare = openWire({ region: 'us-east-1', endpoint: engine.endpoint, ...ENGINE_CREDENTIALS }, patience);
  const wire: Wire = (operation, input) => {
    sent.push({ name: operation, input: input as Record<string, unknown> });
    return bare(operation, input);
  };
  const partition = async (pk: string): Promise<Item[]> => {
    const items: Item[] = [];
    let start: Item | undefined;
    do {
      const page = await client.send(
        new QueryCommand({
          TableName: NAME,
          KeyConditionExpression: 'pk = :pk',
          ExpressionAttributeValues: { ':pk': pk },
          ConsistentRead: true,
          ExclusiveStartKey: start,
        }),
      );
      items.push(...(page.Items ?? []));
      start = page.LastEvaluatedKey;
    } while (start);
    return items;
  };
  /** Writes puts and deletes in batches of 25. A batch must not contain an item twice. */
  const write = async (requests: object[]) => {
    for (let at = 0; at < requests.length; at += 25) {
      const RequestItems = { [NAME]: requests.slice(at, at + 25) };
      await client.send(new BatchWriteCommand({ RequestItems }));
    }
  };
  return {
    table,
    /** The same client without the AWS SDK. */
    wire,
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
    /** Empties partitions and forgets the calls sent, so that each test starts fresh. */
    clear: async (...partitions: string[]) => {
      for (const pk of partitions) {
        await write((await partition(pk)).map(({ sk }) => ({ DeleteRequest: { Key: { pk, sk } } })));
      }
      sent.length = 0;
      malformed.length = 0;
    },
    stop: async () => {
      client.destroy();
      await engine.stop();
    },
  };
}

export type Store = Awaited<ReturnType<typeof startStore>>;
