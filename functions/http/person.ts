import type { APIGatewayProxyEventV2WithJWTAuthorizer } from 'aws-lambda';
import { ServiceError } from '../domain/errors.ts';
import { isSub, MAX_SUB_LENGTH, type PeopleConfig, type Person } from '../domain/people.ts';

/**
 * Returns the person behind a management call.
 *
 * API Gateway has verified the signature, issuer, audience and expiry of the token. But it also accepts ID tokens, and
 * it passes array claims flattened to `[a b]`, in which a group named `x admins` looks like two groups. The claims are
 * therefore read from the verified token itself.
 * @throws ServiceError 401 when it is not an access token or its `sub` is malformed
 */
export function personOf(event: APIGatewayProxyEventV2WithJWTAuthorizer, config: PeopleConfig): Person {
  // Without this, API Gateway has not verified the token.
  if (!event.requestContext.authorizer?.jwt) throw notSignedIn('The request is not signed in.');
  const [header, claims] = partsOf(event.headers.authorization);
  if (!header || !claims || !isAccessToken(header, claims))
    throw notSignedIn('Send an access token, not an ID token.');
  if (typeof claims.sub !== 'string' || !isSub(claims.sub)) {
    throw notSignedIn(
      `The sub of the access token must be 1 to ${MAX_SUB_LENGTH} printable ASCII characters.`,
    );
  }
  const groups = textsOf(claims[config.groupsClaim]);
  const isInAdminGroup = config.adminGroup !== undefined && groups.includes(config.adminGroup);
  const hasAdminScope = config.adminScope !== undefined && scopesOf(claims).includes(config.adminScope);
  return { sub: claims.sub, groups, isAdministrator: isInAdminGroup || hasAdminScope };
}

type Claims = Record<string, unknown>;

/** Returns header and payload of the bearer JWT, or an empty array if it is not a JWT. */
function partsOf(authorization = ''): [Claims?, Claims?] {
  const [, header, payload] = /^Bearer +([\w-]+)\.([\w-]+)\.[\w-]+$/i.exec(authorization) ?? [];
  if (!header || !payload) return [];
  try {
    const [one, two] = [header, payload].map((part) => JSON.parse(Buffer.from(part, 'base64url').toString()));
    return [one, two];
  } catch {
    return [];
  }
}

/**
 * Reports whether a JWT is an access token. It must have RFC 9068's `typ`, Cognito's `token_use`, or scopes, which ID
 * tokens lack. A token with a claim of ID tokens (OpenID Connect Core §2, §3.1.3.6) is never an access token.
 */
function isAccessToken(header: Claims, claims: Claims): boolean {
  const isIdToken =
    claims.token_use === 'id' || ['nonce', 'at_hash', 'c_hash'].some((mark) => mark in claims);
  const isTyped = /^(application\/)?at\+jwt$/i.test(String(header.typ));
  const isCognitos = claims.token_use === 'access';
  const hasScopes = claims.scope !== undefined || claims.scp !== undefined;
  return !isIdToken && (isTyped || isCognitos || hasScopes);
}

/**
 * Returns the scopes of a token. `scope` is one string (RFC 8693 §4.2); some issuers have an array named `scp` instead.
 */
function scopesOf({ scope, scp }: Claims): string[] {
  return typeof scope === 'string' ? scope.split(' ') : textsOf(scp);
}

function textsOf(claim: unknown): string[] {
  return Array.isArray(claim) ? claim.filter((one) => typeof one === 'string') : [];
}

/** Returns a 401 with a Bearer challenge (RFC 6750 §3). */
function notSignedIn(detail: string): ServiceError {
  return new ServiceError(401, 'invalid_token', detail, {
    headers: { 'WWW-Authenticate': 'Bearer error="invalid_token"' },
  });
}
