import { afterAll, vi } from 'vitest';
import { removeTemporaryFolders } from './temporary.ts';

// Without this hook, the first test of the next file in this process would lose the environment variables that the next
// file sets.
afterAll(() => void vi.unstubAllEnvs());
afterAll(removeTemporaryFolders);
