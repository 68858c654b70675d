import { readFileSync } from 'node:fs';
import { expect, it, vi } from 'vitest';
import { issueReport } from '../../functions/runtime/report.ts';

const page = readFileSync(new URL('../../docs/cost.md', import.meta.url), 'utf8');
const cells = (line: string) =>
  line
    .split('|')
    .slice(1, -1)
    .map((cell) => cell.trim());
const rows = page
  .split('\n')
  .filter((line) => line.startsWith('| '))
  .map(cells);

/** The price in dollars, as the page gives it. */
function price(name: string): number {
  const [, dollars] = rows.find(([first]) => first === name) ?? [];
  expect(Number(dollars)).toBeGreaterThan(0);
  return Number(dollars);
}
/** The units of an operation of typical size, as verified in test/service/units.test.ts. */
function unitsOf(operation: string): [read: number, write: number] {
  const [, , units = ''] = rows.find(([first]) => first === operation) ?? [];
  const [read, write] = units.split(' + ').map(Number);
  return [read ?? Number.NaN, write ?? Number.NaN];
}
function assumed(pattern: RegExp): number {
  const [, number] = pattern.exec(page.replaceAll('\n', ' ')) ?? [];
  return Number(number);
}

const line = {
  lambda: assumed(/REPORT\), (\d+) bytes/),
  access: assumed(/access log is (\d+) bytes/),
  issued: assumed(/counts a token (\d+) bytes/),
};
const CHECK = { ms: assumed(/a check is billed (\d+) ms/), bytes: line.lambda };
const EXCHANGE = {
  ms: assumed(/an exchange (\d+) ms/),
  bytes: line.lambda + line.access + 26 + line.issued + 26,
};
const BEHIND_GATEWAY = { ...CHECK, bytes: line.lambda + line.access + 26 };

it.each([
  ['checks by the authorizer, not extended', 'Check a token, not extended', CHECK, false],
  ['checks by the authorizer, each extended', 'Check a token, extended', CHECK, false],
  ['checks of a temporary token', 'Check a temporary token', CHECK, false],
  ['checks by `/whoami`, not extended', 'Check a token, not extended', BEHIND_GATEWAY, true],
  ['exchanges, not the first in an interval', 'Exchange credentials for a token', EXCHANGE, true],
  [
    'exchanges, each the first in an interval',
    'Exchange credentials for a token, first in an interval',
    EXCHANGE,
    true,
  ],
] as const)(
  'docs/cost.md gives the right price for a million %s',
  (title, operation, { ms, bytes }, hasGateway) => {
    const [read, write] = unitsOf(operation);
    const parts = [
      read * price('1,000,000 read units on demand') + write * price('1,000,000 write units on demand'),
      price('1,000,000 Lambda requests'),
      0.25 * (ms / 1000) * 1e6 * price('1 GB-second of Lambda on arm64'),
      (bytes / 1e9) * 1e6 * price('1 GB of logs taken in'),
      hasGateway ? price('1,000,000 calls of an HTTP API') : 0,
    ];
    const sum = parts.reduce((a, b) => a + b);
    const [, ...written] = rows.find(([first]) => first === title) ?? [];
    // The values may differ only by rounding to the cent.
    for (const [at, part] of [...parts, sum].entries()) {
      expect(Math.abs(Number(written[at]) - part)).toBeLessThan(0.0051);
    }
    expect(written).toHaveLength(6);
  },
);

it('docs/cost.md gives the right length of the log line that counts a token', () => {
  let written = '';
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    written = String(text);
    return true;
  });
  issueReport({ STACK_NAME: 'deployment-api-keys-production' })();
  expect(Math.abs(Buffer.byteLength(written) - line.issued)).toBeLessThan(25);
});
