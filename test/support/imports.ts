import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** One import: the file that has it and what it names: a file of the project, or a package as it is written. */
export interface Import {
  readonly from: string;
  readonly to: string;
}

/** All files with this ending below a folder of the project, as paths from the project's root. */
export function filesBelow(folder: string, ending = '.ts'): string[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith(ending) && !file.includes('node_modules'))
    .map((file) => join(folder, file))
    .sort();
}

/** The imports of files of the project, given as paths from its root. */
export const importsOfFiles = (files: readonly string[]): Promise<Import[]> =>
  importsOf(new Map(files.map((file) => [file, readFileSync(join(root, file), 'utf8')])));

/**
 * The imports of TypeScript sources, by path from the project's root: static and dynamic imports, re-exports and
 * `require`, those of types too, which point the wrong way just as well.
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
    // Keeps imports of which the file uses nothing at run time.
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

/** esbuild drops imports of types before it lists any, so they are made to look like imports of values. */
const withTypesAsValues = (source: string): string =>
  source
    .replaceAll(/^(\s*import) type (?=[\w{*])/gm, '$1 ')
    .replaceAll(/^(\s*export) type (?=\*|\{[^}]*\}\s*from)/gm, '$1 ');
