import { expect, it } from 'vitest';
import { erasedIn, erasureData } from '../../functions/domain/erasure.ts';
import { event } from '../support/records.ts';

it('the event about an erasure contains the SHA-256 hash of the sub, and not the sub', () => {
  expect(erasureData('ada')).toStrictEqual({ subHash: '_e5DDUC9V97qwYbNl5ADPQ8G-QmogG585ucXq3x9UCk' });
});

it('erasedIn recognizes the sub of each person whom an event reports as erased', () => {
  const isErased = erasedIn([
    event({ type: 'person.erased', data: erasureData('ada') }),
    event({ type: 'person.erased', data: erasureData('bob') }),
    event({ type: 'api_key.created', data: erasureData('eve') }),
  ]);
  const values = ['ada', 'bob', 'eve', 'Ada', '', 7, ['ada'], undefined];
  expect(values.map((value) => isErased?.(value))).toStrictEqual([true, true, ...Array(6).fill(false)]);
});

it('erasedIn returns undefined if no event reports an erasure', () => {
  const ended = event({ type: 'person.access_ended', data: { sub: 'ada' } });
  for (const events of [[], [ended]]) expect(erasedIn(events)).toBeUndefined();
});
