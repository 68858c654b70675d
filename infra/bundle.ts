import { randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type BuildOptions, buildSync } from 'esbuild';
import { bundlesDirectory, entryText, WARMED_UP } from './bundles.ts';
import { buildConsolePage } from './console-page.ts';
import { fingerprint } from './fingerprint.ts';

const functionsDirectory = fileURLToPath(new URL('../functions', import.meta.url));
/** Path of the OpenAPI document, which functions/reference.ts serves. */
const OPENAPI = '../docs/openapi.json';
/**
 * Paths of the files that affect a bundle in addition to the functions' sources: the bundling code, the OpenAPI
 * document and the package lock file.
 */
export const BUNDLERS = [
  ...['bundle.ts', 'bundles.ts', 'console-page.ts', 'fingerprint.ts'],
  ...[OPENAPI, '../package-lock.json'],
].map((file) => fileURLToPath(new URL(file, import.meta.url)));

/**
 * The names of the deployed functions, sorted. They are the names, without `.ts`, of the files directly in
 * `functions/`.
 */
export function functionNames(): string[] {
  return readdirSync(functionsDirectory, { withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => entry.name.slice(0, -'.ts'.length))
    .sort();
}

/** Functions that run before every API call. Every byte delays their start, so their source maps are not deployed. */
const WITHOUT_MAP = ['authorize', 'whoami'];
const hasDeployedMap = (name: string) => !WITHOUT_MAP.includes(name);

/** The path of a bundle's source map: beside the bundle, or in a separate folder if the map is not deployed. */
export function sourceMapOf(name: string, outdir = bundlesDirectory): string {
  return join(hasDeployedMap(name) ? outdir : `${outdir}.maps`, name, 'index.js.map');
}

const entryOf = (name: string, outdir: string) => join(outdir, name, 'entry.mjs');

/** Options with which esbuild bundles functions. By default, they apply to the functions of the service. */
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
    // The source map omits the sources. They are in the repository, and embedding them would make Node.js load them for
    // each error.
    sourcemap: 'external',
    sourcesContent: false,
    platform: 'node',
    target: 'node24',
    // CommonJS starts faster than ESM on Lambda, because an ESM import of node:http loads undici.
    format: 'cjs',
    // The ESM builds of packages can be tree-shaken. With esbuild's defaults for Node, the SDK is larger.
    mainFields: ['module', 'main'],
    // The files that functions/console.ts and functions/reference.ts serve. They are strings, because esbuild would turn an
    // object into a module that every function contains and runs.
    define: {
      CONSOLE_FILES: JSON.stringify(JSON.stringify(buildConsolePage())),
      OPENAPI_DOCUMENT: JSON.stringify(servedDocument()),
    },
    legalComments: 'none',
    logLevel: 'silent',
  };
}

/** The OpenAPI document without white space, as a stack serves it. The `servers` entry names that stack. */
function servedDocument(): string {
  const document = JSON.parse(readFileSync(new URL(OPENAPI, import.meta.url), 'utf8'));
  return JSON.stringify({ ...document, servers: [{ url: '/' }] });
}

/**
 * Bundles functions for Node 24, and removes bundles of functions that no longer exist. Does nothing if up-to-date
 * bundles already exist.
 *
 * @param source the folder that contains the functions' files
 * @param outdir folder in which to create a folder for each function
 * @param names names of the functions' files, without `.ts`
 * @throws esbuild's BuildFailure if a function does not compile
 */
export function bundleFunctions(
  source = functionsDirectory,
  outdir = bundlesDirectory,
  names = functionNames(),
): void {
  const sources = fingerprint([source, functionsDirectory, ...BUNDLERS]);
  const bundled = `${outdir}.sources`;
  const isThere = names.every((name) =>
    [
      join(outdir, name, 'index.js'),
      sourceMapOf(name, outdir),
      ...(WARMED_UP.includes(name) ? [entryOf(name, outdir)] : []),
    ].every((path) => existsSync(path)),
  );
  if (isThere && existsSync(bundled) && readFileSync(bundled, 'utf8') === sources) return;
  // Delete the record of the bundled sources first, so that the next run starts from scratch if this run is
  // interrupted.
  rmSync(bundled, { force: true });
  const built = buildSync({ ...bundling(names, source, outdir), write: false });
  const textOf = (path: string) => {
    const file = built.outputFiles.find((output) => output.path === resolve(path));
    if (!file) throw new Error(`esbuild wrote no ${path}.`);
    // Remove the list of exports at the end of the file. Only ESM imports by name need the list, and the entries use
    // createRequire instead.
    return file.text.replace(/0&&\(module\.exports=\{[\w,]+\}\);\n$/, '\n');
  };
  for (const name of names) {
    const path = join(outdir, name, 'index.js');
    write(path, `${textOf(path)}${hasDeployedMap(name) ? '//# sourceMappingURL=index.js.map\n' : ''}`);
    write(sourceMapOf(name, outdir), textOf(`${path}.map`));
    if (WARMED_UP.includes(name)) write(entryOf(name, outdir), entryText());
    // Write a package.json that marks the bundle as CommonJS, because this project's package.json says that .js files
    // are ESM.
    write(join(dirname(path), 'package.json'), '{"type":"commonjs"}\n');
  }
  for (const folder of readdirSync(outdir)) {
    if (!names.includes(folder)) rmSync(join(outdir, folder), { recursive: true });
  }
  writeFileSync(bundled, sources);
}

/** Changes a file atomically, because several processes can synthesise at the same time. */
function write(path: string, text: string): void {
  if (existsSync(path) && readFileSync(path, 'utf8') === text) return;
  mkdirSync(dirname(path), { recursive: true });
  const draft = join(dirname(path), '../..', `${randomUUID()}.draft`);
  writeFileSync(draft, text);
  renameSync(draft, path);
}
