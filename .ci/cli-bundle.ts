import { fileURLToPath } from 'node:url';
import type { BuildOptions } from 'esbuild';

/** The esbuild options that bundle the CLI for the package: one file for each module that a command loads on demand. */
export const COMMAND_LINE: BuildOptions = {
  absWorkingDir: fileURLToPath(new URL('..', import.meta.url)),
  entryPoints: ['cli/packaged.ts'],
  outdir: 'dist/cli',
  bundle: true,
  splitting: true,
  platform: 'node',
  target: 'node20',
  format: 'esm',
  mainFields: ['module', 'main'],
  // Only `backfill` needs this package, to read settings. CDK apps have it installed.
  external: ['aws-cdk-lib'],
  // CommonJS packages call `require` to load Node's own modules.
  banner: {
    js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);",
  },
  legalComments: 'none',
  logLevel: 'silent',
};
