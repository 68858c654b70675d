import { PutCommand, ScanCommand } from '@aws-sdk/lib-dynamodb';
import { isDeploymentId } from '../domain/identifiers.ts';
import type { Deployment } from '../domain/records.ts';
import { ask, type Projection, readItem, readTogether, type Table, transact } from './client.ts';
import { unchangedSince } from './deployments.ts';
import { type Life, type Present, presentLife } from './purge.ts';
import {
  deploymentKey,
  directoryKey,
  fromDirectoryEntry,
  fromPass,
  type Item,
  type ItemKey,
  isGeneration,
  NO_LIFE,
  PARTITION,
  parse,
  passKey,
  purgeMarkerKey,
  SORT,
  toDirectoryEntry,
} from './schema.ts';

/** Items read at a time. Small enough that a Scan leaves most of a partition's 3,000 read units a second. */
const PAGE = 1000;
/** BatchGetItem takes at most 100 keys. */
const BATCH = 100;

/** How far a pass over everything has come. */
export interface Pass {
  /** Epoch milliseconds. */
  startedAt: number;
  /** Where to go on; undefined: the pass has come to its end. */
  after: Item | undefined;
}

/** What reconciliation needs to know of an item. */
export interface Found {
  key: ItemKey;
  /** The Deployment that it is of; undefined for a text that can be no ID. */
  deploymentId: string | undefined;
  /** `NO_LIFE` where it names none. */
  generation: string;
  /** The Deployment's own item, its entry in the directory, or what belongs to it. */
  kind: 'deployment' | 'entry' | 'belonging';
}

/** Strongly consistent. @param name of the pass */
export async function readPass(table: Table, name: string): Promise<Pass | undefined> {
  return parse(table, await readItem(table, passKey(name)), fromPass);
}

export async function writePass({ client, tableName }: Table, name: string, pass: Pass): Promise<void> {
  await ask(client.send(new PutCommand({ TableName: tableName, Item: { ...passKey(name), ...pass } })));
}

/** What tells to which life an item belongs. */
const LIFE_ATTRIBUTES = { ProjectionExpression: 'pk, sk, generation' };

/**
 * The next items of the table that belong to a life, wherever they are: eventually consistent, so each is no more
 * than a suspicion. A Deployment's own item comes before its other items. Events, markers and positions belong to
 * no life.
 */
export async function scanPage(
  { client, tableName }: Table,
  after: Item | undefined,
): Promise<{ found: Found[]; next: Item | undefined }> {
  const { Items = [], LastEvaluatedKey } = await ask(
    client.send(
      new ScanCommand({
        TableName: tableName,
        ...LIFE_ATTRIBUTES,
        Limit: PAGE,
        ExclusiveStartKey: after,
      }),
    ),
  );
  return { found: Items.flatMap(foundItem), next: LastEvaluatedKey };
}

function foundItem({ pk, sk, generation }: Item): Found[] {
  const key = { pk: String(pk), sk: String(sk) };
  const prefix = PARTITION.deployment('');
  const isEntry = key.pk === PARTITION.directory;
  if (!isEntry && !key.pk.startsWith(prefix)) return [];
  const id = isEntry ? key.sk : key.pk.slice(prefix.length);
  const isDeployment = !isEntry && key.sk === SORT.deployment;
  return [
    {
      key,
      deploymentId: isDeploymentId(id) ? id : undefined,
      generation: isGeneration(generation) ? generation : NO_LIFE,
      kind: isEntry ? 'entry' : isDeployment ? 'deployment' : 'belonging',
    },
  ];
}

/** What is known of each Deployment now. Strongly consistent. */
export async function presentLives(table: Table, ids: readonly string[]): Promise<Map<string, Present>> {
  return lookUp(table, ids, deploymentKey, presentLife, LIFE_ATTRIBUTES);
}

/**
 * The generation under which each Deployment is listed; undefined when it has no directory entry, or a malformed one.
 * Strongly consistent.
 */
export async function listedLives(
  table: Table,
  ids: readonly string[],
): Promise<Map<string, string | undefined>> {
  return lookUp(table, ids, directoryKey, (item) => parse(table, item, fromDirectoryEntry)?.generation);
}

async function lookUp<T>(
  table: Table,
  ids: readonly string[],
  keyOf: (id: string) => ItemKey,
  from: (item: Item | undefined) => T,
  projection?: Projection,
): Promise<Map<string, T>> {
  const all = new Map<string, T>();
  for (let at = 0; at < ids.length; at += BATCH) {
    const some = ids.slice(at, at + BATCH);
    const find = await readTogether(table, some.map(keyOf), projection);
    for (const id of some) all.set(id, from(find(keyOf(id))));
  }
  return all;
}

/** Is the purge of this life under way? Strongly consistent. */
export async function isBeingPurged(table: Table, { deploymentId, generation }: Life): Promise<boolean> {
  return (await readItem(table, purgeMarkerKey(deploymentId, generation))) !== undefined;
}

/** Is the item still there, and of the same life? Strongly consistent. */
export async function isStillThere(table: Table, { key, generation }: Found): Promise<boolean> {
  const item = await readItem(table, key);
  return item !== undefined && (isGeneration(item.generation) ? item.generation : NO_LIFE) === generation;
}

/**
 * List a Deployment whose directory entry is missing, malformed or of another generation.
 * @param deployment as it was read
 * @returns false when somebody else has changed or deleted it since: that change has written the entry
 */
export async function listAgain(table: Table, deployment: Deployment): Promise<boolean> {
  const { tableName: TableName } = table;
  const refused = await transact(table, [
    { ConditionCheck: { TableName, Key: deploymentKey(deployment.id), ...unchangedSince(deployment) } },
    { Put: { TableName, Item: toDirectoryEntry(deployment) } },
  ]);
  return !refused;
}
