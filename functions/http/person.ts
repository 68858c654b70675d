import type {
  APIGatewayProxyEventV2WithIAMAuthorizer,
  APIGatewayProxyEventV2WithJWTAuthorizer,
} from 'aws-lambda';
import { isPlainText } from '../domain/allowed-characters.ts';
import { notSignedIn, ServiceError } from '../domain/errors.ts';
import type { EpochSeconds } from '../domain/expiry.ts';
import {
  isSub,
  listedPrincipal,
  MAX_PERSON_NAME_LENGTH,
  MAX_SUB_LENGTH,
  type PeopleConfig,
  type Person,
} from '../domain/people.ts';

/**
 * Returns the person behind a management call.
 *
 * API Gateway has verified the signature, issuer, audience and expiry of the token. But API Gateway also accepts ID
 * tokens, and it flattens array claims to `[a b]`, so that a group named `x admins` looks like two groups. This
 * function therefore reads the claims from the verified token itself.
 * @throws ServiceError 401 if the token is not an access token or its `sub` is malformed
 */
export function personOf(event: APIGatewayProxyEventV2WithJWTAuthorizer, config: PeopleConfig): Person {
  // If `authorizer.jwt` is missing, API Gateway has not verified the token.
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
  const name = config.nameClaim === undefined ? undefined : nameOf(claims[config.nameClaim]);
  const signIn = { issuer: config.issuer, sub: claims.sub, at: signedInAt(claims) };
  return {
    sub: claims.sub,
    ...(name !== undefined && { name }),
    groups,
    isAdministrator: isInAdminGroup || hasAdminScope,
    signIn,
  };
}

/** Latest plausible time in seconds (the year 5138). A greater value is not in seconds. */
const LATEST = 1e11;

/**
 * Returns when the person signed in: `auth_time`, which a refreshed token keeps, or `iat` if there is no `auth_time`.
 * If both exist, the earlier time counts, because no one signs in after the token was issued, and because an issuer
 * might use milliseconds.
 * @returns 0 if the token has no valid time, so that any end of the person's access rejects the token
 */
function signedInAt({ auth_time: authTime, iat }: Claims): EpochSeconds {
  const times = [authTime, iat].filter((time) => time !== undefined);
  const areValid = times.every((time) => typeof time === 'number' && time >= 0 && time <= LATEST);
  const at = areValid && times.length > 0 ? Math.floor(Math.min(...times.map(Number))) : 0;
  return at as EpochSeconds;
}

type Claims = Record<string, unknown>;

/** Returns the header and the payload of the bearer JWT, or an empty array if the bearer token is not a JWT. */
function partsOf(authorization = ''): [Claims?, Claims?] {
  const { header, payload } =
    /^Bearer +(?<header>[\w-]+)\.(?<payload>[\w-]+)\.[\w-]+$/i.exec(authorization)?.groups ?? {};
  if (!header || !payload) return [];
  try {
    const [one, two] = [header, payload].map((part) => JSON.parse(Buffer.from(part, 'base64url').toString()));
    return [one, two];
  } catch {
    return [];
  }
}

/**
 * Reports whether a JWT is an access token. An access token must have the `typ` that RFC 9068 defines, Cognito's
 * `token_use`, or scopes, which ID tokens do not have. A token with a claim that only ID tokens have (OpenID Connect
 * Core §2, §3.1.3.6) is never an access token.
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
 * Returns the scopes of a token. `scope` is a single string (RFC 8693 §4.2); some issuers use an array named `scp`
 * instead.
 */
function scopesOf({ scope, scp }: Claims): string[] {
  return typeof scope === 'string' ? scope.split(' ') : textsOf(scp);
}

/**
 * Returns a person's name without white space at its ends.
 * @returns undefined if the claim is not plain text of 1 to 100 characters
 */
function nameOf(claim: unknown): string | undefined {
  const name = typeof claim === 'string' ? claim.trim() : '';
  return isPlainText(name, 1, MAX_PERSON_NAME_LENGTH) ? name : undefined;
}

function textsOf(claim: unknown): string[] {
  return Array.isArray(claim) ? claim.filter((one) => typeof one === 'string') : [];
}

/** Prefix of the paths for which API Gateway authorizes callers with IAM. */
export const PLATFORM = '/platform';

/**
 * Reports whether API Gateway authorizes a route with IAM.
 * @param routeKey `METHOD /path/{parameter}`
 */
export const isPlatformRoute = (routeKey: string): boolean => routeKey.includes(` ${PLATFORM}/`);

/**
 * Returns the IAM role or user behind a call under /platform, as an administrator.
 *
 * API Gateway has verified the signature, and has checked that the caller's own policies allow the call. But an HTTP
 * API has no resource policy, so any administrator of the AWS account could give access to anyone. For this reason, the
 * stack's list decides.
 * @param listed ARNs of roles and users
 * @throws ServiceError 403 if the principal is not listed
 */
export function principalOf(
  { requestContext: { authorizer } }: Pick<APIGatewayProxyEventV2WithIAMAuthorizer, 'requestContext'>,
  listed: readonly string[],
): Person {
  // If `authorizer.iam` is missing, API Gateway has not verified the caller.
  const caller: unknown = authorizer?.iam?.userArn;
  const arn = typeof caller === 'string' ? listedPrincipal(caller, listed) : undefined;
  if (arn === undefined) {
    throw new ServiceError(403, 'forbidden', 'This IAM principal is not one of the platformPrincipals.');
  }
  return { sub: arn, groups: [], isAdministrator: true, signIn: undefined };
}
