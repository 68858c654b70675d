import { defineConfig } from 'vitest/config';
import { PARTS } from './parts.ts';

export default defineConfig({
  test: {
    // run.ts sets this variable, because Stryker's runner forwards only its environment.
    include: PARTS[process.env.MUTATED ?? '']?.tests ?? [],
    testTimeout: 30_000,
    restoreMocks: true,
    unstubEnvs: true,
  },
});
