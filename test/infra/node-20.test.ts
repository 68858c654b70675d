import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { expect, it } from 'vitest';

/**
 * package.json promises Node.js 20. tsconfig.build.json compiles the package against ES2023, so that nothing newer
 * compiles. The imports from Node.js are held here: functions/domain/identifiers.ts, for example, imports `crc32`, which
 * Node.js has only from 20.15 on.
 */
it('the constructs load only these files of functions/, which run on every release of Node.js 20', async () => {
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
    'functions/domain/errors.ts',
    'functions/domain/people.ts',
    'functions/domain/principals.ts',
    'functions/domain/required-scopes.ts',
    'functions/domain/scopes.ts',
    'functions/runtime/env.ts',
    'functions/runtime/metric-names.ts',
    'functions/table/key-prefixes.ts',
  ]);
  const imported = new Set(
    Object.values(metafile.outputs).flatMap(({ imports }) => imports.map(({ path }) => path)),
  );
  const packages = [...imported].filter(
    (path) => !path.startsWith('node:') && !path.startsWith('aws-cdk-lib'),
  );
  expect(packages.sort()).toStrictEqual(['cdk-monitoring-constructs', 'constructs', 'leven', 'zod']);
});
