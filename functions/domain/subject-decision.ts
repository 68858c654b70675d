import type { InvalidSignature, SubjectToken, TimeFault, VerifiedClaims } from './subject-token.ts';
import {
  type ClaimRule,
  entryOf,
  findIssuer,
  isIgnored,
  satisfiesClaim,
  type TrustedIssuer,
  type TrustRule,
} from './trust.ts';

/** Result of examining a subject token before it is compared with any rule. */
export type ExaminedSubject =
  | { subject: SubjectToken; claims: VerifiedClaims; fault?: undefined }
  /** The token's signature is valid, but its times are not. */
  | { subject: SubjectToken; claims: VerifiedClaims; fault: TimeFault }
  /** The issuer or the signature is not valid, so nothing in the token can be trusted. */
  | { subject: SubjectToken; claims?: undefined; fault: 'untrusted_issuer' }
  | ({ subject: SubjectToken } & InvalidSignature);

/** One difference between a subject token and the tokens that a rule accepts. */
export type Difference =
  /** The signature is not valid. `allowedAlgorithms` is undefined if the token's algorithm is allowed. */
  | { kind: 'signature'; allowedAlgorithms: readonly string[] | undefined }
  | { kind: 'time'; fault: TimeFault }
  /**
   * The token has another issuer. `actual` is undefined if the stack does not trust the issuer that the token names.
   */
  | { kind: 'issuer'; expected: string; actual: string | undefined }
  | { kind: 'audience'; expected: string; actual: unknown }
  /** The rule does not bind a tenant, and therefore never matches a token. */
  | { kind: 'tenant' }
  | { kind: 'claim'; claim: string; expected: ClaimRule; actual: unknown };

/** Result of comparing a subject token with one rule. The rule matches if there are no differences. */
export interface RuleDecision {
  rule: TrustRule;
  differences: Difference[];
}

/**
 * Decides which rules of a key match a subject token. The exchange and its explanation both use this decision.
 * @param ourselves URL of this service, which is a rule's audience if neither the rule nor its issuer names an audience
 * @param issuers issuers that the stack trusts
 */
export function decide(
  rules: readonly TrustRule[],
  token: ExaminedSubject,
  ourselves: string,
  issuers: readonly TrustedIssuer[],
): RuleDecision[] {
  return rules.map((rule) => {
    const issuer = findIssuer(issuers, rule.issuer) ?? rule.issuer;
    const audience = rule.audience ?? entryOf(issuer).audience ?? ourselves;
    return { rule, differences: differencesOf(rule, token, audience) };
  });
}

/** Returns the rules that match the token. */
export function matchingRules(decisions: readonly RuleDecision[]): TrustRule[] {
  return decisions.flatMap(({ rule, differences }) => (differences.length === 0 ? [rule] : []));
}

/**
 * Returns why no rule matches a valid token, based on the rule that comes closest to matching. Only the log contains
 * this reason.
 */
export function noMatchReason(
  decisions: readonly RuleDecision[],
): 'no_rule_for_issuer' | 'audience' | 'claims' {
  const differs = ({ differences }: RuleDecision, kind: Difference['kind']) =>
    differences.some((one) => one.kind === kind);
  const ofIssuer = decisions.filter((it) => !differs(it, 'issuer'));
  if (ofIssuer.length === 0) return 'no_rule_for_issuer';
  return ofIssuer.every((it) => differs(it, 'audience')) ? 'audience' : 'claims';
}

function differencesOf(rule: TrustRule, token: ExaminedSubject, audience: string): Difference[] {
  if (token.fault === 'untrusted_issuer') {
    return [{ kind: 'issuer', expected: rule.issuer, actual: undefined }];
  }
  if (token.fault === 'signature') {
    return [{ kind: 'signature', allowedAlgorithms: token.allowedAlgorithms }];
  }
  const { subject, claims, fault } = token;
  const differences: (Difference | false)[] = [
    fault !== undefined && { kind: 'time', fault },
    rule.issuer !== subject.issuer && { kind: 'issuer', expected: rule.issuer, actual: subject.issuer },
    !isFor(claims, audience) && { kind: 'audience', expected: audience, actual: claims.aud },
    isIgnored(rule) && { kind: 'tenant' },
    ...claimsOf(rule).map(([claim, expected]): Difference | false => {
      if (satisfiesClaim(expected, claim, claims)) return false;
      return {
        kind: 'claim',
        claim,
        expected,
        actual: Object.hasOwn(claims, claim) ? claims[claim] : undefined,
      };
    }),
  ];
  return differences.filter((one) => one !== false);
}

/** Returns the claims of a rule by name, because DynamoDB returns the entries of a map in any order. */
const claimsOf = ({ claims }: TrustRule): [string, ClaimRule][] =>
  Object.entries(claims).sort(([one], [other]) => (one < other ? -1 : 1));

/** Reports whether a token is meant for this audience. `aud` is a single audience or a list (RFC 7519 §4.1.3). */
function isFor({ aud }: VerifiedClaims, audience: string): boolean {
  return [aud].flat().includes(audience);
}
