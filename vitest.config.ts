import { globSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

// Each process loads the CDK or the SDK; compiled code that is kept makes that quicker by a third.
process.env.NODE_COMPILE_CACHE ??= fileURLToPath(new URL('.build/compiled', import.meta.url));

// The benchmark and the mutation runs install packages of their own under test/, with tests of theirs.
const PACKAGES = '**/node_modules/**';
// Files that replace a module, or what a whole process has.
const ALONE = [
  'test/operations/authenticate-client.test.ts',
  'test/local/dynamodb/engine.test.ts',
  'test/runtime/platform.test.ts',
  'test/table/{faults,purge,wire}.test.ts',
];

// Files that take long: the browser, recipes, command lines, whole templates. `npm run test:slow` runs them, and with all
// their inputs those that try a fifth of them in `npm test`.
const SLOW = [
  'test/console/*.browser.test.ts',
  'test/console/snippets.test.ts',
  'test/docs/{keys,leaked,platform,reliability,scripts,secret-scanning,shell}.test.ts',
  'test/example/*.test.ts',
  'test/faults/{debugging,races,secrets}.test.ts',
  'test/infra/{app,names,rule-packs}.test.ts',
  'test/local/commands.test.ts',
  'test/integrations/{github-action,gitlab-component}.test.ts',
  'test/model/*.test.ts',
  'test/oauth/fuzz.test.ts',
  'test/package.test.ts',
  'test/cli/*.test.ts',
  'test/service/units.test.ts',
  ...(process.env.GENERATED === 'all' ? sampled() : []),
];
export default defineConfig({
  test: {
    globalSetup: 'test/support/temporary.ts',
    setupFiles: 'test/support/tidy.ts',
    // Validating a template takes the CDK longer than making it: test/infra/rule-packs.test.ts does it for all.
    env: { CDK_VALIDATION: 'false' },
    pool: 'forks',
    // Tests start engines, workers and whole local stacks, and wait for them: more than one for each of two cores. On
    // somebody else's engine one after another: their tables have the same names.
    maxWorkers: process.env.DYNAMODB_ENDPOINT ? 1 : 3,
    testTimeout: 30_000,
    hookTimeout: 60_000,
    restoreMocks: true,
    unstubEnvs: true,
    // A test that asserts nothing holds nothing.
    expect: { requireAssertions: true },
    projects: [
      { extends: true, test: { name: 'alone', include: ALONE } },
      // Files of these share processes, one after another: starting one for each takes longer than most do.
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

/** The test files that try some of their inputs only, unless GENERATED is `all`. */
function sampled(): string[] {
  const files = globSync('test/**/*.test.ts', { exclude: (path) => path.includes('node_modules') });
  return files.filter((path) => readFileSync(path, 'utf8').includes('support/generated.ts'));
}
