/**
 * Prepares what `npm pack` needs: compiled constructs for `import` and `require`, bundled functions and the CLI in
 * dist/, and a package.json without the optional dependencies, which only developers of this project need. `--restore`
 * restores package.json.
 */
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, globSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { buildSync } from 'esbuild';
import { bundleFunctions } from '../infra/bundle.ts';
import { bundlesDirectory } from '../infra/bundles.ts';
import { COMMAND_LINE } from './cli-bundle.ts';
import { COMMONJS } from './commonjs.ts';

const inProject = (path: string) => fileURLToPath(new URL(`../${path}`, import.meta.url));
const manifest = inProject('package.json');
const kept = inProject('.build/package.json');

function build(): void {
  rmSync(inProject('dist'), { recursive: true, force: true });
  execFileSync(
    process.execPath,
    [inProject('node_modules/typescript/bin/tsc'), '-p', 'tsconfig.build.json'],
    {
      cwd: inProject('.'),
      stdio: 'inherit',
    },
  );
  buildCommonJs();
  buildSync(COMMAND_LINE);
  bundleFunctions();
  // Copy the bundles to the folder in which the compiled constructs look for them.
  cpSync(bundlesDirectory, inProject('dist/.build/functions'), { recursive: true });
}

/** Builds dist/commonjs. Its declarations are those of the ES modules; its package.json says that they describe CommonJS. */
function buildCommonJs(): void {
  const declarations = globSync('**/*.d.ts', { cwd: inProject('dist') });
  for (const path of declarations) cpSync(inProject(`dist/${path}`), inProject(`dist/commonjs/${path}`));
  buildSync(COMMONJS);
  writeFileSync(inProject('dist/commonjs/package.json'), '{ "type": "commonjs" }\n');
}

function writeManifest(text: string): void {
  writeFileSync(`${manifest}.draft`, text);
  renameSync(`${manifest}.draft`, manifest);
}

if (process.argv.includes('--restore')) {
  if (existsSync(kept)) {
    writeManifest(readFileSync(kept, 'utf8'));
    rmSync(kept);
  }
} else {
  build();
  const text = readFileSync(manifest, 'utf8');
  const { optionalDependencies, devDependencies, ...rest } = JSON.parse(text);
  writeFileSync(kept, text);
  writeManifest(`${JSON.stringify(rest, null, 2)}\n`);
}
