/** Most rules of a key, and most claims of a rule. */
export const MAX_RULES = 10;
export const MAX_CLAIMS = 10;

export const GITHUB = 'https://token.actions.githubusercontent.com';
/** A repository or an owner by a number that nobody can take over; names can be given up and registered anew. */
const GITHUB_BOUND = ['repository_id', 'repository_owner_id'];

/** What a claim must be: that text, or one that begins so. */
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

/** Does a rule of GitHub name a repository or an owner by number? */
export function isBound({ issuer, claims }: TrustRule): boolean {
  return issuer !== GITHUB || GITHUB_BOUND.some((name) => typeof claims[name] === 'string');
}

/** A prefix ends where a name ends, so that `acme/` does not let `acme-evil/` in. */
export function isPrefix(text: string): boolean {
  return /[/:]$/.test(text);
}

/**
 * Does a verified token satisfy a rule?
 * @param claims of a token whose signature, issuer, audience and expiry have been verified
 */
export function satisfies({ claims: rules }: TrustRule, claims: Readonly<Record<string, unknown>>): boolean {
  return Object.entries(rules).every(([name, rule]) => {
    const value = Object.hasOwn(claims, name) ? claims[name] : undefined;
    if (!['string', 'number', 'boolean'].includes(typeof value)) return false;
    return typeof rule === 'string' ? String(value) === rule : String(value).startsWith(rule.prefix);
  });
}
