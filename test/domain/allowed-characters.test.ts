import { expect, it } from 'vitest';
import {
  DESCRIPTION,
  GROUP,
  isPlainText,
  MAX_GROUPS,
  NAME,
} from '../../functions/domain/allowed-characters.ts';

it('a name has 1 to 100 characters, a description 0 to 500, and each of at most 20 groups 1 to 128', () => {
  expect({ NAME, DESCRIPTION, GROUP, MAX_GROUPS }).toEqual({
    NAME: [1, 100],
    DESCRIPTION: [0, 500],
    GROUP: [1, 128],
    MAX_GROUPS: 20,
  });
});

it('isPlainText counts characters, not UTF-16 units', () => {
  expect(isPlainText('a'.repeat(100), 1, 100)).toBe(true);
  expect(isPlainText('🔑'.repeat(100), 1, 100)).toBe(true);
  for (const text of ['a'.repeat(101), '🔑'.repeat(101), 'a'.repeat(201), 'a'.repeat(300)]) {
    expect(isPlainText(text, 1, 100)).toBe(false);
  }
  expect([isPlainText('', 0, 100), isPlainText('', 1, 100)]).toEqual([true, false]);
});
