import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** SPDX identifiers of licences that only require us to ship the licence with the code. */
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

/**
 * Licences for tools that stay on a developer's machine. These may also require us to publish our changes to their
 * files.
 */
export const USED: ReadonlySet<string> = new Set([...SHIPPED, 'CC-BY-4.0', 'MPL-2.0', 'Python-2.0']);

/** A package in the lockfile. */
export interface LockedPackage {
  version?: string;
  license?: string;
  dev?: boolean;
  optional?: boolean;
  devOptional?: boolean;
}

/** Returns the folder of the package that contains a file, such as `node_modules/a/node_modules/@b/c`. */
export function folderOf(path: string): string | undefined {
  return /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(path)?.[0].replace(/^.*?(?=node_modules\/)/, '');
}

/** Returns the folders of the packages that contain these files. */
export function foldersOf(paths: readonly string[]): Set<string> {
  return new Set(paths.flatMap((path) => folderOf(path) ?? []));
}

/**
 * Returns whether a licence is allowed. `A OR B` needs one allowed licence, `A AND B` needs both.
 *
 * @param expression SPDX expression, as in package.json
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
 * Returns a sentence for each package whose licence does not allow its use.
 *
 * @param packages packages of the lockfile, by folder
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
 * Returns the licence texts that must accompany code that contains these packages.
 *
 * @param root folder that contains node_modules
 * @param folders folders of the packages
 */
export function noticesOf(root: string, folders: ReadonlySet<string>): string {
  const notices = [...folders].sort().map((folder) => {
    const { name, version, license } = JSON.parse(readFileSync(join(root, folder, 'package.json'), 'utf8'));
    const title = `${name} ${version}, ${license}`;
    return `${title}\n${'='.repeat(title.length)}\n\n${licenceText(join(root, folder))}\n`;
  });
  return notices.join('\n\n');
}

/** Returns the text of a package's licence, if the package contains one. */
function licenceText(folder: string): string {
  const file = readdirSync(folder).find((name) => /^(licen[cs]e|copying)/i.test(name));
  if (!file) return 'The package comes without the text of its licence.';
  return readFileSync(join(folder, file), 'utf8').trim();
}
