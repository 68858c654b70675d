import { type EpochMillis, toSeconds } from '../domain/expiry.ts';
import type { IdempotencyRecord } from '../domain/records.ts';
import { type Part, readItem, type Table, type Write } from './retried-calls.ts';
import { fromIdempotencyRecord, idempotencyKey, parse, toIdempotencyRecord } from './schema.ts';

/**
 * Reads the record of an earlier call with the same Idempotency-Key, even if the record has expired. The read is
 * strongly consistent.
 */
export async function readIdempotencyRecord(
  table: Table,
  { deploymentId, generation, hash }: Pick<IdempotencyRecord, 'deploymentId' | 'generation' | 'hash'>,
): Promise<Pick<IdempotencyRecord, 'bodyHash' | 'answer' | 'expiresAt'> | undefined> {
  const item = await readItem(table, idempotencyKey(deploymentId, generation, hash));
  return parse(table, item, fromIdempotencyRecord);
}

/**
 * Returns the write that stores the record of a call. This write must be the last one in the transaction that it
 * records. Its condition fails if an earlier call used the same Idempotency-Key.
 * @param record undefined if the call has no Idempotency-Key; there is then nothing to write
 * @param now epoch milliseconds
 */
export function recordWrites(record: IdempotencyRecord | undefined, now: EpochMillis): Write[] {
  if (!record) return [];
  const isNew = 'attribute_not_exists(pk)';
  const hasExpired = 'expiresAt <= :now';
  return [
    {
      Put: {
        Item: toIdempotencyRecord(record),
        ConditionExpression: `${isNew} OR ${hasExpired}`,
        ExpressionAttributeValues: { ':now': toSeconds(now) },
      },
    },
  ];
}

/**
 * Reports whether an earlier call used the same Idempotency-Key. Check this before checking other conditions, because a
 * retry gets the earlier response.
 */
export function isRepeated(rejected: Part[], record: IdempotencyRecord | undefined): boolean {
  return record !== undefined && rejected.at(-1)?.failed === true;
}
