/** Pattern of a scope. It does not limit the length. */
export const SCOPE = /^[a-z][a-z0-9-]*(:[a-z][a-z0-9-]*)*$/;

/** Maximum number of scopes per key. */
export const MAX_SCOPES = 16;
/** The maximum length of a scope, in characters. */
export const MAX_SCOPE_LENGTH = 64;

/**
 * Words that cannot be scopes: a token's first scope is `deployment:<id>`, and `any` in requiredScopes means that no
 * scope is required.
 */
const RESERVED = /^(deployment(:|$)|any$)/;

/**
 * Reports whether a stack can define this scope, such as `airflow:read`. The first word must not be `deployment`: with
 * a scope such as `deployment:etl`, a token could claim another Deployment. The scope must not be `any` either.
 */
export function isScope(text: string): boolean {
  return text.length <= MAX_SCOPE_LENGTH && SCOPE.test(text) && !RESERVED.test(text);
}

/** Returns the first scope of every token, which names its Deployment. */
export function deploymentScope(deploymentId: string): string {
  return `deployment:${deploymentId}`;
}

/**
 * Narrows a token's scopes to the requested scopes.
 * @param requested the `scope` parameter (RFC 6749 §3.3): scopes separated by single spaces
 * @param allowed scopes that the key has and the stack defines
 * @returns the scopes to which the token is limited, even if its key gets more scopes later; undefined if the list is
 *   malformed, or names another Deployment or a scope that the key does not have
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
 * Returns the token's effective scopes: its scopes that the key still has and the stack still defines. Removing a scope
 * from the key or the stack therefore also affects existing tokens.
 * @param granted the token's own, narrowed scopes; undefined for a token that has all scopes of its key
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
