import { globSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

// Each process loads the CDK or the SDK. The compile cache makes this a third faster.
process.env.NODE_COMPILE_CACHE ??= fileURLToPath(new URL('.build/compiled', import.meta.url));

// The benchmark and the mutation runs install their own packages under test/, and these contain tests.
const PACKAGES = '**/node_modules/**';
// Files that replace a module or change something of the whole process.
const ALONE = [
  'test/operations/authenticate-client.test.ts',
  'test/local/dynamodb/engine.test.ts',
  'test/runtime/platform-api.test.ts',
  'test/table/{faults,paced,purge,retried-calls}.test.ts',
];

// Slow files: they start a browser or commands, run the documented recipes, try generated faults, restore many tables, or
// synthesise whole templates. `npm run test:slow` runs them. It also runs, with more inputs, the files that use few of their
// inputs in `npm test`. In the nightly run, they use all inputs.
const SLOW = [
  'test/console/*.browser.test.ts',
  'test/console/snippets.test.ts',
  'test/docs/{guards,keys,leaked,platform,reliability,scripts,secret-scanning,shell}.test.ts',
  'test/example/*.test.ts',
  'test/faults/{damaged,damaged-*,debugging,late,races,restore,revocation,secrets,stream,updates}.test.ts',
  'test/infra/{app,names,rule-packs}.test.ts',
  'test/jobs/sync-deployments.test.ts',
  'test/local/{commands,debugger}.test.ts',
  'test/integrations/{github-action,gitlab-component}.test.ts',
  'test/model/*.test.ts',
  'test/oauth/fuzz.test.ts',
  'test/openapi*.test.ts',
  'test/package.test.ts',
  'test/routes/{manage-people,report-leak}.test.ts',
  'test/cli/*.test.ts',
  'test/service/{alarms,answers,attacks,deployments-source,events,group-listings,rotation,units}.test.ts',
  'test/table/transports.test.ts',
  ...(process.env.GENERATED ? sampled() : []),
];
export default defineConfig({
  test: {
    globalSetup: 'test/support/temporary.ts',
    setupFiles: 'test/support/tidy.ts',
    // The CDK needs more time to validate a template than to write it. test/infra/rule-packs.test.ts validates all.
    env: { CDK_VALIDATION: 'false' },
    pool: 'forks',
    // Tests mostly wait for the engines, workers and local stacks that they start, so two cores can run three files. With
    // an external engine they run one after another, because their tables have the same names.
    maxWorkers: process.env.DYNAMODB_ENDPOINT ? 1 : 3,
    testTimeout: 30_000,
    hookTimeout: 60_000,
    restoreMocks: true,
    unstubEnvs: true,
    // A test without an assertion can't fail.
    expect: { requireAssertions: true },
    projects: [
      { extends: true, test: { name: 'alone', include: ALONE } },
      // These files share processes, because most need less time than the start of a process.
      {
        extends: true,
        test: {
          name: 'sharing',
          include: ['test/**/*.test.ts'],
          exclude: [PACKAGES, ...ALONE, ...SLOW],
          isolate: false,
        },
      },
      { extends: true, test: { name: 'slow', include: SLOW, isolate: false } },
    ],
  },
});

/** Returns the test files that try more inputs when GENERATED is set. */
function sampled(): string[] {
  const files = globSync('test/**/*.test.ts', { exclude: (path) => path.includes('node_modules') });
  return files.filter((path) => readFileSync(path, 'utf8').includes('support/generated.ts'));
}
