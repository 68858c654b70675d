import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

/** `| number | fault | `file`: title<br>… |` */
const rows = readFileSync('docs/faults.md', 'utf8')
  .split('\n')
  .flatMap((line) => {
    const [, number, fault = '', tests = ''] = /^\| (\d+) \| (.*?) \| (.*) \|$/.exec(line) ?? [];
    return number ? [{ number: Number(number), fault, tests: tests.split('<br>') }] : [];
  });

/** `| T1 | threat | held by | `file`: title<br>… |` */
const threats = readFileSync('docs/threat-model.md', 'utf8')
  .split('\n')
  .flatMap((line) => {
    const [, number, threat = '', tests = ''] = /^\| T(\d+) \| (.*?) \| .*? \| (.*) \|$/.exec(line) ?? [];
    return number ? [{ number: Number(number), threat, tests: tests.split('<br>') }] : [];
  });

/** Whether `file`: title is there, a title that ends in … by its beginning. */
function isThere(test: string): boolean {
  const [, file = '', title = ''] = /^`(.*?)`: (.*)$/.exec(test) ?? [];
  const begin = title.endsWith(' …') ? title.slice(0, -1) : title;
  const source = readFileSync(file, 'utf8').replaceAll("\\'", "'");
  return ["'", '"', '`'].some((quote) => source.includes(quote + begin));
}

describe('the table of faults', () => {
  it('has each row once, in order, and none of the first 42 is missing', () => {
    const numbers = rows.map(({ number }) => number);
    expect(numbers).toEqual([...new Set(numbers)].sort((a, b) => a - b));
    expect(numbers.slice(0, 42)).toEqual(Array.from({ length: 42 }, (_, n) => n + 1));
  });

  it.each(rows)('names tests that there are for #$number: $fault', ({ tests }) => {
    expect(tests.filter((test) => !isThere(test))).toEqual([]);
  });
});

describe('the threat model', () => {
  it('has each of its rows once, with a test', () => {
    expect(threats.map(({ number }) => number)).toEqual(threats.map((_, n) => n + 1));
    expect(threats.length).toBeGreaterThan(20);
  });

  it.each(threats)('names tests that there are for T$number: $threat', ({ tests }) => {
    expect(tests.filter((test) => !isThere(test))).toEqual([]);
  });
});
