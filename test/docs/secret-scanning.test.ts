import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { findCredentials, formatCredential } from '../../functions/domain/credentials.ts';
import { CONTEXTS } from '../support/contexts.ts';
import { mistyped } from '../support/mistyped.ts';

const ULID = '01ARZ3NDEKTSV4RRFFQ69G5FAV';
const RANDOM = '0aB3cD4eF5gH6iJ7kL8mN9oP0qR1sT2uV3wX4yZ5zA6';
/** Deployment IDs that look like a credential or like part of a credential. */
const DEPLOYMENTS = [
  'a',
  'etl_prod-1',
  'x'.repeat(64),
  `a_${ULID}`,
  'dks_etl',
  `dkt_a_${ULID}_${'z'.repeat(31)}`,
];
const REAL = (['secret', 'token', 'temporary'] as const).flatMap((kind) =>
  DEPLOYMENTS.map((deploymentId) => formatCredential({ kind, deploymentId, ulid: ULID }, RANDOM)),
);
const NONE = ['dk_etl_01ARZ3NDEKTSV4RRFFQ69G5FAV', 'dks_etl_secret', `dkt_etl_${ULID}_${'a'.repeat(48)}`];
const page = readFileSync('docs/secret-scanning.md', 'utf8');
const gitHub = (field: string) => new RegExp(`${field}: \`(.*)\``).exec(page)?.[1] ?? '';

/** Each scanner's rule, as in the file that people copy. A rule reports the text that its first group matches. */
const rules: Record<string, RegExp> = {
  gitleaks: new RegExp(
    /regex = '''(.*)'''/.exec(readFileSync('integrations/secret-scanning/gitleaks.toml', 'utf8'))?.[1] ?? '',
    'g',
  ),
  secretlint: new RegExp(
    `(${JSON.parse(
      readFileSync('integrations/secret-scanning/secretlintrc.json', 'utf8'),
    ).rules[0].options.patterns[0].patterns[0].slice(1, -1)})`,
    'g',
  ),
  GitHub: new RegExp(
    `(?:${gitHub('Before secret').replace('\\A', '^')})(${gitHub('Secret format')})(?=${gitHub('After secret').replace('\\z', '$')})`,
    'g',
  ),
};

describe.each(Object.entries(rules))('The secret scanning rule for %s finds credentials', (_, rule) => {
  const found = (text: string) => [...text.matchAll(rule)].map(([, reported]) => reported ?? '');

  it.each(CONTEXTS)("#52: the scanner's rule finds every kind of credential %s", (_, put) => {
    for (const one of REAL) {
      // Before the credential, the rule also matches text that looks like a prefix, because a pattern cannot compute
      // the checksum.
      expect(
        found(put(one)).some((reported) => reported.endsWith(one)),
        put(one),
      ).toBe(true);
    }
  });

  it("the scanner's rule reports exactly the credential, unless the text before it looks like a prefix", () => {
    for (const one of REAL) expect(found(`client_secret=${one}&x=1`)).toEqual([one]);
  });

  it("the scanner's rule finds nothing in key IDs and fragments of credentials", () => {
    for (const text of NONE) expect(found(text), text).toEqual([]);
  });
});

describe('The script check.mjs finds credentials in a text', () => {
  const run = (input: string) =>
    spawnSync(process.execPath, ['integrations/secret-scanning/check.mjs'], { input, encoding: 'utf8' });
  /** Returns the output of check.mjs for these credentials, without the secret parts. */
  const printed = (credentials: string[]) => credentials.map((one) => `${one.slice(0, -49)}…\n`).join('');

  it('check.mjs prints the documented output for the example in the documentation', () => {
    const [, command, output] = /\$ echo '(.*)' \| node .*\n(.*)\n/.exec(page) ?? [];
    const { stdout, status } = run(`${command}\n`);
    expect(stdout).toBe(`${output}\n`);
    expect(status).toBe(1);
    expect(page.split(String(command))).toHaveLength(3);
  });

  it.each(CONTEXTS)('#52: check.mjs finds every kind of credential %s', (_, put) => {
    const text = REAL.map(put).join('\n');
    expect(run(text)).toMatchObject({ stdout: printed(REAL), status: 1 });
  });

  it('#52: check.mjs finds the same credentials as the service in text with overlapping, truncated or adjacent credentials', () => {
    const [first = '', second = ''] = REAL;
    const texts = [
      REAL.join(''),
      ...[1, 3, 20, 49, 60].map((cut) => first.slice(0, -cut) + second),
      'dks_'.repeat(8000) + first,
      `_${ULID}_${'0'.repeat(49)}`.repeat(200) + second,
    ];
    for (const text of texts) expect(run(text).stdout).toBe(printed(findCredentials(text)));
  });

  it('check.mjs ignores credentials that have a wrong checksum', () => {
    expect(run(REAL.map(mistyped).join('\n'))).toMatchObject({ stdout: '', status: 0 });
  });

  it('check.mjs does not print the secret part of a credential', () => {
    const { stdout } = run(REAL.join('\n'));
    for (const one of REAL) expect(stdout).not.toContain(one.slice(-49));
  });
});
