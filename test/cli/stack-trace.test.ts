import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it } from 'vitest';
import { bundleFunctions } from '../../infra/bundle.ts';
import { bundlesDirectory } from '../../infra/bundles.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const run = (input: string, ...args: string[]) =>
  spawnSync(process.execPath, ['cli/main.ts', 'dev', 'stack-trace', ...args], {
    cwd: root,
    input,
    encoding: 'utf8',
  });

/** Returns the position of a string in a bundle as `line:column`, both counted from 1. */
function positionIn(name: string, text: string): string {
  const before = readFileSync(join(bundlesDirectory, name, 'index.js'), 'utf8').split(text)[0] ?? '';
  const lines = before.split('\n');
  return `${lines.length}:${(lines.at(-1)?.length ?? 0) + 1}`;
}

describe('The command dev stack-trace translates positions in bundles to source lines', {
  timeout: 120_000,
}, () => {
  beforeAll(() => bundleFunctions());

  it.each([
    ['authorize', 'policyDocument', 'functions/routes/authorize.ts'],
    ['purge', 'purge markers swept', 'functions/'],
  ])(
    'the command stack-trace shows the source line for a position in the bundle of %s',
    (name, text, file) => {
      const position = positionIn(name, text);
      const { stdout, status } = run('', name, '--at', position);
      expect(status).toBe(0);
      const [path = '', line = ''] = stdout.trim().split(':');
      expect(path.startsWith(file), stdout).toBe(true);
      const lines = readFileSync(join(root, path), 'utf8').split('\n');
      expect(lines.slice(Number(line) - 3, Number(line) + 2).join('\n')).toContain(text);
    },
  );

  it('the command stack-trace replaces the positions in a stack trace and keeps all other text unchanged', () => {
    const position = positionIn('authorize', 'policyDocument');
    const trace = `Error: no answer\n    at Ab (/var/task/index.js:${position})\n    at node:internal/x:1:2\n`;
    expect(run(trace, 'authorize').stdout).toMatch(
      /^Error: no answer\n {4}at Ab \(functions\/routes\/authorize\.ts:\d+:\d+\)\n {4}at node:internal\/x:1:2\n$/,
    );
  });

  it.each([
    ['no function', [], "missing required argument 'function'"],
    ['two functions', ['authorize', 'purge'], 'too many arguments'],
    [
      'an unknown function',
      ['nothing'],
      'There is no function "nothing". Functions: add-name-to-token, authorize, ',
    ],
  ])(
    'the command stack-trace exits with 2 and reports the mistake if it is called with %s',
    (_, args, message) => {
      const { status, stderr } = run('', ...args);
      expect(status).toBe(2);
      expect(stderr).toContain(`error: ${message}`);
    },
  );
});
