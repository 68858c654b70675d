import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

/** Rows of docs/faults.md: `| number | fault | `file`: title<br>… |` */
const rows = readFileSync('docs/faults.md', 'utf8')
  .split('\n')
  .flatMap((line) => {
    const [, number, fault = '', tests = ''] = /^\| (\d+) \| (.*?) \| (.*) \|$/.exec(line) ?? [];
    return number ? [{ number: Number(number), fault, tests: tests.split('<br>') }] : [];
  });

/** Rows of docs/threat-model.md: `| T1 | threat | held by | `file`: title<br>… |` */
const threats = readFileSync('docs/threat-model.md', 'utf8')
  .split('\n')
  .flatMap((line) => {
    const [, number, threat = '', tests = ''] = /^\| T(\d+) \| (.*?) \| .*? \| (.*) \|$/.exec(line) ?? [];
    return number ? [{ number: Number(number), threat, tests: tests.split('<br>') }] : [];
  });

/** Rows of docs/verified.md: `| behaviour | source | `file`: title<br>… | not yet |` */
const behaviours = readFileSync('docs/verified.md', 'utf8')
  .split('\n')
  .flatMap((line) => {
    const [, behaviour = '', tests = ''] = /^\| (.*?) \| .*? \| (`.*) \| not yet \|$/.exec(line) ?? [];
    return behaviour ? [{ behaviour, tests: tests.split('<br>') }] : [];
  });

/**
 * Reports whether the file contains a test with this title. A title that ends in … only has to match the beginning of a
 * test's title. If no title is given, the file only has to exist.
 */
function isThere(test: string): boolean {
  const [, file = '', title = ''] = /^`(.*?)`(?:: (.*))?$/.exec(test) ?? [];
  const begin = title.endsWith(' …') ? title.slice(0, -1) : title;
  const source = readFileSync(file, 'utf8').replaceAll("\\'", "'");
  return ["'", '"', '`'].some((quote) => source.includes(quote + begin));
}

describe('Every row of docs/faults.md names existing tests', () => {
  it('docs/faults.md lists each row once and in order, including the first 42 rows', () => {
    const numbers = rows.map(({ number }) => number);
    expect(numbers).toEqual([...new Set(numbers)].sort((a, b) => a - b));
    expect(numbers.slice(0, 42)).toEqual(Array.from({ length: 42 }, (_, n) => n + 1));
  });

  it.each(rows)('docs/faults.md names existing tests for #$number: $fault', ({ tests }) => {
    expect(tests.filter((test) => !isThere(test))).toEqual([]);
  });
});

describe('Every row of docs/threat-model.md names existing tests', () => {
  it('docs/threat-model.md lists each row once, with at least one test', () => {
    expect(threats.map(({ number }) => number)).toEqual(threats.map((_, n) => n + 1));
    expect(threats.length).toBeGreaterThan(20);
  });

  it.each(threats)('docs/threat-model.md names existing tests for T$number: $threat', ({ tests }) => {
    expect(tests.filter((test) => !isThere(test))).toEqual([]);
  });
});

describe('Every row of docs/verified.md names existing tests', () => {
  it('docs/verified.md has more than 50 rows that name a test', () => {
    expect(behaviours.length).toBeGreaterThan(50);
  });

  it.each(behaviours)('docs/verified.md names existing tests for "$behaviour"', ({ tests }) => {
    expect(tests.filter((test) => !isThere(test))).toEqual([]);
  });
});
