import { expect, it } from 'vitest';
import { activeDates, dayOf, outdatedDays } from '../../functions/domain/last-use.ts';

const at = (time: string) => Date.parse(time);
const day = (date: string) => dayOf(at(`${date}T12:00:00Z`));
const NOW = at('2030-03-31T00:00:00Z');

it('dayOf starts a new day at midnight UTC', () => {
  expect(dayOf(at('1970-01-01T23:59:59.999Z'))).toBe(0);
  expect(dayOf(at('1970-01-02T00:00:00.000Z'))).toBe(1);
});

it('activeDates lists the days in the last 90 days on which a key was used, oldest first', () => {
  const days = ['2030-03-31', '2029-12-31', '2030-01-01', '2030-04-01', '2030-02-28'].map(day);
  expect(activeDates(new Set(days), NOW)).toEqual(['2030-01-01', '2030-02-28', '2030-03-31']);
  expect(activeDates(undefined, NOW)).toEqual([]);
});

it('outdatedDays lists the days that are too old for activeDates to return', () => {
  const days = new Set(Array.from({ length: 200 }, (_, n) => dayOf(NOW) - 150 + n));
  const shown = activeDates(days, NOW);
  expect(shown).toHaveLength(90);
  expect(outdatedDays(days, NOW)).toEqual([...days].filter((it) => it < day(shown[0] as string)));
  expect(outdatedDays(undefined, NOW)).toEqual([]);
});
