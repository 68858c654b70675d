import { isShared, PRESETS, type Preset, type PresetName, presetOfUrl } from './issuer-presets.ts';

/** Maximum number of trust rules per key. */
export const MAX_RULES = 10;
/** Maximum number of claims per trust rule. */
export const MAX_CLAIMS = 10;

export const GITHUB = 'https://token.actions.githubusercontent.com';

/** Condition for a claim: the claim must equal the given text, or begin with the given prefix. */
export type ClaimRule = string | { prefix: string };

/** Rule for tokens that a key accepts instead of a secret. */
export interface TrustRule {
  /** The tokens' issuer. It must be one of the stack's trusted issuers. */
  issuer: string;
  /** The required `aud` claim; undefined means the URL of this service. */
  audience?: string | undefined;
  claims: Record<string, ClaimRule>;
  /** Whether the key accepts each token only once. */
  singleUse?: boolean | undefined;
}

/**
 * An issuer that the stack trusts: only its URL, or an entry that also says what applies to the issuer's rules and
 * tokens.
 */
export type TrustedIssuer = string | IssuerEntry;

export interface IssuerEntry {
  /** URL of the issuer, which is the `iss` claim of its tokens. */
  issuer: string;
  /** The kind of CI. @default the preset that the URL determines, if there is one */
  preset?: PresetName | undefined;
  /** The claims that every rule must match exactly, without patterns. */
  bind?: readonly string[] | undefined;
  /**
   * The `aud` claim that a rule requires if the rule itself does not name an audience. @default the URL of this service
   */
  audience?: string | undefined;
  /** Whether the issuer's keys are part of the stack. Such keys are never fetched. @default false */
  hasInlineKeys?: boolean | undefined;
}

/** Returns the URL of an issuer. */
export const urlOf = (issuer: TrustedIssuer): string => (typeof issuer === 'string' ? issuer : issuer.issuer);

/** Returns the issuer with this URL; undefined if the stack does not trust it. */
export const findIssuer = (issuers: readonly TrustedIssuer[], url: string): TrustedIssuer | undefined =>
  issuers.find((one) => urlOf(one) === url);

/** Returns the entry for an issuer. If only a URL is given, the entry contains nothing else. */
export const entryOf = (issuer: TrustedIssuer): IssuerEntry =>
  typeof issuer === 'string' ? { issuer } : issuer;

/** Returns an issuer's preset. A preset that the URL determines comes first, so that no setting can weaken it. */
function presetOf(issuer: TrustedIssuer): Preset | undefined {
  const { issuer: url, preset } = entryOf(issuer);
  const name = presetOfUrl(url) ?? preset;
  return name && PRESETS[name];
}

/**
 * Returns the algorithms with which an issuer signs according to its preset; undefined for an issuer without a preset.
 */
export const algorithmsOf = (issuer: TrustedIssuer): readonly string[] | undefined =>
  presetOf(issuer)?.algorithms;

interface Binding {
  /** Claims, at least one of which a rule must bind. The list is empty if `all` replaces it. */
  anyOf: readonly string[];
  /** Whether the text to which a claim in `anyOf` is bound must consist of digits. */
  isNumber: boolean;
  /** Claims that a rule must all bind to exact text. */
  all: readonly string[];
}

/**
 * Returns the claims that every rule for an issuer must bind. `sub` counts only if neither the preset nor the setting
 * names a different claim.
 */
export function requiredBinding(issuer: TrustedIssuer): Binding {
  const { claims = ['sub'], isNumber = false } = presetOf(issuer) ?? {};
  const all = entryOf(issuer).bind ?? [];
  const isReplaced = all.length > 0 && claims.includes('sub');
  return { anyOf: isReplaced ? [] : claims, isNumber, all };
}

/**
 * Reports whether a rule binds the tenant whose tokens it accepts.
 * @param issuer the issuer's entry in the stack's setting
 */
export function bindsTenant({ issuer: url, claims: rules }: TrustRule, issuer: TrustedIssuer = url): boolean {
  const { anyOf, isNumber, all } = requiredBinding(issuer);
  const isBound = (name: string, form: RegExp) => {
    const rule = Object.hasOwn(rules, name) ? rules[name] : undefined;
    return typeof rule === 'string' && form.test(rule);
  };
  return (
    all.every((name) => isBound(name, /\S/)) &&
    (anyOf.length === 0 || anyOf.some((name) => isBound(name, isNumber ? /^[0-9]+$/ : /\S/)))
  );
}

/** Returns the claims that a rule for an issuer must bind, worded for an error message. */
export function bindingOf(issuer: TrustedIssuer): string {
  const { anyOf, isNumber, all } = requiredBinding(issuer);
  const parts = [
    ...(anyOf.length > 0
      ? [`${anyOf.join(' or ')} to ${isNumber ? 'a number, in digits' : 'exact text'}`]
      : []),
    ...(all.length > 0 ? [`${all.join(' and ')} to exact text`] : []),
  ];
  return `must bind ${parts.join(', and ')}`;
}

/**
 * A rule that does not bind a tenant. The API no longer accepts such rules, but keys that earlier versions created can
 * still have them.
 */
export interface UnboundRule {
  /** Index among the key's rules, starting at 0. */
  index: number;
  /** The claims that the rule must bind. */
  detail: string;
  /** True if the rule never matches a token; false if it keeps matching until someone edits it. */
  ignored: boolean;
}

/** Returns the rules that do not bind a tenant. @param issuers issuers that the stack trusts */
export function unboundRules(
  rules: readonly TrustRule[] | undefined,
  issuers: readonly TrustedIssuer[],
): UnboundRule[] {
  return (rules ?? []).flatMap((rule, index) => {
    const issuer = findIssuer(issuers, rule.issuer) ?? rule.issuer;
    if (bindsTenant(rule, issuer)) return [];
    return [{ index, detail: bindingOf(issuer), ignored: isIgnored(rule) }];
  });
}

/**
 * Reports whether a rule never matches a token because it does not bind a tenant, although all of the issuer's
 * customers share its URL.
 */
export const isIgnored = (rule: TrustRule) => isShared(rule.issuer) && !bindsTenant(rule);

/** A rule that accepts tokens from every branch of its tenant. */
export interface BroadRule {
  /** Index among the key's rules, starting at 0. */
  index: number;
  /** Description of the claims that would limit the rule. */
  detail: string;
}

/**
 * Returns the rules that bind a tenant but accept all of its branches. Such rules are allowed, but rarely intended. A
 * rule that binds no tenant is an unbound rule instead.
 * @param issuers issuers that the stack trusts
 */
export function broadRules(
  rules: readonly TrustRule[] | undefined,
  issuers: readonly TrustedIssuer[],
): BroadRule[] {
  return (rules ?? []).flatMap((rule, index) => {
    const issuer = findIssuer(issuers, rule.issuer) ?? rule.issuer;
    const groups = presetOf(issuer)?.branch;
    if (!groups || !bindsTenant(rule, issuer)) return [];
    if (groups.some((group) => group.every((name) => isLimited(rule.claims, name)))) return [];
    const words = groups.filter((group) => !group.includes('sub')).map((group) => group.join(' with '));
    return [{ index, detail: `accepts every branch; to limit it, add ${words.join(', or ')}` }];
  });
}

/** The part of `sub` that names the branch or the environment, for GitHub and GitLab. */
const BRANCH_IN_SUB = /(?:^|:)(?:ref|environment):(.*)/;

/**
 * Reports whether a rule limits a claim. A prefix limits a claim only if it contains a part of the name of a branch or
 * environment: `refs/heads/`, and `repo:acme/app:` as a prefix of `sub`, accept all branches.
 */
function isLimited(rules: TrustRule['claims'], name: string): boolean {
  const rule = Object.hasOwn(rules, name) ? rules[name] : undefined;
  if (rule === undefined) return false;
  if (typeof rule === 'string') return true;
  const branch = name === 'sub' ? (BRANCH_IN_SUB.exec(rule.prefix)?.[1] ?? '') : rule.prefix;
  return !/^(refs\/([a-z]+\/)?)?$/.test(branch);
}

/**
 * Reports whether text is allowed as a prefix. A prefix must end with a complete name, so that `acme/` does not match
 * `acme-evil/`.
 */
export function isPrefix(text: string): boolean {
  return /[/:]$/.test(text);
}

/**
 * Claim names that a rule cannot use. The service checks the registered claims in other ways. A name that every
 * JavaScript object has as a property could match that property instead of a claim.
 */
export const RESERVED_CLAIMS: readonly string[] = [
  'iss',
  'aud',
  'exp',
  'nbf',
  'iat',
  ...Object.getOwnPropertyNames(Object.prototype),
];

/** Reports whether the claim with this name satisfies a rule. */
export function satisfiesClaim(
  one: ClaimRule,
  name: string,
  claims: Readonly<Record<string, unknown>>,
): boolean {
  const value = textOf(Object.hasOwn(claims, name) ? claims[name] : undefined);
  if (value === undefined) return false;
  return typeof one === 'string' ? value === one : value.startsWith(one.prefix);
}

/**
 * Returns a claim as text. Returns undefined for numbers that JSON parsing does not keep exact, because two different
 * identifiers could become equal.
 */
function textOf(value: unknown): string | undefined {
  if (typeof value === 'number') return Number.isSafeInteger(value) ? String(value) : undefined;
  return typeof value === 'string' || typeof value === 'boolean' ? String(value) : undefined;
}
