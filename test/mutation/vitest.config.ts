import { defineConfig } from 'vitest/config';

/** The tests that run the sources themselves and no bundle, and of those what is quick: one mutant after the other. */
export default defineConfig({
  test: {
    include: ['test/{domain,handlers,http,runtime,table}/**/*.test.ts', 'test/faults/rows.test.ts'],
    testNamePattern: /^(?!.*(#10|#14|#36|#13))/,
    pool: 'forks',
    testTimeout: 30_000,
    restoreMocks: true,
    unstubEnvs: true,
  },
});
