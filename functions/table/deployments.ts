import { UpdateCommand } from '@aws-sdk/lib-dynamodb';
import type { ServiceEvent } from '../domain/events.ts';
import { type Person, visibleTo } from '../domain/people.ts';
import type { Deployment, Generation } from '../domain/records.ts';
import {
  assign,
  below,
  isWritten,
  queryPages,
  readItem,
  type Table,
  transact,
  updateIf,
  type Write,
} from './client.ts';
import {
  deploymentKey,
  directoryKey,
  fromDeployment,
  fromDirectoryEntry,
  isGeneration,
  NO_LIFE,
  PARTITION,
  parse,
  purgeMarkerKey,
  toDeployment,
  toDirectoryEntry,
} from './schema.ts';

export type ListedDeployment = Omit<Deployment, 'keyCount'>;

/** The Deployment as it is now: a strongly consistent read. */
export async function readDeployment(table: Table, id: string): Promise<Deployment | undefined> {
  return parse(table, await readItem(table, deploymentKey(id)), fromDeployment);
}

/** What there is of a Deployment whose item is damaged: enough to end its life. */
export interface DamagedDeployment {
  id: string;
  /** By its own item, or else by the directory, or else `NO_LIFE`. */
  generation: string;
  /** What stands in the item. */
  stored: { generation?: unknown };
}

/** A malformed Deployment. @returns undefined when there is none, or a well-formed one */
export async function readDamagedDeployment(
  table: Table,
  id: string,
): Promise<DamagedDeployment | undefined> {
  const item = await readItem(table, deploymentKey(id));
  if (!item || fromDeployment(item)) return undefined;
  const known = [item.generation, (await readItem(table, directoryKey(id)))?.generation];
  const generation = known.find(isGeneration) ?? NO_LIFE;
  return { id, generation, stored: { generation: item.generation } };
}

/**
 * The Deployment, for the calls that end access in it or show what can be ended. Nobody is in the groups of a malformed
 * one, but an administrator can end its keys and temporary tokens.
 * @throws ServiceError 404 where there is none, or none that the person may see
 */
export async function readVisibleDeployment(table: Table, person: Person, id: string): Promise<Generation> {
  const item = await readItem(table, deploymentKey(id));
  const deployment = parse(table, item, fromDeployment);
  // Where the generation is malformed too, no check accepts anything of the Deployment.
  const generation = item?.generation;
  const canBeEnded = !deployment && person.isAdministrator && isGeneration(generation);
  return canBeEnded ? { id, generation } : visibleTo(person, deployment);
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
  const refused = await transact(
    table,
    [
      { Put: { TableName, Item: toDeployment(deployment), ConditionExpression: isNew } },
      // Unconditional: an entry that is left from a life that ended by hand must not stand in the way.
      { Put: { TableName, Item: toDirectoryEntry(deployment) } },
      ...more,
    ],
    event,
  );
  return !refused;
}

/** What can be changed of a Deployment. A field that is left out keeps its value. */
export type DeploymentChanges = Partial<Pick<Deployment, 'name' | 'groups'>>;

/**
 * Changes a Deployment, in its item and in the directory, and begins a new revision of it.
 * @param read the Deployment as it was read
 * @param changes at least one
 * @param more what else is written with it, or not at all
 * @returns false, and nothing is written, when the Deployment has been changed or deleted since it was read
 */
export async function editDeployment(
  table: Table,
  read: Deployment,
  changes: DeploymentChanges,
  event: ServiceEvent,
  more: Write[] = [],
): Promise<boolean> {
  const { tableName: TableName } = table;
  const Update = {
    TableName,
    Key: deploymentKey(read.id),
    ...updateIf(assign({ ...changes, revision: nextRevision(read) }), unchangedSince(read)),
  };
  const entry = { Put: { TableName, Item: toDirectoryEntry({ ...read, ...changes }) } };
  const refused = await transact(table, [{ Update }, entry, ...more], event);
  return !refused;
}

/**
 * Begins a new revision of a Deployment without changing anything else. An earlier edit that timed out, such as one that
 * adds a group, then has no effect when it reaches the table.
 * @returns false when the Deployment has been changed or deleted since it was read
 */
export function beginDeploymentRevision({ client, tableName }: Table, read: Deployment): Promise<boolean> {
  const update = updateIf(assign({ revision: nextRevision(read) }), unchangedSince(read));
  return isWritten(
    client.send(new UpdateCommand({ TableName: tableName, Key: deploymentKey(read.id), ...update })),
  );
}

const nextRevision = ({ revision = 0 }: Deployment) => revision + 1;

/** The condition that a Deployment has the generation, revision, name and groups that were read. */
export function unchangedSince({ generation, revision, name, groups }: Deployment) {
  const isSameRevision =
    revision === undefined ? 'attribute_not_exists(revision)' : 'revision = :revisionRead';
  return {
    ConditionExpression: `generation = :generation AND ${isSameRevision} AND #name = :nameRead AND #groups = :groupsRead`,
    ExpressionAttributeNames: { '#name': 'name', '#groups': 'groups' },
    ExpressionAttributeValues: {
      ':generation': generation,
      ':nameRead': name,
      ':groupsRead': groups,
      ...(revision !== undefined && { ':revisionRead': revision }),
    },
  };
}

/**
 * End this life of the Deployment, and leave the marker that the purge removes as its last act.
 * @param more what else is written with it, or not at all
 * @returns false when that life is over already
 */
export async function deleteDeployment(
  table: Table,
  { id, generation, stored = { generation } }: Generation & Partial<DamagedDeployment>,
  event: ServiceEvent,
  more: Write[] = [],
): Promise<boolean> {
  const { tableName: TableName } = table;
  const refused = await transact(
    table,
    [
      { Delete: { TableName, Key: deploymentKey(id), ...isAsRead(stored) } },
      { Delete: { TableName, Key: directoryKey(id) } },
      { Put: { TableName, Item: { ...purgeMarkerKey(id, generation), createdAt: event.createdAt } } },
      ...more,
    ],
    event,
  );
  return !refused;
}

/**
 * The Deployment is there, and its generation is the one that was read. A damaged one may have none, or another type of
 * value, which need not be one that can be written: it is enough that it is no text now.
 */
function isAsRead({ generation }: DamagedDeployment['stored']) {
  return typeof generation === 'string'
    ? {
        ConditionExpression: 'generation = :generation',
        ExpressionAttributeValues: { ':generation': generation },
      }
    : {
        ConditionExpression: 'attribute_exists(pk) AND NOT attribute_type(generation, :text)',
        ExpressionAttributeValues: { ':text': 'S' },
      };
}
