import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Assembly } from '../../infra/local/template.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const cache = join(root, '.build/assemblies');

/** Stands for the issuer while synthesising: each stack of a test has an issuer of its own, on a port of its own. */
const ANY_ISSUER = 'http://127.0.0.1:1';

/**
 * Synthesises the service as infra/app.ts does, once for each context and state of the sources: loading the CDK and
 * bundling take longer than most test files. What comes back is what a fresh synthesis gives.
 */
export async function assemblyOf(context: Readonly<Record<string, unknown>>): Promise<Assembly> {
  const issuer = String(context.issuer);
  const settings = { ...context, issuer: ANY_ISSUER };
  const sources = join(cache, sourcesHash());
  const directory = join(sources, hash(JSON.stringify(Object.entries(settings).sort())));
  if (!existsSync(directory)) await synthesiseInto(directory, sources, settings);
  const manifest = JSON.parse(readFileSync(join(directory, 'manifest.json'), 'utf8'));
  const stacks = Object.values<Artifact>(manifest.artifacts)
    .filter((artifact) => artifact.type === 'aws:cloudformation:stack')
    .map(({ properties }) => {
      const text = readFileSync(join(directory, properties.templateFile), 'utf8');
      return {
        stackName: properties.stackName,
        template: JSON.parse(text.replaceAll(ANY_ISSUER, () => issuer)),
      };
    });
  return { directory, stacks };
}

interface Artifact {
  type: string;
  properties: { stackName: string; templateFile: string };
}

/** Written beside and moved there whole: test files run side by side. */
async function synthesiseInto(directory: string, sources: string, settings: object): Promise<void> {
  const { synthesise } = await import('../../infra/app.ts');
  mkdirSync(sources, { recursive: true });
  for (const other of readdirSync(cache)) {
    if (join(cache, other) !== sources) rmSync(join(cache, other), { recursive: true, force: true });
  }
  const fresh = mkdtempSync(join(sources, 'new-'));
  synthesise({ ...settings }, fresh);
  try {
    renameSync(fresh, directory);
  } catch (error) {
    if (!existsSync(directory)) throw error;
    rmSync(fresh, { recursive: true });
  }
}

/** Of everything that a synthesis reads. */
function sourcesHash(): string {
  const files = ['functions', 'infra'].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name)),
  );
  const all = [...files, join(root, 'cdk.json'), join(root, 'package-lock.json')].sort();
  return hash(all.map((file) => `${file} ${hash(readFileSync(file))}`).join('\n'));
}

const hash = (content: string | Uint8Array) =>
  createHash('sha256').update(content).digest('hex').slice(0, 20);
