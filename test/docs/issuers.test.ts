import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PRESETS } from '../../functions/domain/issuer-presets.ts';
import { decide, matchingRules } from '../../functions/domain/subject-decision.ts';
import {
  algorithmsOf,
  broadRules,
  type TrustedIssuer,
  type TrustRule,
} from '../../functions/domain/trust.ts';
import { newKeyInput, parseInput } from '../../functions/http/schemas.ts';
import { readSettings } from '../../infra/settings.ts';
import { entriesWithoutKeys, type TrustedIssuerInput } from '../../infra/trusted-issuers.ts';

const OURSELVES = 'https://keys.example.com';
const text = readFileSync('docs/issuers.md', 'utf8');

/** The samples in each section: an entry for the setting, the claims of a token, and a rule. */
const sections = text.split(/^## /m).flatMap((section) => {
  const [entry, claims, rule] = [...section.matchAll(/^```json\n(.*?)^```$/gms)].map(([, json = '']) =>
    JSON.parse(json),
  );
  if (!rule) return [];
  const [name = ''] = section.split('\n');
  return [{ name, entry: entry as TrustedIssuerInput, claims, rule: rule as TrustRule }];
});
const issuerOf = (entry: TrustedIssuerInput) => entriesWithoutKeys([entry])[0] as TrustedIssuer;

/** Reports whether the token exchange accepts a token with these claims. */
function accepts(rule: TrustRule, entry: TrustedIssuerInput, claims: Record<string, unknown>): boolean {
  const token = { aud: entry.audience ?? OURSELVES, ...claims };
  const subject = { jwt: 'a.b.c', issuer: String(claims.iss), signingInput: 'a.b' };
  return matchingRules(decide([rule], { subject, claims: token }, OURSELVES, [issuerOf(entry)])).length > 0;
}
/** The claims by which a trust rule binds a tenant. */
const bound = ({ claims }: TrustRule, { bind }: TrustedIssuerInput) =>
  Object.keys(claims).filter(
    (name) =>
      bind?.includes(name) ||
      Object.values(PRESETS).some((preset) => [...preset.claims].some((it) => it === name)),
  );

describe('The samples in docs/issuers.md work', () => {
  it('docs/issuers.md has samples for every preset, and for issuers without a preset', () => {
    expect(sections.map(({ name }) => name)).toEqual([
      'GitHub Actions',
      'GitLab',
      'Buildkite',
      'CircleCI',
      'Kubernetes',
      'Amazon EKS',
      'AWS IAM',
      'Bitbucket Pipelines',
      'Azure DevOps',
    ]);
    const presets = sections.flatMap(({ entry }) => entry.preset ?? []);
    expect(presets.toSorted()).toEqual(Object.keys(PRESETS).toSorted());
    for (const preset of Object.keys(PRESETS)) expect(text).toContain(`\`${preset}\``);
  });

  it('docs/issuers.md names a public source for every sample', () => {
    const rows = (text.split('\n## Sources\n')[1] ?? '')
      .split('\n')
      .filter((line) => line.includes('https://'));
    expect(rows.map((row) => row.split('|')[1]?.trim())).toEqual(sections.map(({ name }) => name));
  });

  it.each(sections)('docs/issuers.md has an entry for $name that synthesis accepts', ({ entry }) => {
    expect(readSettings({ trustedIssuers: [entry] }).trustedIssuers).toEqual([entry]);
    expect(readSettings({ trustedIssuers: JSON.stringify([entry]) }).trustedIssuers).toEqual([entry]);
  });

  it('each preset accepts exactly the algorithms with which its CI system signs', () => {
    const clusters = ['RS256', 'ES256', 'ES384', 'ES512'];
    expect(Object.entries(PRESETS).map(([name, { algorithms }]) => [name, [...algorithms]])).toEqual([
      ['github', ['RS256']],
      ['gitlab', ['RS256']],
      ['buildkite', ['RS256']],
      ['circleci', ['RS256']],
      ['kubernetes', clusters],
      ['eks', ['RS256']],
      ['aws', ['ES384']],
    ]);
  });

  it.each(sections.filter(({ entry }) => entry.preset))(
    'docs/issuers.md lists every algorithm of $name',
    ({ name, entry }) => {
      const section = text.split(`## ${name}\n`)[1]?.split('\n## ')[0] ?? '';
      for (const algorithm of algorithmsOf(issuerOf(entry)) ?? []) expect(section).toContain(algorithm);
    },
  );

  it.each(sections)(
    'docs/issuers.md has a rule for $name that the API accepts and that limits the branch',
    ({ entry, rule }) => {
      const issuers = [issuerOf(entry)];
      expect(parseInput(newKeyInput([], 0, issuers), { name: 'ci', trust: [rule] }).trust).toEqual([rule]);
      expect(broadRules([rule], issuers)).toEqual([]);
    },
  );

  it.each(sections)(
    'docs/issuers.md has sample claims for $name that match its rule',
    ({ entry, claims, rule }) => {
      expect(accepts(rule, entry, claims)).toBe(true);
      for (const name of Object.keys(rule.claims)) {
        const { [name]: _, ...without } = claims;
        expect(accepts(rule, entry, without), `without ${name}`).toBe(false);
      }
      expect(accepts(rule, entry, { ...claims, iss: `${claims.iss}/` })).toBe(false);
      expect(accepts(rule, entry, { ...claims, aud: 'https://other.example.com' })).toBe(false);
    },
  );

  it.each(sections)(
    'docs/issuers.md has a rule for $name that matches no generated token from another tenant',
    ({ entry, claims, rule }) => {
      const names = bound(rule, entry);
      expect(names.length).toBeGreaterThan(0);
      fc.assert(
        fc.property(
          fc.constantFrom(...names),
          fc.integer(),
          fc.string({ unit: 'binary' }),
          (name, number, other) => {
            const own = String(claims[name]);
            const foreign: unknown[] = [
              other,
              number,
              own + other,
              other + own,
              own.toUpperCase(),
              own.toLowerCase(),
              own.replace(/\d/g, (digit) => String.fromCodePoint(0xff10 + Number(digit))),
              `${own.normalize('NFKD')}\u0301`,
              ` ${own}`,
              `${own}\n`,
              `${own}\0`,
              own.slice(0, -1),
              own.slice(1),
              [own],
              [own, other],
              { [own]: own },
              { prefix: own },
              null,
              true,
              Number(own) + 0.5,
              undefined,
            ];
            for (const value of foreign.filter((it) => String(it) !== own || typeof it === 'object')) {
              expect(accepts(rule, entry, { ...claims, [name]: value }), JSON.stringify(value)).toBe(false);
            }
          },
        ),
        { numRuns: 100 },
      );
    },
  );
});
