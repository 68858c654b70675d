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

/** `| behaviour | source | `file`: title<br>… | not yet |` */
const behaviours = readFileSync('docs/verified.md', 'utf8')
  .split('\n')
  .flatMap((line) => {
    const [, behaviour = '', tests = ''] = /^\| (.*?) \| .*? \| (`.*) \| not yet \|$/.exec(line) ?? [];
    return behaviour ? [{ behaviour, tests: tests.split('<br>') }] : [];
  });

/**
 * Whether the file has a test with this title. A title that ends in … needs to match only the start. Without a title,
 * the file needs to exist.
 */
function isThere(test: string): boolean {
  const [, file = '', title = ''] = /^`(.*?)`(?:: (.*))?$/.exec(test) ?? [];
  const begin = title.endsWith(' …') ? title.slice(0, -1) : title;
  const source = readFileSync(file, 'utf8').replaceAll("\\'", "'");
  return ["'", '"', '`'].some((quote) => source.includes(quote + begin));
}

describe('docs/faults.md', () => {
  it('lists each row once, in order, including the first 42', () => {
    const numbers = rows.map(({ number }) => number);
    expect(numbers).toEqual([...new Set(numbers)].sort((a, b) => a - b));
    expect(numbers.slice(0, 42)).toEqual(Array.from({ length: 42 }, (_, n) => n + 1));
  });

  it.each(rows)('names existing tests for #$number: $fault', ({ tests }) => {
    expect(tests.filter((test) => !isThere(test))).toEqual([]);
  });
});

describe('docs/threat-model.md', () => {
  it('lists each row once, with a test', () => {
    expect(threats.map(({ number }) => number)).toEqual(threats.map((_, n) => n + 1));
    expect(threats.length).toBeGreaterThan(20);
  });

  it.each(threats)('names existing tests for T$number: $threat', ({ tests }) => {
    expect(tests.filter((test) => !isThere(test))).toEqual([]);
  });
});

describe('docs/verified.md', () => {
  it('lists more than 50 rows with a test', () => {
    expect(behaviours.length).toBeGreaterThan(50);
  });

  it.each(behaviours)('names existing tests for "$behaviour"', ({ tests }) => {
    expect(tests.filter((test) => !isThere(test))).toEqual([]);
  });
});
