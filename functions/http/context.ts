import { type Access, scopeOf } from '../domain/check.ts';

/**
 * What an API behind the authorizer learns about the caller. All values are strings, because API Gateway passes nothing
 * else. It is a type instead of an interface, so that it fits API Gateway's index signature.
 */
export type AuthorizerContext = {
  /** Key ID, or the person's `sub`. */
  principalId: string;
  /** `api_key` or `person`. */
  principalType: string;
  deploymentId: string;
  /** `deployment:<id>` and the scopes, separated by spaces. */
  scope: string;
  /** RFC 3339, UTC. */
  issuedAt: string;
  /** RFC 3339, UTC: when the token expires unless it is used again. */
  expiresAt: string;
};

export function contextOf(access: Access): AuthorizerContext {
  return {
    principalId: access.principalId,
    principalType: access.principalType,
    deploymentId: access.deploymentId,
    scope: scopeOf(access),
    issuedAt: new Date(access.issuedAt * 1000).toISOString(),
    expiresAt: new Date(access.expiresAt * 1000).toISOString(),
  };
}
