import { afterAll, vi } from 'vitest';

// Or the next file of the process would lose in its first test what it has set itself.
afterAll(() => void vi.unstubAllEnvs());
