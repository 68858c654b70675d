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
import { bundleFunctions, bundling, functionNames } from '../../infra/bundle.ts';
import { bundlesDirectory } from '../../infra/bundles.ts';

const pathOf = (name: string) => join(bundlesDirectory, name, 'index.js');

/** Most bytes of the functions in front of every call of somebody's API. */
const WEIGHT = { authorize: 29 * 1024, whoami: 26 * 1024 };

describe('a bundle of a function in front of every call', () => {
  beforeAll(() => bundleFunctions());

  it.each(Object.entries(WEIGHT))('weighs little: %s, at most %i bytes', (name, most) => {
    expect(statSync(pathOf(name)).size).toBeLessThanOrEqual(most);
  });

  it.each(Object.keys(WEIGHT))('holds of all packages the one that signs: %s', (name) => {
    const { metafile } = buildSync({ ...bundling([name]), write: false, metafile: true });
    const packages = Object.keys(metafile.inputs).flatMap(
      (path) => /node_modules\/((?:@[^/]+\/)?[^/]+)\/(?!.*node_modules)/.exec(path)?.[1] ?? [],
    );
    expect([...new Set(packages)]).toStrictEqual(['aws4']);
  });
});

describe('a bundle', () => {
  beforeAll(() => bundleFunctions());

  it.each(functionNames())('of %s is one CommonJS file, whatever package.json stands above it', (name) => {
    expect(readdirSync(join(bundlesDirectory, name)).sort()).toStrictEqual(['index.js', 'package.json']);
    expect(readFileSync(join(bundlesDirectory, name, 'package.json'), 'utf8')).toBe('{"type":"commonjs"}\n');
    const text = readFileSync(pathOf(name), 'utf8');
    expect(() => new Script(`(function (require, module, exports) {${text}\n})`)).not.toThrow();
    expect(text).toContain('module.exports');
  });

  it('asks at run time for nothing but what Node has', () => {
    const required = functionNames().flatMap((name) =>
      [...readFileSync(pathOf(name), 'utf8').matchAll(/\brequire\("([^"]+)"\)/g)].map(
        ([, what = '']) => what,
      ),
    );
    const { builtinModules } = process.getBuiltinModule('node:module');
    // The SDK names this one in the text of an error message.
    const inProse = '@aws-sdk/signature-v4-crt';
    const asked = required.filter((what) => what !== inProse);
    expect(asked.filter((what) => !builtinModules.includes(what.replace(/^node:/, '')))).toStrictEqual([]);
  });
});

describe('bundles', () => {
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

  it('are not made again when nothing changed', () => {
    // Nothing but a second run would take this away.
    writeFileSync(bundleOf('one'), 'kept');
    bundle('one', 'two');
    expect(readFileSync(bundleOf('one'), 'utf8')).toBe('kept');
  });

  it('are made again when a source changed, but written where they differ alone', () => {
    const before = statSync(bundleOf('two')).ino;
    write('one', 3);
    bundle('one', 'two');
    expect(readFileSync(bundleOf('one'), 'utf8')).toMatch(/=>3\b/);
    expect(statSync(bundleOf('two')).ino).toBe(before);
  });

  it('are made again when one is missing', () => {
    rmSync(bundleOf('one'));
    bundle('one', 'two');
    expect(existsSync(bundleOf('one'))).toBe(true);
  });

  it('are made again after a time that they could not be made', () => {
    writeFileSync(join(source, 'one.ts'), 'export const');
    expect(() => bundle('one', 'two')).toThrow(/Expected identifier/);
    write('one', 1);
    writeFileSync(bundleOf('one'), 'of a run that was cut short');
    bundle('one', 'two');
    expect(readFileSync(bundleOf('one'), 'utf8')).toMatch(/=>1\b/);
  });

  it('of functions that are gone go too', () => {
    rmSync(join(source, 'two.ts'));
    bundle('one');
    expect(readdirSync(outdir)).toStrictEqual(['one']);
  });
});
