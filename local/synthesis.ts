import { createHash, randomUUID } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { fingerprint } from '../infra/fingerprint.ts';
import type { Assembly } from './template.ts';

type Context = Readonly<Record<string, unknown>>;

/** The input of a cached synthesis. */
export interface CachedSynthesisOptions {
  /** Files and folders that determine the result, together with the context and the environment. */
  readonly sources: readonly string[];
  /** Folder in which to keep the results. */
  readonly folder: string;
  /**
   * Brings the bundles to which the templates refer up to date. Runs at each start, even if a stored result is used.
   */
  readonly bundle: () => Promise<void>;
  /** Synthesises an app into a folder. The templates must refer to the bundles where they are, not to copies. */
  readonly synthesise: (context: Context, outdir: string) => Promise<Assembly>;
}

/** Paths of everything that the synthesis of the service and the example reads. */
export const SOURCES = [
  ...['functions', 'infra', 'docs/openapi.json', 'cdk.json', 'package.json', 'package-lock.json'],
  // npm changes `.package-lock.json` whenever it installs packages, even if package-lock.json stays the same.
  'node_modules/.package-lock.json',
].map((path) => fileURLToPath(new URL(`../${path}`, import.meta.url)));

/** The number of results to keep. A result takes 1.4 MB. */
const KEPT = 8;
/** The file that is written last, so a folder that contains it is complete. */
const COMPLETE = 'assembly.json';

/**
 * Returns a function that synthesises the service and the example as `synthesiseWithExample` does, but only if something
 * has changed. Loading the CDK and synthesising take most of the time of a start.
 */
export function synthesisOfService(folder = fileURLToPath(new URL('../.build/local', import.meta.url))) {
  return cachedSynthesis({
    sources: SOURCES,
    folder,
    bundle: async () => {
      const { bundleFunctions } = await import('../infra/bundle.ts');
      const { bundleExample } = await import('../infra/example/bundle.ts');
      bundleFunctions();
      bundleExample();
    },
    synthesise: async (context, outdir) => {
      const { synthesiseWithExample } = await import('../infra/example/app.ts');
      return synthesiseWithExample({ 'aws:cdk:disable-asset-staging': true, ...context }, outdir);
    },
  });
}

/**
 * Returns a function that synthesises an app, and that keeps the result until a source, the context, the environment or
 * the version of Node changes.
 */
export function cachedSynthesis({ sources, folder, bundle, synthesise }: CachedSynthesisOptions) {
  return async (context: Context): Promise<Assembly> => {
    await bundle();
    const key = keyOf(context, sources);
    const entry = join(folder, key);
    const known = read(entry);
    if (known) return known;
    // Use a folder of its own, because another start may synthesise the same templates at the same time.
    const directory = join(entry, randomUUID());
    const { stacks } = await synthesise(context, directory);
    const result = { directory, stacks: stacks.map(({ stackName, template }) => ({ stackName, template })) };
    // Keep the result only if the sources have not changed during the synthesis.
    if (keyOf(context, sources) === key) {
      mkdirSync(entry, { recursive: true });
      const draft = `${directory}.draft`;
      writeFileSync(draft, JSON.stringify(result));
      renameSync(draft, join(entry, COMPLETE));
    }
    discardUnused(folder);
    return result;
  };
}

/** Returns a key that is different each time if a source is missing, so that the result is not used again. */
function keyOf(context: Context, sources: readonly string[]): string {
  // Package managers other than npm do not write `.package-lock.json`, so it is unknown whether packages have changed.
  if (!sources.every((path) => existsSync(path))) return randomUUID();
  // The CDK reads variables with these prefixes, such as CDK_DEFAULT_REGION.
  const environment = Object.entries(process.env).filter(([name]) => /^(CDK|AWS|JSII)_/.test(name));
  return createHash('sha256')
    .update(JSON.stringify([process.version, context, environment.sort(), fingerprint(sources)]))
    .digest('hex')
    .slice(0, 20);
}

/** Returns a stored result; undefined if there is no complete one. */
function read(entry: string): Assembly | undefined {
  try {
    const result = JSON.parse(readFileSync(join(entry, COMPLETE), 'utf8'));
    recordUse(entry);
    return result;
  } catch {
    return undefined;
  }
}

/** Records the time of use, because the results that were used most recently are kept. */
function recordUse(entry: string): void {
  try {
    utimesSync(entry, new Date(), new Date());
  } catch {
    // Another user owns the folder, or it is read-only. The result is still valid.
  }
}

function discardUnused(folder: string): void {
  // Ignore folders that no longer exist, because another start may delete them at the same time.
  const lastUse = (path: string) => statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
  const byUse = readdirSync(folder)
    .map((name) => join(folder, name))
    .map((path) => ({ path, at: lastUse(path) }))
    .sort((a, b) => b.at - a.at);
  for (const { path } of byUse.slice(KEPT)) rmSync(path, { recursive: true, force: true });
}
