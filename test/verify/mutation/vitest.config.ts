import { defineConfig } from 'vitest/config';
import { PARTS } from './parts.ts';

export default defineConfig({
  test: {
    // Set by run.ts: Stryker's runner passes on only its environment.
    include: PARTS[process.env.MUTATED ?? '']?.tests ?? [],
    testTimeout: 30_000,
    restoreMocks: true,
    unstubEnvs: true,
  },
});
