import { expect, it } from 'vitest';
import { bundleOf } from '../support/imports.ts';

/**
 * package.json promises support for Node.js 20. tsconfig.build.json compiles the package against ES2023, so newer
 * language features do not compile. This test checks imports: functions/domain/credentials.ts, for example, imports
 * `crc32`, which exists only in Node.js 20.15 and later.
 */
it('the constructs load only those files from functions/ that run on every release of Node.js 20', async () => {
  const { inputs, outputs } = await bundleOf('infra/index.ts');
  const loaded = Object.keys(inputs).filter((file) => file.startsWith('functions/'));
  expect(loaded.sort()).toStrictEqual([
    'functions/domain/command-line.ts',
    'functions/domain/errors.ts',
    'functions/domain/expiry.ts',
    'functions/domain/issuer-presets.ts',
    'functions/domain/people.ts',
    'functions/domain/scopes.ts',
    'functions/domain/trust.ts',
    'functions/runtime/env.ts',
    'functions/runtime/metric-names.ts',
    'functions/table/item-keys.ts',
  ]);
  const imported = new Set(Object.values(outputs).flatMap(({ imports }) => imports.map(({ path }) => path)));
  const packages = [...imported].filter(
    (path) => !path.startsWith('node:') && !path.startsWith('aws-cdk-lib'),
  );
  expect(packages.sort()).toStrictEqual(['cdk-monitoring-constructs', 'constructs', 'leven', 'zod']);
});
