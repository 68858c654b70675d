import { afterAll, vi } from 'vitest';

// Otherwise the first test of the next file in this process would lose the variables that the file sets.
afterAll(() => void vi.unstubAllEnvs());
