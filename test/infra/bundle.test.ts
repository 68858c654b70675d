import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { Script } from 'node:vm';
import { buildSync } from 'esbuild';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { BUNDLERS, bundleFunctions, bundling, functionNames, sourceMapOf } from '../../infra/bundle.ts';
import { bundlesDirectory, bundleWith, WARMED_UP } from '../../infra/bundles.ts';
import { importsOfFiles } from '../support/imports.ts';
import { temporaryFolder } from '../support/temporary.ts';

const pathOf = (name: string) => join(bundlesDirectory, name, 'index.js');

/** The functions that run before every call to a consumer's API, each with the maximum size of its bundle in bytes. */
const WEIGHT = { authorize: 30 * 1024, whoami: 28 * 1024 };

describe('The bundle of a function that runs before every request stays small', () => {
  beforeAll(() => bundleFunctions());

  it.each(Object.entries(WEIGHT))('the bundle of %s is at most %i bytes long', (name, most) => {
    const files = [pathOf(name), join(bundlesDirectory, name, 'entry.mjs')];
    const size = files.reduce((sum, file) => sum + statSync(file).size, 0);
    expect(size).toBeLessThanOrEqual(most);
  });

  it.each(Object.keys(WEIGHT))('the bundle of %s contains no package', (name) => {
    const { metafile } = buildSync({ ...bundling([name]), write: false, metafile: true });
    // Every file of which the bundle contains at least one byte.
    const files = Object.values(metafile.outputs).flatMap(({ inputs }) => Object.keys(inputs));
    expect(files).toContain(`functions/${name}.ts`);
    const packages = files.flatMap(
      (path) => /node_modules\/((?:@[^/]+\/)?[^/]+)\/(?!.*node_modules)/.exec(path)?.[1] ?? [],
    );
    expect([...new Set(packages)]).toStrictEqual([]);
  });
});

describe("A function's bundle contains all packages that it needs", () => {
  beforeAll(() => bundleFunctions());

  it.each(functionNames())(
    'the bundle of %s is one CommonJS file, regardless of any package.json in a parent folder',
    (name) => {
      expect(readdirSync(join(bundlesDirectory, name)).sort()).toStrictEqual([
        ...(WARMED_UP.includes(name) ? ['entry.mjs'] : []),
        'index.js',
        ...(name in WEIGHT ? [] : ['index.js.map']),
        'package.json',
      ]);
      expect(readFileSync(join(bundlesDirectory, name, 'package.json'), 'utf8')).toBe(
        '{"type":"commonjs"}\n',
      );
      const text = readFileSync(pathOf(name), 'utf8');
      expect(() => new Script(`(function (require, module, exports) {${text}\n})`)).not.toThrow();
      expect(text).toContain('module.exports');
    },
  );

  it.each(functionNames())(
    "the source map of the bundle of %s contains the function's entry point",
    (name) => {
      const { sources } = JSON.parse(readFileSync(sourceMapOf(name), 'utf8'));
      expect(sources).toContain(`../../../functions/${name}.ts`);
      const link = '//# sourceMappingURL=index.js.map\n';
      expect(readFileSync(pathOf(name), 'utf8').endsWith(link)).toBe(!(name in WEIGHT));
    },
  );

  it("a function's bundle requires only Node's built-in modules at run time", () => {
    const required = functionNames().flatMap((name) =>
      [...readFileSync(pathOf(name), 'utf8').matchAll(/\brequire\("([^"]+)"\)/g)].map(
        ([, what = '']) => what,
      ),
    );
    const { builtinModules } = process.getBuiltinModule('node:module');
    // The SDK mentions this package only in an error message and does not import it.
    const inProse = '@aws-sdk/signature-v4-crt';
    const imported = required.filter((what) => what !== inProse);
    expect(imported.filter((what) => !builtinModules.includes(what.replace(/^node:/, '')))).toStrictEqual([]);
  });
});

describe('Synthesis rebuilds the bundles only when their code has changed', () => {
  const folder = temporaryFolder('bundle');
  const [source, outdir] = [join(folder, 'sources'), join(folder, 'bundles')];
  const write = (name: string, answer: number) =>
    writeFileSync(join(source, `${name}.ts`), `export const handler = () => ${answer};`);
  const bundle = (...names: string[]) => bundleFunctions(source, outdir, names);
  const bundleOf = (name: string) => join(outdir, name, 'index.js');
  beforeEach(() => {
    rmSync(folder, { recursive: true });
    mkdirSync(source, { recursive: true });
    write('one', 1);
    write('two', 2);
    bundle('one', 'two');
  });

  it('synthesis does not rebuild the bundles if nothing has changed', () => {
    // A second build would overwrite this text, so the test can detect a second build.
    writeFileSync(bundleOf('one'), 'kept');
    bundle('one', 'two');
    expect(readFileSync(bundleOf('one'), 'utf8')).toBe('kept');
  });

  it('synthesis rebuilds the bundles if a source file has changed, but writes only bundles that differ', () => {
    const before = statSync(bundleOf('two')).ino;
    write('one', 3);
    bundle('one', 'two');
    expect(readFileSync(bundleOf('one'), 'utf8')).toMatch(/=>3\b/);
    expect(statSync(bundleOf('two')).ino).toBe(before);
  });

  it('synthesis rebuilds the bundles if a bundle is missing', () => {
    rmSync(bundleOf('one'));
    bundle('one', 'two');
    expect(existsSync(bundleOf('one'))).toBe(true);
  });

  it('synthesis rebuilds the bundles after a failed build', () => {
    writeFileSync(join(source, 'one.ts'), 'export const');
    expect(() => bundle('one', 'two')).toThrow(/Expected identifier/);
    write('one', 1);
    writeFileSync(bundleOf('one'), 'of a run that was cut short');
    bundle('one', 'two');
    expect(readFileSync(bundleOf('one'), 'utf8')).toMatch(/=>1\b/);
  });

  it('synthesis deletes the bundles of functions that no longer exist', () => {
    rmSync(join(source, 'two.ts'));
    bundle('one');
    expect(readdirSync(outdir)).toStrictEqual(['one']);
  });

  it('synthesis rebuilds the bundles if any file of the bundling code has changed', async () => {
    const code = BUNDLERS.map((path) => relative(process.cwd(), path)).filter((path) => path.endsWith('.ts'));
    const imported = (await importsOfFiles(code)).map(({ to }) => to).filter((to) => to.startsWith('infra/'));
    expect(code).toEqual(expect.arrayContaining(['infra/bundle.ts', 'infra/bundles.ts', ...imported]));
  });
});

describe('Synthesis can add environment variables to a bundle', () => {
  const folder = temporaryFolder('bundle-with');
  const source = join(folder, 'bundles');
  const outdir = join(folder, 'cdk.out');
  const copy = (variables = { A: '1' }) => bundleWith('one', variables, outdir, source);
  const filesIn = (path: string) =>
    Object.fromEntries(readdirSync(path).map((file) => [file, readFileSync(join(path, file), 'utf8')]));
  beforeEach(() => {
    rmSync(folder, { recursive: true });
    mkdirSync(join(source, 'one'), { recursive: true });
    writeFileSync(join(source, 'one', 'index.js'), 'first');
  });

  it('a bundle with added variables contains the code and an entry point that sets the variables', () => {
    expect(filesIn(copy())).toStrictEqual({
      'index.js': 'first',
      'entry.mjs': expect.stringContaining('Object.assign(process.env, {"A":"1"});'),
    });
  });

  it('a bundle with added variables contains the current code even if the output folder has older code', () => {
    const earlier = copy();
    writeFileSync(join(source, 'one', 'index.js'), 'second');
    const later = copy();
    expect(filesIn(later)['index.js']).toBe('second');
    // The CDK caches assets by their path, so the path must change with the code.
    expect(later).not.toBe(earlier);
  });

  it('synthesis replaces files of a bundle that an interrupted synthesis left in the output folder', () => {
    const path = copy();
    writeFileSync(join(path, 'index.js'), 'fir');
    writeFileSync(join(path, 'index.js.map'), '');
    expect(copy()).toBe(path);
    expect(filesIn(path)).toStrictEqual({ 'index.js': 'first', 'entry.mjs': expect.any(String) });
  });

  it('two bundles of one function with different variables can share the output folder', () => {
    const [one, two] = [copy({ A: '1' }), copy({ A: '2' })];
    expect(filesIn(one)['entry.mjs']).toContain('{"A":"1"}');
    expect(filesIn(two)['entry.mjs']).toContain('{"A":"2"}');
  });
});
