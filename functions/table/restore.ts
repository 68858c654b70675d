import { DescribeTableCommand } from '@aws-sdk/client-dynamodb';
import { PutCommand, ScanCommand } from '@aws-sdk/lib-dynamodb';
import type { ServiceEvent } from '../domain/events.ts';
import type { ApiKey, Deployment, Generation } from '../domain/records.ts';
import { ask, below, isWritten, queryPages, readItem, type Table, transact } from './client.ts';
import { deleteItems } from './purge.ts';
import {
  apiKeyKey,
  deploymentKey,
  fromApiKey,
  fromDeployment,
  fromEvent,
  type Item,
  type ItemKey,
  PARTITION,
  parse,
  purgeMarkerKey,
  restoreKey,
  SORT,
  toApiKey,
  toDeployment,
  toDirectoryEntry,
} from './schema.ts';

/** Tells this table from every other, also from one that had its name before. */
export async function identityOf({ client, tableName }: Table): Promise<string> {
  const { Table: table } = await client.send(new DescribeTableCommand({ TableName: tableName }));
  return table?.TableId ?? `${table?.TableArn} of ${table?.CreationDateTime?.toISOString()}`;
}

/** What is remembered of a restore in the table that it is made into. */
export interface RestoreRecord {
  /** Epoch milliseconds. */
  startedAt: number;
  /** Epoch milliseconds. */
  finishedAt?: number | undefined;
}

export async function readRestore(table: Table, restoreId: string): Promise<RestoreRecord | undefined> {
  return (await readItem(table, restoreKey(restoreId))) as RestoreRecord | undefined;
}

/** Records that a restore has started or finished. A finished one stays finished, also when its start is written late. */
export async function writeRestore(
  { client, tableName }: Table,
  restoreId: string,
  record: RestoreRecord,
): Promise<void> {
  const put = new PutCommand({
    TableName: tableName,
    Item: { ...restoreKey(restoreId), ...record },
    ConditionExpression: 'attribute_not_exists(finishedAt)',
  });
  await isWritten(client.send(put));
}

/** Every Deployment that has an item of its own. Reads the whole table: what is damaged may lack its directory entry. */
export async function* scanDeploymentIds({ client, tableName }: Table): AsyncGenerator<string> {
  let start: Record<string, unknown> | undefined;
  do {
    const page = await ask(
      client.send(
        new ScanCommand({
          TableName: tableName,
          FilterExpression: 'sk = :deployment',
          ExpressionAttributeValues: { ':deployment': SORT.deployment },
          ProjectionExpression: 'pk',
          ConsistentRead: true,
          ExclusiveStartKey: start,
        }),
      ),
    );
    for (const { pk } of page.Items ?? []) yield String(pk).slice(PARTITION.deployment('').length);
    start = page.LastEvaluatedKey;
  } while (start);
}

/** A Deployment and the restore that last brought it back. */
export async function readRestored(
  table: Table,
  id: string,
): Promise<{ deployment: Deployment | undefined; restoredBy: unknown }> {
  const item = await readItem(table, deploymentKey(id));
  return { deployment: parse(table, item, fromDeployment), restoredBy: item?.restoredBy };
}

/** All keys of one life of a Deployment. */
export async function allApiKeys(table: Table, { id, generation }: Generation): Promise<Map<string, ApiKey>> {
  const keys = new Map<string, ApiKey>();
  for await (const item of itemsBelow(table, PARTITION.deployment(id), SORT.key)) {
    const key = parse(table, item, fromApiKey);
    if (key?.generation === generation) keys.set(key.ulid, key);
  }
  return keys;
}

/** Everything that happened to a Deployment, in all its lives, oldest first. */
export async function allEvents(table: Table, deploymentId: string): Promise<ServiceEvent[]> {
  const events: ServiceEvent[] = [];
  for await (const item of itemsBelow(table, PARTITION.events(deploymentId), '')) {
    const event = parse(table, item, fromEvent);
    if (event) events.push(event);
  }
  return events;
}

/** The condition that a restore has not put back a Deployment: from then on its keys can be deleted and edited. */
const isNotBack = (restoreId: string) => ({
  ConditionExpression: 'attribute_not_exists(restoredBy) OR restoredBy <> :restoreId',
  ExpressionAttributeValues: { ':restoreId': restoreId },
});

/**
 * Replaces a key, or creates it. A write that timed out changes nothing when it reaches the table after the restore has put
 * the key's Deployment back.
 * @throws Error when another run of the same restore has put the Deployment back
 */
export async function putApiKey(table: Table, key: ApiKey, restoreId: string): Promise<void> {
  const { tableName: TableName } = table;
  const { deploymentId } = key;
  const refused = await transact(table, [
    { ConditionCheck: { TableName, Key: deploymentKey(deploymentId), ...isNotBack(restoreId) } },
    { Put: { TableName, Item: toApiKey(key) } },
  ]);
  if (refused) throw new Error(`another run of this restore has put ${deploymentId} back; run it again`);
}

/** Deletes keys, without event: what they went by is on record. */
export async function dropApiKeys(table: Table, deploymentId: string, ulids: string[]): Promise<void> {
  await deleteItems(
    table,
    ulids.map((ulid) => apiKeyKey(deploymentId, ulid)),
  );
}

/** The temporary tokens of a Deployment, of every life. */
export async function grantKeys(table: Table, deploymentId: string): Promise<ItemKey[]> {
  const keys: ItemKey[] = [];
  for await (const { pk, sk } of itemsBelow(table, PARTITION.deployment(deploymentId), SORT.grant)) {
    keys.push({ pk: String(pk), sk: String(sk) });
  }
  return keys;
}

/**
 * The last write of a Deployment's restore: from then on its keys are accepted, and a restore that goes on where it
 * was interrupted leaves it alone. An old purge marker of the life goes.
 */
export async function putBackDeployment(
  table: Table,
  deployment: Deployment,
  restoreId: string,
  event: ServiceEvent,
): Promise<void> {
  const { tableName: TableName } = table;
  const { id, generation } = deployment;
  await transact(
    table,
    [
      { Put: { TableName, Item: { ...toDeployment(deployment), restoredBy: restoreId } } },
      { Put: { TableName, Item: toDirectoryEntry(deployment) } },
      { Delete: { TableName, Key: purgeMarkerKey(id, generation) } },
    ],
    event,
  );
}

async function* itemsBelow(table: Table, pk: string, prefix: string): AsyncGenerator<Item> {
  for await (const { items } of queryPages(table, below(pk, prefix))) yield* items;
}
