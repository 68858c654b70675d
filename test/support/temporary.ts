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

const folders: string[] = [];

/**
 * Creates an empty folder, which is removed after the tests of the file.
 * @param name the beginning of the folder's name
 */
export function temporaryFolder(name: string): string {
  const folder = mkdtempSync(join(tmpdir(), `${name}-`));
  folders.push(folder);
  return folder;
}

/** Removes the folders that `temporaryFolder` created. A process that was just killed may still write to one of them. */
export function removeTemporaryFolders(): void {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true, maxRetries: 10 });
}
