import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { CloudAssembly } from 'aws-cdk-lib/cx-api';
import { fingerprint } from '../../infra/fingerprint.ts';
import type { Assembly } from '../../local/template.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const cache = join(root, '.build/assemblies');

/** Placeholder issuer for the synthesis: each test stack has its own issuer on its own port. */
const ANY_ISSUER = 'http://127.0.0.1:1';

type Context = Readonly<Record<string, unknown>>;
type Synthesise = (context: Context, outdir: string) => CloudAssembly;

/** All files that a synthesis of the app reads. */
const SOURCES = ['functions', 'infra', 'test/support', 'cdk.json', 'package-lock.json'];

/** Synthesises the service as infra/app.ts does. */
export const assemblyOf = kept('service', async () => (await import('../../infra/app.ts')).synthesise);

/**
 * Synthesises an app once for each context and state of the sources, because loading the CDK takes longer than most
 * test files run. The result is the same as that of a fresh synthesis.
 *
 * @param name name of the app, unique among the tests
 * @param load imports the function that synthesises the app; called only if needed
 */
export function kept(name: string, load: () => Promise<Synthesise>): (context: Context) => Promise<Assembly> {
  return async (context) => {
    const issuer = String(context.issuer);
    const settings = { ...context, issuer: ANY_ISSUER };
    const sources = join(cache, fingerprint(SOURCES.map((path) => join(root, path))));
    const key = JSON.stringify([name, ...Object.entries(settings).sort()]);
    const directory = join(sources, createHash('sha256').update(key).digest('hex').slice(0, 20));
    if (!existsSync(directory)) await synthesiseInto(directory, sources, await load(), settings);
    return readAssembly(directory, issuer);
  };
}

function readAssembly(directory: string, issuer: string): Assembly {
  const manifest = JSON.parse(readFileSync(join(directory, 'manifest.json'), 'utf8'));
  const stacks = Object.entries<Artifact>(manifest.artifacts)
    .filter(([, artifact]) => artifact.type === 'aws:cloudformation:stack')
    .map(([id, { properties }]) => {
      const text = readFileSync(join(directory, properties.templateFile), 'utf8');
      return {
        // The manifest omits the stack's name if it equals the stack's ID.
        stackName: properties.stackName ?? id,
        template: JSON.parse(text.replaceAll(ANY_ISSUER, () => issuer)),
      };
    });
  return { directory, stacks };
}

interface Artifact {
  type: string;
  properties: { stackName?: string; templateFile: string };
}

/** Writes the assembly to a temporary path and then renames it, because test files run in parallel. */
async function synthesiseInto(
  directory: string,
  sources: string,
  synthesise: Synthesise,
  settings: Context,
): Promise<void> {
  mkdirSync(sources, { recursive: true });
  for (const other of readdirSync(cache)) {
    if (join(cache, other) !== sources) rmSync(join(cache, other), { recursive: true, force: true });
  }
  const fresh = mkdtempSync(join(sources, 'new-'));
  synthesise(settings, fresh);
  try {
    renameSync(fresh, directory);
  } catch (error) {
    if (!existsSync(directory)) throw error;
    rmSync(fresh, { recursive: true });
  }
}
