import { expect, it } from 'vitest';
import {
  currentDeletions,
  type Deletions,
  isWithinRate,
  isWithinShare,
  withOneMore,
} from '../../functions/domain/deletion-limit.ts';
import type { DeletionLimit } from '../../functions/domain/deployments-source.ts';

const HOUR = 60 * 60_000;
const none = { startedAt: 1000, deleted: 0 };

/** Returns how many Deployments can be deleted at once under the limit. */
function allowed(present: number, limit: DeletionLimit): number {
  let deletions: Deletions = { hour: none, day: none, present, stoppedAt: undefined };
  while (
    deletions.day.deleted < present &&
    isWithinRate(deletions, limit) &&
    isWithinShare(deletions, limit)
  ) {
    deletions = withOneMore(deletions);
  }
  return deletions.day.deleted;
}

it.each([
  [1, {}, 1],
  [2, {}, 1],
  [3, {}, 1],
  [4, {}, 2],
  [6, {}, 3],
  [15, {}, 3],
  [16, {}, 4],
  [80, {}, 20],
  [3000, {}, 20],
  [3000, { perHour: 1000 }, 750],
  [100, { share: 0.5 }, 20],
  [10, { share: 0 }, 3],
  [30, { share: 1 }, 20],
  [30, { share: 1, perHour: 1000 }, 30],
  [30, { perHour: 0 }, 0],
])(
  'with %i Deployments and the setting %j, at most %i Deployments can be deleted at once',
  (present, limit, most) => {
    expect(allowed(present, limit)).toBe(most);
  },
);

it('the default limit never allows more than half of several Deployments to be deleted at once', () => {
  for (let present = 2; present < 200; present++) {
    expect(allowed(present, {}), String(present)).toBeLessThanOrEqual(present / 2);
  }
});

it('the deletion counts restart each hour and day, but stopped deletions stay stopped', () => {
  const stored = {
    hour: { startedAt: 1000, deleted: 2 },
    day: { startedAt: 1000, deleted: 5 },
    present: 9,
    stoppedAt: 7,
  };
  expect(currentDeletions(stored, 1000 + HOUR - 1)).toEqual(stored);
  const hour = { startedAt: 1000 + HOUR, deleted: 0 };
  expect(currentDeletions(stored, 1000 + HOUR)).toEqual({ ...stored, hour });
  expect(currentDeletions(stored, 1000 + 24 * HOUR - 1)).toMatchObject({ day: stored.day, present: 9 });
  const now = { startedAt: 1000 + 24 * HOUR, deleted: 0 };
  expect(currentDeletions(stored, now.startedAt)).toEqual({
    hour: now,
    day: now,
    present: undefined,
    stoppedAt: 7,
  });
});

it('the first deletion starts the counts of the hour and the day', () => {
  const now = { startedAt: 1000, deleted: 0 };
  const first = { hour: now, day: now, present: undefined, stoppedAt: undefined };
  expect(currentDeletions(undefined, 1000)).toEqual(first);
});

it('a share of 1 allows all Deployments to be deleted, even those that were registered during the day', () => {
  expect(isWithinShare({ day: { startedAt: 1000, deleted: 30 }, present: 30 }, { share: 1 })).toBe(true);
});

it('keeps the deletion count when its start is in the future, so that a wrong clock allows no extra deletions', () => {
  const late = { startedAt: 9e12, deleted: 2 };
  const stored = { hour: late, day: late, present: 9, stoppedAt: undefined };
  expect(currentDeletions(stored, 1000)).toEqual(stored);
});
