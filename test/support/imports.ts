import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build, type Metafile } from 'esbuild';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** An import: the importing file, and the project file or package that it imports. */
export interface Import {
  readonly from: string;
  readonly to: string;
}

/** Returns all files below a folder with this extension, as paths from the project's root. */
export function filesBelow(folder: string, ending = '.ts'): string[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith(ending) && !file.includes('node_modules'))
    .map((file) => join(folder, file))
    .sort();
}

/** Returns the imports of the given project files, whose paths start at the root. */
export const importsOfFiles = (files: readonly string[]): Promise<Import[]> =>
  importsOf(new Map(files.map((file) => [file, readFileSync(join(root, file), 'utf8')])));

/** Bundles a project file. @returns the project files and packages that the file loads at run time */
export async function bundleOf(file: string): Promise<Metafile> {
  const { metafile } = await build({
    entryPoints: [file],
    absWorkingDir: root,
    bundle: true,
    packages: 'external',
    platform: 'node',
    format: 'esm',
    write: false,
    metafile: true,
  });
  return metafile;
}

/**
 * Returns the imports of TypeScript sources, by path from the project's root: static and dynamic imports, re-exports
 * and `require`. Type imports are included, because they can also violate the layering.
 */
export async function importsOf(sources: ReadonlyMap<string, string>): Promise<Import[]> {
  const built = await build({
    entryPoints: [...sources.keys()],
    absWorkingDir: root,
    outdir: join(root, '.build/imports'),
    bundle: true,
    write: false,
    metafile: true,
    format: 'esm',
    platform: 'node',
    // This option keeps imports that the file does not use at run time.
    tsconfigRaw: { compilerOptions: { verbatimModuleSyntax: true } },
    plugins: [
      {
        name: 'imports',
        setup(plugin) {
          plugin.onResolve({ filter: /.*/ }, ({ kind, path }) =>
            kind === 'entry-point' ? { path: resolve(root, path) } : { path, external: true },
          );
          plugin.onLoad({ filter: /.*/ }, ({ path }) => ({
            loader: path.endsWith('x') ? 'tsx' : 'ts',
            contents: withTypesAsValues(sources.get(relative(root, path)) ?? ''),
          }));
        },
      },
    ],
  });
  const listed = Object.entries(built.metafile.inputs).flatMap(([from, { imports }]) =>
    imports.map(({ path }) => ({ from, path })),
  );
  const inTypes = [...sources].flatMap(([from, source]) =>
    [...source.matchAll(/\bimport\((['"])([^'"]+)\1\)/g)].map(([, , path = '']) => ({ from, path })),
  );
  return [...listed, ...inTypes].map(({ from, path }) => ({
    from,
    to: path.startsWith('.') ? join(dirname(from), path) : path,
  }));
}

/**
 * esbuild removes type imports before it lists the imports, so this code makes type imports look like value imports.
 */
const withTypesAsValues = (source: string): string =>
  source
    .replaceAll(/^(\s*import) type (?=[\w{*])/gm, '$1 ')
    .replaceAll(/^(\s*export) type (?=\*|\{[^}]*\}\s*from)/gm, '$1 ');

/** Returns import cycles: sorted groups of files, in sorted order, in which each file reaches every other file. */
export function circles(imports: readonly Import[]): string[][] {
  const importsFrom = Map.groupBy(imports, ({ from }) => from);
  const reached = new Map([...importsFrom.keys()].map((file) => [file, reachedFrom(file)]));
  const isReached = (from: string, to: string) => reached.get(from)?.has(to) === true;
  const inCircle = [...importsFrom.keys()].filter((file) => isReached(file, file)).sort();
  const groups = inCircle.map((file) => inCircle.filter((it) => isReached(file, it) && isReached(it, file)));
  return groups.filter(([first], at) => first === inCircle[at]);

  function reachedFrom(start: string): Set<string> {
    const found = new Set<string>();
    const open = [start];
    for (let file = open.pop(); file !== undefined; file = open.pop()) {
      const next = (importsFrom.get(file) ?? []).map(({ to }) => to).filter((to) => !found.has(to));
      for (const to of next) found.add(to);
      open.push(...next);
    }
    return found;
  }
}
