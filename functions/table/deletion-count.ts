import { newUlid } from '../domain/credentials.ts';
import type { Deletions } from '../domain/deletion-limit.ts';
import type { EpochMillis } from '../domain/expiry.ts';
import { registrationsPage } from './registrations.ts';
import { deleteItem, putItem, readItem, type Table, type Write } from './retried-calls.ts';
import { deletionsKey, fromDeletions, parse, toDeletions } from './schema.ts';

/**
 * The counts of deletions as they were read, with the revision that the item must still have when new counts are
 * written.
 */
export type StoredDeletions = Deletions & { readonly revision: string };

const PAGE = 1000;

/**
 * Reads the deletions of a followed table. The read is strongly consistent.
 * @returns undefined if changes to the table have deleted nothing since a person last confirmed deletions
 */
export async function readDeletions(table: Table): Promise<StoredDeletions | 'malformed' | undefined> {
  const item = await readItem(table, deletionsKey());
  return item && (parse(table, item, fromDeletions) ?? 'malformed');
}

/**
 * Returns the write that stores the deletions. The write's condition fails if the deletions were changed since they
 * were read.
 * @param now epoch milliseconds
 */
export function deletionsWrite(
  next: Deletions,
  read: StoredDeletions | undefined,
  now: EpochMillis,
): Required<Pick<Write, 'Put'>> {
  const Item = toDeletions({ ...next, revision: newUlid(now) });
  if (!read) return { Put: { Item, ConditionExpression: 'attribute_not_exists(pk)' } };
  const ExpressionAttributeValues = { ':revision': read.revision };
  return { Put: { Item, ConditionExpression: 'revision = :revision', ExpressionAttributeValues } };
}

/** Stores the deletions. @returns false if the deletions were changed since they were read */
export function storeDeletions(table: Table, { Put }: ReturnType<typeof deletionsWrite>): Promise<boolean> {
  return putItem(table, Put);
}

/**
 * Resets the count of deletions, even if it is malformed, so that the count starts at zero and deletions are no longer
 * stopped.
 */
export async function resetDeletions(table: Table): Promise<void> {
  await deleteItem(table, { Key: deletionsKey() });
}

/** Counts the Deployments that the service knows from the followed table. The read is strongly consistent. */
export async function countPresent(table: Table): Promise<number> {
  let count = 0;
  let after: Record<string, unknown> | undefined;
  do {
    const { registrations, next } = await registrationsPage(table, { after, limit: PAGE });
    count += registrations.filter(({ isPresent }) => isPresent).length;
    after = next;
  } while (after);
  return count;
}
