import { defineConfig } from 'vitest/config';
import { PARTS } from './parts.ts';

export default defineConfig({
  test: {
    // `run.ts` sets `MUTATED`, because Stryker's runner passes nothing but its environment to Vitest.
    include: PARTS[process.env.MUTATED ?? '']?.tests ?? [],
    testTimeout: 30_000,
    restoreMocks: true,
    unstubEnvs: true,
  },
});
