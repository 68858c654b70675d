import { setTimeout as pause } from 'node:timers/promises';
import { BatchWriteCommand, DeleteCommand, UpdateCommand } from '@aws-sdk/lib-dynamodb';
import { unavailable } from '../domain/errors.ts';
import type { ServiceEvent } from '../domain/events.ts';
import { ask, below, isWritten, queryPages, readItem, type Table, transact } from './client.ts';
import {
  apiKeyKey,
  deploymentKey,
  directoryKey,
  fromMarker,
  type Item,
  type ItemKey,
  isGeneration,
  isOfLife,
  lifeOfMarker,
  PARTITION,
  parse,
  purgeMarkerKey,
  SORT,
  tokensOf,
} from './schema.ts';

/** One life of a Deployment. */
export interface Life {
  deploymentId: string;
  generation: string;
}

/** Items read and judged at a time; a page is the unit between two looks at the clock. */
const PAGE = 1000;
/** DynamoDB takes at most 25 writes in a batch. */
const BATCH = 25;
/** Batches under way at once: enough to hide the round trip, well below a partition's 1,000 writes a second. */
const PARALLEL = 8;
const BATCH_ATTEMPTS = 8;

/** What is known of a Deployment now. A malformed one is there, and its `generation` may be unknown. */
export type Present = { isThere: false } | { isThere: true; generation: string | undefined };

export function presentLife(item: Item | undefined): Present {
  if (!item) return { isThere: false };
  return { isThere: true, generation: isGeneration(item.generation) ? item.generation : undefined };
}

/** Returns what is known of a Deployment, and reports an item whose generation is malformed. Strongly consistent. */
export async function readPresent(table: Table, id: string): Promise<Present> {
  const key = deploymentKey(id);
  const present = presentLife(await readItem(table, key));
  if (present.isThere && present.generation === undefined) table.onMalformed(key);
  return present;
}

/** Reports whether a key has an item, even a malformed one. Strongly consistent. */
export async function hasApiKey(table: Table, deploymentId: string, ulid: string): Promise<boolean> {
  return (await readItem(table, apiKeyKey(deploymentId, ulid))) !== undefined;
}

/** What to delete, page by page, and the sort key from which a later run may go on. */
export interface PurgePage {
  keys: ItemKey[];
  next: string | undefined;
}

/**
 * All that is left of one life: tokens first, then keys. What belongs to another life stays, and so does the
 * Deployment's own item.
 * @param after sort key to go on from
 */
export async function* itemsOfLife(
  table: Table,
  { deploymentId, generation }: Life,
  after?: string,
): AsyncGenerator<PurgePage> {
  const pk = PARTITION.deployment(deploymentId);
  for await (const { items, next } of oneAhead(pages(table, { pk, prefix: '', after }))) {
    const dead = items.filter((item) => item.sk !== SORT.deployment && isOfLife(item, generation));
    yield { keys: dead.map(({ sk }) => ({ pk, sk: sk as string })), next: next?.sk };
  }
}

/**
 * All tokens of one deleted key. A ULID is never used again, so there is no other life to spare.
 * @param after sort key to go on from
 */
export async function* tokensOfKey(
  table: Table,
  { deploymentId, ulid }: { deploymentId: string; ulid: string },
  after?: string,
): AsyncGenerator<PurgePage> {
  const pk = PARTITION.deployment(deploymentId);
  for await (const { items, next } of oneAhead(pages(table, { pk, prefix: tokensOf(ulid), after }))) {
    yield { keys: items.map(({ sk }) => ({ pk, sk: sk as string })), next: next?.sk };
  }
}

/** A partition in the descending order of its sort keys, which puts tokens before keys. Strongly consistent. */
function pages(
  table: Table,
  { pk, prefix, after }: { pk: string; prefix: string; after: string | undefined },
) {
  const descending = {
    ...below(pk, prefix),
    ProjectionExpression: 'sk, generation',
    ScanIndexForward: false,
    Limit: PAGE,
  };
  return queryPages(table, descending, after === undefined ? undefined : { pk, sk: after });
}

/** Begins to read the next page while the one before is worked on; there are never more than the two. */
async function* oneAhead<T>(pages: AsyncGenerator<T>): AsyncGenerator<T> {
  let coming = pages.next();
  try {
    for (let page = await coming; !page.done; page = await coming) {
      coming = pages.next();
      // A failure is thrown where the page is awaited; until then it must not count as unhandled.
      coming.catch(() => {});
      yield page.value;
    }
  } finally {
    // Also when the reader stops early: nothing may be left running when the function answers.
    await coming.catch(() => {});
  }
}

/**
 * Delete items, however many, in parallel batches; what DynamoDB leaves unprocessed is sent again.
 * @throws ServiceError 503 when some stay unprocessed
 */
export async function deleteItems(table: Table, keys: ItemKey[]): Promise<void> {
  const batches: ItemKey[][] = [];
  for (let at = 0; at < keys.length; at += BATCH) batches.push(keys.slice(at, at + BATCH));
  const worker = async () => {
    for (let batch = batches.pop(); batch; batch = batches.pop()) await deleteBatch(table, batch);
  };
  // All of them end before this does: nothing may be left running when the function answers.
  const ends = await Promise.allSettled(Array.from({ length: PARALLEL }, worker));
  const failed = ends.find((end) => end.status === 'rejected');
  if (failed) throw failed.reason;
}

async function deleteBatch({ client, tableName }: Table, keys: ItemKey[]): Promise<void> {
  let requests = keys.map((Key) => ({ DeleteRequest: { Key } }));
  for (let attempt = 1; requests.length > 0; attempt++) {
    const { UnprocessedItems } = await ask(
      client.send(new BatchWriteCommand({ RequestItems: { [tableName]: requests } })),
    );
    requests = (UnprocessedItems?.[tableName] ?? []) as typeof requests;
    if (requests.length === 0) return;
    if (attempt === BATCH_ATTEMPTS) throw unavailable(new Error(`${requests.length} items stay unprocessed`));
    await pause(Math.random() * 50 * 2 ** attempt);
  }
}

/**
 * Make sure that the purge of this life is on record: a Deployment whose item was removed by hand has left no
 * marker, and its directory entry is still there.
 * @param now epoch milliseconds
 * @returns whether it was on record already: it has not ended since
 */
export async function beginPurge(table: Table, life: Life, now: number): Promise<boolean> {
  const { client, tableName } = table;
  const isOnRecord = await leaveMarker(table, life, now);
  // No entry, or one of a later generation: nothing to delete.
  await isWritten(
    client.send(
      new DeleteCommand({
        TableName: tableName,
        Key: directoryKey(life.deploymentId),
        ConditionExpression: 'generation = :generation',
        ExpressionAttributeValues: { ':generation': life.generation },
      }),
    ),
  );
  return isOnRecord;
}

/**
 * Leaves a purge marker for a generation, from which a sweep begins its purge.
 * @param now epoch milliseconds
 * @returns whether there was one already
 */
export async function leaveMarker(
  { client, tableName }: Table,
  { deploymentId, generation }: Life,
  now: number,
): Promise<boolean> {
  const { Attributes: before } = await ask(
    client.send(
      new UpdateCommand({
        TableName: tableName,
        Key: purgeMarkerKey(deploymentId, generation),
        UpdateExpression: 'SET createdAt = if_not_exists(createdAt, :now)',
        ExpressionAttributeValues: { ':now': now },
        ReturnValues: 'ALL_OLD',
      }),
    ),
  );
  return before?.createdAt !== undefined;
}

/**
 * The last act of a purge: remove the marker, and with it write the event, if there is one. Where another run has
 * ended the purge, there is nothing left to do or to tell.
 */
export async function endPurge(
  table: Table,
  { deploymentId, generation }: Life,
  event: ServiceEvent | undefined,
): Promise<void> {
  const { tableName: TableName } = table;
  const Key = purgeMarkerKey(deploymentId, generation);
  await transact(table, [{ Delete: { TableName, Key, ConditionExpression: 'attribute_exists(pk)' } }], event);
}

/**
 * Lives whose purge has not ended. A marker whose `createdAt` is malformed is one of them: only those that say they are
 * recent are left out.
 * @param now epoch milliseconds
 * @param age milliseconds: leaves out markers created at most this long before `now`, or after it by another clock
 * @returns `createdAt` is undefined where it is malformed
 */
export async function* unfinishedPurges(
  table: Table,
  now: number,
  age: number,
): AsyncGenerator<Life & { createdAt: number | undefined }> {
  const old = {
    KeyConditionExpression: 'pk = :purges',
    FilterExpression: 'NOT createdAt BETWEEN :from AND :to',
    ExpressionAttributeValues: { ':purges': PARTITION.purges, ':from': now - age, ':to': now + age },
  };
  for await (const { items } of queryPages(table, old)) {
    for (const item of items) {
      const createdAt = parse(table, item, fromMarker)?.createdAt;
      const life = lifeOfMarker(item);
      if (life) yield { ...life, createdAt };
    }
  }
}
