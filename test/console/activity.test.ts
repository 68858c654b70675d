import { expect, it } from 'vitest';
import { activityWords, STRIP_DAYS, stripDates } from '../../functions/console/activity.ts';
import { activeDates, dayOf, SHOWN_DAYS } from '../../functions/domain/last-use.ts';

const NOW = Date.parse('2030-03-31T23:59:59.999Z');

it('the activity strip shows exactly the days that the API can list', () => {
  expect(STRIP_DAYS).toBe(SHOWN_DAYS);
  const days = Array.from({ length: 120 }, (_, n) => dayOf(NOW) - 110 + n);
  expect(stripDates(NOW)).toEqual(activeDates(new Set(days), NOW));
});

it('the activity strip says on how many days a key was used, and when it was last used', () => {
  expect(activityWords([])).toBe('Not used in the last 90 days');
  expect(activityWords(['2030-03-02'])).toBe('Used on 1 of the last 90 days, most recently on 2 Mar 2030');
  expect(activityWords(['2030-01-31', '2030-03-02'])).toBe(
    'Used on 2 of the last 90 days, most recently on 2 Mar 2030',
  );
});
