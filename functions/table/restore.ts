import type { ServiceEvent } from '../domain/events.ts';
import type { ApiKey, Deployment, Generation } from '../domain/records.ts';
import { entryWrites } from './deployments.ts';
import {
  DEPLOYMENT_SORT_KEY,
  deploymentPartition,
  eventsPartition,
  KEY_PREFIX,
  TEMPORARY_TOKEN_PREFIX,
} from './item-keys.ts';
import { deleteItems } from './purge.ts';
import {
  inPartition,
  outputOf,
  putItem,
  queryPages,
  readItem,
  scanPage,
  type Table,
  transact,
  type Write,
} from './retried-calls.ts';
import {
  apiKeyKey,
  deploymentKey,
  fromApiKey,
  fromDeployment,
  fromEvent,
  fromRestoreRecord,
  type Item,
  type ItemKey,
  parse,
  purgeMarkerKey,
  type RestoreOptions,
  type RestoreRecord,
  restoreKey,
  toApiKey,
  toDeployment,
} from './schema.ts';

export type { RestoreOptions, RestoreRecord } from './schema.ts';

/** Returns text that identifies this table. A deleted table that had the same name gets different text. */
export async function identityOf(table: Table): Promise<string> {
  const {
    TableId,
    TableArn,
    CreationDateTime: createdAt = 0,
  } = (await outputOf(table, 'DescribeTable', { TableName: table.tableName })).Table ?? {};
  // The SDK converts the time from DynamoDB, which is in seconds, into a Date.
  const date = typeof createdAt === 'number' ? new Date(createdAt * 1000) : createdAt;
  return TableId ?? `${TableArn} of ${date.toISOString()}`;
}

/** Returns the table's current write capacity in units per second; undefined for a table with on-demand capacity. */
export async function provisionedWrites(table: Table): Promise<number | undefined> {
  const { Table: described } = await outputOf(table, 'DescribeTable', { TableName: table.tableName });
  return described?.ProvisionedThroughput?.WriteCapacityUnits || undefined;
}

/**
 * Reads the stored progress of a restore. A malformed record is treated as missing: the restore runs again, which
 * changes nothing.
 */
export async function readRestore(table: Table, restoreId: string): Promise<RestoreRecord | undefined> {
  return parse(table, await readItem(table, restoreKey(restoreId)), fromRestoreRecord);
}

/**
 * Records that a restore has started or finished. A write of the start that arrives late does not replace the finish.
 * @returns false if the restore has finished, or was started with other options
 */
export async function writeRestore(
  table: Table,
  restoreId: string,
  { startedAt, finishedAt, options }: RestoreRecord & { options: RestoreOptions },
): Promise<boolean> {
  const Item = { ...restoreKey(restoreId), startedAt, finishedAt, options };
  const isWritten = await putItem(table, {
    Item,
    // A record written by an earlier version does not contain options.
    ConditionExpression:
      'NOT attribute_type(finishedAt, :number) AND (attribute_not_exists(options) OR options = :options)',
    ExpressionAttributeValues: { ':number': 'N', ':options': options },
  });
  if (isWritten || (await readRestore(table, restoreId))) return isWritten;
  // A malformed record is treated as missing.
  return putItem(table, { Item });
}

/** Returns the ID of every Deployment that has an item. Scans the table, because a directory entry might be missing. */
export async function* scanDeploymentIds(table: Table): AsyncGenerator<string> {
  let start: Item | undefined;
  do {
    const page = await scanPage(table, {
      FilterExpression: 'sk = :deployment',
      ExpressionAttributeValues: { ':deployment': DEPLOYMENT_SORT_KEY },
      ProjectionExpression: 'pk',
      ConsistentRead: true,
      ExclusiveStartKey: start,
    });
    for (const { pk } of page.Items ?? []) yield String(pk).slice(deploymentPartition('').length);
    start = page.LastEvaluatedKey;
  } while (start);
}

/** Reads a Deployment and the ID of the restore that last restored it. The read is strongly consistent. */
export async function readRestored(
  table: Table,
  id: string,
): Promise<{ deployment: Deployment | undefined; restoredBy: unknown }> {
  const item = await readItem(table, deploymentKey(id));
  return { deployment: parse(table, item, fromDeployment), restoredBy: item?.restoredBy };
}

/** Reads all keys of a generation of a Deployment. The read is strongly consistent. */
export async function allApiKeys(table: Table, { id, generation }: Generation): Promise<Map<string, ApiKey>> {
  const keys = new Map<string, ApiKey>();
  for await (const item of itemsBelow(table, deploymentPartition(id), KEY_PREFIX)) {
    const key = parse(table, item, fromApiKey);
    if (key?.generation === generation) keys.set(key.ulid, key);
  }
  return keys;
}

/** The known events of a Deployment. */
export interface History {
  /** Events of all generations of the Deployment, oldest first. */
  events: ServiceEvent[];
  /** IDs of events whose items are malformed. The content of these events is unknown. */
  malformed: string[];
}

/** Reads all events of a Deployment. The read is strongly consistent. */
export async function allEvents(table: Table, deploymentId: string): Promise<History> {
  const history: History = { events: [], malformed: [] };
  for await (const item of itemsBelow(table, eventsPartition(deploymentId), '')) {
    const event = parse(table, item, fromEvent);
    if (event) history.events.push(event);
    else history.malformed.push(String(item.sk));
  }
  return history;
}

/**
 * The condition that this restore has not restored the Deployment yet. After the Deployment is restored, people can
 * edit its keys again.
 */
const isNotRestored = (restoreId: string) => ({
  ConditionExpression: 'attribute_not_exists(restoredBy) OR restoredBy <> :restoreId',
  ExpressionAttributeValues: { ':restoreId': restoreId },
});

/**
 * Replaces or creates a key. A write that timed out has no effect if it reaches the table after the Deployment was
 * restored.
 * @throws Error if another run of the same restore has restored the Deployment
 */
export async function putApiKey(table: Table, key: ApiKey, restoreId: string): Promise<void> {
  const { deploymentId } = key;
  const rejected = await transact(table, [
    { ConditionCheck: { Key: deploymentKey(deploymentId), ...isNotRestored(restoreId) } },
    { Put: { Item: toApiKey(key) } },
  ]);
  if (rejected) throw new Error(`another run of this restore has put ${deploymentId} back; run it again`);
}

/** Deletes keys without writing events, because the events about their deletion already exist. */
export async function dropApiKeys(table: Table, deploymentId: string, ulids: string[]): Promise<void> {
  await deleteItems(
    table,
    ulids.map((ulid) => apiKeyKey(deploymentId, ulid)),
  );
}

/** Returns the item keys of a Deployment's temporary tokens, from every generation. */
export async function temporaryTokenKeys(table: Table, deploymentId: string): Promise<ItemKey[]> {
  const keys: ItemKey[] = [];
  for await (const { pk, sk } of itemsBelow(
    table,
    deploymentPartition(deploymentId),
    TEMPORARY_TOKEN_PREFIX,
  )) {
    keys.push({ pk: String(pk), sk: String(sk) });
  }
  return keys;
}

/**
 * Performs the last step of restoring a Deployment. From then on, the service accepts the Deployment's keys, and a
 * restore that continues after an interruption skips the Deployment. Also deletes the generation's purge marker.
 * @param previousGroups groups of the Deployment in the table until now, whose entries are deleted
 * @param registration write that records the Deployment's row in the followed table as present
 * @throws Error if the registration was changed since it was read
 */
export async function putBackDeployment(
  table: Table,
  deployment: Deployment,
  {
    restoreId,
    previousGroups,
    registration,
  }: {
    restoreId: string;
    previousGroups?: readonly string[] | undefined;
    registration?: Write | undefined;
  },
  event: ServiceEvent,
): Promise<void> {
  const { id, generation } = deployment;
  const rejected = await transact(
    table,
    [
      ...(registration ? [registration] : []),
      { Put: { Item: { ...toDeployment(deployment), restoredBy: restoreId } } },
      ...entryWrites(deployment, previousGroups),
      { Delete: { Key: purgeMarkerKey(id, generation) } },
    ],
    event,
  );
  if (rejected) throw new Error(`the registration of ${id} was changed at the same time; run it again`);
}

async function* itemsBelow(table: Table, pk: string, prefix: string): AsyncGenerator<Item> {
  for await (const { items } of queryPages(table, inPartition(pk, prefix))) yield* items;
}
