import { Writable } from 'node:stream';
import fc from 'fast-check';
import { expect, it, vi } from 'vitest';
import { duration, Progress, printable } from '../../local/terminal.ts';

it('npm start escapes exactly those characters that a terminal interprets or does not show', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      const shown = printable(text);
      expect(shown).not.toMatch(/[\p{C}\p{Zl}\p{Zp}]/u);
      // If the escaped text is parsed as the content of a JSON string, the result is the original text.
      const escaped = JSON.stringify(text).slice(1, -1);
      expect(JSON.parse(`"${printable(escaped)}"`)).toBe(text);
    }),
  );
  expect(printable('Ünïcode ✓ 日本 🚀')).toBe('Ünïcode ✓ 日本 🚀');
});

it.each([
  [0.4, '0 ms'],
  [999.4, '999 ms'],
  [999.6, '1.0 s'],
  [61_234, '61.2 s'],
])('a duration of %d ms is shown as %s', (milliseconds, expected) => {
  expect(duration(milliseconds)).toBe(expected);
});

it('npm start shows a step when the step begins and its result when the step ends', () => {
  vi.stubEnv('FORCE_COLOR', undefined);
  let text = '';
  const stream = new Writable({
    write(chunk, _, done) {
      text += chunk;
      done();
    },
  });
  const progress = new Progress(stream as unknown as NodeJS.WriteStream);
  progress.step('One');
  expect(text).toMatch(/^ {2}One +$/);
  progress.step('Two');
  progress.line('between');
  progress.done();
  progress.done();
  progress.step('Three');
  progress.fail();
  progress.fail();
  const lines = text.replaceAll(/\d+ ms/g, '# ms').split('\n');
  expect(lines.map((line) => line.trim().replaceAll(/ +/g, ' '))).toEqual([
    'One ✓ # ms',
    'Two',
    'between',
    'Two ✓ # ms',
    'Three ✗ # ms',
    '',
  ]);
});
