import { type AttributeValue, DynamoDBClient, TransactionCanceledException } from '@aws-sdk/client-dynamodb';
import {
  BatchGetCommand,
  DynamoDBDocumentClient,
  TransactWriteCommand,
  type TransactWriteCommandInput,
} from '@aws-sdk/lib-dynamodb';
import { unavailable } from '../domain/errors.ts';
import { type Patience, TRANSIENT } from './faults.ts';
import type { Item, ItemKey, OnMalformed } from './schema.ts';

/** The table's client and name. */
export interface Table {
  client: DynamoDBDocumentClient;
  tableName: string;
  onMalformed: OnMalformed;
}

/** A person or a pipeline waits: three calls in a row, all of them late, still end before the function's 10 s. */
export const CALL_PATIENCE: Patience = { attemptTimeout: 1000, attempts: 3 };
/** Nobody waits for the purge, and it keeps the table busy itself. */
export const PURGE_PATIENCE: Patience = { attemptTimeout: 5000, attempts: 3 };

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
  return DynamoDBDocumentClient.from(client, { marshallOptions: { removeUndefinedValues: true } });
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

export type Write = NonNullable<TransactWriteCommandInput['TransactItems']>[number];

/**
 * For each write of a transaction whether its condition failed; and then the item that was there, where the
 * write asked for it, in DynamoDB's own form.
 */
export type Refusals = (
  | { failed: false }
  | { failed: true; item: Record<string, AttributeValue> | undefined }
)[];

const CONFLICT_ATTEMPTS = 6;

/**
 * Write all or nothing. Collisions with other transactions are tried again, each after a longer random pause.
 * @returns undefined when all is written; otherwise nothing is, and the list says why
 * @throws ServiceError 503 when collisions do not end, or the table cannot answer
 */
export async function transact({ client }: Table, writes: Write[]): Promise<Refusals | undefined> {
  for (let attempt = 1; ; attempt++) {
    try {
      await ask(client.send(new TransactWriteCommand({ TransactItems: writes })));
      return undefined;
    } catch (error) {
      if (!(error instanceof TransactionCanceledException)) throw error;
      const reasons = error.CancellationReasons ?? [];
      const refusals = reasons.map(({ Code, Item }) =>
        Code === 'ConditionalCheckFailed'
          ? { failed: true as const, item: Item }
          : { failed: false as const },
      );
      if (refusals.some(({ failed }) => failed)) return refusals;
      const isCollision = reasons.some(
        ({ Code }) => Code === 'TransactionConflict' || Code === 'ThrottlingError',
      );
      if (!isCollision) throw error;
      if (attempt === CONFLICT_ATTEMPTS) throw unavailable(error);
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 20 * 2 ** attempt));
    }
  }
}

/** An update expression that sets each attribute, or removes it where it is undefined. */
export function assign(attributes: Record<string, unknown>): {
  UpdateExpression: string;
  ExpressionAttributeNames: Record<string, string>;
  ExpressionAttributeValues: Record<string, unknown>;
} {
  const names = Object.keys(attributes);
  const set = names.filter((name) => attributes[name] !== undefined).map((name) => `#${name} = :${name}`);
  const removed = names.filter((name) => attributes[name] === undefined).map((name) => `#${name}`);
  return {
    UpdateExpression: `SET ${set.join(', ')}${removed.length > 0 ? ` REMOVE ${removed.join(', ')}` : ''}`,
    ExpressionAttributeNames: Object.fromEntries(names.map((name) => [`#${name}`, name])),
    ExpressionAttributeValues: Object.fromEntries(
      names.filter((name) => attributes[name] !== undefined).map((name) => [`:${name}`, attributes[name]]),
    ),
  };
}

/**
 * One strongly consistent BatchGetItem.
 * @param attributes what to read of each item; all of it when left out
 * @throws ServiceError 503 when the table leaves a key unprocessed: absent and unread must never look the same
 */
export async function readTogether(
  { client, tableName }: Table,
  keys: ItemKey[],
  attributes?: readonly string[],
): Promise<(key: ItemKey) => Item | undefined> {
  const names = attributes && Object.fromEntries(attributes.map((name) => [`#${name}`, name]));
  const projection = names && {
    ProjectionExpression: Object.keys(names).join(', '),
    ExpressionAttributeNames: names,
  };
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
