import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

/** `| number | fault | `file`: title<br>… |` */
const rows = readFileSync('docs/faults.md', 'utf8')
  .split('\n')
  .flatMap((line) => {
    const [, number, fault = '', tests = ''] = /^\| (\d+) \| (.*?) \| (.*) \|$/.exec(line) ?? [];
    return number ? [{ number: Number(number), fault, tests: tests.split('<br>') }] : [];
  });

describe('the table of faults', () => {
  it('has each of the 42 rows once', () => {
    expect(rows.map(({ number }) => number)).toEqual(Array.from({ length: 42 }, (_, n) => n + 1));
  });

  it.each(rows)('names tests that there are for #$number: $fault', ({ tests }) => {
    for (const test of tests) {
      const [, file = '', title = ''] = /^`(.*?)`: (.*)$/.exec(test) ?? [];
      const begin = title.endsWith(' …') ? title.slice(0, -1) : title;
      const source = readFileSync(file, 'utf8').replaceAll("\\'", "'");
      const isThere = ["'", '"', '`'].some((quote) => source.includes(quote + begin));
      expect(isThere, test).toBe(true);
    }
  });
});
