/** The form of a scope, except for its length. */
export const SCOPE = /^[a-z][a-z0-9-]*(:[a-z][a-z0-9-]*)*$/;

/** The maximum number of scopes of a key. */
export const MAX_SCOPES = 16;
/** The maximum length of a scope, in characters. */
export const MAX_SCOPE_LENGTH = 64;

/** Reserved words. A token's first scope is `deployment:<id>`, and `any` in requiredScopes means that no scope is required. */
const RESERVED = /^(deployment(:|$)|any$)/;

/**
 * Reports whether a stack can define this scope, such as `airflow:read`. Its first word cannot be `deployment`: with a
 * scope such as `deployment:etl`, a token could claim another Deployment. The scope cannot be `any` either.
 */
export function isScope(text: string): boolean {
  return text.length <= MAX_SCOPE_LENGTH && SCOPE.test(text) && !RESERVED.test(text);
}

/** Returns the first scope of every token, which names its Deployment. */
export function deploymentScope(deploymentId: string): string {
  return `deployment:${deploymentId}`;
}

/**
 * Narrows the scopes of a token to those that its request asks for.
 * @param requested the `scope` parameter (RFC 6749 §3.3): scopes separated by single spaces
 * @param allowed scopes that the key has and the stack defines
 * @returns the only scopes that the token can ever have, even if its key gains more later; undefined when the list is
 *   malformed, or asks for another Deployment or for a scope that the key lacks
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
 * Returns the scopes that count now: those of the token that its key still has and the stack still defines. Removing a
 * scope from the key or the stack therefore also affects existing tokens.
 * @param granted the token's own, narrowed scopes; undefined for a token that follows its key
 * @param ofKey the key's scopes; undefined for a temporary token
 * @param known scopes that the stack defines
 */
export function effectiveScopes(
  granted: readonly string[] | undefined,
  ofKey: readonly string[] | undefined,
  known: readonly string[],
): string[] {
  return known.filter((scope) => (!granted || granted.includes(scope)) && (!ofKey || ofKey.includes(scope)));
}
