import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Gives a run of the tests a temporary folder of its own, and removes it: each app of the CDK leaves some megabytes. */
export default function setUp(): () => void {
  const folder = mkdtempSync(join(tmpdir(), 'deployment-api-keys-'));
  process.env.TMPDIR = folder;
  return () => rmSync(folder, { recursive: true, force: true });
}
