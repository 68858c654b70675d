import { existsSync, mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { Script } from 'node:vm';
import { beforeAll, describe, expect, it } from 'vitest';
import { bundleFunctions, bundlesDirectory, functionNames } from '../../infra/bundle.ts';

const pathOf = (name: string) => join(bundlesDirectory, name, 'index.js');

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
