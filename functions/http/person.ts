import type { APIGatewayProxyEventV2WithJWTAuthorizer } from 'aws-lambda';
import { ServiceError } from '../domain/errors.ts';
import { isSub, MAX_SUB_LENGTH, type PeopleConfig, type Person } from '../domain/people.ts';

/**
 * The person behind a management call. API Gateway has verified signature, issuer, audience and expiry; but it
 * passes ID tokens as well, and hands on array claims flattened to `[a b]`, in which a group named `x admins`
 * reads like two. So the claims are read from the token itself, which has just been verified.
 * @throws ServiceError 401 for what is not an access token, or has a malformed `sub`
 */
export function personOf(event: APIGatewayProxyEventV2WithJWTAuthorizer, config: PeopleConfig): Person {
  // Without the gateway's word there is nothing that has verified the token.
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

/** Header and payload of the bearer JWT, or nothing where it is none. */
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
 * An access token says so: by RFC 9068's `typ`, by Cognito's `token_use`, or by scopes, which ID tokens lack.
 * One that bears a mark of an ID token (OpenID Connect Core §2, §3.1.3.6) is none, whatever else it says.
 */
function isAccessToken(header: Claims, claims: Claims): boolean {
  const isIdToken =
    claims.token_use === 'id' || ['nonce', 'at_hash', 'c_hash'].some((mark) => mark in claims);
  const isTyped = /^(application\/)?at\+jwt$/i.test(String(header.typ));
  const isCognitos = claims.token_use === 'access';
  const hasScopes = claims.scope !== undefined || claims.scp !== undefined;
  return !isIdToken && (isTyped || isCognitos || hasScopes);
}

/** `scope` is one string (RFC 8693 §4.2); some issuers have `scp` as an array. */
function scopesOf({ scope, scp }: Claims): string[] {
  return typeof scope === 'string' ? scope.split(' ') : textsOf(scp);
}

function textsOf(claim: unknown): string[] {
  return Array.isArray(claim) ? claim.filter((one) => typeof one === 'string') : [];
}

/** RFC 6750 §3. */
function notSignedIn(detail: string): ServiceError {
  return new ServiceError(401, 'invalid_token', detail, {
    headers: { 'WWW-Authenticate': 'Bearer error="invalid_token"' },
  });
}
