import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { unavailable } from '../domain/errors.ts';
import type { ServiceEvent } from '../domain/events.ts';
import type { ConditionFailed, Done, Operation, Operations, Outcome, Port } from './port.ts';
import { deploymentKey, type Item, type ItemKey, type OnMalformed, toEvent } from './schema.ts';

/** How often and how long a call to DynamoDB is attempted. */
export interface RetryPolicy {
  /** Time limit of one attempt, in milliseconds, from the request to the end of the response. */
  attemptTimeout: number;
  /** Total number of attempts. All attempts share a time budget of `attempts * attemptTimeout`. */
  attempts: number;
}

/** Retry policy for checks. Checks delay every call to an API, and denying quickly is better than denying late. */
export const CHECK_RETRIES: RetryPolicy = { attemptTimeout: 400, attempts: 2 };
/**
 * Retry policy for calls by people and pipelines: three slow calls in a row still finish within the function's 10 s.
 */
export const CALL_RETRIES: RetryPolicy = { attemptTimeout: 1000, attempts: 3 };
/**
 * Retry policy for the purge. It retries longer, because no one waits for the purge, and because the purge itself keeps
 * the table busy.
 */
export const PURGE_RETRIES: RetryPolicy = { attemptTimeout: 5000, attempts: 3 };

/** Number of attempts for a transaction that conflicts with others, and for a batch that is left partly unprocessed. */
const CONFLICT_ATTEMPTS = 6;
const BATCH_ATTEMPTS = 8;

/** The number of attempts after which an outcome is final. @default the attempts of the retry policy */
type Attempts = Partial<Record<'not applied' | 'unknown', number>>;

/**
 * Attempts for a write that is neither conditional nor idempotent. Such a write must not be repeated if it might have
 * been applied.
 */
export const NOT_REPEATABLE: Attempts = { unknown: 1 };

/** The service's table, with the settings for calls to it. */
export interface Table {
  port: Port;
  tableName: string;
  retryPolicy: RetryPolicy;
  onMalformed: OnMalformed;
  /** Maximum number of items that a purge deletes before it checks the remaining time. @default 1000 */
  pageSize?: number;
  /**
   * Deadline for all attempts, in milliseconds of `performance.now()`.
   * @default a deadline for each call, from the retry policy
   */
  deadline?: number;
}

/** Returns the function's table. The function creates it once, and reuses its connection across invocations. */
export function openTable(
  { tableName }: { tableName: string },
  port: Port,
  retryPolicy: RetryPolicy,
  onMalformed: OnMalformed,
): Table {
  return { port, tableName, retryPolicy, onMalformed };
}

/** How long the init phase waits for the table, in milliseconds. */
export const INIT_LIMIT = 500;

/**
 * Opens the connection to the table, and keeps only that connection. A function calls this during the init phase, in
 * which Lambda gives it more CPU than for its first call. Reads the item of a Deployment with an empty ID. Such a
 * Deployment cannot exist.
 * @returns a promise that resolves after at most 500 ms, whether or not there was a response
 */
export async function openConnection({ port, tableName }: Table): Promise<void> {
  await port('BatchGetItem', { RequestItems: { [tableName]: { Keys: [deploymentKey('')] } } }, INIT_LIMIT);
}

/** Returns the deadline of a call that begins now, in milliseconds of `performance.now()`. */
export const deadlineOf = ({ attempts, attemptTimeout }: RetryPolicy): number =>
  performance.now() + attempts * attemptTimeout;

/**
 * Calls DynamoDB until there is a response. Only this function retries.
 * @param input function that creates the input of each attempt from the outcome of the previous attempt. An attempt
 *   that timed out can still be applied later. If that would be harmful, create a different input for each attempt
 * @throws ServiceError 503 with Retry-After after the last attempt; the original error if retrying would not help
 */
async function call<O extends Operation>(
  { port, retryPolicy, deadline = deadlineOf(retryPolicy) }: Table,
  operation: O,
  input: (previous: Outcome | undefined) => Operations[O]['input'],
  most: Attempts = {},
): Promise<Done<Operations[O]['output']> | ConditionFailed> {
  const { attempts, attemptTimeout } = retryPolicy;
  let previous: Outcome | undefined;
  for (let attempt = 1; ; attempt++) {
    const timeout = Math.min(attemptTimeout, deadline - performance.now());
    const outcome = await port(operation, input(previous), timeout);
    if (!('error' in outcome)) return outcome;
    if (outcome.kind === 'unexpected') throw outcome.error;
    // After a long suspension of the process, there is no time left for another attempt.
    if (attempt >= (most[outcome.kind] ?? attempts) || performance.now() >= deadline)
      throw unavailable(outcome.error);
    // The pause is random, so that callers that failed at the same time do not retry at the same time.
    await pause(Math.random() * 25 * 2 ** attempt);
    previous = outcome;
  }
}

/**
 * Repeats an attempt that reads items, decides, and writes on the condition that the items have not changed since. Each
 * further attempt must read the items again.
 * @param attempts maximum number of attempts
 * @param attempt makes one attempt, with its number, starting at 1. Returns its result, or undefined if another call
 *   changed the items first
 * @param longestPause returns the maximum pause after an attempt with a given number, in milliseconds. The pause is
 *   random, so that calls that lost at the same time do not try again at the same time. @default no pause
 * @returns the result of the first attempt that has one; undefined if other calls changed the items first in every
 *   attempt
 * @throws the error of an attempt. There is no further attempt after an error
 */
export async function untilUnchanged<T>(
  attempts: number,
  attempt: (number: number) => Promise<T | undefined>,
  longestPause?: (number: number) => number,
): Promise<T | undefined> {
  for (let number = 1; number <= attempts; number++) {
    if (longestPause && number > 1) await pause(Math.random() * longestPause(number - 1));
    const result = await attempt(number);
    if (result !== undefined) return result;
  }
  return undefined;
}

/**
 * Returns the output of an unconditional call.
 * @throws ServiceError 503
 */
export async function outputOf<O extends Operation>(
  table: Table,
  operation: O,
  input: Operations[O]['input'],
): Promise<Operations[O]['output']> {
  const outcome = await call(table, operation, () => input);
  if (outcome.kind === 'done') return outcome.output;
  throw new Error(`${operation} has no condition that could fail`);
}

/** Input of an operation, without the table name. */
type Unnamed<O extends Operation> = Omit<Operations[O]['input'], 'TableName'>;

/**
 * Reads an item. The read is strongly consistent. @returns undefined if there is no such item. @throws ServiceError 503
 */
export async function readItem(table: Table, Key: ItemKey): Promise<Item | undefined> {
  const input = { TableName: table.tableName, Key, ConsistentRead: true };
  return (await outputOf(table, 'GetItem', input)).Item;
}

/** The attributes to read. */
export interface Projection {
  ProjectionExpression: string;
  ExpressionAttributeNames?: Record<string, string>;
}

/**
 * Reads several items in one strongly consistent BatchGetItem.
 * @param projection the attributes to read. @default all
 * @returns a function that returns the item with a key, or undefined if there is no such item
 * @throws ServiceError 503, even if the response leaves only one key unread: absent and unread items must never look
 * the same
 */
export async function readTogether(
  table: Table,
  Keys: ItemKey[],
  projection?: Projection,
): Promise<(key: ItemKey) => Item | undefined> {
  const RequestItems = { [table.tableName]: { Keys, ConsistentRead: true, ...projection } };
  const outcome = await call(table, 'BatchGetItem', () => ({ RequestItems }));
  const items = 'output' in outcome && outcome.output.Responses?.[table.tableName];
  if (!items) throw unavailable(new Error('incomplete'));
  return ({ pk, sk }) => items.find((item) => item.pk === pk && item.sk === sk);
}

/** Reads one page of a Query. The read is strongly consistent. @throws ServiceError 503 */
export const queryPage = (table: Table, input: Unnamed<'Query'>) =>
  outputOf(table, 'Query', { TableName: table.tableName, ConsistentRead: true, ...input });

/**
 * Reads one page of a Scan. The read is eventually consistent unless `input` says otherwise. @throws ServiceError 503
 */
export const scanPage = (table: Table, input: Unnamed<'Scan'>) =>
  outputOf(table, 'Scan', { TableName: table.tableName, ...input });

/**
 * Reads the pages of a Query, each only when the caller needs it. The read is strongly consistent.
 * @param start key of the item to start after
 * @throws ServiceError 503
 */
export async function* queryPages(
  table: Table,
  input: Omit<Unnamed<'Query'>, 'ConsistentRead' | 'ExclusiveStartKey'>,
  start?: ItemKey,
): AsyncGenerator<{ items: Item[]; next: ItemKey | undefined }> {
  let next = start;
  do {
    const page = await queryPage(table, { ...input, ExclusiveStartKey: next });
    next = page.LastEvaluatedKey as ItemKey | undefined;
    yield { items: page.Items ?? [], next };
  } while (next);
}

interface PageOptions<T> {
  /** Key of the item to start after. */
  start: ItemKey | undefined;
  /** Maximum number of entries to return. */
  limit: number;
  /** Returns the entry for an item, or undefined to omit the item. */
  entryOf: (item: Item) => T | undefined;
  /** True if the listing omits most items. Even the first query then reads 1 MB. @default false */
  isSelective?: boolean;
  /** Maximum number of queries. With a maximum, a page can be short or empty and still have `next`. */
  maxQueries?: number;
}

/**
 * Reads one page of a listing. The first query reads as many items as the page needs. If the listing omits some of
 * these items, each further query reads 1 MB, because a thousand omitted items would cost hundreds of queries with the
 * small limit.
 * @returns `next`: the key after which the next page starts; undefined on the last page
 * @throws ServiceError 503
 */
export async function listPage<T>(
  table: Table,
  input: Parameters<typeof queryPages>[1],
  { start, limit, entryOf, isSelective = false, maxQueries = Number.POSITIVE_INFINITY }: PageOptions<T>,
): Promise<{ items: T[]; next: ItemKey | undefined }> {
  const items: T[] = [];
  let last = start;
  let queries = 0;
  // Read one more item than the page needs, to find out whether there is a next page.
  for await (const page of listingPages(table, input, isSelective ? undefined : limit + 1, start)) {
    for (const item of page.items) {
      const entry = entryOf(item);
      if (entry === undefined) continue;
      if (items.length === limit) return { items, next: last };
      items.push(entry);
      last = { pk: String(item.pk), sk: String(item.sk) };
    }
    queries++;
    if (queries >= maxQueries) return { items, next: page.next };
  }
  return { items, next: undefined };
}

/** Reads pages, with a limit that applies only to the first page. */
async function* listingPages(
  table: Table,
  input: Parameters<typeof queryPages>[1],
  limit: number | undefined,
  start: ItemKey | undefined,
): ReturnType<typeof queryPages> {
  for await (const page of queryPages(table, { ...input, Limit: limit }, start)) {
    yield page;
    if (page.next) yield* queryPages(table, input, page.next);
    return;
  }
}

/** Returns the condition of a Query. @param prefix prefix of the sort keys; empty to read the whole partition */
export function inPartition(
  pk: string,
  prefix: string,
): Pick<Unnamed<'Query'>, 'KeyConditionExpression' | 'ExpressionAttributeValues'> {
  return {
    KeyConditionExpression: prefix ? 'pk = :pk AND begins_with(sk, :prefix)' : 'pk = :pk',
    ExpressionAttributeValues: { ':pk': pk, ...(prefix && { ':prefix': prefix }) },
  };
}

/**
 * Writes one item.
 * @param input the input; a function creates a new input for each attempt
 * @returns false if the condition failed, so that nothing was written
 * @throws ServiceError 503
 */
export async function putItem(
  table: Table,
  input: Unnamed<'PutItem'> | (() => Unnamed<'PutItem'>),
): Promise<boolean> {
  const named = () => ({ TableName: table.tableName, ...(typeof input === 'function' ? input() : input) });
  return (await call(table, 'PutItem', named)).kind === 'done';
}

/**
 * Updates an item, or creates it if the condition allows that.
 * @returns the outcome, with the attributes that `input` requests
 * @throws ServiceError 503
 */
export const updateItem = (table: Table, input: Unnamed<'UpdateItem'>, most?: Attempts) =>
  call(table, 'UpdateItem', () => ({ TableName: table.tableName, ...input }), most);

/** Updates an item. @returns false if the condition failed, so that nothing was written. @throws ServiceError 503 */
export async function isUpdated(
  table: Table,
  input: Unnamed<'UpdateItem'>,
  most?: Attempts,
): Promise<boolean> {
  return (await updateItem(table, input, most)).kind === 'done';
}

/** Deletes an item. @returns false if the condition failed. @throws ServiceError 503 */
export async function deleteItem(table: Table, input: Unnamed<'DeleteItem'>): Promise<boolean> {
  return (await call(table, 'DeleteItem', () => ({ TableName: table.tableName, ...input }))).kind === 'done';
}

/** Deletes up to 25 items. @throws ServiceError 503 if some deletions remain unprocessed */
export async function deleteBatch(table: Table, keys: ItemKey[]): Promise<void> {
  let RequestItems: object = { [table.tableName]: keys.map((Key) => ({ DeleteRequest: { Key } })) };
  const request = (previous: Outcome | undefined) => {
    if (previous?.kind === 'not applied') RequestItems = previous.unprocessed ?? RequestItems;
    return { RequestItems } as Operations['BatchWriteItem']['input'];
  };
  await call(table, 'BatchWriteItem', request, { 'not applied': BATCH_ATTEMPTS });
}

type NamedWrite = NonNullable<Operations['TransactWriteItems']['input']['TransactItems']>[number];
/** One write or one condition of a transaction. */
export type Write = { [Kind in keyof NamedWrite]: Omit<NonNullable<NamedWrite[Kind]>, 'TableName'> };

/**
 * Whether the condition of a write failed. If it failed and the write requested the stored item, also contains that
 * item.
 */
export interface Part {
  failed: boolean;
  item: Item | undefined;
}

/**
 * Writes everything or nothing. With an event, the change is written at most once, because the transaction also writes
 * the event, on the condition that it does not exist yet. An attempt that timed out therefore changes nothing if it
 * reaches the table after a later attempt.
 * @param event event of the change; without an event, it must be impossible for the conditions of `writes` to hold
 * twice
 * @returns undefined if everything was written; otherwise nothing was written, and the list contains the reason for
 * each of `writes`
 * @throws ServiceError 503 if the transaction keeps conflicting with others, or if the table is unavailable
 */
export async function transact(
  table: Table,
  writes: Write[],
  event?: ServiceEvent,
): Promise<Part[] | undefined> {
  const isNew = 'attribute_not_exists(pk)';
  const all: Write[] = event
    ? [...writes, { Put: { Item: toEvent(event), ConditionExpression: isNew } }]
    : writes;
  const named = (write: object) => ({ TableName: table.tableName, ...write });
  const TransactItems = all.map((write) =>
    Object.fromEntries(Object.entries(write).map(([kind, part]) => [kind, named(part)])),
  );
  let ClientRequestToken = '';
  const request = (previous: Outcome | undefined) => {
    // DynamoDB applies two requests with the same token only once. After an attempt that had no effect, the next
    // attempt gets a new token.
    if (previous?.kind !== 'unknown') ClientRequestToken = randomUUID();
    return { TransactItems, ClientRequestToken };
  };
  const outcome = await call(table, 'TransactWriteItems', request, { 'not applied': CONFLICT_ATTEMPTS });
  if (outcome.kind === 'done') return undefined;
  const parts = outcome.reasons.map(({ Code, Item: item }) => ({
    failed: Code === 'ConditionalCheckFailed',
    item,
  }));
  if (!event) return parts;
  // The event exists, so an earlier attempt whose response was lost has already made the change.
  return parts.at(-1)?.failed ? undefined : parts.slice(0, -1);
}

/**
 * Returns an update expression that sets each attribute, or removes it if its value is undefined.
 * @param others additional attributes to remove; their names can contain any characters
 */
export function setAttributes(
  attributes: Record<string, unknown>,
  others: readonly string[] = [],
): {
  UpdateExpression: string;
  ExpressionAttributeNames: Record<string, string>;
  ExpressionAttributeValues: Record<string, unknown>;
} {
  const names = Object.keys(attributes);
  const set = names.filter((name) => attributes[name] !== undefined).map((name) => `#${name} = :${name}`);
  const removed = [
    ...names.filter((name) => attributes[name] === undefined).map((name) => `#${name}`),
    ...others.map((_, n) => `#other${n}`),
  ];
  return {
    UpdateExpression: `SET ${set.join(', ')}${removed.length > 0 ? ` REMOVE ${removed.join(', ')}` : ''}`,
    ExpressionAttributeNames: Object.fromEntries([
      ...names.map((name) => [`#${name}`, name]),
      ...others.map((name, n) => [`#other${n}`, name]),
    ]),
    ExpressionAttributeValues: Object.fromEntries(
      names.filter((name) => attributes[name] !== undefined).map((name) => [`:${name}`, attributes[name]]),
    ),
  };
}

/** An expression, with the names and values of its placeholders. */
type ExpressionPart = Partial<
  Record<'ExpressionAttributeNames' | 'ExpressionAttributeValues', Record<string, unknown>>
>;

/** Joins an update and its condition. A placeholder that both use must stand for the same name or value in both. */
export function withCondition<U extends ExpressionPart, C extends ExpressionPart>(update: U, condition: C) {
  return {
    ...update,
    ...condition,
    ExpressionAttributeNames: { ...update.ExpressionAttributeNames, ...condition.ExpressionAttributeNames },
    ExpressionAttributeValues: {
      ...update.ExpressionAttributeValues,
      ...condition.ExpressionAttributeValues,
    },
  };
}
