/** The maximum number of rules of a key. */
export const MAX_RULES = 10;
/** The maximum number of claims of a rule. */
export const MAX_CLAIMS = 10;

export const GITHUB = 'https://token.actions.githubusercontent.com';

/** What a claim must be: exactly this text, or text that begins with the prefix. */
export type ClaimRule = string | { prefix: string };

/** Which tokens a key accepts instead of a secret. */
export interface TrustRule {
  /** One of the stack's trusted issuers. */
  issuer: string;
  /** The required `aud` claim; undefined means the URL of this service. */
  audience?: string | undefined;
  claims: Record<string, ClaimRule>;
  /** Whether each token is accepted only once. */
  singleUse?: boolean | undefined;
}

/** Which claims of an issuer's tokens identify the tenant, by an identifier that no one else can register later. */
interface Tenancy {
  issuer: RegExp;
  /** A rule must bind one of these claims to exact text. */
  claims: readonly string[];
  /** Whether that text must consist of digits. */
  isNumber?: boolean;
  /** Whether all customers of the issuer share this URL. If so, a rule that binds no tenant matches nothing. */
  isShared?: boolean;
}

const TENANCIES: readonly Tenancy[] = [
  {
    // An enterprise can have its own URL, which ends in its slug. Organizations can customise `sub`.
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

/** Reports whether a rule binds the tenant whose tokens it accepts. */
export function bindsTenant({ issuer, claims: rules }: TrustRule): boolean {
  const { claims, isNumber } = tenancyOf(issuer);
  return claims.some((name) => {
    const rule = Object.hasOwn(rules, name) ? rules[name] : undefined;
    return typeof rule === 'string' && (!isNumber || /^[0-9]+$/.test(rule));
  });
}

/** Returns what a rule for an issuer must bind, as an error message states it. */
export function bindingOf(issuer: string): string {
  const { claims, isNumber } = tenancyOf(issuer);
  return `must bind ${claims.join(' or ')} to ${isNumber ? 'a number, in digits' : 'exact text'}`;
}

/**
 * A rule that binds no tenant. The API no longer accepts such rules, but keys created by earlier versions may have
 * them.
 */
export interface UnboundRule {
  /** Position among the key's rules, from 0. */
  index: number;
  /** What it must bind. */
  detail: string;
  /** True when the rule matches nothing; false when it keeps matching until someone edits it. */
  ignored: boolean;
}

export function unboundRules(rules: readonly TrustRule[] = []): UnboundRule[] {
  return rules.flatMap((rule, index) =>
    bindsTenant(rule) ? [] : [{ index, detail: bindingOf(rule.issuer), ignored: isIgnored(rule) }],
  );
}

const isIgnored = (rule: TrustRule) => tenancyOf(rule.issuer).isShared === true && !bindsTenant(rule);

/**
 * Reports whether text can be a prefix. It must end at the end of a name, so that `acme/` does not match `acme-evil/`.
 */
export function isPrefix(text: string): boolean {
  return /[/:]$/.test(text);
}

/**
 * Claim names that a rule cannot use. The service checks the registered claims by other means, and a name that every
 * object has could match the object's own property.
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
 * Reports whether a verified token satisfies a rule.
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

/**
 * Returns a claim as text. Undefined for numbers that JSON does not keep exact, because two identifiers could become
 * equal.
 */
function textOf(value: unknown): string | undefined {
  if (typeof value === 'number') return Number.isSafeInteger(value) ? String(value) : undefined;
  return typeof value === 'string' || typeof value === 'boolean' ? String(value) : undefined;
}
