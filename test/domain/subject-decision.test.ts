import { describe, expect, it } from 'vitest';
import {
  type Difference,
  decide,
  type ExaminedSubject,
  matchingRules,
  noMatchReason,
} from '../../functions/domain/subject-decision.ts';
import type { TrustedIssuer, TrustRule } from '../../functions/domain/trust.ts';

const OURSELVES = 'https://service.test';
const CI = 'https://ci.test';
const OTHER = 'https://other.test';
const subject = { jwt: 'a.b.c', issuer: CI, signingInput: 'a.b' };
const claims = { iss: CI, aud: OURSELVES, sub: 'pipeline', ref: 'refs/heads/main' };
const TOKEN: ExaminedSubject = { subject, claims };
const RULE: TrustRule = { issuer: CI, claims: { sub: 'pipeline' } };

/** Returns how a token differs from a single rule. */
const differences = (rule: TrustRule, token: ExaminedSubject, issuers: readonly TrustedIssuer[] = [CI]) =>
  decide([rule], token, OURSELVES, issuers)[0]?.differences;

describe('decide', () => {
  it.each<[what: string, token: ExaminedSubject, rule: TrustRule, expected: Difference[]]>([
    ['the token matches', TOKEN, RULE, []],
    [
      'the stack does not trust the issuer',
      { subject, fault: 'untrusted_issuer' },
      RULE,
      [{ kind: 'issuer', expected: CI, actual: undefined }],
    ],
    [
      'the signature is not valid',
      { subject, fault: 'signature' },
      RULE,
      [{ kind: 'signature', allowedAlgorithms: undefined }],
    ],
    [
      'the algorithm is not allowed',
      { subject, fault: 'signature', allowedAlgorithms: ['RS256'] },
      RULE,
      [{ kind: 'signature', allowedAlgorithms: ['RS256'] }],
    ],
    ['the token has expired', { ...TOKEN, fault: 'expired' }, RULE, [{ kind: 'time', fault: 'expired' }]],
    [
      'the rule is for another issuer',
      TOKEN,
      { ...RULE, issuer: OTHER },
      [{ kind: 'issuer', expected: OTHER, actual: CI }],
    ],
    [
      'the token has no audience',
      { subject, claims: { ...claims, aud: undefined } },
      RULE,
      [{ kind: 'audience', expected: OURSELVES, actual: undefined }],
    ],
    [
      'the rule binds no tenant of a shared issuer',
      { subject: { ...subject, issuer: 'https://gitlab.com' }, claims },
      { issuer: 'https://gitlab.com', claims: { sub: 'pipeline' } },
      [{ kind: 'tenant' }],
    ],
    [
      'the rule names a claim that the token only inherits from Object',
      TOKEN,
      { issuer: CI, claims: { toString: 'x' } },
      [{ kind: 'claim', claim: 'toString', expected: 'x', actual: undefined }],
    ],
    [
      'everything differs',
      { subject, claims: { ...claims, aud: [OTHER, 7] }, fault: 'not_yet_valid' },
      {
        issuer: 'https://gitlab.com',
        claims: { sub: 'x', ref: { prefix: 'refs/tags/' }, environment: 'production' },
      },
      [
        { kind: 'time', fault: 'not_yet_valid' },
        { kind: 'issuer', expected: 'https://gitlab.com', actual: CI },
        { kind: 'audience', expected: OURSELVES, actual: [OTHER, 7] },
        { kind: 'tenant' },
        { kind: 'claim', claim: 'environment', expected: 'production', actual: undefined },
        { kind: 'claim', claim: 'ref', expected: { prefix: 'refs/tags/' }, actual: 'refs/heads/main' },
        { kind: 'claim', claim: 'sub', expected: 'x', actual: 'pipeline' },
      ],
    ],
  ])('decide lists how a token differs from a trust rule if %s', (_, token, rule, expected) => {
    expect(decide([rule], token, OURSELVES, [CI])).toEqual([{ rule, differences: expected }]);
  });

  it.each<[what: string, rule: string | undefined, ofIssuer: string | undefined]>([
    ['the URL of the service', undefined, undefined],
    ['the audience of the issuer', undefined, 'of-issuer'],
    ['the audience of the rule', 'of-rule', undefined],
    ['the audience of the rule instead of that of the issuer', 'of-rule', 'of-issuer'],
  ])('decide requires %s', (_, audience, ofIssuer) => {
    const required = audience ?? ofIssuer ?? OURSELVES;
    const issuers = [OTHER, { issuer: CI, audience: ofIssuer }];
    const rule = { ...RULE, audience };
    for (const aud of [required, [OTHER, required]]) {
      expect(differences(rule, { subject, claims: { ...claims, aud } }, issuers)).toEqual([]);
    }
    expect(differences(rule, { subject, claims: { ...claims, aud: OTHER } }, issuers)).toEqual([
      { kind: 'audience', expected: required, actual: OTHER },
    ]);
  });
});

const FOR_OTHER_ISSUER = { ...RULE, issuer: OTHER };
const FOR_OTHER_AUDIENCE = { ...RULE, audience: 'x' };
const FOR_OTHER_CLAIM = { issuer: CI, claims: { sub: 'x' } };

it('matchingRules returns the rules from which the token does not differ', () => {
  const second = { ...RULE, singleUse: true };
  const decisions = decide([FOR_OTHER_ISSUER, RULE, FOR_OTHER_CLAIM, second], TOKEN, OURSELVES, [CI]);
  expect(matchingRules(decisions)).toEqual([RULE, second]);
});

it.each<[what: string, rules: TrustRule[], reason: ReturnType<typeof noMatchReason>]>([
  ['there are no rules', [], 'no_rule_for_issuer'],
  ['all rules are for another issuer', [FOR_OTHER_ISSUER, FOR_OTHER_ISSUER], 'no_rule_for_issuer'],
  [
    'a rule is for another issuer and another claim',
    [{ ...FOR_OTHER_CLAIM, issuer: OTHER }],
    'no_rule_for_issuer',
  ],
  ['the only rule for the issuer has another audience', [FOR_OTHER_ISSUER, FOR_OTHER_AUDIENCE], 'audience'],
  [
    'all rules have another audience, and one has another claim too',
    [FOR_OTHER_AUDIENCE, { ...FOR_OTHER_CLAIM, audience: 'x' }],
    'audience',
  ],
  ['one of two rules has another audience', [FOR_OTHER_AUDIENCE, FOR_OTHER_CLAIM], 'claims'],
  ['only a claim differs', [FOR_OTHER_CLAIM], 'claims'],
])('noMatchReason returns the closest reason if %s', (_, rules, reason) => {
  expect(noMatchReason(decide(rules, TOKEN, OURSELVES, [CI]))).toBe(reason);
});
