import { setTimeout as sleep } from 'node:timers/promises';
import { type AttributeValue, DescribeTableCommand, DynamoDBClient } from '@aws-sdk/client-dynamodb';
import {
  BatchGetCommand,
  BatchWriteCommand,
  DeleteCommand,
  DynamoDBDocumentClient,
  GetCommand,
  PutCommand,
  QueryCommand,
  ScanCommand,
  TransactWriteCommand,
  UpdateCommand,
} from '@aws-sdk/lib-dynamodb';
import { unmarshall } from '@aws-sdk/util-dynamodb';
import {
  type DynamoError,
  type Failure,
  failureOf,
  type Operation,
  type Operations,
  type Outcome,
  outcomeOf,
  type Port,
} from './port.ts';
import { openTable, type RetryPolicy, type Table } from './retried-calls.ts';
import type { Item, OnMalformed } from './schema.ts';

/**
 * Returns the options with which the AWS SDK converts items to plain values and back. This is a function because the
 * document client modifies the options object.
 */
export const translation = () => ({
  marshallOptions: { removeUndefinedValues: true },
  // By default, the AWS SDK throws an error for a number with more digits than a double can hold, so one damaged item
  // would make a whole listing fail.
  unmarshallOptions: { wrapNumbers: Number },
});

/**
 * Converts an item from DynamoDB's attribute values to plain values, for items that the document client leaves as they
 * are.
 */
export const plainItem = (item: Record<string, AttributeValue>): Item =>
  unmarshall(item, translation().unmarshallOptions);

/**
 * Creates a document client. The AWS SDK reads its endpoint, Region and credentials from the environment. The client
 * makes only one attempt per call, because `call` retries.
 */
export function documentClient(): DynamoDBDocumentClient {
  return DynamoDBDocumentClient.from(new DynamoDBClient({ maxAttempts: 1 }), translation());
}

const COMMANDS = {
  GetItem: GetCommand,
  BatchGetItem: BatchGetCommand,
  Query: QueryCommand,
  Scan: ScanCommand,
  PutItem: PutCommand,
  UpdateItem: UpdateCommand,
  DeleteItem: DeleteCommand,
  BatchWriteItem: BatchWriteCommand,
  TransactWriteItems: TransactWriteCommand,
  DescribeTable: DescribeTableCommand,
};

/** Calls DynamoDB with the AWS SDK, for the jobs and the operator commands, because no caller waits for their start. */
export function sdkTransport(client: Pick<DynamoDBDocumentClient, 'send'> = documentClient()): Port {
  return (async (operation, input, timeout): Promise<Outcome> => {
    const command = new COMMANDS[operation](input as never) as never;
    try {
      return outcomeOf(await within(timeout, (abortSignal) => client.send(command, { abortSignal })));
    } catch (error) {
      return sdkFailure(error);
    }
  }) as Port;
}

/** Limit the time until the end of the response, because the SDK's own time limits do not include the response body. */
async function within<T>(timeout: number, send: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const aborter = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(Object.assign(new Error('timeout'), { name: 'TimeoutError' }));
      aborter.abort();
    }, timeout);
  });
  try {
    return await Promise.race([send(aborter.signal), late]);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Returns the outcome that an AWS SDK error means.
 * @throws anything that is not an Error
 */
export function sdkFailure(error: unknown): Failure {
  if (!(error instanceof Error)) throw error;
  const { $metadata, code } = error as { $metadata?: { httpStatusCode?: number }; code?: string };
  const status = $metadata?.httpStatusCode;
  const isNetworkFault = code?.startsWith('E') === true && status === undefined;
  // The response had a successful status, but was truncated or malformed.
  const isDamaged = (status !== undefined && status < 300) || error instanceof SyntaxError;
  if (isNetworkFault || isDamaged || error.name === 'TimeoutError') return { kind: 'unknown', error };
  return failureOf(withPlainItems(error), status ?? 0);
}

type StoredItem = Record<string, AttributeValue> | undefined;

/** Converts the items in an error, which the document client does not convert. */
function withPlainItems(error: Error): DynamoError {
  const { Item: item, CancellationReasons: reasons } = error as {
    Item?: StoredItem;
    CancellationReasons?: { Code?: string; Item?: StoredItem }[];
  };
  return Object.assign(error, {
    Item: item && plainItem(item),
    CancellationReasons: reasons?.map(({ Code, Item }) => ({ Code, Item: Item && plainItem(Item) })),
  });
}

/** Opens the table for a job. If the capacity is provisioned, limits the job's write units as the stack specifies. */
export function openJobTable(
  config: { tableName: string; writeUnits?: number | undefined },
  retryPolicy: RetryPolicy,
  onMalformed: OnMalformed,
): Table {
  return pacedTable(openTable(config, sdkTransport(), retryPolicy, onMalformed), config.writeUnits);
}

/**
 * Time in which a paced job can write one page of items, in seconds. Jobs reserve at least 10 s for their last page.
 */
const PAGE_SECONDS = 5;

/** A clock in milliseconds, and a function that pauses for a number of milliseconds. */
export interface Time {
  now: () => number;
  pause: (milliseconds: number) => Promise<unknown>;
}

/**
 * Limits the write units that a job or a command uses, so that it leaves provisioned capacity for calls by pipelines
 * and people. A deadline would include the time for which a call waits, so only the number of attempts and the time
 * limit of each attempt end a call.
 *
 * @param unitsPerSecond limit for one process; undefined for no limit
 */
export function pacedTable(table: Table, unitsPerSecond: number | undefined, time?: Time): Table {
  if (unitsPerSecond === undefined) return table;
  return {
    ...table,
    port: pacedPort(table.port, unitsPerSecond, time),
    pageSize: Math.max(1, Math.floor(unitsPerSecond * PAGE_SECONDS)),
    deadline: Number.POSITIVE_INFINITY,
  };
}

/** Estimated write units of each operation, if every item is at most 1 KB. A transaction costs twice as much. */
const ESTIMATES: { [O in Operation]?: (input: Operations[O]['input']) => number } = {
  PutItem: () => 1,
  UpdateItem: () => 1,
  DeleteItem: () => 1,
  BatchWriteItem: ({ RequestItems }) => sum(Object.values(RequestItems ?? {}).map((writes) => writes.length)),
  TransactWriteItems: ({ TransactItems }) => 2 * (TransactItems?.length ?? 0),
};

/**
 * Limits the write units that a port uses. A write is delayed until the limit has allowed the units of all earlier
 * writes. Its timeout begins after the delay. Reads are not delayed.
 *
 * @param unitsPerSecond limit for one process; undefined for no limit
 */
export function pacedPort(
  port: Port,
  unitsPerSecond: number,
  { now, pause }: Time = { now: () => performance.now(), pause: sleep },
): Port {
  const unitsPerMillisecond = unitsPerSecond / 1000;
  /** The time until which the earlier writes have used up the limit, in the clock's milliseconds. */
  let paidAt = 0;
  return (async <O extends Operation>(operation: O, input: Operations[O]['input'], timeout: number) => {
    const estimate = ESTIMATES[operation]?.(input);
    if (estimate === undefined) return port(operation, input, timeout);
    const begin = Math.max(paidAt, now());
    // Update the time before the pause, so that a concurrent write also waits for this write.
    paidAt = begin + estimate / unitsPerMillisecond;
    if (begin > now()) await pause(begin - now());
    const outcome = await port(operation, { ...input, ReturnConsumedCapacity: 'TOTAL' }, timeout);
    paidAt += ((consumedUnits(outcome) ?? estimate) - estimate) / unitsPerMillisecond;
    return outcome;
  }) as Port;
}

interface Consumed {
  CapacityUnits?: number;
}

/**
 * Returns the write units that an operation used; undefined if DynamoDB did not report them, for example after a failed
 * condition.
 */
function consumedUnits(outcome: Outcome): number | undefined {
  if (outcome.kind !== 'done') return undefined;
  const { ConsumedCapacity: consumed } = outcome.output as { ConsumedCapacity?: Consumed | Consumed[] };
  const units = [consumed].flat().map((one) => one?.CapacityUnits);
  const known = units.filter((it) => it !== undefined);
  return known.length === 0 ? undefined : sum(known);
}

const sum = (numbers: number[]) => numbers.reduce((total, one) => total + one, 0);
