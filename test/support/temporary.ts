import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/**
 * Gives a test run its own temporary folder and removes the folder afterwards, because each CDK app leaves several
 * megabytes behind.
 */
export default function setUp(): () => void {
  const folder = mkdtempSync(join(tmpdir(), 'deployment-api-keys-'));
  process.env.TMPDIR = folder;
  return () => rmSync(folder, { recursive: true, force: true });
}
