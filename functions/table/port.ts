import type {
  BatchGetCommandInput,
  BatchGetCommandOutput,
  BatchWriteCommandInput,
  DeleteCommandInput,
  GetCommandInput,
  PutCommandInput,
  QueryCommandInput,
  ScanCommandInput,
  TransactWriteCommandInput,
  UpdateCommandInput,
} from '@aws-sdk/lib-dynamodb';
import type { Item } from './schema.ts';

interface Page {
  Items?: Item[];
  LastEvaluatedKey?: Item;
}

/**
 * DynamoDB's operations. The inputs and outputs are those of DynamoDB's API, but with plain values instead of attribute
 * values.
 */
export interface Operations {
  GetItem: { input: GetCommandInput; output: { Item?: Item } };
  BatchGetItem: { input: BatchGetCommandInput; output: Pick<BatchGetCommandOutput, 'Responses'> };
  Query: { input: QueryCommandInput; output: Page };
  Scan: { input: ScanCommandInput; output: Page };
  PutItem: { input: PutCommandInput; output: object };
  UpdateItem: { input: UpdateCommandInput; output: { Attributes?: Item } };
  DeleteItem: { input: DeleteCommandInput; output: object };
  BatchWriteItem: { input: BatchWriteCommandInput; output: object };
  TransactWriteItems: { input: TransactWriteCommandInput; output: object };
  DescribeTable: {
    input: { TableName: string };
    output: {
      Table?: {
        TableId?: string;
        TableArn?: string;
        CreationDateTime?: Date | number;
        ProvisionedThroughput?: { WriteCapacityUnits?: number };
      };
    };
  };
}
export type Operation = keyof Operations;

export interface Done<Output> {
  kind: 'done';
  output: Output;
}

/** The reason why DynamoDB rejected a write, and the stored item if the write requested it. */
interface Reason {
  /** Reason code, such as `ConditionalCheckFailed`. */
  Code?: string | undefined;
  Item?: Item | undefined;
}

/**
 * A condition failed, so nothing was written. A transaction has one reason for each of its writes; any other operation
 * has exactly one reason.
 */
export interface ConditionFailed {
  kind: 'condition failed';
  reasons: Reason[];
}

export type Failure =
  | ConditionFailed
  /** DynamoDB applied nothing, except perhaps a part of a batch, and a retry can succeed. */
  | { kind: 'not applied'; error: Error; unprocessed?: object }
  /** There was no response, the response was damaged, or DynamoDB failed. A write might have been applied. */
  | { kind: 'unknown'; error: Error }
  /** Permissions or the table are missing, or the request is invalid. Retrying would not help. */
  | { kind: 'unexpected'; error: Error };

export type Outcome<Output = unknown> = Done<Output> | Failure;

/**
 * Makes one attempt at a DynamoDB operation.
 * @param timeout time limit in milliseconds, from the request to the last byte of the response
 * @returns the outcome; the promise rejects only because of a bug
 */
export type Port = <O extends Operation>(
  operation: O,
  input: Operations[O]['input'],
  timeout: number,
) => Promise<Outcome<Operations[O]['output']>>;

/**
 * Returns the outcome of a successful response. A batch with unprocessed items is not complete, because an unread item
 * must never look like an absent item.
 */
export function outcomeOf<Output extends object>(response: Output): Outcome<Output> {
  const { UnprocessedKeys, UnprocessedItems } = response as Record<string, object | undefined>;
  const unprocessed = UnprocessedKeys ?? UnprocessedItems ?? {};
  return Object.keys(unprocessed).length
    ? { kind: 'not applied', error: new Error('unprocessed'), unprocessed }
    : { kind: 'done', output: response };
}

/** A DynamoDB error, whose items have plain values. */
export interface DynamoError extends Error {
  Item?: Item | undefined;
  CancellationReasons?: Reason[] | undefined;
}

/** Matches the names of errors, and the reasons why a transaction was cancelled. */
const NOT_APPLIED = /Throttling|ThroughputExceeded|Conflict|^(Request)?LimitExceeded/;

/** Returns the outcome that a DynamoDB error means. @param status status of the HTTP response */
export function failureOf(error: DynamoError, status: number): Failure {
  const { name, Item, CancellationReasons: reasons = [{ Code: name, Item }] } = error;
  const isFor = (pattern: RegExp) => reasons.some(({ Code }) => pattern.test(`${Code}`));
  if (isFor(/ConditionalCheck/)) return { kind: 'condition failed', reasons };
  if (isFor(NOT_APPLIED)) return { kind: 'not applied', error };
  // TransactionInProgressException: an earlier attempt with the same request token is still being applied.
  return { kind: status >= 500 || /InProgress/.test(name) ? 'unknown' : 'unexpected', error };
}
