import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';

/**
 * Returns a hash of the names and contents of files, ignoring their timestamps.
 *
 * The CDK has a similar function, but loading the CDK takes too long for a caller that only needs to know whether a
 * file has changed.
 *
 * @param paths paths of files and folders; a folder means all files in it
 * @returns 20 hexadecimal digits
 */
export function fingerprint(paths: readonly string[]): string {
  const hash = createHash('sha256');
  for (const file of [...new Set(paths.flatMap(filesOf))].sort()) {
    const content = readFileSync(file);
    hash.update(`${file}\n${content.length}\n`).update(content);
  }
  return hash.digest('hex').slice(0, 20);
}

function filesOf(path: string): string[] {
  if (!statSync(path).isDirectory()) return [path];
  const entries = readdirSync(path, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
}
