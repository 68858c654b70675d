import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { errorsText } from '../../.ci/errors-text.ts';
import { ERROR_CODES } from '../../functions/domain/error-codes.ts';

const page = readFileSync(new URL('../../docs/errors.md', import.meta.url), 'utf8');

it('docs/errors.md matches the list of codes (`npm run generate` updates it)', () => {
  expect(page).toBe(errorsText());
});

it('docs/errors.md has one section for each code, in alphabetical order, with its meaning, its causes and what to do', () => {
  const sections = page.split(/^## /m).slice(1);
  expect(sections.map((section) => section.split('\n')[0])).toStrictEqual(Object.keys(ERROR_CODES).sort());
  for (const section of sections) {
    expect(section).toMatch(
      /^\w+\n\n\w.+\.\n\n\*\*Why it happens:\*\* \w.+\.\n\n\*\*What to do:\*\* \w.+\.\n/,
    );
  }
});

it('docs/errors.md describes every code in full sentences', () => {
  for (const [code, help] of Object.entries(ERROR_CODES)) {
    for (const text of Object.values(help)) expect(text, code).toMatch(/^[A-Z].*\.$/);
  }
});
