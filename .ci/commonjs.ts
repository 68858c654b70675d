import { fileURLToPath } from 'node:url';
import type { BuildOptions } from 'esbuild';

/**
 * The esbuild options that bundle each export of the package for `require`. Jest's own module system cannot load ES
 * modules, so the bundles include packages that exist only as ES modules.
 */
export const COMMONJS: BuildOptions = {
  absWorkingDir: fileURLToPath(new URL('..', import.meta.url)),
  entryPoints: [
    'infra/index.ts',
    'integrations/guard/express.ts',
    'integrations/guard/fastify.ts',
    'integrations/guard/hono.ts',
    'integrations/testing/index.ts',
  ],
  outbase: '.',
  outdir: 'dist/commonjs',
  bundle: true,
  platform: 'node',
  target: 'node20',
  format: 'cjs',
  external: ['aws-cdk-lib', 'constructs', 'cdk-monitoring-constructs', 'zod'],
  // Only the constructs use `import.meta.url`: it leads them to the functions, which both builds share.
  define: { 'import.meta.url': 'ES_MODULE_URL' },
  banner: {
    js: "const ES_MODULE_URL = require('node:url').pathToFileURL(require('node:path').join(__dirname, '../../infra/index.js'));",
  },
  legalComments: 'none',
  logLevel: 'silent',
};
