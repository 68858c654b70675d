import { readFileSync } from 'node:fs';
import { expect, it, vi } from 'vitest';
import { costOfMillion, costOfMonth, LINES, OPERATIONS, PRICES, PROVISIONED, sumOf } from '../../cli/cost.ts';
import { createProgram } from '../../cli/program.ts';
import { issueReport } from '../../functions/runtime/report.ts';

const page = readFileSync(new URL('../../docs/cost.md', import.meta.url), 'utf8');
/** The text of docs/cost.md without line breaks, so that the tests also find sentences that span two lines. */
const prose = page.replaceAll(/\s+/g, ' ');
const cells = (line: string) =>
  line
    .split('|')
    .slice(1, -1)
    .map((cell) => cell.trim());
const rows = page
  .split('\n')
  .filter((line) => line.startsWith('| '))
  .map(cells);

/** Returns the price in dollars, as stated in docs/cost.md. */
function price(name: string): number {
  const [, dollars] = rows.find(([first]) => first === name) ?? [];
  expect(Number(dollars)).toBeGreaterThan(0);
  return Number(dollars);
}
/** The capacity units that an operation of typical size uses. test/service/units.test.ts verifies these numbers. */
function unitsOf(operation: string): [read: number, write: number] {
  const [, , units = ''] = rows.find(([first]) => first === operation) ?? [];
  const [read, write] = units.split(' + ').map(Number);
  return [read ?? Number.NaN, write ?? Number.NaN];
}
function assumed(pattern: RegExp): number {
  const [, number] = pattern.exec(prose) ?? [];
  return Number(number);
}

const line = {
  lambda: assumed(/start and report\), (\d+) bytes/),
  access: assumed(/access log is (\d+) bytes/),
  issued: assumed(/counts a token is (\d+) bytes/),
};

it('cli/cost.ts and docs/cost.md use the same prices and assumptions', () => {
  for (const [name, dollars] of Object.entries(PRICES)) expect(price(name), name).toBe(dollars);
  expect(LINES).toEqual({ access: line.access, issued: line.issued });
  expect(assumed(/a check is billed (\d+) ms/)).toBe(
    OPERATIONS['checks by the authorizer, not extended'].milliseconds,
  );
  expect(assumed(/an exchange (\d+) ms/)).toBe(
    OPERATIONS['exchanges, not the first in an interval'].milliseconds,
  );
});

it.each(Object.entries(OPERATIONS))(
  'docs/cost.md states the correct price of a million %s',
  (title, operation) => {
    expect([operation.reads, operation.writes]).toEqual(unitsOf(operation.units));
    const cost = costOfMillion(operation, 256, 'on demand');
    const provisioned = sumOf(costOfMillion(operation, 256, PROVISIONED));
    const expected = [
      cost.table,
      cost.requests,
      cost.time,
      cost.logs,
      cost.gateway,
      sumOf(cost),
      provisioned,
    ];
    const [, ...written] = rows.find(([first]) => first === title) ?? [];
    expect(written).toHaveLength(expected.length);
    // The values may differ only because of rounding to the cent.
    for (const [at, part] of expected.entries()) {
      expect(Math.abs(Number(written[at]) - part)).toBeLessThan(0.0051);
    }
  },
);

it('a million checks with 256 MiB cost at most $0.76 on demand, and $0.52 with provisioned capacity', () => {
  const check = OPERATIONS['checks by the authorizer, not extended'];
  expect(sumOf(costOfMillion(check, 256, 'on demand'))).toBeLessThanOrEqual(0.76);
  expect(sumOf(costOfMillion(check, 256, PROVISIONED))).toBeLessThanOrEqual(0.52);
});

it('the monthly cost includes at most one extension per key every 300 s, and never more extensions than checks', () => {
  const usage = { checks: 1_000_000, exchanges: 0, deployments: 0, keys: 0, memory: 256 };
  const [least, most] = [
    'checks by the authorizer, not extended',
    'checks by the authorizer, each extended',
  ].map((title) => sumOf(costOfMillion(OPERATIONS[title as keyof typeof OPERATIONS], 256, 'on demand')));
  expect(costOfMonth(usage, 'on demand').checks).toBeCloseTo(least ?? Number.NaN, 10);
  expect(costOfMonth({ ...usage, keys: 1000 }, 'on demand').checks).toBeCloseTo(most ?? Number.NaN, 10);
  const one = costOfMonth({ ...usage, keys: 1 }, 'on demand').checks;
  expect(one - (least ?? Number.NaN)).toBeCloseTo((8640 / 1e6) * 0.625, 10);
});

it('the cost command prints the same totals for a million checks and exchanges as docs/cost.md', () => {
  const printed: string[] = [];
  vi.spyOn(console, 'log').mockImplementation((text) => printed.push(text));
  const args = ['cost', '--keys', '0', '--deployments', '0', '--json'];
  return createProgram()
    .parseAsync(args, { from: 'user' })
    .then(() => {
      const { onDemand, provisioned } = JSON.parse(printed.join(''));
      const sums = (title: string) => rows.find(([first]) => first === title)?.slice(-2);
      expect([onDemand.checks.toFixed(2), provisioned.checks.toFixed(2)]).toEqual(
        sums('checks by the authorizer, not extended'),
      );
      expect([onDemand.exchanges.toFixed(2), provisioned.exchanges.toFixed(2)]).toEqual(
        sums('exchanges, not the first in an interval'),
      );
    });
});

it('docs/cost.md and docs/settings.md state the correct price of the log lines that Lambda itself writes', () => {
  const dollars = ((line.lambda / 1e9) * 1e6 * price('1 GB of logs taken in')).toFixed(2);
  expect(prose).toContain(`bytes together with CloudWatch's 26 for each: $${dollars} for a million calls`);
  const settings = readFileSync(new URL('../../docs/settings.md', import.meta.url), 'utf8');
  expect(settings).toContain(`[they cost $${dollars} for a million checks](cost.md#dollars)`);
});

it('docs/cost.md states the correct length of the log line that counts a token', () => {
  let written = '';
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    written = String(text);
    return true;
  });
  issueReport({ STACK_NAME: 'deployment-api-keys-production' })({
    keyId: 'dk_analytics-etl_01ARZ3NDEKTSV4RRFFQ69G5FAV',
    requestId: 'JKJaXmPLvHcESHA=',
    address: '198.51.100.7',
    client: 'curl/8.14.1',
  });
  expect(Math.abs(Buffer.byteLength(written) - line.issued)).toBeLessThan(25);
});
