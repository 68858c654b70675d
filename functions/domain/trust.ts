/** Most rules of a key, and most claims of a rule. */
export const MAX_RULES = 10;
export const MAX_CLAIMS = 10;

export const GITHUB = 'https://token.actions.githubusercontent.com';

/** What a claim must be: this text, or text that begins with the prefix. */
export type ClaimRule = string | { prefix: string };

/** Whose tokens a key accepts in place of a secret. */
export interface TrustRule {
  /** One of the stack's trusted issuers. */
  issuer: string;
  /** The token's `aud`; undefined: the URL of this service. */
  audience?: string | undefined;
  claims: Record<string, ClaimRule>;
  /** Each token is accepted once. */
  singleUse?: boolean | undefined;
}

/** How the tokens of an issuer say which tenant they are from: by an identifier that nobody can register again. */
interface Tenancy {
  issuer: RegExp;
  /** A rule must bind one of these claims to exact text. */
  claims: readonly string[];
  /** That text must be digits. */
  isNumber?: boolean;
  /** Every customer of the issuer has tokens of this one URL: a rule that binds no tenant matches nothing. */
  isShared?: boolean;
}

const TENANCIES: readonly Tenancy[] = [
  {
    // An enterprise can have a URL of its own, which ends in its slug. `sub` can be customised.
    issuer: /^https:\/\/token\.actions\.githubusercontent\.com(\/|$)/,
    claims: ['repository_id', 'repository_owner_id'],
    isNumber: true,
    isShared: true,
  },
  {
    issuer: /^https:\/\/gitlab\.com$/,
    claims: ['project_id', 'namespace_id'],
    isNumber: true,
    isShared: true,
  },
  { issuer: /^https:\/\/agent\.buildkite\.com$/, claims: ['organization_id', 'pipeline_id'], isShared: true },
  { issuer: /^https:\/\/oidc\.circleci\.com\/org\//, claims: ['oidc.circleci.com/project-id'] },
];
const OTHER: Omit<Tenancy, 'issuer'> = { claims: ['sub'] };

const tenancyOf = (issuer: string) => TENANCIES.find((one) => one.issuer.test(issuer)) ?? OTHER;

/** Does the rule bind the tenant whose tokens it accepts? */
export function bindsTenant({ issuer, claims: rules }: TrustRule): boolean {
  const { claims, isNumber } = tenancyOf(issuer);
  return claims.some((name) => {
    const rule = Object.hasOwn(rules, name) ? rules[name] : undefined;
    return typeof rule === 'string' && (!isNumber || /^[0-9]+$/.test(rule));
  });
}

/** What a rule for tokens of an issuer must bind, as an error message says it. */
export function bindingOf(issuer: string): string {
  const { claims, isNumber } = tenancyOf(issuer);
  return `must bind ${claims.join(' or ')} to ${isNumber ? 'a number, in digits' : 'exact text'}`;
}

/** A rule that binds no tenant. The API accepts none any more; a key may have one of an earlier version. */
export interface UnboundRule {
  /** Its place among the key's rules, from 0. */
  index: number;
  /** What it must bind. */
  detail: string;
  /** True when it matches nothing, false when it keeps matching until it is edited. */
  ignored: boolean;
}

export function unboundRules(rules: readonly TrustRule[] = []): UnboundRule[] {
  return rules.flatMap((rule, index) =>
    bindsTenant(rule) ? [] : [{ index, detail: bindingOf(rule.issuer), ignored: isIgnored(rule) }],
  );
}

const isIgnored = (rule: TrustRule) => tenancyOf(rule.issuer).isShared === true && !bindsTenant(rule);

/** A prefix ends where a name ends, so that `acme/` does not let `acme-evil/` in. */
export function isPrefix(text: string): boolean {
  return /[/:]$/.test(text);
}

/**
 * No claim of a rule has one of these names: the registered ones are checked by other means, and those that every object
 * has could be taken for the object's own.
 */
export const RESERVED_CLAIMS: readonly string[] = [
  'iss',
  'aud',
  'exp',
  'nbf',
  'iat',
  ...Object.getOwnPropertyNames(Object.prototype),
];

/**
 * Does a verified token satisfy a rule?
 * @param claims of a token whose signature, issuer, audience and times have been verified
 */
export function satisfies(rule: TrustRule, claims: Readonly<Record<string, unknown>>): boolean {
  if (isIgnored(rule)) return false;
  return Object.entries(rule.claims).every(([name, one]) => {
    const value = textOf(Object.hasOwn(claims, name) ? claims[name] : undefined);
    if (value === undefined) return false;
    return typeof one === 'string' ? value === one : value.startsWith(one.prefix);
  });
}

/** A claim as text. Undefined for numbers that JSON does not keep exact: two identifiers could become one. */
function textOf(value: unknown): string | undefined {
  if (typeof value === 'number') return Number.isSafeInteger(value) ? String(value) : undefined;
  return typeof value === 'string' || typeof value === 'boolean' ? String(value) : undefined;
}
