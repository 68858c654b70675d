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
  // Only `backfill` needs aws-cdk-lib, to read settings, and CDK apps have that package installed.
  external: ['aws-cdk-lib'],
  // CommonJS packages call `require` to load Node's own modules.
  banner: {
    js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);",
  },
  legalComments: 'none',
  logLevel: 'silent',
};
