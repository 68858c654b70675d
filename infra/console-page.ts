import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { buildSync } from 'esbuild';

const sources = fileURLToPath(new URL('../functions/console', import.meta.url));

/** The built console: each file, gzipped and encoded in base64, under a name that contains a hash of its content. */
export interface ConsolePage {
  readonly script: string;
  readonly style: string;
  readonly icon: string;
  readonly assets: Readonly<Record<string, string>>;
}

/**
 * Builds the files that functions/console.ts serves: the script, a script for each page, one style sheet and one icon.
 *
 * @throws BuildFailure of esbuild if a source does not compile
 */
export function buildConsolePage(): ConsolePage {
  const built = buildSync({
    entryPoints: ['main.tsx', 'style.css', 'icon.svg'].map((file) => join(sources, file)),
    outdir: sources,
    entryNames: '[name]-[hash]',
    // Each page is a separate file, which the browser loads when a person opens the page.
    chunkNames: 'page-[hash]',
    splitting: true,
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
  const named = (pattern: RegExp) => {
    const name = [...files.keys()].find((file) => pattern.test(file));
    if (name === undefined) throw new Error(`The console has no file with a name like ${pattern}.`);
    return name;
  };
  const assets = [...files].map(([name, contents]) => [
    name,
    gzipSync(contents, { level: 9 }).toString('base64'),
  ]);
  return {
    script: named(/^main-.*\.js$/),
    style: named(/\.css$/),
    icon: named(/\.svg$/),
    assets: Object.fromEntries(assets),
  };
}
