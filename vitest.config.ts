import { defineConfig } from 'vitest/config';

// The benchmark and the mutation runs install packages of their own under test/, with tests of theirs.
const PACKAGES = '**/node_modules/**';
// Files that synthesise templates: loading the CDK takes longer than they do, so they share one process.
const TEMPLATES = 'test/infra/*.test.ts';
// Files of rules without a world around them: starting a process for each takes longer than they do.
const RULES = 'test/{domain,http}/*.test.ts';

export default defineConfig({
  test: {
    // Tests start engines, workers and whole local stacks: each file has a process of its own, two at a time.
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 30_000,
    hookTimeout: 60_000,
    restoreMocks: true,
    unstubEnvs: true,
    // A test that asserts nothing holds nothing.
    expect: { requireAssertions: true },
    projects: [
      {
        extends: true,
        test: { name: 'service', include: ['test/**/*.test.ts'], exclude: [PACKAGES, TEMPLATES, RULES] },
      },
      { extends: true, test: { name: 'rules', include: [RULES], isolate: false } },
      {
        extends: true,
        test: { name: 'templates', include: [TEMPLATES], isolate: false, testTimeout: 120_000 },
      },
    ],
  },
});
