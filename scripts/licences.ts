import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { type BuildOptions, buildSync } from 'esbuild';
import { bundling, functionNames } from '../infra/bundle.ts';
import { faultsOf, folderOf, type LockedPackage } from './licensed.ts';

const HELP = `Checks the licences of all packages, as package-lock.json names them. Part of npm run check.

  npm run licences
  npm run licences -- --notices <file>    also writes the licences of what is in our bundles to a file

scripts/licensed.ts lists what is allowed, for what we ship and for what we use.`;

const root = fileURLToPath(new URL('..', import.meta.url));

/** The folders of the packages whose code is in a bundle of a function or in the console. */
function bundledFolders(): Set<string> {
  const page: BuildOptions = {
    entryPoints: [join(root, 'functions/console/main.tsx')],
    outdir: '.build',
    bundle: true,
    jsx: 'automatic',
    jsxImportSource: 'preact',
    format: 'esm',
  };
  const inputs = [bundling(functionNames()), page].flatMap((options) => {
    const { metafile } = buildSync({ ...options, absWorkingDir: root, write: false, metafile: true });
    return Object.keys(metafile?.inputs ?? {});
  });
  return new Set(inputs.flatMap((path) => folderOf(path) ?? []));
}

/** The text of a package's licence, where it comes with one. */
function licenceText(folder: string): string {
  const file = readdirSync(join(root, folder)).find((name) => /^(licen[cs]e|copying)/i.test(name));
  if (!file) return 'The package comes without the text of its licence.';
  return readFileSync(join(root, folder, file), 'utf8').trim();
}

function run(): void {
  const { values } = parseArgs({
    options: { notices: { type: 'string' }, help: { type: 'boolean', short: 'h', default: false } },
  });
  if (values.help) {
    console.log(HELP);
    return;
  }
  const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8'));
  const packages: Record<string, LockedPackage> = lock.packages;
  const bundled = bundledFolders();
  const faults = faultsOf(packages, bundled);
  if (faults.length > 0) throw new Error(faults.join('\n'));
  console.log(
    `${Object.keys(packages).length - 1} packages, ${bundled.size} of them in what we ship: all licences allowed.`,
  );
  if (values.notices === undefined) return;
  const notices = [...bundled].sort().map((folder) => {
    const title = `${folder.replace(/.*node_modules\//, '')} ${packages[folder]?.version}, ${packages[folder]?.license}`;
    return `${title}\n${'='.repeat(title.length)}\n\n${licenceText(folder)}\n`;
  });
  writeFileSync(values.notices, notices.join('\n\n'));
}

try {
  run();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
