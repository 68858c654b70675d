import { existsSync, mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { Script } from 'node:vm';
import { buildSync } from 'esbuild';
import { beforeAll, describe, expect, it } from 'vitest';
import { bundleFunctions, bundling, functionNames } from '../../infra/bundle.ts';
import { bundlesDirectory } from '../../infra/bundles.ts';

const pathOf = (name: string) => join(bundlesDirectory, name, 'index.js');

/** Most bytes of the functions in front of every call of somebody's API. */
const WEIGHT = { authorize: 28 * 1024, whoami: 25 * 1024 };

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

  it('is not written again when nothing changed', () => {
    const writtenAt = () => functionNames().map((name) => statSync(pathOf(name)).ino);
    const before = writtenAt();
    bundleFunctions();
    expect(writtenAt()).toStrictEqual(before);
  });

  it('of a function that is gone goes too', () => {
    const gone = join(bundlesDirectory, 'gone');
    mkdirSync(gone, { recursive: true });
    bundleFunctions();
    expect(existsSync(gone)).toBe(false);
  });
});
