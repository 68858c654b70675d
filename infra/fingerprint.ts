import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';

/**
 * Tells one state of files from another: names and contents, not times.
 *
 * Not the CDK's own, which whoever only asks whether something changed would have to load, and that takes longer than
 * most of what they do.
 *
 * @param paths of files, and of folders with all that is in them; what is named twice is read once
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
