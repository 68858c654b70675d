import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { cachedSynthesis, SOURCES, synthesisOfService } from '../../local/synthesis.ts';
import { temporaryFolder } from '../support/temporary.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
let folder: string;
let sources: string;
let results: string;
beforeEach(() => {
  folder = temporaryFolder('synthesis');
  sources = join(folder, 'sources');
  results = join(folder, 'results');
  mkdirSync(sources);
  writeFileSync(join(sources, 'stack.ts'), 'first');
});
afterEach(() => void vi.unstubAllEnvs());

/** An app whose template contains a number that is different in each synthesis. */
function numberedApp({ onSynthesis = () => {} }: { onSynthesis?: () => void } = {}) {
  const calls = { bundle: 0, synthesis: 0 };
  const synthesise = cachedSynthesis({
    sources: [sources],
    folder: results,
    bundle: async () => {
      calls.bundle++;
    },
    synthesise: async (_, directory) => {
      calls.synthesis++;
      onSynthesis();
      mkdirSync(directory, { recursive: true });
      return { directory, stacks: [{ stackName: 'a', template: { Resources: {}, calls: calls.synthesis } }] };
    },
  });
  return { calls, synthesise };
}

describe('npm start caches the synthesised template', () => {
  it('npm start synthesises once if nothing changes, and brings the bundles up to date each time', async () => {
    const { calls, synthesise } = numberedApp();
    const first = await synthesise({ stage: 'dev' });
    expect(await synthesise({ stage: 'dev' })).toEqual(first);
    expect(calls).toEqual({ bundle: 2, synthesis: 1 });
  });

  it.each([
    ['the content of a source changes', () => writeFileSync(join(sources, 'stack.ts'), 'other')],
    ['a source is added', () => writeFileSync(join(sources, 'more.ts'), '')],
    ['a source is deleted', () => rmSync(join(sources, 'stack.ts'))],
    ['a variable that the CDK reads changes', () => vi.stubEnv('CDK_DEFAULT_REGION', 'eu-west-1')],
  ])('npm start synthesises again if %s', async (_, change) => {
    const { calls, synthesise } = numberedApp();
    const first = await synthesise({});
    change();
    const second = await synthesise({});
    expect(second.stacks).not.toEqual(first.stacks);
    expect(calls.synthesis).toBe(2);
  });

  it('npm start synthesises each time if a source is missing, and keeps at most eight of the results', async () => {
    const { calls, synthesise } = numberedApp();
    rmSync(sources, { recursive: true });
    for (const start of [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]) {
      const { stacks } = await synthesise({});
      expect(stacks[0]?.template).toEqual({ Resources: {}, calls: start });
    }
    expect(calls).toEqual({ bundle: 10, synthesis: 10 });
    expect(readdirSync(results).length).toBeLessThanOrEqual(8);
  });

  it('npm start synthesises again if a setting changes', async () => {
    const { calls, synthesise } = numberedApp();
    await synthesise({ stage: 'dev' });
    await synthesise({ stage: 'prod' });
    expect(calls.synthesis).toBe(2);
  });

  it('npm start does not keep a template if a source changed during the synthesis', async () => {
    let edit: (() => void) | undefined = () => writeFileSync(join(sources, 'stack.ts'), 'edited');
    const { calls, synthesise } = numberedApp({ onSynthesis: () => edit?.() });
    await synthesise({});
    edit = undefined;
    // The sources are restored to their state before the edit, but the first synthesis may have read the edited file.
    writeFileSync(join(sources, 'stack.ts'), 'first');
    await synthesise({});
    expect(calls.synthesis).toBe(2);
  });

  it('npm start ignores a cached template that was not written completely', async () => {
    const { calls, synthesise } = numberedApp();
    const { directory } = await synthesise({});
    writeFileSync(join(dirname(directory), 'assembly.json'), '{"stacks":[{"stackName":');
    await synthesise({});
    expect(calls.synthesis).toBe(2);
  });

  it("two starts at the same time do not delete each other's templates", async () => {
    const opened = Promise.withResolvers<void>();
    let started = 0;
    const synthesise = cachedSynthesis({
      sources: [sources],
      folder: results,
      bundle: async () => {},
      synthesise: async (_, directory) => {
        mkdirSync(directory, { recursive: true });
        const template = join(directory, 'template.json');
        writeFileSync(template, String(++started));
        if (started === 2) opened.resolve();
        await opened.promise;
        return { directory, stacks: [{ stackName: 'a', template: readFileSync(template, 'utf8') }] };
      },
    });
    const both = await Promise.all([synthesise({}), synthesise({})]);
    expect(both.map(({ stacks }) => stacks)).toEqual([
      [{ stackName: 'a', template: '1' }],
      [{ stackName: 'a', template: '2' }],
    ]);
    expect(both.map(({ directory }) => existsSync(join(directory, 'template.json')))).toEqual([true, true]);
    expect(both.map(({ directory }) => directory)).toContain((await synthesise({})).directory);
    expect(started).toBe(2);
  });

  it('npm start keeps the eight most recently used templates', async () => {
    const { calls, synthesise } = numberedApp();
    for (let n = 0; n < 8; n++) {
      const { directory } = await synthesise({ n });
      utimesSync(dirname(directory), n, n);
    }
    await synthesise({ n: 0 });
    const { directory } = await synthesise({ n: 8 });
    expect(existsSync(dirname(directory))).toBe(true);
    expect(readdirSync(results)).toHaveLength(8);
    expect(calls.synthesis).toBe(9);
    await synthesise({ n: 0 });
    expect(calls.synthesis).toBe(9);
    await synthesise({ n: 1 });
    expect(calls.synthesis).toBe(10);
  });
});

describe('The cached template depends on every file that the synthesis reads', { timeout: 60_000 }, () => {
  it('the list of source files includes every file of the project that the synthesis reads', () => {
    const script = join(folder, 'trace.mjs');
    writeFileSync(
      script,
      `import { createRequire, registerHooks, syncBuiltinESMExports } from 'node:module';
       import { fileURLToPath } from 'node:url';
       const fs = createRequire(import.meta.url)('node:fs');
       const read = new Set();
       registerHooks({
         load(url, context, next) {
           if (url.startsWith('file:')) read.add(fileURLToPath(url));
           return next(url, context);
         },
       });
       for (const name of ['readFileSync', 'openSync', 'statSync', 'readdirSync', 'existsSync']) {
         const real = fs[name];
         fs[name] = (path, ...more) => {
           if (name !== 'existsSync' || real(path)) read.add(path instanceof URL ? fileURLToPath(path) : String(path));
           return real(path, ...more);
         };
       }
       syncBuiltinESMExports();
       const { synthesiseWithExample } = await import(process.argv[2]);
       synthesiseWithExample({ 'aws:cdk:disable-asset-staging': true }, process.argv[3]);
       process.stdout.write(JSON.stringify([...read]));`,
    );
    const app = join(root, 'infra/example/app.ts');
    const outdir = join(folder, 'outdir');
    const env = { ...process.env, CDK_VALIDATION: 'false' };
    const output = execFileSync(process.execPath, [script, app, outdir], { env, encoding: 'utf8' });
    const read = (JSON.parse(output) as string[]).filter((path) => path.startsWith(root));
    expect(read).toEqual(
      expect.arrayContaining([app, join(root, 'cdk.json'), join(root, 'docs/openapi.json')]),
    );
    // bundleFunctions keeps the bundles up to date. If installed packages change, so does .package-lock.json.
    const known = [...SOURCES, join(root, '.build'), join(root, 'node_modules')];
    expect(read.filter((path) => !known.some((source) => `${path}/`.startsWith(`${source}/`)))).toEqual([]);
  });

  it('the templates refer to the bundles that bundleFunctions keeps up to date', async () => {
    vi.stubEnv('CDK_VALIDATION', 'false');
    const { stacks } = await synthesisOfService(results)({});
    const codeOf = (template: unknown) =>
      Object.values((template as { Resources: Record<string, { Metadata?: object }> }).Resources)
        .map(({ Metadata }) => (Metadata as Record<string, string> | undefined)?.['aws:asset:path'])
        .filter((path) => path !== undefined);
    const paths = stacks.flatMap(({ template }) => codeOf(template));
    expect(paths).toContain(join(root, '.build/functions/authorize'));
    expect(paths).toContain(join(root, '.build/example/list-dags'));
    expect(paths.filter((path) => !path.startsWith(join(root, '.build')))).toEqual([]);
  });
});
