import { describe, expect, it } from 'vitest';
import { explanationOf } from '../../functions/domain/explanation.ts';
import type { Difference, ExaminedSubject } from '../../functions/domain/subject-decision.ts';
import type { TimeFault } from '../../functions/domain/subject-token.ts';
import type { ClaimRule } from '../../functions/domain/trust.ts';

const CI = 'https://ci.test';
const OTHER = 'https://other.test';
const NOW = Date.parse('2030-01-01T12:00:00.500Z');
/** The current time in whole seconds. */
const SECONDS = Math.floor(NOW / 1000);
const subject = { jwt: 'a.b.c', issuer: CI, signingInput: 'a.b' };

/** Returns the explanation of one difference between a token and a rule. */
function explain(
  difference: Difference,
  { issuer = CI, token = { subject, claims: {} } }: { issuer?: string; token?: ExaminedSubject } = {},
) {
  const decision = { rule: { issuer, claims: {} }, differences: [difference] };
  return explanationOf([decision], token, NOW).rules[0]?.differences[0];
}

describe('explanationOf', () => {
  const different = { rule: { issuer: OTHER, claims: {} }, differences: [{ kind: 'tenant' as const }] };
  const matching = { rule: { issuer: CI, claims: {} }, differences: [] };
  const tenant = {
    kind: 'tenant',
    detail: `The rule matches nothing, because a rule for ${OTHER} must bind sub to exact text.`,
  };

  it('explanationOf says which trust rules match, and lists the differences of the others', () => {
    expect(explanationOf([different, matching], { subject, claims: {} }, NOW)).toEqual({
      matches: true,
      rules: [
        { index: 0, issuer: OTHER, matches: false, differences: [tenant] },
        { index: 1, issuer: CI, matches: true, differences: [] },
      ],
    });
  });

  it('explanationOf reports that no trust rule matches', () => {
    expect(explanationOf([different], { subject, claims: {} }, NOW)).toEqual({
      matches: false,
      rules: [{ index: 0, issuer: OTHER, matches: false, differences: [tenant] }],
    });
  });

  it('explanationOf names the claims that a trust rule of a shared issuer must bind', () => {
    expect(explain({ kind: 'tenant' }, { issuer: 'https://gitlab.com' })).toEqual({
      kind: 'tenant',
      detail:
        'The rule matches nothing, because a rule for https://gitlab.com must bind project_id or namespace_id to a number, in digits.',
    });
  });

  it.each<[why: string, allowedAlgorithms: string[] | undefined]>([
    ['no current key of the issuer made it', undefined],
    ['the algorithm (alg) of a token of this issuer must be RS256', ['RS256']],
    [
      'the algorithm (alg) of a token of this issuer must be RS256, ES256 or EdDSA',
      ['RS256', 'ES256', 'EdDSA'],
    ],
  ])('explanationOf says why a signature is not valid: %s', (why, allowedAlgorithms) => {
    const token: ExaminedSubject = { subject, fault: 'signature' };
    expect(explain({ kind: 'signature', allowedAlgorithms }, { token })).toEqual({
      kind: 'signature',
      detail: `The signature is not valid: ${why}. The claims of the token are not shown.`,
    });
  });

  it('explanationOf does not name an issuer that the stack does not trust', () => {
    const token: ExaminedSubject = { subject, fault: 'untrusted_issuer' };
    expect(explain({ kind: 'issuer', expected: OTHER, actual: undefined }, { token })).toEqual({
      kind: 'issuer',
      claim: 'iss',
      expected: OTHER,
      detail: 'The stack does not trust the issuer of the token, so its signature was not verified.',
    });
  });

  it("explanationOf names the token's issuer if the rule is for another one", () => {
    expect(explain({ kind: 'issuer', expected: OTHER, actual: CI })).toEqual({
      kind: 'issuer',
      claim: 'iss',
      expected: OTHER,
      actual: CI,
      detail: 'The token is of another issuer than the rule.',
    });
  });

  it.each<[aud: unknown, shown: { actual?: string }]>([
    [OTHER, { actual: OTHER }],
    [[OTHER, 7], { actual: `["${OTHER}",7]` }],
    [undefined, {}],
  ])('explanationOf shows the audience of a token for another audience: %j', (aud, shown) => {
    expect(explain({ kind: 'audience', expected: 'expected', actual: aud })).toEqual({
      kind: 'audience',
      claim: 'aud',
      expected: 'expected',
      ...shown,
      detail:
        'The token is for another audience. Request it for the expected one, or change audience of the rule.',
    });
  });
});

describe('explanationOf describes a claim that differs', () => {
  const INEXACT = 'The claim sub is a number that JSON does not keep exact, which matches nothing.';
  const NO_TEXT =
    'The claim sub is a list, an object or null. A rule matches only text, a whole number, true or false.';
  const NOT_EQUAL = 'The claim sub is not exactly the expected text.';
  const PREFIX = { prefix: 'repo:' };

  it.each<[value: unknown, expected: ClaimRule, shown: string, detail: string]>([
    ['tester', 'pipeline', 'tester', NOT_EQUAL],
    [7, 'pipeline', '7', NOT_EQUAL],
    [true, 'pipeline', 'true', NOT_EQUAL],
    ['tester', PREFIX, 'tester', 'The claim sub does not begin with the expected prefix.'],
    [0.5, 'pipeline', '0.5', INEXACT],
    [2 ** 53, PREFIX, '9007199254740992', INEXACT],
    [null, 'pipeline', 'null', NO_TEXT],
    [['pipeline'], 'pipeline', '["pipeline"]', NO_TEXT],
    [{ a: 'b' }, PREFIX, '{"a":"b"}', NO_TEXT],
  ])(
    'explanationOf describes a claim with the value %j if the rule is %j',
    (value, expected, actual, detail) => {
      expect(explain({ kind: 'claim', claim: 'sub', expected, actual: value })).toEqual({
        kind: 'claim',
        claim: 'sub',
        expected,
        actual,
        detail,
      });
    },
  );

  it('explanationOf describes a claim that the token does not have', () => {
    expect(explain({ kind: 'claim', claim: 'sub', expected: 'pipeline', actual: undefined })).toEqual({
      kind: 'claim',
      claim: 'sub',
      expected: 'pipeline',
      detail: 'The token has no claim sub.',
    });
  });

  it.each<[what: string, value: unknown, shown: string]>([
    ['text', `${'x'.repeat(256)}CANARY`, 'x'.repeat(256)],
    ['characters outside the basic plane', `${'🗝'.repeat(256)}CANARY`, '🗝'.repeat(256)],
    ['a list', ['y'.repeat(300), 'CANARY'], `["${'y'.repeat(254)}`],
  ])('explanationOf shows at most 256 characters of a claim: %s', (_, value, shown) => {
    const difference = { kind: 'claim', claim: 'sub', expected: 'x', actual: value } as const;
    expect(explain(difference)?.actual).toBe(shown);
  });
});

describe("explanationOf describes what is wrong with a token's times", () => {
  const TIME = '2030-01-01T12:00:00.500Z';
  const WHOLE = 'a whole number of seconds since 1970';

  it.each<[fault: TimeFault, claims: object, expected: object]>([
    [
      'no_expiry',
      {},
      { claim: 'exp', expected: WHOLE, detail: 'The token has no exp, so it never expires.' },
    ],
    [
      'malformed_time',
      { exp: 'soon' },
      {
        claim: 'exp',
        expected: WHOLE,
        actual: 'soon',
        detail:
          'A time in the token is malformed: exp must be a whole number of seconds, and nbf and iat numbers.',
      },
    ],
    [
      'expired',
      { exp: SECONDS - 60 },
      {
        claim: 'exp',
        expected: `later than ${TIME}`,
        actual: '2030-01-01T11:59:00.000Z',
        detail: 'The token has expired. Request a new one directly before the exchange.',
      },
    ],
    [
      'not_yet_valid',
      { exp: SECONDS + 300, nbf: SECONDS + 60 },
      {
        claim: 'nbf',
        expected: `not later than ${TIME}`,
        actual: '2030-01-01T12:01:00.000Z',
        detail: 'The token is not valid yet. Compare the clock of the issuer with the time.',
      },
    ],
    [
      'expires_before_issue',
      { exp: SECONDS + 300, iat: SECONDS + 301 },
      {
        claim: 'exp',
        expected: 'later than iat',
        actual: '2030-01-01T12:05:00.000Z',
        detail: 'The token expires before it was issued: exp must be later than iat.',
      },
    ],
    [
      'expires_too_late',
      { exp: SECONDS + 86_401 },
      {
        claim: 'exp',
        expected: `at most 24 hours after ${TIME}`,
        actual: '2030-01-02T12:00:01.000Z',
        detail: 'The token expires more than 24 hours from now. Request one with a shorter lifetime.',
      },
    ],
  ])('explanationOf describes the fault %s of a token with the times %j', (fault, claims, expected) => {
    const token: ExaminedSubject = { subject, claims: { ...claims }, fault };
    expect(explain({ kind: 'time', fault }, { token })).toEqual({ kind: 'time', ...expected });
  });

  it.each<[exp: unknown, shown: string]>([
    [SECONDS + 0.5, '2030-01-01T12:00:00.500Z'],
    [8.64e12, '+275760-09-13T00:00:00.000Z'],
    [-8.64e12, '-271821-04-20T00:00:00.000Z'],
    [8.64e12 + 1, '8640000000001'],
    [-1e308, '-1e+308'],
    [null, 'null'],
  ])('explanationOf shows an exp of %j as a time if a date can represent it', (exp, shown) => {
    const token: ExaminedSubject = { subject, claims: { exp }, fault: 'malformed_time' };
    expect(explain({ kind: 'time', fault: 'malformed_time' }, { token })?.actual).toBe(shown);
  });
});
