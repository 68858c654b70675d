import {
  type AttributeValue,
  DescribeTableCommand,
  DynamoDBClient,
  GetItemCommand,
  ScanCommand,
} from '@aws-sdk/client-dynamodb';
import type { DynamoDBRecord } from 'aws-lambda';
import { attributesOf, type DeploymentsSource, RefusedRow, type Row } from '../domain/deployments-source.ts';
import { ask } from './client.ts';
import type { Patience } from './faults.ts';

/** The key of a row of somebody else's table, in DynamoDB's own form. */
export type RowKey = Record<string, AttributeValue>;
type Image = Record<string, AttributeValue>;

/** A change of one row, as the stream of its table tells it. */
export interface RowChange {
  key: RowKey;
  /** As the stream has it: up to 40 digits. */
  sequenceNumber: string | undefined;
  /** Epoch milliseconds, to the second. */
  at: number;
  before: Row | undefined;
  after: Row | undefined;
}

/**
 * The change that a record tells of.
 * @throws RefusedRow for one without the images that it must have
 */
export function rowChange({ eventName, dynamodb }: DynamoDBRecord, source: DeploymentsSource): RowChange {
  const { Keys, OldImage, NewImage, SequenceNumber, ApproximateCreationDateTime = 0 } = dynamodb ?? {};
  const hasImages = (eventName === 'INSERT' || OldImage) && (eventName === 'REMOVE' || NewImage);
  if (!Keys || !hasImages) throw new RefusedRow('the stream must have keys, new and old images');
  return {
    key: Keys as RowKey,
    sequenceNumber: SequenceNumber,
    at: ApproximateCreationDateTime * 1000,
    before: OldImage && toRow(OldImage as Image, source),
    after: NewImage && toRow(NewImage as Image, source),
  };
}

/** Somebody else's table of Deployments, to read. */
export interface SourceTable {
  client: DynamoDBClient;
  source: DeploymentsSource;
}

export function openSource(source: DeploymentsSource, { attemptTimeout, attempts }: Patience): SourceTable {
  const requestHandler = {
    connectionTimeout: attemptTimeout,
    requestTimeout: attemptTimeout,
    throwOnRequestTimeout: true,
  };
  return { client: new DynamoDBClient({ maxAttempts: attempts, requestHandler }), source };
}

/** The names of the attributes that are the key of its rows. */
export async function readKeyNames({ client, source }: SourceTable): Promise<string[]> {
  const { Table } = await ask(client.send(new DescribeTableCommand({ TableName: nameOf(source) })));
  return (Table?.KeySchema ?? []).map(({ AttributeName }) => AttributeName ?? '');
}

/**
 * The next rows, eventually consistent.
 * @param keyNames the attributes that are the key
 */
export async function scanRows(
  { client, source }: SourceTable,
  keyNames: readonly string[],
  { after, limit }: { after: RowKey | undefined; limit: number },
): Promise<{ rows: { key: RowKey; row: Row }[]; next: RowKey | undefined }> {
  const { Items = [], LastEvaluatedKey } = await ask(
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

/** One row as it is now: a strongly consistent read. */
export async function readRow({ client, source }: SourceTable, key: RowKey): Promise<Row | undefined> {
  const { Item } = await ask(
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

/** The table's name: it is in the same account and Region. */
const nameOf = ({ table }: DeploymentsSource) => table.slice(table.indexOf('/') + 1);

function projection(names: readonly string[]) {
  const all = [...new Set(names)].map((name, n) => [`#${n}`, name] as const);
  return {
    ProjectionExpression: all.map(([placeholder]) => placeholder).join(', '),
    ExpressionAttributeNames: Object.fromEntries(all),
  };
}

/** Only what the source names is read: nothing else in a row can make it one that is refused. */
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
  // A map, binary: there, and nothing that a rule could name.
  return value.NULL ? null : {};
}
