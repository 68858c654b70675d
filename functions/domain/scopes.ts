/** The form of a scope, but for its length. */
export const SCOPE = /^[a-z][a-z0-9-]*(:[a-z][a-z0-9-]*)*$/;

/** Most scopes that a key may have. */
export const MAX_SCOPES = 16;
/** Most characters in one scope. */
export const MAX_SCOPE_LENGTH = 64;

/** Words with a meaning of their own: a token's first scope is `deployment:<id>`, and `any` in requiredScopes requires no scope. */
const RESERVED = /^(deployment(:|$)|any$)/;

/**
 * Whether a stack can define this scope, such as `airflow:read`. Its first word cannot be `deployment`: with a scope such
 * as `deployment:etl`, a token could claim another Deployment. Nor can it be `any`.
 */
export function isScope(text: string): boolean {
  return text.length <= MAX_SCOPE_LENGTH && SCOPE.test(text) && !RESERVED.test(text);
}

/** The first scope of every token: which Deployment it is for. */
export function deploymentScope(deploymentId: string): string {
  return `deployment:${deploymentId}`;
}

/**
 * What a token request asks for, against what the key may give.
 * @param requested the `scope` parameter, RFC 6749 §3.3: words with one space between
 * @param allowed scopes that the key has and the stack knows
 * @returns the scopes that the token is limited to, whatever its key gains later; undefined when the list is
 *   malformed, or asks for another Deployment or a scope that the key lacks
 */
export function narrowScopes(
  requested: string,
  allowed: readonly string[],
  deploymentId: string,
): string[] | undefined {
  const words = requested.split(' ').filter((word) => word !== deploymentScope(deploymentId));
  return words.every((word) => allowed.includes(word))
    ? allowed.filter((scope) => words.includes(scope))
    : undefined;
}

/**
 * The scopes that count now: of the token, still on the key, still known to the stack. Always a subset of each,
 * so that an edit of the key or the stack acts on living tokens.
 * @param granted the token's own, narrowed scopes; undefined for a token that follows its key
 */
export function effectiveScopes(
  granted: readonly string[] | undefined,
  ofKey: readonly string[] | undefined,
  known: readonly string[],
): string[] {
  return known.filter((scope) => (!granted || granted.includes(scope)) && (!ofKey || ofKey.includes(scope)));
}
