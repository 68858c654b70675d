import {
  type AttributeValue,
  ConditionalCheckFailedException,
  DynamoDBClient,
} from '@aws-sdk/client-dynamodb';
import {
  BatchGetCommand,
  DynamoDBDocumentClient,
  GetCommand,
  QueryCommand,
  type QueryCommandInput,
  TransactWriteCommand,
  type TransactWriteCommandInput,
} from '@aws-sdk/lib-dynamodb';
import { unavailable } from '../domain/errors.ts';
import type { ServiceEvent } from '../domain/events.ts';
import { type Patience, TRANSIENT } from './faults.ts';
import { type Item, type ItemKey, type OnMalformed, toEvent } from './schema.ts';
import { type Refusals as SettledRefusals, settle } from './transaction.ts';

/** The table's client and name. */
export interface Table {
  client: DynamoDBDocumentClient;
  tableName: string;
  onMalformed: OnMalformed;
}

/** How the AWS SDK turns items into objects and back. */
export const TRANSLATION = {
  marshallOptions: { removeUndefinedValues: true },
  // The default throws at a number of more digits, so that one damaged item would fail a whole listing.
  unmarshallOptions: { wrapNumbers: Number },
};

/**
 * A document client, made once for each function. Endpoint, Region and credentials come from the environment,
 * as the AWS SDK reads it.
 */
export function tableClient({ attemptTimeout, attempts }: Patience): DynamoDBDocumentClient {
  const client = new DynamoDBClient({
    maxAttempts: attempts,
    requestHandler: {
      connectionTimeout: attemptTimeout,
      requestTimeout: attemptTimeout,
      // Without this the SDK only warns, and waits on.
      throwOnRequestTimeout: true,
    },
  });
  return DynamoDBDocumentClient.from(client, TRANSLATION);
}

/**
 * Ask the table. A refused condition comes back as it is, for the caller to read; where the table could not
 * answer, the error is a 503 with Retry-After; all else (no permission, no table) stays an error of ours.
 */
export async function ask<T>(call: Promise<T>): Promise<T> {
  try {
    return await call;
  } catch (error) {
    throw isTransient(error) ? unavailable(error) : error;
  }
}

function isTransient(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const { $metadata, code } = error as { $metadata?: { httpStatusCode?: number }; code?: string };
  const status = $metadata?.httpStatusCode;
  const isServerFault = status !== undefined && status >= 500;
  const isNetworkFault = code?.startsWith('E') === true && status === undefined;
  // It began well and did not come to its end, or was not what it began as.
  const isDamaged = (status !== undefined && status < 300) || error instanceof SyntaxError;
  return TRANSIENT.has(error.name) || isServerFault || isNetworkFault || isDamaged;
}

/** Returns an item as it is now (a strongly consistent read), or undefined when there is none. */
export async function readItem(
  { client, tableName: TableName }: Table,
  Key: ItemKey,
): Promise<Item | undefined> {
  const { Item } = await ask(client.send(new GetCommand({ TableName, Key, ConsistentRead: true })));
  return Item;
}

export type Write = NonNullable<TransactWriteCommandInput['TransactItems']>[number];

/** For each write whether its condition failed, and the item that was there where the write asked for it. */
export type Refusals = SettledRefusals<Record<string, AttributeValue>>;

/**
 * Waits for a write with a condition.
 * @returns false when the condition failed, and nothing is written
 */
export async function isWritten(write: Promise<unknown>): Promise<boolean> {
  try {
    await ask(write);
    return true;
  } catch (error) {
    if (error instanceof ConditionalCheckFailedException) return false;
    throw error;
  }
}

/**
 * Writes all or nothing. With an event, the change is written at most once: the event is written with it, on condition that
 * it is not there yet. So an attempt that timed out changes nothing when it reaches the table after a later attempt.
 * @param event of the change; without one, the conditions of `writes` must be such that they hold only once
 * @returns undefined when everything is written; otherwise nothing is, and the list says for each of `writes` why
 * @throws ServiceError 503 when collisions with other transactions do not end, or the table cannot answer
 */
export async function transact(
  { client, tableName: TableName }: Table,
  writes: Write[],
  event?: ServiceEvent,
): Promise<Refusals | undefined> {
  const isNew = 'attribute_not_exists(pk)';
  const TransactItems = event
    ? [...writes, { Put: { TableName, Item: toEvent(event), ConditionExpression: isNew } }]
    : writes;
  const refused: Refusals | undefined = await settle(() =>
    ask(client.send(new TransactWriteCommand({ TransactItems }))),
  );
  if (!event || !refused) return refused;
  // The event is there: an earlier attempt, whose response was lost, has made the change.
  return refused.at(-1)?.failed ? undefined : refused.slice(0, -1);
}

/**
 * An update expression that sets each attribute, or removes it where it is undefined.
 * @param others further attributes to remove; their names may have any characters
 */
export function assign(
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

/** A part of a command: an expression, with the names and values that stand for its placeholders. */
type ExpressionPart = Partial<
  Record<'ExpressionAttributeNames' | 'ExpressionAttributeValues', Record<string, unknown>>
>;

/** An update and its condition in one. The same placeholder must stand for the same name or value in both. */
export function updateIf<U extends ExpressionPart, C extends ExpressionPart>(update: U, condition: C) {
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

/**
 * The pages of a strongly consistent Query, each read when it is asked for.
 * @param input all but the table and where to start
 * @param start the key after which to begin
 * @throws ServiceError 503
 */
export async function* queryPages(
  { client, tableName }: Table,
  input: Omit<QueryCommandInput, 'TableName' | 'ConsistentRead' | 'ExclusiveStartKey'>,
  start?: ItemKey,
): AsyncGenerator<{ items: Item[]; next: ItemKey | undefined }> {
  let next = start;
  do {
    const command = new QueryCommand({
      ...input,
      TableName: tableName,
      ConsistentRead: true,
      ExclusiveStartKey: next,
    });
    const page = await ask(client.send(command));
    next = page.LastEvaluatedKey as ItemKey | undefined;
    yield { items: page.Items ?? [], next };
  } while (next);
}

/**
 * The pages of a listing. The first Query reads as many items as the listing shows. Where some of them are left out,
 * the following ones read 1 MB each: with the small limit, a thousand items that are left out would cost hundreds of
 * queries.
 * @param limit of the first page
 */
export async function* listingPages(
  table: Table,
  input: Parameters<typeof queryPages>[1],
  limit: number,
  start?: ItemKey,
): ReturnType<typeof queryPages> {
  for await (const page of queryPages(table, { ...input, Limit: limit }, start)) {
    yield page;
    if (page.next) yield* queryPages(table, input, page.next);
    return;
  }
}

/** What a Query reads of a partition. @param prefix of the sort keys; empty for all of it */
export function below(
  pk: string,
  prefix: string,
): Pick<QueryCommandInput, 'KeyConditionExpression' | 'ExpressionAttributeValues'> {
  return {
    KeyConditionExpression: prefix ? 'pk = :pk AND begins_with(sk, :prefix)' : 'pk = :pk',
    ExpressionAttributeValues: { ':pk': pk, ...(prefix && { ':prefix': prefix }) },
  };
}

/** Which attributes are read. */
export interface Projection {
  ProjectionExpression: string;
  ExpressionAttributeNames?: Record<string, string>;
}

/**
 * One strongly consistent BatchGetItem.
 * @param projection what to read of each item; all of it when left out
 * @throws ServiceError 503 when the table leaves a key unprocessed: absent and unread must never look the same
 */
export async function readTogether(
  { client, tableName }: Table,
  keys: ItemKey[],
  projection?: Projection,
): Promise<(key: ItemKey) => Item | undefined> {
  const { Responses, UnprocessedKeys } = await ask(
    client.send(
      new BatchGetCommand({
        RequestItems: { [tableName]: { Keys: keys, ConsistentRead: true, ...projection } },
      }),
    ),
  );
  const items = Responses?.[tableName];
  if (!items || Object.keys(UnprocessedKeys ?? {}).length > 0) {
    throw unavailable(new Error('BatchGetItem left keys unprocessed'));
  }
  return ({ pk, sk }) => items.find((item) => item.pk === pk && item.sk === sk);
}
