import { GetCommand } from '@aws-sdk/lib-dynamodb';
import type { ServiceEvent } from '../domain/events.ts';
import { isUlid } from '../domain/identifiers.ts';
import type { Deployment } from '../domain/records.ts';
import { ask, assign, below, queryPages, type Table, transact, type Write } from './client.ts';
import {
  deploymentKey,
  directoryKey,
  fromDeployment,
  fromDirectoryEntry,
  type ItemKey,
  NO_LIFE,
  PARTITION,
  parse,
  purgeMarkerKey,
  toDeployment,
  toDirectoryEntry,
  toEvent,
} from './schema.ts';

export type ListedDeployment = Omit<Deployment, 'keyCount'>;

/** The Deployment as it is now: a strongly consistent read. */
export async function readDeployment(table: Table, id: string): Promise<Deployment | undefined> {
  const { client, tableName } = table;
  const { Item } = await ask(
    client.send(new GetCommand({ TableName: tableName, Key: deploymentKey(id), ConsistentRead: true })),
  );
  return parse(table, Item, fromDeployment);
}

/** What there is of a Deployment whose item is damaged: enough to end its life. */
export interface DamagedDeployment {
  id: string;
  /** By its own item, or else by the directory, or else `NO_LIFE`. */
  generation: string;
  /** What stands in the item. */
  stored: { generation?: unknown };
}

/** The Deployment's item although it is of a wrong shape. @returns undefined when there is none */
export async function readDamagedDeployment(
  { client, tableName: TableName }: Table,
  id: string,
): Promise<DamagedDeployment | undefined> {
  const read = async (Key: ItemKey) =>
    (await ask(client.send(new GetCommand({ TableName, Key, ConsistentRead: true })))).Item;
  const item = await read(deploymentKey(id));
  if (!item) return undefined;
  const known = [item.generation, (await read(directoryKey(id)))?.generation];
  const generation = known.find((one) => typeof one === 'string' && isUlid(one)) ?? NO_LIFE;
  return { id, generation, stored: { generation: item.generation } };
}

/**
 * Deployments in the order of their IDs.
 * @param after ID to begin after
 * @param limit most to return
 * @param isWanted picks some; all of them when left out
 */
export async function listDeployments(
  table: Table,
  {
    after,
    limit,
    isWanted,
  }: { after: string | undefined; limit: number; isWanted?: (one: ListedDeployment) => boolean },
): Promise<{ items: ListedDeployment[]; hasMore: boolean }> {
  const directory = {
    ...below(PARTITION.directory, ''),
    // Who picks a few reads the directory in whole pages.
    Limit: isWanted ? undefined : limit + 1,
  };
  const start = after === undefined ? undefined : directoryKey(after);
  const listed: ListedDeployment[] = [];
  for await (const { items } of queryPages(table, directory, start)) {
    for (const item of items) {
      const one = parse(table, item, fromDirectoryEntry);
      if (one && (isWanted?.(one) ?? true)) listed.push(one);
    }
    // One more than asked for tells whether there is a next page that this person may see.
    if (listed.length > limit) break;
  }
  return { items: listed.slice(0, limit), hasMore: listed.length > limit };
}

/**
 * @param more what else is written with it, or not at all
 * @returns false when a Deployment of that ID is there already
 */
export async function registerDeployment(
  table: Table,
  deployment: Deployment,
  event: ServiceEvent,
  more: Write[] = [],
): Promise<boolean> {
  const { tableName: TableName } = table;
  const isNew = 'attribute_not_exists(pk)';
  const refused = await transact(table, [
    { Put: { TableName, Item: toDeployment(deployment), ConditionExpression: isNew } },
    // Unconditional: an entry that is left from a life that ended by hand must not stand in the way.
    { Put: { TableName, Item: toDirectoryEntry(deployment) } },
    { Put: { TableName, Item: toEvent(event) } },
    ...more,
  ]);
  return !refused;
}

/**
 * @param more what else is written with it, or not at all
 * @returns false when that life of the Deployment is over
 */
export async function editDeployment(
  table: Table,
  deployment: Deployment,
  event: ServiceEvent,
  more: Write[] = [],
): Promise<boolean> {
  const { tableName: TableName } = table;
  const { id, name, groups, generation } = deployment;
  const changes = assign({ name, groups });
  const refused = await transact(table, [
    {
      Update: {
        TableName,
        Key: deploymentKey(id),
        ...changes,
        ConditionExpression: 'generation = :generation',
        ExpressionAttributeValues: { ...changes.ExpressionAttributeValues, ':generation': generation },
      },
    },
    { Put: { TableName, Item: toDirectoryEntry(deployment) } },
    { Put: { TableName, Item: toEvent(event) } },
    ...more,
  ]);
  return !refused;
}

/**
 * End this life of the Deployment, and leave the marker that the purge removes as its last act.
 * @param more what else is written with it, or not at all
 * @returns false when that life is over already
 */
export async function deleteDeployment(
  table: Table,
  {
    id,
    generation,
    stored = { generation },
  }: Pick<Deployment, 'id' | 'generation'> & Partial<DamagedDeployment>,
  event: ServiceEvent,
  more: Write[] = [],
): Promise<boolean> {
  const { tableName: TableName } = table;
  const refused = await transact(table, [
    { Delete: { TableName, Key: deploymentKey(id), ...isAsRead(stored) } },
    { Delete: { TableName, Key: directoryKey(id) } },
    { Put: { TableName, Item: { ...purgeMarkerKey(id, generation), createdAt: event.createdAt } } },
    { Put: { TableName, Item: toEvent(event) } },
    ...more,
  ]);
  return !refused;
}

/** The Deployment is there, and what stands for its generation is what was read; a damaged one may have none. */
function isAsRead({ generation }: DamagedDeployment['stored']) {
  return generation === undefined
    ? { ConditionExpression: 'attribute_exists(pk) AND attribute_not_exists(generation)' }
    : {
        ConditionExpression: 'generation = :generation',
        ExpressionAttributeValues: { ':generation': generation },
      };
}
