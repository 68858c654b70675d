import type { DynamoDBRecord } from 'aws-lambda';
import { isDeploymentId, isUlid } from '../domain/credentials.ts';
import type { ServiceEvent } from '../domain/events.ts';
import type { EpochMillis } from '../domain/expiry.ts';
import { DEPLOYMENT_SORT_KEY, deploymentPartition, KEY_PREFIX, PURGES_PARTITION } from './item-keys.ts';
import {
  deleteBatch,
  deleteItem,
  inPartition,
  outputOf,
  queryPages,
  readItem,
  type Table,
  transact,
} from './retried-calls.ts';
import {
  apiKeyKey,
  deploymentKey,
  directoryKey,
  fromDirectoryEntry,
  fromMarker,
  generationOfMarker,
  groupEntryKeys,
  type Item,
  type ItemKey,
  isGeneration,
  isOfGeneration,
  parse,
  purgeMarkerKey,
  tokensOf,
} from './schema.ts';

/** A generation of a Deployment. */
export interface DeploymentGeneration {
  deploymentId: string;
  generation: string;
}

/** Number of items per page. The purge checks the remaining time after each page. */
const PAGE = 1000;
/** BatchWriteItem accepts at most 25 writes. */
const BATCH = 25;
/**
 * Number of concurrent batches: enough to hide latency, and well below a partition's limit of 1,000 writes per second.
 */
const PARALLEL = 8;

/** Whether a Deployment exists, and its generation. A malformed generation is undefined. */
export type Present = { isThere: false } | { isThere: true; generation: string | undefined };

export function presentGeneration(item: Item | undefined): Present {
  if (!item) return { isThere: false };
  return { isThere: true, generation: isGeneration(item.generation) ? item.generation : undefined };
}

/**
 * Returns whether a Deployment exists, and its generation. Reports an item whose generation is malformed. The read is
 * strongly consistent.
 */
export async function readPresent(table: Table, id: string): Promise<Present> {
  const key = deploymentKey(id);
  const present = presentGeneration(await readItem(table, key));
  if (present.isThere && present.generation === undefined) table.onMalformed(key);
  return present;
}

/** Reports whether there is an item for a key, even a malformed one. The read is strongly consistent. */
export async function hasApiKey(table: Table, deploymentId: string, ulid: string): Promise<boolean> {
  return (await readItem(table, apiKeyKey(deploymentId, ulid))) !== undefined;
}

/** One page of items to delete, and the sort key from which a later run can continue. */
export interface PurgePage {
  keys: ItemKey[];
  next: string | undefined;
}

/**
 * Returns the items of one generation, with tokens before keys. Omits the items of other generations and the
 * Deployment's own item.
 * @param after sort key from which to continue
 */
export async function* itemsOfGeneration(
  table: Table,
  { deploymentId, generation }: DeploymentGeneration,
  after?: string,
): AsyncGenerator<PurgePage> {
  const pk = deploymentPartition(deploymentId);
  for await (const { items, next } of oneAhead(pages(table, { pk, prefix: '', after }))) {
    const removable = items.filter(
      (item) => item.sk !== DEPLOYMENT_SORT_KEY && isOfGeneration(item, generation),
    );
    yield { keys: removable.map(({ sk }) => ({ pk, sk: sk as string })), next: next?.sk };
  }
}

/**
 * Returns all tokens of a deleted key. ULIDs are never reused, so all these tokens can be deleted.
 * @param after sort key from which to continue
 */
export async function* tokensOfKey(
  table: Table,
  { deploymentId, ulid }: { deploymentId: string; ulid: string },
  after?: string,
): AsyncGenerator<PurgePage> {
  const pk = deploymentPartition(deploymentId);
  for await (const { items, next } of oneAhead(pages(table, { pk, prefix: tokensOf(ulid), after }))) {
    yield { keys: items.map(({ sk }) => ({ pk, sk: sk as string })), next: next?.sk };
  }
}

/**
 * Reads a partition in descending order of the sort keys, so that tokens come before keys. The read is strongly
 * consistent.
 */
function pages(
  table: Table,
  { pk, prefix, after }: { pk: string; prefix: string; after: string | undefined },
) {
  const descending = {
    ...inPartition(pk, prefix),
    ProjectionExpression: 'sk, generation',
    ScanIndexForward: false,
    Limit: Math.min(PAGE, table.pageSize ?? PAGE),
  };
  return queryPages(table, descending, after === undefined ? undefined : { pk, sk: after });
}

/** Reads the next page while the caller handles the current one. Never holds more than two pages. */
async function* oneAhead<T>(pages: AsyncGenerator<T>): AsyncGenerator<T> {
  let coming = pages.next();
  try {
    for (let page = await coming; !page.done; page = await coming) {
      coming = pages.next();
      // Ignore the error of a page that is still loading: the loop throws it when it awaits the page. Without this
      // handler, Node would first report an unhandled rejection.
      coming.catch(() => {});
      yield page.value;
    }
  } finally {
    // Wait for the pending call, because no call must still be running when the function responds, even if the caller
    // stops early.
    await coming.catch(() => {});
  }
}

/**
 * Deletes any number of items in concurrent batches, and retries unprocessed deletions.
 * @throws ServiceError 503 if some deletions remain unprocessed
 */
export async function deleteItems(table: Table, keys: ItemKey[]): Promise<void> {
  const batches: ItemKey[][] = [];
  for (let at = 0; at < keys.length; at += BATCH) batches.push(keys.slice(at, at + BATCH));
  const worker = async () => {
    for (let batch = batches.pop(); batch; batch = batches.pop()) await deleteBatch(table, batch);
  };
  // Wait for all workers, because no call must still be running when the function responds.
  const ends = await Promise.allSettled(Array.from({ length: PARALLEL }, worker));
  const failed = ends.find((end) => end.status === 'rejected');
  if (failed) throw failed.reason;
}

/**
 * Ensures that the generation has a purge marker, and that the directory does not list the generation. If someone
 * deleted a Deployment's item by hand, there is no marker and the directory entry remains.
 * @param now epoch milliseconds
 * @returns whether the marker already existed, which means that an earlier purge has not finished
 */
export async function beginPurge(
  table: Table,
  target: DeploymentGeneration,
  now: EpochMillis,
): Promise<boolean> {
  const wasMarked = await leaveMarker(table, target, now);
  const { deploymentId: id, generation } = target;
  const key = directoryKey(id);
  // If there is no directory entry, or if the entry belongs to a later generation, there is nothing to delete.
  const entry = await readItem(table, key);
  if (entry?.generation !== generation) return wasMarked;
  // The directory entry comes last, because it says in which groups the Deployment has entries.
  const groups = fromDirectoryEntry(entry)?.groups ?? [];
  for (const Key of [...groupEntryKeys({ id, groups }), key]) {
    await deleteItem(table, {
      Key,
      ConditionExpression: 'generation = :generation',
      ExpressionAttributeValues: { ':generation': generation },
    });
  }
  return wasMarked;
}

/**
 * Writes a purge marker for a generation. A sweep starts purges from these markers.
 * @param now epoch milliseconds
 * @returns whether the marker already existed
 */
export async function leaveMarker(
  table: Table,
  { deploymentId, generation }: DeploymentGeneration,
  now: EpochMillis,
): Promise<boolean> {
  const { Attributes: before } = await outputOf(table, 'UpdateItem', {
    TableName: table.tableName,
    Key: purgeMarkerKey(deploymentId, generation),
    UpdateExpression: 'SET createdAt = if_not_exists(createdAt, :now)',
    ExpressionAttributeValues: { ':now': now },
    ReturnValues: 'ALL_OLD',
  });
  return before?.createdAt !== undefined;
}

/**
 * Performs the last step of a purge: deletes the marker and writes the event, if there is one. Writes nothing if
 * another run has already finished the purge.
 */
export async function endPurge(
  table: Table,
  { deploymentId, generation }: DeploymentGeneration,
  event: ServiceEvent | undefined,
): Promise<void> {
  const Key = purgeMarkerKey(deploymentId, generation);
  await transact(table, [{ Delete: { Key, ConditionExpression: 'attribute_exists(pk)' } }], event);
}

/**
 * Returns each generation whose purge has not finished, with the time of its marker. It includes generations whose
 * marker has a malformed `createdAt`.
 * @param now epoch milliseconds
 * @param age milliseconds; omits markers whose `createdAt` is within this time of `now`, in the past or the future
 * @returns `createdAt` in epoch milliseconds, or undefined if it is malformed
 */
export async function* unfinishedPurges(
  table: Table,
  now: EpochMillis,
  age: number,
): AsyncGenerator<DeploymentGeneration & { createdAt: EpochMillis | undefined }> {
  const old = {
    KeyConditionExpression: 'pk = :purges',
    FilterExpression: 'NOT createdAt BETWEEN :from AND :to',
    ExpressionAttributeValues: { ':purges': PURGES_PARTITION, ':from': now - age, ':to': now + age },
  };
  for await (const { items } of queryPages(table, old)) {
    for (const item of items) {
      const createdAt = parse(table, item, fromMarker)?.createdAt;
      const target = generationOfMarker(item);
      if (target) yield { ...target, createdAt };
    }
  }
}

/** A deleted Deployment or key. */
export interface Removal {
  deploymentId: string;
  generation: string;
  /** ULID of the deleted key; undefined for a deleted Deployment. */
  keyUlid: string | undefined;
}

/**
 * Returns the Deployment or key that a REMOVE record of the stream describes.
 * @throws Error for any other record, and for a malformed record, which then goes to the dead-letter queue; the message
 *   does not contain any part of the record
 */
export function removalOf({ eventName, dynamodb }: DynamoDBRecord): Removal {
  const pk = dynamodb?.Keys?.pk?.S ?? '';
  const sk = dynamodb?.Keys?.sk?.S ?? '';
  const generation = dynamodb?.OldImage?.generation?.S ?? '';
  const deploymentId = pk.slice(deploymentPartition('').length);
  const keyUlid = sk === DEPLOYMENT_SORT_KEY ? undefined : sk.slice(KEY_PREFIX.length);

  const isRemoval = eventName === 'REMOVE';
  const isOfDeployment = pk === deploymentPartition(deploymentId) && isDeploymentId(deploymentId);
  const isKey = keyUlid !== undefined && sk.startsWith(KEY_PREFIX) && isUlid(keyUlid);
  if (!isRemoval || !isOfDeployment || !isUlid(generation) || !(keyUlid === undefined || isKey)) {
    throw new Error('not a record of a removed Deployment or key');
  }
  return { deploymentId, generation, keyUlid };
}
