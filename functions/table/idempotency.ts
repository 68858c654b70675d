import type { IdempotencyRecord } from '../domain/records.ts';
import { type Refusals, readItem, type Table, type Write } from './client.ts';
import { fromIdempotencyRecord, idempotencyKey, parse, toIdempotencyRecord } from './schema.ts';

/** What a retry finds of the call that it repeats. Strongly consistent; also one that has expired. */
export async function readIdempotencyRecord(
  table: Table,
  { deploymentId, generation, hash }: Pick<IdempotencyRecord, 'deploymentId' | 'generation' | 'hash'>,
): Promise<Pick<IdempotencyRecord, 'bodyHash' | 'answer' | 'expiresAt'> | undefined> {
  const item = await readItem(table, idempotencyKey(deploymentId, generation, hash));
  return parse(table, item, fromIdempotencyRecord);
}

/**
 * The write that goes, last, into the transaction of what it records: none without a record. Its condition fails
 * where a call with the same key came first.
 * @param now epoch milliseconds
 */
export function recordWrites(
  { tableName: TableName }: Table,
  record: IdempotencyRecord | undefined,
  now: number,
): Write[] {
  if (!record) return [];
  const isNew = 'attribute_not_exists(pk)';
  const isForgotten = 'expiresAt <= :now';
  return [
    {
      Put: {
        TableName,
        Item: toIdempotencyRecord(record),
        ConditionExpression: `${isNew} OR ${isForgotten}`,
        ExpressionAttributeValues: { ':now': Math.floor(now / 1000) },
      },
    },
  ];
}

/** Did a call with the same key come first? That goes before every other refusal: its retry is to be answered. */
export function isRepeated(refused: Refusals, record: IdempotencyRecord | undefined): boolean {
  return record !== undefined && refused.at(-1)?.failed === true;
}
