import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Script } from 'node:vm';
import { buildSync } from 'esbuild';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { bundleFunctions, bundling, functionNames, sourceMapOf } from '../../infra/bundle.ts';
import { bundlesDirectory } from '../../infra/bundles.ts';

const pathOf = (name: string) => join(bundlesDirectory, name, 'index.js');

/** The maximum size in bytes of the functions that run before every call to a consumer's API. */
const WEIGHT = { authorize: 30 * 1024, whoami: 26 * 1024 };

describe('the bundle of a function that runs before every call', () => {
  beforeAll(() => bundleFunctions());

  it.each(Object.entries(WEIGHT))('is small: %s, at most %i bytes', (name, most) => {
    expect(statSync(pathOf(name)).size).toBeLessThanOrEqual(most);
  });

  it.each(Object.keys(WEIGHT))('contains only the package that signs requests: %s', (name) => {
    const { metafile } = buildSync({ ...bundling([name]), write: false, metafile: true });
    const packages = Object.keys(metafile.inputs).flatMap(
      (path) => /node_modules\/((?:@[^/]+\/)?[^/]+)\/(?!.*node_modules)/.exec(path)?.[1] ?? [],
    );
    expect([...new Set(packages)]).toStrictEqual(['aws4']);
  });
});

describe('the bundle of a function', () => {
  beforeAll(() => bundleFunctions());

  it.each(functionNames())('is one CommonJS file regardless of the package.json above it: %s', (name) => {
    expect(readdirSync(join(bundlesDirectory, name)).sort()).toStrictEqual(
      name in WEIGHT ? ['index.js', 'package.json'] : ['index.js', 'index.js.map', 'package.json'],
    );
    expect(readFileSync(join(bundlesDirectory, name, 'package.json'), 'utf8')).toBe('{"type":"commonjs"}\n');
    const text = readFileSync(pathOf(name), 'utf8');
    expect(() => new Script(`(function (require, module, exports) {${text}\n})`)).not.toThrow();
    expect(text).toContain('module.exports');
  });

  it.each(functionNames())('has a source map that names the entry of %s', (name) => {
    const { sources } = JSON.parse(readFileSync(sourceMapOf(name), 'utf8'));
    expect(sources).toContain(`../../../functions/${name}.ts`);
    const link = '//# sourceMappingURL=index.js.map\n';
    expect(readFileSync(pathOf(name), 'utf8').endsWith(link)).toBe(!(name in WEIGHT));
  });

  it("requires only Node's own modules at run time", () => {
    const required = functionNames().flatMap((name) =>
      [...readFileSync(pathOf(name), 'utf8').matchAll(/\brequire\("([^"]+)"\)/g)].map(
        ([, what = '']) => what,
      ),
    );
    const { builtinModules } = process.getBuiltinModule('node:module');
    // The SDK mentions this package in an error message.
    const inProse = '@aws-sdk/signature-v4-crt';
    const asked = required.filter((what) => what !== inProse);
    expect(asked.filter((what) => !builtinModules.includes(what.replace(/^node:/, '')))).toStrictEqual([]);
  });
});

describe('bundling', () => {
  const folder = mkdtempSync(join(tmpdir(), 'bundle-'));
  const [source, outdir] = [join(folder, 'sources'), join(folder, 'bundles')];
  afterAll(() => rmSync(folder, { recursive: true }));
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

  it('does not bundle again when nothing changed', () => {
    // Only a second run would overwrite this.
    writeFileSync(bundleOf('one'), 'kept');
    bundle('one', 'two');
    expect(readFileSync(bundleOf('one'), 'utf8')).toBe('kept');
  });

  it('bundles again when a source changed, but writes only the bundles that differ', () => {
    const before = statSync(bundleOf('two')).ino;
    write('one', 3);
    bundle('one', 'two');
    expect(readFileSync(bundleOf('one'), 'utf8')).toMatch(/=>3\b/);
    expect(statSync(bundleOf('two')).ino).toBe(before);
  });

  it('bundles again when a bundle is missing', () => {
    rmSync(bundleOf('one'));
    bundle('one', 'two');
    expect(existsSync(bundleOf('one'))).toBe(true);
  });

  it('bundles again after a failed build', () => {
    writeFileSync(join(source, 'one.ts'), 'export const');
    expect(() => bundle('one', 'two')).toThrow(/Expected identifier/);
    write('one', 1);
    writeFileSync(bundleOf('one'), 'of a run that was cut short');
    bundle('one', 'two');
    expect(readFileSync(bundleOf('one'), 'utf8')).toMatch(/=>1\b/);
  });

  it('deletes the bundles of deleted functions', () => {
    rmSync(join(source, 'two.ts'));
    bundle('one');
    expect(readdirSync(outdir)).toStrictEqual(['one']);
  });
});
