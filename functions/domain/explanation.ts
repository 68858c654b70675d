import type { EpochMillis } from './expiry.ts';
import type { Difference, ExaminedSubject, RuleDecision } from './subject-decision.ts';
import type { TimeFault } from './subject-token.ts';
import { bindingOf, type ClaimRule } from './trust.ts';

/** Maximum number of characters from a token's claim that an explanation repeats. */
const MAX_SHOWN = 256;

/** A difference between a token and a rule, in the form that the API returns. */
interface ExplainedDifference {
  kind: Difference['kind'];
  /** The claim that differs, if the difference concerns a single claim. */
  claim?: string;
  expected?: ClaimRule;
  /**
   * The claim's value in the token, truncated to 256 characters. Absent if the token does not have the claim, or if the
   * token's signature is not valid.
   */
  actual?: string;
  /** Human-readable explanation, as a sentence. */
  detail: string;
}

/** The result of comparing a subject token with a key's rules, in the form that the API returns. */
export interface Explanation {
  /** Whether at least one rule matches. */
  matches: boolean;
  rules: { index: number; issuer: string; matches: boolean; differences: ExplainedDifference[] }[];
}

/**
 * Explains which rules of a key match a subject token, and how the token differs from the other rules.
 * @param now epoch milliseconds
 */
export function explanationOf(
  decisions: readonly RuleDecision[],
  { claims }: ExaminedSubject,
  now: EpochMillis,
): Explanation {
  const rules = decisions.map(({ rule: { issuer }, differences }, index) => ({
    index,
    issuer,
    matches: differences.length === 0,
    differences: differences.map((one) => explained(one, issuer, claims, now)),
  }));
  return { matches: rules.some(({ matches }) => matches), rules };
}

function explained(
  one: Difference,
  issuer: string,
  claims: ExaminedSubject['claims'] = {},
  now: EpochMillis,
): ExplainedDifference {
  switch (one.kind) {
    case 'signature':
      return { kind: 'signature', detail: signatureSentence(one.allowedAlgorithms) };
    case 'time':
      return explainedTime(one.fault, claims, now);
    case 'issuer':
      return explainedIssuer(one.expected, one.actual);
    case 'audience':
      return {
        kind: 'audience',
        claim: 'aud',
        expected: one.expected,
        ...actual(one.actual),
        detail:
          'The token is for another audience. Request it for the expected one, or change audience of the rule.',
      };
    case 'tenant':
      return {
        kind: 'tenant',
        detail: `The rule matches nothing, because a rule for ${issuer} ${bindingOf(issuer)}.`,
      };
    case 'claim':
      return {
        kind: 'claim',
        claim: one.claim,
        expected: one.expected,
        ...actual(one.actual),
        detail: claimSentence(one.claim, one.expected, one.actual),
      };
  }
}

function signatureSentence(allowedAlgorithms: readonly string[] | undefined): string {
  const why = allowedAlgorithms
    ? `the algorithm (alg) of a token of this issuer must be ${EITHER.format(allowedAlgorithms)}`
    : 'no current key of the issuer made it';
  return `The signature is not valid: ${why}. The claims of the token are not shown.`;
}

const EITHER = new Intl.ListFormat('en-GB', { type: 'disjunction' });

function explainedIssuer(expected: string, named: string | undefined): ExplainedDifference {
  const of = { kind: 'issuer', claim: 'iss', expected } as const;
  return named === undefined
    ? {
        ...of,
        detail: 'The stack does not trust the issuer of the token, so its signature was not verified.',
      }
    : { ...of, actual: named, detail: 'The token is of another issuer than the rule.' };
}

function claimSentence(name: string, expected: ClaimRule, value: unknown): string {
  if (value === undefined) return `The token has no claim ${name}.`;
  if (typeof value === 'number' && !Number.isSafeInteger(value)) {
    return `The claim ${name} is a number that JSON does not keep exact, which matches nothing.`;
  }
  if (typeof value === 'object') {
    return `The claim ${name} is a list, an object or null. A rule matches only text, a whole number, true or false.`;
  }
  return typeof expected === 'string'
    ? `The claim ${name} is not exactly the expected text.`
    : `The claim ${name} does not begin with the expected prefix.`;
}

/** The explanation of each fault in a token's times: the claim, its expected value, and a sentence. */
const TIMES: Readonly<
  Record<TimeFault, (now: string) => { claim: 'exp' | 'nbf'; expected: string; detail: string }>
> = {
  no_expiry: () => ({
    claim: 'exp',
    expected: 'a whole number of seconds since 1970',
    detail: 'The token has no exp, so it never expires.',
  }),
  malformed_time: () => ({
    claim: 'exp',
    expected: 'a whole number of seconds since 1970',
    detail:
      'A time in the token is malformed: exp must be a whole number of seconds, and nbf and iat numbers.',
  }),
  expired: (now) => ({
    claim: 'exp',
    expected: `later than ${now}`,
    detail: 'The token has expired. Request a new one directly before the exchange.',
  }),
  not_yet_valid: (now) => ({
    claim: 'nbf',
    expected: `not later than ${now}`,
    detail: 'The token is not valid yet. Compare the clock of the issuer with the time.',
  }),
  expires_before_issue: () => ({
    claim: 'exp',
    expected: 'later than iat',
    detail: 'The token expires before it was issued: exp must be later than iat.',
  }),
  expires_too_late: (now) => ({
    claim: 'exp',
    expected: `at most 24 hours after ${now}`,
    detail: 'The token expires more than 24 hours from now. Request one with a shorter lifetime.',
  }),
};

function explainedTime(
  fault: TimeFault,
  claims: Readonly<Record<string, unknown>>,
  now: EpochMillis,
): ExplainedDifference {
  const { claim, expected, detail } = TIMES[fault](timeText(now));
  const value = claims[claim];
  const isTime = typeof value === 'number' && Math.abs(value) <= LAST_SECOND;
  return {
    kind: 'time',
    claim,
    expected,
    ...(isTime ? { actual: timeText(value * 1000) } : actual(value)),
    detail,
  };
}

/** The last second that a Date can represent. */
const LAST_SECOND = 8.64e12;

const timeText = (at: EpochMillis) => new Date(at).toISOString();

/** Formats a claim for an explanation: leaves text unchanged, and formats any other value as JSON. */
function actual(value: unknown): { actual?: string } {
  if (value === undefined) return {};
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return { actual: [...text].slice(0, MAX_SHOWN).join('') };
}
