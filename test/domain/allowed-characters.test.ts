import { expect, it } from 'vitest';
import { isPlainText } from '../../functions/domain/allowed-characters.ts';

it('isPlainText counts characters, not UTF-16 units', () => {
  expect(isPlainText('a'.repeat(100), 1, 100)).toBe(true);
  expect(isPlainText('🔑'.repeat(100), 1, 100)).toBe(true);
  for (const text of ['a'.repeat(101), '🔑'.repeat(101), 'a'.repeat(201), 'a'.repeat(300)]) {
    expect(isPlainText(text, 1, 100)).toBe(false);
  }
  expect([isPlainText('', 0, 100), isPlainText('', 1, 100)]).toEqual([true, false]);
});
