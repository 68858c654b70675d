import {
  type AttributeValue,
  DescribeTableCommand,
  DynamoDBClient,
  GetItemCommand,
  ScanCommand,
} from '@aws-sdk/client-dynamodb';
import type { DynamoDBRecord } from 'aws-lambda';
import { attributesOf, type DeploymentsSource, RejectedRow, type Row } from '../domain/deployments-source.ts';
import { unavailable } from '../domain/errors.ts';
import type { EpochMillis } from '../domain/expiry.ts';
import type { RetryPolicy } from './retried-calls.ts';
import { sdkFailure } from './sdk-transport.ts';

/** The primary key of a row in the followed table, as DynamoDB attribute values. */
export type RowKey = Record<string, AttributeValue>;
type Image = Record<string, AttributeValue>;

/** A change to a single row. */
export interface RowChange {
  key: RowKey;
  /** Sequence number from the stream, with up to 40 digits. */
  sequenceNumber: string | undefined;
  /** Time of the change in epoch milliseconds, with a resolution of one second. */
  at: EpochMillis;
  before: Row | undefined;
  after: Row | undefined;
}

/**
 * Returns the change that a stream record describes.
 * @throws RejectedRow if the record lacks an image that its kind requires
 */
export function rowChange({ eventName, dynamodb }: DynamoDBRecord, source: DeploymentsSource): RowChange {
  const { Keys, OldImage, NewImage, SequenceNumber, ApproximateCreationDateTime = 0 } = dynamodb ?? {};
  const hasImages = (eventName === 'INSERT' || OldImage) && (eventName === 'REMOVE' || NewImage);
  if (!Keys || !hasImages) throw new RejectedRow('the stream must have keys, new and old images');
  return {
    key: Keys as RowKey,
    sequenceNumber: SequenceNumber,
    at: ApproximateCreationDateTime * 1000,
    before: OldImage && toRow(OldImage as Image, source),
    after: NewImage && toRow(NewImage as Image, source),
  };
}

/** The followed Deployments table, which belongs to a different service. */
export interface SourceTable {
  client: DynamoDBClient;
  source: DeploymentsSource;
}

export function openSource(
  source: DeploymentsSource,
  { attemptTimeout, attempts }: RetryPolicy,
): SourceTable {
  const requestHandler = {
    connectionTimeout: attemptTimeout,
    requestTimeout: attemptTimeout,
    throwOnRequestTimeout: true,
  };
  return { client: new DynamoDBClient({ maxAttempts: attempts, requestHandler }), source };
}

/** Returns the response to a call. @throws ServiceError 503 if the table is unavailable */
async function answered<T>(call: Promise<T>): Promise<T> {
  try {
    return await call;
  } catch (error) {
    const { kind } = sdkFailure(error);
    throw kind === 'not applied' || kind === 'unknown' ? unavailable(error) : error;
  }
}

/** Returns the names of the table's key attributes. */
export async function readKeyNames({ client, source }: SourceTable): Promise<string[]> {
  const { Table } = await answered(client.send(new DescribeTableCommand({ TableName: nameOf(source) })));
  return (Table?.KeySchema ?? []).map(({ AttributeName }) => AttributeName ?? '');
}

/**
 * Reads the next page of rows. The read is eventually consistent.
 * @param keyNames the names of the key attributes
 */
export async function scanRows(
  { client, source }: SourceTable,
  keyNames: readonly string[],
  { after, limit }: { after: RowKey | undefined; limit: number },
): Promise<{ rows: { key: RowKey; row: Row }[]; next: RowKey | undefined }> {
  const { Items = [], LastEvaluatedKey } = await answered(
    client.send(
      new ScanCommand({
        TableName: nameOf(source),
        ...projection([...keyNames, ...attributesOf(source)]),
        Limit: limit,
        ExclusiveStartKey: after,
      }),
    ),
  );
  const rows = Items.map((item) => ({
    key: Object.fromEntries(keyNames.map((name) => [name, item[name] as AttributeValue])),
    row: toRow(item, source),
  }));
  return { rows, next: LastEvaluatedKey };
}

/** Reads one row. The read is strongly consistent. */
export async function readRow({ client, source }: SourceTable, key: RowKey): Promise<Row | undefined> {
  const { Item } = await answered(
    client.send(
      new GetItemCommand({
        TableName: nameOf(source),
        Key: key,
        ConsistentRead: true,
        ...projection(attributesOf(source)),
      }),
    ),
  );
  return Item && toRow(Item, source);
}

/** The table's name, taken from its ARN. The table is in the same account and Region. */
const nameOf = ({ table }: DeploymentsSource) => table.slice(table.indexOf('/') + 1);

function projection(names: readonly string[]) {
  const all = [...new Set(names)].map((name, n) => [`#${n}`, name] as const);
  return {
    ProjectionExpression: all.map(([placeholder]) => placeholder).join(', '),
    ExpressionAttributeNames: Object.fromEntries(all),
  };
}

/**
 * Returns the attributes that the setting names. Ignores all other attributes, so that they cannot make a row invalid.
 */
function toRow(image: Image, source: DeploymentsSource): Row {
  const named = attributesOf(source).flatMap((name) => {
    const value = image[name];
    return value === undefined ? [] : [[name, plain(value)] as const];
  });
  return Object.fromEntries(named);
}

function plain(value: AttributeValue): unknown {
  if (value.S !== undefined) return value.S;
  if (value.N !== undefined) return Number(value.N);
  if (value.BOOL !== undefined) return value.BOOL;
  if (value.SS !== undefined) return value.SS;
  if (value.L !== undefined) return value.L.map(plain);
  // A map or a binary value counts as present, but no rule can match its value.
  return value.NULL ? null : {};
}
