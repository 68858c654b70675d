import { describe, expect, it } from 'vitest';
import { faultsOf, folderOf, isAllowed, SHIPPED, USED } from '../../.ci/licensed.ts';

describe('isAllowed', () => {
  it.each([
    ['MIT', true],
    ['Apache-2.0', true],
    ['(MIT OR GPL-3.0-or-later)', true],
    ['(MIT AND Zlib)', true],
    ['MIT AND GPL-3.0-only', false],
    ['GPL-3.0-only', false],
    ['MPL-2.0', false],
    ['SEE LICENSE IN LICENSE', false],
    ['(MIT OR (GPL-3.0-only AND MIT))', false],
    ['', false],
    [undefined, false],
  ])('isAllowed decides whether a package licensed under %s may be shipped: %s', (expression, expected) => {
    expect(isAllowed(expression, SHIPPED)).toBe(expected);
  });

  it('isAllowed accepts MPL-2.0 only for packages that are used but not shipped', () => {
    expect([isAllowed('MPL-2.0', USED), isAllowed('AGPL-3.0-only', USED)]).toEqual([true, false]);
  });
});

describe('The licence check reads the lockfile', () => {
  const packages = {
    '': { license: 'MIT' },
    'node_modules/a': { version: '1.0.0', license: 'MPL-2.0', dev: true },
    'node_modules/b': { version: '2.0.0', license: 'MPL-2.0' },
    'node_modules/c/node_modules/@d/e': { version: '3.0.0', dev: true },
  };

  it('faultsOf reports a missing licence, and a licence that is not allowed in a shipped package', () => {
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
  ])('folderOf finds the package that contains a file: %s is in %s', (path, expected) => {
    expect(folderOf(path)).toBe(expected);
  });
});
