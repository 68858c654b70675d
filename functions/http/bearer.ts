import { type Access, scopeOf } from '../domain/check.ts';
import { isoTime } from '../domain/expiry.ts';

// RFC 6750 §2.1: the scheme in upper or lower case, then spaces, then a b64token. Two headers joined by a comma do not
// match.
const BEARER = /^Bearer +([\w.~+/-]+=*)$/i;

/** Returns the token in an Authorization header, or undefined if the header is absent or malformed. */
export function bearerToken(authorization: string | undefined): string | undefined {
  return BEARER.exec(authorization ?? '')?.[1];
}

/**
 * Information about the caller that the authorizer passes to an API. All values are strings, because API Gateway passes
 * only strings. It is declared as a type, not as an interface, to be compatible with API Gateway's index signature.
 */
export type AuthorizerContext = {
  /** ID of the token's key, or `sub` of the person. */
  principalId: string;
  /** `api_key` or `person`. */
  principalType: string;
  deploymentId: string;
  /** `deployment:<id>` and the scopes, space-separated. */
  scope: string;
  /** RFC 3339, UTC. */
  issuedAt: string;
  /** When the token expires unless it is used again, in RFC 3339 (UTC). */
  expiresAt: string;
};

export function contextOf(access: Access): AuthorizerContext {
  return {
    principalId: access.principalId,
    principalType: access.principalType,
    deploymentId: access.deploymentId,
    scope: scopeOf(access),
    issuedAt: isoTime(access.issuedAt),
    expiresAt: isoTime(access.expiresAt),
  };
}
