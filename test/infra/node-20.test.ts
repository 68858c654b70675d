import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { expect, it } from 'vitest';

/**
 * package.json promises support for Node.js 20. tsconfig.build.json compiles the package against ES2023, so newer
 * language features do not compile. This test checks imports: functions/domain/credentials.ts, for example, imports
 * `crc32`, which exists only in Node.js 20.15 and later.
 */
it('the constructs load only those files from functions/ that run on every release of Node.js 20', async () => {
  const { metafile } = await build({
    entryPoints: ['infra/index.ts'],
    absWorkingDir: fileURLToPath(new URL('../..', import.meta.url)),
    bundle: true,
    packages: 'external',
    platform: 'node',
    format: 'esm',
    write: false,
    metafile: true,
  });
  const loaded = Object.keys(metafile.inputs).filter((file) => file.startsWith('functions/'));
  expect(loaded.sort()).toStrictEqual([
    'functions/domain/command-line.ts',
    'functions/domain/errors.ts',
    'functions/domain/issuer-presets.ts',
    'functions/domain/people.ts',
    'functions/domain/scopes.ts',
    'functions/domain/trust.ts',
    'functions/runtime/env.ts',
    'functions/runtime/metric-names.ts',
    'functions/table/item-keys.ts',
  ]);
  const imported = new Set(
    Object.values(metafile.outputs).flatMap(({ imports }) => imports.map(({ path }) => path)),
  );
  const packages = [...imported].filter(
    (path) => !path.startsWith('node:') && !path.startsWith('aws-cdk-lib'),
  );
  expect(packages.sort()).toStrictEqual(['cdk-monitoring-constructs', 'constructs', 'leven', 'zod']);
});
