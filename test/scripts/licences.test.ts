import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { faultsOf, folderOf, isAllowed, SHIPPED, USED } from '../../scripts/licensed.ts';

const folder = mkdtempSync(join(tmpdir(), 'licences-'));
afterAll(() => rmSync(folder, { recursive: true }));

describe('a licence', () => {
  it.each([
    ['MIT', true],
    ['(MIT OR GPL-3.0-or-later)', true],
    ['(MIT AND Zlib)', true],
    ['MIT AND GPL-3.0-only', false],
    ['GPL-3.0-only', false],
    ['MPL-2.0', false],
    ['SEE LICENSE IN LICENSE', false],
    ['(MIT OR (GPL-3.0-only AND MIT))', false],
    ['', false],
    [undefined, false],
  ])('%s may be shipped: %s', (expression, expected) => {
    expect(isAllowed(expression, SHIPPED)).toBe(expected);
  });

  it('may be used, where its package is a tool, under MPL too', () => {
    expect([isAllowed('MPL-2.0', USED), isAllowed('AGPL-3.0-only', USED)]).toEqual([true, false]);
  });
});

describe('the licences of a lockfile', () => {
  const packages = {
    '': { license: 'MIT' },
    'node_modules/a': { version: '1.0.0', license: 'MPL-2.0', dev: true },
    'node_modules/b': { version: '2.0.0', license: 'MPL-2.0' },
    'node_modules/c/node_modules/@d/e': { version: '3.0.0', dev: true },
  };

  it('are judged by what is done with the package', () => {
    expect(faultsOf(packages, new Set())).toEqual([
      'node_modules/b 2.0.0 is shipped, and its licence is MPL-2.0.',
      'node_modules/c/node_modules/@d/e 3.0.0 is used, and its licence is not named.',
    ]);
    expect(faultsOf(packages, new Set(['node_modules/a', 'node_modules/f']))).toEqual([
      'node_modules/f is in a bundle and not in the lockfile.',
      'node_modules/a 1.0.0 is shipped, and its licence is MPL-2.0.',
      'node_modules/b 2.0.0 is shipped, and its licence is MPL-2.0.',
      'node_modules/c/node_modules/@d/e 3.0.0 is used, and its licence is not named.',
    ]);
  });

  it.each([
    ['node_modules/c/node_modules/@d/e/dist/index.js', 'node_modules/c/node_modules/@d/e'],
    ['../x/node_modules/a/index.js', 'node_modules/a'],
    ['functions/purge.ts', undefined],
  ])('%s lies in the package %s', (path, expected) => {
    expect(folderOf(path)).toBe(expected);
  });
});

it('all licences are allowed, and those of what is bundled are written down', () => {
  const file = join(folder, 'notices');
  const said = execFileSync(process.execPath, ['scripts/licences.ts', '--notices', file], {
    encoding: 'utf8',
  });
  expect(said).toMatch(/^\d{3,} packages, \d{2,} of them in what we ship: all licences allowed\.\n$/);
  const notices = readFileSync(file, 'utf8');
  for (const name of ['aws4', 'preact', '@middy/core', 'ulid', 'zod']) {
    expect(notices).toMatch(new RegExp(`^${name} \\d[\\d.]+, (MIT|MIT-0|Apache-2\\.0)\\n=`, 'm'));
  }
  expect(notices).toContain('Permission is hereby granted');
});
