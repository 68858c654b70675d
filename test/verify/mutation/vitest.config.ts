import { defineConfig } from 'vitest/config';
import { PARTS } from './parts.ts';

export default defineConfig({
  test: {
    // Set by run.ts: the runner of mutants hands on its environment and nothing else.
    include: PARTS[process.env.MUTATED ?? '']?.tests ?? [],
    testTimeout: 30_000,
    restoreMocks: true,
    unstubEnvs: true,
  },
});
