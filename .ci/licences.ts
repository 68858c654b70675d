import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { type BuildOptions, buildSync } from 'esbuild';
import { bundling, functionNames } from '../infra/bundle.ts';
import { ACTION } from '../integrations/github-action/build.ts';
import { COMMAND_LINE } from './cli-bundle.ts';
import { COMMONJS } from './commonjs.ts';
import { faultsOf, foldersOf, type LockedPackage, noticesOf } from './licensed.ts';

const HELP = `Checks the licences of all packages, as package-lock.json names them. Part of npm run check.

  node .ci/licences.ts
  node .ci/licences.ts --notices <file>    also writes the licences of what is in our bundles to a file

.ci/licensed.ts lists what is allowed, for what we ship and for what we use.`;

const root = fileURLToPath(new URL('..', import.meta.url));

/**
 * Returns the folders of the packages whose code is in a function's bundle, in the console, in the GitHub Action, in
 * the CLI or in the package's files for `require`.
 */
function bundledFolders(): Set<string> {
  const page: BuildOptions = {
    entryPoints: [join(root, 'functions/console/main.tsx')],
    outdir: '.build',
    bundle: true,
    jsx: 'automatic',
    jsxImportSource: 'preact',
    format: 'esm',
  };
  const inputs = [bundling(functionNames()), page, ACTION, COMMAND_LINE, COMMONJS].flatMap((options) => {
    const { metafile } = buildSync({ ...options, absWorkingDir: root, write: false, metafile: true });
    return Object.keys(metafile?.inputs ?? {});
  });
  return foldersOf(inputs);
}

/** Returns the packages in a folder's lockfile, by their folders. */
const lockedPackages = (folder: string): Record<string, LockedPackage> =>
  JSON.parse(readFileSync(join(root, folder, 'package-lock.json'), 'utf8')).packages;

/** Returns the packages of a folder whose packages we never ship. */
const toolsOf = (folder: string): Record<string, LockedPackage> =>
  Object.fromEntries(
    Object.entries(lockedPackages(folder)).map(([name, one]) => [name, { ...one, dev: true }]),
  );

function run(): void {
  const { values } = parseArgs({
    options: { notices: { type: 'string' }, help: { type: 'boolean', short: 'h', default: false } },
  });
  if (values.help) {
    console.log(HELP);
    return;
  }
  const packages = lockedPackages('.');
  const bundled = bundledFolders();
  const faults = [...faultsOf(packages, bundled), ...faultsOf(toolsOf('.ci/api-types'), new Set())];
  if (faults.length > 0) throw new Error(faults.join('\n'));
  console.log(
    `${Object.keys(packages).length - 1} packages, ${bundled.size} of them in what we ship: all licences allowed.`,
  );
  if (values.notices === undefined) return;
  writeFileSync(values.notices, noticesOf(root, bundled));
}

try {
  run();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
