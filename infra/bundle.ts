import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildSync } from 'esbuild';

const functionsDirectory = fileURLToPath(new URL('../functions', import.meta.url));

/** Where the bundles lie: one folder for each function, holding `index.js` with the export `handler`. */
export const bundlesDirectory = fileURLToPath(new URL('../.build/functions', import.meta.url));

/** The deployed functions: the names, without `.ts`, of the files directly in `functions/`, sorted. */
export function functionNames(): string[] {
  return readdirSync(functionsDirectory, { withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => entry.name.slice(0, -'.ts'.length))
    .sort();
}

/**
 * Bundles every function for Node 24 and removes bundles of functions that are gone. A bundle that would not
 * change is left alone, so that processes that synthesise side by side never read half a file.
 *
 * @throws esbuild's BuildFailure when a function does not compile.
 */
export function bundleFunctions(): void {
  const names = functionNames();
  const built = buildSync({
    entryPoints: Object.fromEntries(
      names.map((name) => [`${name}/index`, join(functionsDirectory, `${name}.ts`)]),
    ),
    outdir: bundlesDirectory,
    write: false,
    bundle: true,
    minify: true,
    platform: 'node',
    target: 'node24',
    // CommonJS starts quicker than ESM on Lambda: an ESM import of node:http pulls in undici.
    format: 'cjs',
    // The ESM builds of packages can be tree-shaken; with esbuild's defaults for Node the SDK weighs more.
    mainFields: ['module', 'main'],
    legalComments: 'none',
    logLevel: 'silent',
  });
  for (const file of built.outputFiles) {
    if (existsSync(file.path) && readFileSync(file.path).equals(file.contents)) continue;
    mkdirSync(dirname(file.path), { recursive: true });
    writeFileSync(file.path, file.contents);
  }
  for (const folder of readdirSync(bundlesDirectory)) {
    if (!names.includes(folder)) rmSync(join(bundlesDirectory, folder), { recursive: true });
  }
}
