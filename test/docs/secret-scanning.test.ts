import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { mintCredential } from '../../functions/domain/mint.ts';
import { mistyped } from '../support/mistyped.ts';

const ULID = '01ARZ3NDEKTSV4RRFFQ69G5FAV';
const REAL = (['secret', 'token', 'temporary'] as const).flatMap((kind) =>
  ['a', 'etl_prod-1', 'x'.repeat(64), 'a_01ARZ3NDEKTSV4RRFFQ69G5FAV'].map((id) =>
    mintCredential(kind, id, ULID),
  ),
);
const NONE = ['dk_etl_01ARZ3NDEKTSV4RRFFQ69G5FAV', 'dks_etl_secret', `dkt_etl_${ULID}_${'a'.repeat(48)}`];
const page = readFileSync('docs/secret-scanning.md', 'utf8');

/** The rule of each scanner, as it stands in the file that people copy. */
const rules: Record<string, RegExp> = {
  gitleaks: new RegExp(
    /regex = '''(.*)'''/.exec(readFileSync('docs/scanning/gitleaks.toml', 'utf8'))?.[1] ?? '',
  ),
  secretlint: new RegExp(
    JSON.parse(
      readFileSync('docs/scanning/secretlintrc.json', 'utf8'),
    ).rules[0].options.patterns[0].patterns[0].slice(1, -1),
  ),
  GitHub: new RegExp(/Secret format: `(.*)`/.exec(page)?.[1] ?? ''),
};

describe.each(Object.entries(rules))('the rule for %s', (_, rule) => {
  it('finds every kind of secret, in text, code and URLs', () => {
    for (const one of REAL) {
      for (const text of [one, `"${one}"`, `key=${one}&x=1`, `-u id:${one}\n`]) {
        expect(rule.exec(text)?.[0]).toBe(one);
      }
    }
  });

  it('finds nothing in key IDs and fragments', () => {
    for (const text of NONE) expect(rule.test(text), text).toBe(false);
  });
});

describe('the check computed offline', () => {
  const run = (input: string) =>
    spawnSync(process.execPath, ['docs/scanning/check.mjs'], { input, encoding: 'utf8' });

  it('is that of the documented example', () => {
    const [, command, output] = /\$ echo '(.*)' \| node .*\n(.*)\n/.exec(page) ?? [];
    const { stdout, status } = run(`${command}\n`);
    expect(stdout).toBe(`${output}\n`);
    expect(status).toBe(1);
    expect(page.split(String(command))).toHaveLength(3);
  });

  it('is right for each that is real and wrong for each with another character', () => {
    expect(run(REAL.join('\n')).stdout.trim().split('\n')).toHaveLength(new Set(REAL).size);
    const typos = REAL.map(mistyped);
    expect(run(typos.join('\n'))).toMatchObject({ stdout: '', status: 0 });
  });

  it('does not print what is secret', () => {
    const { stdout } = run(REAL.join('\n'));
    for (const one of REAL) expect(stdout).not.toContain(one.slice(-49));
  });
});
