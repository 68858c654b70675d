import { randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type BuildOptions, buildSync } from 'esbuild';
import { bundlesDirectory } from './bundles.ts';
import { buildConsolePage } from './console-page.ts';
import { fingerprint } from './fingerprint.ts';

const functionsDirectory = fileURLToPath(new URL('../functions', import.meta.url));
/** What decides over a bundle besides the functions' sources: how they are bundled, and the packages. */
const bundlers = ['bundle.ts', 'console-page.ts', '../package-lock.json'].map((file) =>
  fileURLToPath(new URL(file, import.meta.url)),
);

/** The deployed functions: the names, without `.ts`, of the files directly in `functions/`, sorted. */
export function functionNames(): string[] {
  return readdirSync(functionsDirectory, { withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => entry.name.slice(0, -'.ts'.length))
    .sort();
}

/** Functions that run in front of every API call. Each byte delays their start, so their source maps are not deployed. */
const WITHOUT_MAP = ['authorize', 'whoami'];
const hasDeployedMap = (name: string) => !WITHOUT_MAP.includes(name);

/** The path of a bundle's source map: beside the bundle, or in a folder of its own when it is not deployed. */
export function sourceMapOf(name: string, outdir = bundlesDirectory): string {
  return join(hasDeployedMap(name) ? outdir : `${outdir}.maps`, name, 'index.js.map');
}

/** How esbuild bundles functions: by default those of the service. */
export function bundling(
  names: readonly string[],
  source = functionsDirectory,
  outdir = bundlesDirectory,
): BuildOptions {
  return {
    entryPoints: Object.fromEntries(names.map((name) => [`${name}/index`, join(source, `${name}.ts`)])),
    outdir,
    bundle: true,
    minify: true,
    // Positions only: the sources are in the repository, and Node.js would read them at each error.
    sourcemap: 'external',
    sourcesContent: false,
    platform: 'node',
    target: 'node24',
    // CommonJS starts quicker than ESM on Lambda: an ESM import of node:http pulls in undici.
    format: 'cjs',
    // The ESM builds of packages can be tree-shaken; with esbuild's defaults for Node the SDK weighs more.
    mainFields: ['module', 'main'],
    // functions/console.ts hands out the page, so it carries it.
    // As a string: of an object esbuild would make a module, which every other function would carry and run.
    define: { CONSOLE_FILES: JSON.stringify(JSON.stringify(buildConsolePage())) },
    legalComments: 'none',
    logLevel: 'silent',
  };
}

/**
 * Bundles functions for Node 24 and removes bundles of functions that are gone. Does nothing where the bundles of these
 * very sources lie already.
 *
 * @param source the folder of the functions' files
 * @param outdir where a folder for each function is made
 * @param names the functions' files, without `.ts`
 * @throws esbuild's BuildFailure when a function does not compile.
 */
export function bundleFunctions(
  source = functionsDirectory,
  outdir = bundlesDirectory,
  names = functionNames(),
): void {
  const sources = fingerprint([source, functionsDirectory, ...bundlers]);
  const bundled = `${outdir}.sources`;
  const isThere = names.every((name) =>
    [join(outdir, name, 'index.js'), sourceMapOf(name, outdir)].every((path) => existsSync(path)),
  );
  if (isThere && existsSync(bundled) && readFileSync(bundled, 'utf8') === sources) return;
  // If this is cut short, the next one begins anew.
  rmSync(bundled, { force: true });
  const built = buildSync({ ...bundling(names, source, outdir), write: false });
  const textOf = (path: string) => {
    const file = built.outputFiles.find((output) => output.path === resolve(path));
    if (!file) throw new Error(`esbuild wrote no ${path}.`);
    return file.text;
  };
  for (const name of names) {
    const path = join(outdir, name, 'index.js');
    write(path, `${textOf(path)}${hasDeployedMap(name) ? '//# sourceMappingURL=index.js.map\n' : ''}`);
    write(sourceMapOf(name, outdir), textOf(`${path}.map`));
    // Without it the nearest package.json decides, and this project's says that a .js is ESM.
    write(join(dirname(path), 'package.json'), '{"type":"commonjs"}\n');
  }
  for (const folder of readdirSync(outdir)) {
    if (!names.includes(folder)) rmSync(join(outdir, folder), { recursive: true });
  }
  writeFileSync(bundled, sources);
}

/** Changes a file at once or not at all, for processes that synthesise at the same time. */
function write(path: string, text: string): void {
  if (existsSync(path) && readFileSync(path, 'utf8') === text) return;
  mkdirSync(dirname(path), { recursive: true });
  const draft = join(dirname(path), '../..', `${randomUUID()}.draft`);
  writeFileSync(draft, text);
  renameSync(draft, path);
}
