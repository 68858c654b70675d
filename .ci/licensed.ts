import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** SPDX identifiers of licences that ask for no more than to be kept beside the code. */
export const SHIPPED: ReadonlySet<string> = new Set([
  '0BSD',
  'Apache-2.0',
  'BlueOak-1.0.0',
  'BSD-2-Clause',
  'BSD-3-Clause',
  'CC0-1.0',
  'ISC',
  'MIT',
  'MIT-0',
  'Unlicense',
  'Zlib',
]);

/** For tools that stay on the machine of whoever develops: also those that ask for their own changed files. */
export const USED: ReadonlySet<string> = new Set([...SHIPPED, 'CC-BY-4.0', 'MPL-2.0', 'Python-2.0']);

/** What the lockfile says of a package. */
export interface LockedPackage {
  version?: string;
  license?: string;
  dev?: boolean;
  optional?: boolean;
  devOptional?: boolean;
}

/** Where a package lies, of a file in it: `node_modules/a/node_modules/@b/c`. */
export function folderOf(path: string): string | undefined {
  return /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(path)?.[0].replace(/^.*?(?=node_modules\/)/, '');
}

/**
 * Whether a licence is allowed. Of `A OR B` one must be, of `A AND B` both.
 * @param expression SPDX, as package.json has it
 */
export function isAllowed(expression: string | undefined, allowed: ReadonlySet<string>): boolean {
  if (!expression) return false;
  const inner = /^\(([^()]*)\)$/.exec(expression.trim())?.[1] ?? expression.trim();
  if (/[()]/.test(inner)) return false;
  return inner
    .split(' OR ')
    .some((either) => either.split(' AND ').every((each) => allowed.has(each.trim())));
}

/**
 * A sentence for each package whose licence is not allowed for what is done with it.
 * @param packages of the lockfile, by their folders
 * @param bundled folders of the packages whose code is in what we ship
 */
export function faultsOf(
  packages: Readonly<Record<string, LockedPackage>>,
  bundled: ReadonlySet<string>,
): string[] {
  const unknown = [...bundled].filter((folder) => !packages[folder]);
  return [
    ...unknown.map((folder) => `${folder} is in a bundle and not in the lockfile.`),
    ...Object.entries(packages).flatMap(([folder, { license, version, dev, optional, devOptional }]) => {
      if (folder === '') return [];
      const isShipped = bundled.has(folder) || !(dev || optional || devOptional);
      if (isAllowed(license, isShipped ? SHIPPED : USED)) return [];
      return [
        `${folder} ${version} is ${isShipped ? 'shipped' : 'used'}, and its licence is ${license ?? 'not named'}.`,
      ];
    }),
  ];
}

/**
 * The licences of packages, as they must accompany code that contains these packages.
 * @param root the folder that has node_modules
 * @param folders of the packages
 */
export function noticesOf(root: string, folders: ReadonlySet<string>): string {
  const notices = [...folders].sort().map((folder) => {
    const { name, version, license } = JSON.parse(readFileSync(join(root, folder, 'package.json'), 'utf8'));
    const title = `${name} ${version}, ${license}`;
    return `${title}\n${'='.repeat(title.length)}\n\n${licenceText(join(root, folder))}\n`;
  });
  return notices.join('\n\n');
}

/** The text of a package's licence, where it comes with one. */
function licenceText(folder: string): string {
  const file = readdirSync(folder).find((name) => /^(licen[cs]e|copying)/i.test(name));
  if (!file) return 'The package comes without the text of its licence.';
  return readFileSync(join(folder, file), 'utf8').trim();
}
