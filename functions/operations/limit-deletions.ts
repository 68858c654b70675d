import {
  currentDeletions,
  type Deletions,
  isWithinRate,
  isWithinShare,
  withOneMore,
} from '../domain/deletion-limit.ts';
import type { DeletionLimit } from '../domain/deployments-source.ts';
import { unavailable } from '../domain/errors.ts';
import type { Clock } from '../domain/expiry.ts';
import { countPresent, deletionsWrite, readDeletions, storeDeletions } from '../table/deletion-count.ts';
import { type Table, untilUnchanged, type Write } from '../table/retried-calls.ts';

interface Dependencies {
  table: Table;
  limit: DeletionLimit | undefined;
  clock: Clock;
}

/** Maximum number of times that the count is read if concurrent deletions keep changing it. */
const ATTEMPTS = 5;

/**
 * Limits the number of Deployments that changes to a followed table can delete. A table that loses its rows would
 * otherwise delete every Deployment, with its keys, within seconds. Once the limit has stopped a deletion, it stops all
 * deletions until a person has compared both tables. A malformed count also stops all deletions.
 *
 * @returns a function that returns the writes that count one more deletion, or undefined if deletions are stopped. Add
 * these writes to the transaction that deletes the Deployment. A repeated change is then counted only once, and
 * concurrent deletions together cannot exceed the limit
 */
export function deletionLimit({ table, limit = {}, clock }: Dependencies) {
  return async (): Promise<Write[] | undefined> => {
    const writes = await untilUnchanged(ATTEMPTS, countOnce);
    if (!writes) throw unavailable(new Error('other deletions were counted first'));
    return writes === 'stopped' ? undefined : writes;
  };

  /** Reads the count, and stops deletions at the limit. @returns undefined if another deletion was counted first */
  async function countOnce(): Promise<Write[] | 'stopped' | undefined> {
    const read = await readDeletions(table);
    if (read === 'malformed' || read?.stoppedAt !== undefined) return 'stopped';
    const now = clock();
    const deletions = await withPresent(table, currentDeletions(read, now), limit);
    const isAllowed = isWithinRate(deletions, limit) && isWithinShare(deletions, limit);
    if (isAllowed) return [deletionsWrite(withOneMore(deletions), read, now)];
    const stop = deletionsWrite({ ...deletions, stoppedAt: now }, read, now);
    return (await storeDeletions(table, stop)) ? 'stopped' : undefined;
  }
}

/** Adds the number of Deployments to the counts. Counts the Deployments only on a new day or if the number matters. */
async function withPresent(
  table: Table,
  current: ReturnType<typeof currentDeletions>,
  limit: DeletionLimit,
): Promise<Deletions> {
  const deletions = { ...current, present: current.present ?? (await countPresent(table)) };
  if (isWithinShare(deletions, limit)) return deletions;
  // Also count the Deployments that were registered since the day began.
  const known = (await countPresent(table)) + deletions.day.deleted;
  return { ...deletions, present: Math.max(deletions.present, known) };
}
