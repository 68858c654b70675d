import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { buildSync } from 'esbuild';

const sources = fileURLToPath(new URL('../functions/console', import.meta.url));

/** The built console: file names with a hash of the content, and the files, gzipped and in base64. */
export interface ConsolePage {
  readonly script: string;
  readonly style: string;
  readonly icon: string;
  readonly assets: Readonly<Record<string, string>>;
}

/**
 * Builds the files that functions/console.ts serves: one script, one style sheet and one icon.
 *
 * @throws BuildFailure of esbuild if a source does not compile
 */
export function buildConsolePage(): ConsolePage {
  const built = buildSync({
    entryPoints: ['main.tsx', 'style.css', 'icon.svg'].map((file) => join(sources, file)),
    outdir: sources,
    entryNames: '[name]-[hash]',
    write: false,
    bundle: true,
    minify: true,
    format: 'esm',
    target: 'es2023',
    loader: { '.svg': 'copy' },
    jsx: 'automatic',
    jsxImportSource: 'preact',
    legalComments: 'none',
    logLevel: 'silent',
  });
  const files = new Map(built.outputFiles.map(({ path, contents }) => [basename(path), contents]));
  const named = (ending: string) => {
    const name = [...files.keys()].find((file) => file.endsWith(ending));
    if (name === undefined) throw new Error(`The console has no file that ends in ${ending}.`);
    return name;
  };
  const assets = [...files].map(([name, contents]) => [
    name,
    gzipSync(contents, { level: 9 }).toString('base64'),
  ]);
  return {
    script: named('.js'),
    style: named('.css'),
    icon: named('.svg'),
    assets: Object.fromEntries(assets),
  };
}
