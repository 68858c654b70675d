import type { DeletionLimit } from './deployments-source.ts';
import { DAY_MILLIS, type EpochMillis } from './expiry.ts';

/** Number of Deployments deleted within a period that begins with the first deletion. */
interface DeletionCount {
  /** When the period began, in epoch milliseconds. */
  readonly startedAt: EpochMillis;
  readonly deleted: number;
}

/**
 * Counts of the Deployments that changes to a followed table have deleted. These counts decide whether the table is
 * allowed to delete more Deployments.
 */
export interface Deletions {
  readonly hour: DeletionCount;
  readonly day: DeletionCount;
  /** Number of Deployments in the followed table when the day began, plus those registered since. */
  readonly present: number;
  /**
   * When the limit stopped a deletion, in epoch milliseconds. From then on, the service applies no deletions until a
   * person confirms them.
   */
  readonly stoppedAt: EpochMillis | undefined;
}

/** One hour, in milliseconds. */
const HOUR = 60 * 60 * 1000;

/**
 * Number of deletions that the daily share always allows, unless they are more than half of the table's rows. So few
 * deletions do not suggest that the table was lost.
 */
const FEW = 3;

/**
 * Starts a new hour or day if the previous one has ended. `present` is undefined for a new day, because the caller must
 * count the Deployments.
 */
export function currentDeletions(
  stored: Deletions | undefined,
  now: EpochMillis,
): Omit<Deletions, 'present'> & { readonly present: number | undefined } {
  const none: DeletionCount = { startedAt: now, deleted: 0 };
  // A time in the future is treated as the current time, so that a wrong clock never allows more deletions.
  const isOver = (count: DeletionCount, length: number) => now - count.startedAt >= length;
  const isNewDay = !stored || isOver(stored.day, DAY_MILLIS);
  return {
    hour: !stored || isOver(stored.hour, HOUR) ? none : stored.hour,
    day: isNewDay ? none : stored.day,
    present: isNewDay ? undefined : stored.present,
    stoppedAt: stored?.stoppedAt,
  };
}

/** Returns the counts after one more deletion. */
export function withOneMore(deletions: Deletions): Deletions {
  const { hour, day } = deletions;
  return {
    ...deletions,
    hour: { ...hour, deleted: hour.deleted + 1 },
    day: { ...day, deleted: day.deleted + 1 },
  };
}

/** Reports whether the hourly limit allows one more deletion. */
export function isWithinRate({ hour }: Pick<Deletions, 'hour'>, { perHour = 20 }: DeletionLimit): boolean {
  return hour.deleted < perHour;
}

/**
 * Reports whether the daily share allows one more deletion. In a small table, up to three Deployments a day can be
 * deleted, but at most half of them. In a table with fewer than four Deployments, one can be deleted.
 */
export function isWithinShare(
  { day, present }: Pick<Deletions, 'day' | 'present'>,
  { share = 0.25 }: DeletionLimit,
): boolean {
  if (share === 1) return true;
  const few = Math.max(1, Math.min(FEW, Math.floor(present / 2)));
  return day.deleted < Math.max(few, Math.floor(share * present));
}
