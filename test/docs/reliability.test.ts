import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import manifest from '../../package.json' with { type: 'json' };

const { scripts } = manifest;
const root = fileURLToPath(new URL('../..', import.meta.url));
const page = readFileSync(`${root}docs/reliability.md`, 'utf8');
const named = new Set(
  [...page.matchAll(/npm run (verify:[a-z-]+)/g)].map(([, name]) => name as keyof typeof scripts),
);
// The mutation tests have their own packages, which are not installed in this run.
named.delete('verify:mutation');

async function run(name: keyof typeof scripts, ...options: string[]) {
  const [, ...command] = scripts[name].split(' ');
  return promisify(execFile)(process.execPath, [...command, ...options], { cwd: root }).then(
    ({ stdout, stderr }) => ({ code: 0, stdout, stderr }),
    ({ code, stdout, stderr }) => ({ code, stdout, stderr }),
  );
}

describe('The commands in docs/reliability.md check their arguments', () => {
  it.each([...named])('npm run %s -- --help prints its usage and runs nothing', async (name) => {
    const { code, stdout, stderr } = await run(name, '--help');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toContain(`\n  npm run ${name} [-- `);
  });

  it.each([
    ['verify:model', '--runs', 'many'],
    ['verify:races', '--times', '0'],
    ['verify:purge-scale', '--kills', '1e'],
    ['verify:soak', '--loops', ''],
  ] as const)('npm run %s -- %s %s fails, because it would run nothing', async (name, option, text) => {
    const { code, stdout, stderr } = await run(name, option, text);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr.split('\n')[0]).toBe(`${option} is to be a number above 0, not "${text}".`);
  });

  it('npm run verify:defects -- <unknown name> fails and lists the known names', async () => {
    const { code, stdout, stderr } = await run('verify:defects', 'nosuch');
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(
      /^No defect is called so: nosuch\. There are:\n01-slide-without-its-condition\.patch\n/,
    );
  });
});
