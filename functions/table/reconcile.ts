import { isDeploymentId } from '../domain/credentials.ts';
import type { EpochMillis } from '../domain/expiry.ts';
import type { Deployment, Generation } from '../domain/records.ts';
import { entryWrites, unchangedSince } from './deployments.ts';
import {
  DEPLOYMENT_SORT_KEY,
  DIRECTORY_PARTITION,
  deploymentPartition,
  groupPartition,
} from './item-keys.ts';
import { type DeploymentGeneration, type Present, presentGeneration } from './purge.ts';
import {
  type Projection,
  putItem,
  readItem,
  readTogether,
  scanPage,
  type Table,
  transact,
} from './retried-calls.ts';
import {
  deploymentKey,
  directoryKey,
  fromDeployment,
  fromDirectoryEntry,
  fromPassProgress,
  groupEntryKeys,
  type Item,
  type ItemKey,
  is,
  isGeneration,
  NO_GENERATION,
  parse,
  passKey,
  purgeMarkerKey,
} from './schema.ts';

/**
 * Number of items per page of a Scan: few enough to leave most of a partition's 3,000 read units per second to other
 * calls.
 */
const PAGE = 1000;
/** BatchGetItem accepts at most 100 keys. */
const BATCH = 100;

/** The progress of a pass over a whole table. */
export interface PassProgress {
  /** When the pass started, in epoch milliseconds. */
  startedAt: EpochMillis;
  /** Position at which to continue; undefined if the pass has finished. */
  after: Item | undefined;
}

/** The fields of an item that reconciliation uses. */
export interface ScannedItem {
  key: ItemKey;
  /** The Deployment to which the item belongs; undefined if the item's key does not contain a valid ID. */
  deploymentId: string | undefined;
  /** Generation of the item; `NO_GENERATION` if it has no valid generation. */
  generation: string;
  /**
   * Kind of item: the Deployment's own item, its entry in the directory, its entry in a group, or any other item of the
   * Deployment.
   */
  kind: 'deployment' | 'entry' | 'group entry' | 'belonging';
  /** The groups in the item; none if they are malformed. */
  groups: readonly string[];
}

/** Reads the progress of a pass. The read is strongly consistent. @param name name of the pass */
export async function readPassProgress(table: Table, name: string): Promise<PassProgress | undefined> {
  return parse(table, await readItem(table, passKey(name)), fromPassProgress);
}

export async function writePassProgress(table: Table, name: string, pass: PassProgress): Promise<void> {
  await putItem(table, { Item: { ...passKey(name), ...pass } });
}

/** Attributes that identify the generation to which an item belongs. */
const GENERATION_ATTRIBUTES = { ProjectionExpression: 'pk, sk, generation' };
const SCANNED_ATTRIBUTES = {
  ProjectionExpression: 'pk, sk, generation, #groups',
  ExpressionAttributeNames: { '#groups': 'groups' },
};

/**
 * Scans the next items that belong to a generation. The Scan is eventually consistent, so check each item again before
 * acting on it. A Deployment's own item comes before its other items. Omits events, purge markers and the items that
 * hold the progress of passes.
 */
export async function scanGenerations(
  table: Table,
  after: Item | undefined,
): Promise<{ found: ScannedItem[]; next: Item | undefined }> {
  const page = { ...SCANNED_ATTRIBUTES, Limit: PAGE, ExclusiveStartKey: after };
  const { Items = [], LastEvaluatedKey } = await scanPage(table, page);
  return { found: Items.flatMap(scannedItem), next: LastEvaluatedKey };
}

function scannedItem({ pk, sk, generation, groups }: Item): ScannedItem[] {
  const key = { pk: String(pk), sk: String(sk) };
  const prefix = deploymentPartition('');
  const isOfGroup = key.pk.startsWith(groupPartition(''));
  const isEntry = key.pk === DIRECTORY_PARTITION || isOfGroup;
  if (!isEntry && !key.pk.startsWith(prefix)) return [];
  const id = isEntry ? key.sk : key.pk.slice(prefix.length);
  const isDeployment = !isEntry && key.sk === DEPLOYMENT_SORT_KEY;
  return [
    {
      key,
      deploymentId: isDeploymentId(id) ? id : undefined,
      generation: isGeneration(generation) ? generation : NO_GENERATION,
      kind: isOfGroup ? 'group entry' : isEntry ? 'entry' : isDeployment ? 'deployment' : 'belonging',
      groups: is.texts(groups) ? groups : [],
    },
  ];
}

/** Returns whether each Deployment exists, and its generation. The read is strongly consistent. */
export async function presentGenerations(
  table: Table,
  ids: readonly string[],
): Promise<Map<string, Present>> {
  return lookUp(table, ids, deploymentKey, presentGeneration, GENERATION_ATTRIBUTES);
}

/** Returns the groups of each Deployment; none if it does not exist or is malformed. The read is strongly consistent. */
export async function presentGroups(
  table: Table,
  ids: readonly string[],
): Promise<Map<string, readonly string[]>> {
  return lookUp(table, ids, deploymentKey, (item) => fromDeployment(item)?.groups ?? []);
}

/**
 * Returns the generation in each Deployment's directory entry; undefined if the entry is missing or malformed. The read
 * is strongly consistent.
 */
export async function listedGenerations(
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

/** Reports whether a purge of this generation is in progress. The read is strongly consistent. */
export async function isBeingPurged(
  table: Table,
  { deploymentId, generation }: DeploymentGeneration,
): Promise<boolean> {
  return (await readItem(table, purgeMarkerKey(deploymentId, generation))) !== undefined;
}

/** Reports whether the item still exists and has the same generation. The read is strongly consistent. */
export async function isStillThere(table: Table, { key, generation }: ScannedItem): Promise<boolean> {
  const item = await readItem(table, key);
  return (
    item !== undefined && (isGeneration(item.generation) ? item.generation : NO_GENERATION) === generation
  );
}

/**
 * Rewrites a Deployment's entries in the directory and in its groups.
 * @param deployment the Deployment as read
 * @returns false if the Deployment was changed or deleted since it was read; that change has also written the entries
 */
export async function rewriteEntries(table: Table, deployment: Deployment): Promise<boolean> {
  const rejected = await transact(table, [
    { ConditionCheck: { Key: deploymentKey(deployment.id), ...unchangedSince(deployment) } },
    ...entryWrites(deployment),
  ]);
  return !rejected;
}

/**
 * Returns the Deployments that have a group entry that is missing, malformed or from another generation. The
 * reads are strongly consistent.
 */
export async function missingInGroups(
  table: Table,
  deployments: readonly (Generation & { groups: readonly string[] })[],
): Promise<string[]> {
  const expected = deployments.flatMap(({ id, generation, groups }) =>
    groupEntryKeys({ id, groups }).map((key) => ({ id, generation, key })),
  );
  const missing = new Set<string>();
  for (let at = 0; at < expected.length; at += BATCH) {
    const some = expected.slice(at, at + BATCH);
    const find = await readTogether(
      table,
      some.map(({ key }) => key),
    );
    for (const { id, generation, key } of some) {
      if (parse(table, find(key), fromDirectoryEntry)?.generation !== generation) missing.add(id);
    }
  }
  return [...missing];
}

/**
 * Deletes an entry in a group if the Deployment does not exist, or is not in that group.
 * @returns whether the entry was deleted
 */
export async function dropGroupEntry(table: Table, key: ItemKey): Promise<boolean> {
  const owner = deploymentKey(key.sk);
  const deployment = parse(table, await readItem(table, owner), fromDeployment);
  const isInGroup = deployment && groupEntryKeys(deployment).some(({ pk }) => pk === key.pk);
  if (isInGroup) return false;
  // This condition keeps the entry of a malformed Deployment, because someone might repair the Deployment by hand.
  const unchanged = deployment
    ? unchangedSince(deployment)
    : { ConditionExpression: 'attribute_not_exists(pk)' };
  return !(await transact(table, [
    { ConditionCheck: { Key: owner, ...unchanged } },
    { Delete: { Key: key, ConditionExpression: 'attribute_exists(pk)' } },
  ]));
}

/** Name of the pass that writes the entries of groups that earlier versions did not write. */
export const GROUPS_PASS = 'GROUPS';

/**
 * Reports whether all Deployments have entries in their groups. Deployments that an earlier version wrote get theirs
 * from `writeGroupEntries`.
 */
export async function haveGroupEntries(table: Table): Promise<boolean> {
  const pass = await readPassProgress(table, GROUPS_PASS);
  return pass !== undefined && pass.after === undefined;
}
