import { expect, it, vi } from 'vitest';
import { functionJson, functionLines, requestLine } from '../../local/activity.ts';

const line = (text: string) => ({ function: 'purge', text });

it('npm start hides log lines below WARN, metrics, and the error with which an authorizer rejects a call', () => {
  for (const text of [
    '{"level":"INFO","message":"purged"}\n{"level":"DEBUG","message":"x"}\n',
    '{"_aws":{"CloudWatchMetrics":[]},"Purged":1}\n',
    'a1b2\tERROR\tInvoke Error\t{"errorType":"Error","errorMessage":"Unauthorized"}\n',
    '{"level":"ERROR","requestId":"a1b2","message":{"errorType":"Error","errorMessage":"Unauthorized","stackTrace":[]}}\n',
    '\n \r\n',
  ]) {
    expect(functionLines(line(text))).toEqual([]);
  }
});

it("npm start shows warnings, errors and other output of functions, prefixed with the function's name", () => {
  expect(functionLines(line('{"level":"WARN","message":"late"}\n'))).toEqual(['purge: WARN late']);
  const error = {
    level: 'ERROR',
    message: 'failed',
    error: { message: 'no', stack: 'Error: no\n    at a.ts:1' },
  };
  expect(functionLines(line(JSON.stringify(error)))).toEqual([
    'purge: ERROR failed',
    'purge: Error: no',
    'purge:     at a.ts:1',
  ]);
  expect(functionLines(line('a\tb\n[1]\n{"note":1}\n'))).toEqual([
    'purge: a  b',
    'purge: [1]',
    'purge: {"note":1}',
  ]);
  expect(functionLines(line('id\tERROR\tInvoke Error\t{"errorMessage":"Other"}\n'))).toHaveLength(1);
  const failure = {
    errorType: 'TypeError',
    errorMessage: 'wrong',
    stackTrace: ['TypeError: wrong', '    at b.ts:2'],
  };
  expect(functionLines(line(JSON.stringify({ level: 'ERROR', requestId: 'id', message: failure })))).toEqual([
    'purge: ERROR TypeError: wrong',
    'purge:     at b.ts:2',
  ]);
});

it('npm start escapes control characters in the output of functions, and shortens secrets', () => {
  const text = 'x\u001b[2J\u009b\u202e\rGET /whoami 200\ndks_demo_01ABCDEF';
  expect(functionLines(line(text))).toEqual([
    'purge: x\\u001b[2J\\u009b\\u202e\\u000dGET /whoami 200',
    'purge: dks_demo…',
  ]);
  const message = JSON.stringify({ level: 'WARN', message: 'a\u001b[2J\nGET /whoami 200 1 ms' });
  expect(functionLines(line(message))).toEqual(['purge: WARN a\\u001b[2J', 'purge: GET /whoami 200 1 ms']);
});

it('npm start --json prints the JSON lines of functions unchanged, and wraps other output in JSON', () => {
  const json = '{"level":"INFO", "message":"a\u009b\u202e\u{e0041}"}';
  const [kept = '', other = '', ...more] = functionJson(line(`${json}\nplain \u001b[2J\n`));
  expect(more).toEqual([]);
  expect(kept).toMatch(/^\{"level":"INFO", [ -~]+$/);
  expect(JSON.parse(kept)).toEqual(JSON.parse(json));
  expect(JSON.parse(other)).toEqual({ function: 'purge', text: 'plain \u001b[2J' });
});

it.each([
  [200, 32],
  [302, 36],
  [404, 33],
  [503, 31],
])(
  "npm start colours a request's status %i if FORCE_COLOR is set, but not if NO_COLOR is set",
  (status, colour) => {
    vi.stubEnv('TERM', 'xterm');
    const request = { method: 'GET', path: '/whoami', status, milliseconds: 1 };
    const isColoured = (environment: Record<string, string>) => {
      for (const name of ['FORCE_COLOR', 'NO_COLOR', 'NODE_DISABLE_COLORS']) {
        vi.stubEnv(name, environment[name]);
      }
      return requestLine(request, process.stdout).includes(`\u001b[${colour}m${status}\u001b[39m`);
    };
    expect(isColoured({ FORCE_COLOR: '1' })).toBe(true);
    expect(isColoured({ FORCE_COLOR: '0' })).toBe(false);
    expect(isColoured({ NO_COLOR: '1' })).toBe(false);
    expect(isColoured({})).toBe(false);
  },
);
