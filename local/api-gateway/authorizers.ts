import { createRemoteJWKSet, errors, type JWTPayload, jwtVerify } from 'jose';
import { evaluate } from '../aws/policy.ts';
import type { Clock } from '../clock.ts';
import type { InvocationResult } from '../lambda/worker-pool.ts';
import { type GatewayRequest, type GatewayResponse, message } from './gateway.ts';
import type { HttpApiEvent } from './http-api-event.ts';

/**
 * An authorizer's decision: either a response that ends the request, or information about the caller for the function's
 * event.
 */
export type Decision =
  | { readonly refusal: GatewayResponse; readonly context?: undefined }
  | { readonly refusal?: undefined; readonly context: object };

/** An authorizer for an HTTP API. */
export interface Authorizer {
  /**
   * Decides whether to allow a call.
   *
   * @param scopes scopes of the route. The token needs at least one of them. If the list is empty, the route does not
   * require any scopes.
   * @param request the request exactly as it arrived, because a signature covers it
   */
  decide(event: HttpApiEvent, scopes: readonly string[], request: GatewayRequest): Promise<Decision>;
}

/** The kinds of identity source that the emulator supports. */
const SOURCE = /^\$(?:request\.header\.(?<header>[\w-]+)|stageVariables\.(?<variable>\w+))$/;

/** Checks an identity source. @throws Error if the emulator does not support the identity source */
function assertKnown(source: string): void {
  if (!SOURCE.test(source)) throw new Error(`The local gateway does not know the identity source ${source}.`);
}

/** Returns the value that the request has for an identity source; undefined if the value is missing or empty. */
function identity(source: string, event: HttpApiEvent): string | undefined {
  const { header, variable } = SOURCE.exec(source)?.groups ?? {};
  const found =
    header === undefined ? event.stageVariables?.[variable ?? ''] : event.headers[header.toLowerCase()];
  return found || undefined;
}

/** The settings of a JWT authorizer. */
export interface JwtAuthorizerOptions {
  readonly identitySource: string;
  readonly issuer: string;
  readonly audience: readonly string[];
  readonly clock: Clock;
}

/** Emulates the JWT authorizer for HTTP APIs. */
export class JwtAuthorizer implements Authorizer {
  readonly #options: JwtAuthorizerOptions;
  #keys: Promise<ReturnType<typeof createRemoteJWKSet>> | undefined;

  constructor(options: JwtAuthorizerOptions) {
    assertKnown(options.identitySource);
    this.#options = options;
  }

  async decide(event: HttpApiEvent, scopes: readonly string[]): Promise<Decision> {
    const given = identity(this.#options.identitySource, event);
    if (given === undefined) return unauthorized('Bearer');
    const refused = (why: string) =>
      unauthorized(`Bearer scope="${scopes.join(' ')}" error="invalid_token" error_description="${why}"`);

    let claims: JWTPayload;
    try {
      claims = await this.#verify(given.replace(/^bearer /i, ''));
    } catch (error) {
      return refused(describe(error));
    }
    const { audience } = this.#options;
    const isForUs = [claims.aud ?? claims.client_id].flat().some((name) => audience.includes(String(name)));
    if (!isForUs) return refused('the token does not have a valid audience');

    const granted = scopesOf(claims).filter((scope) => scopes.includes(scope));
    if (scopes.length > 0 && granted.length === 0) return { refusal: message(403, 'Forbidden') };
    return { context: { jwt: { claims: flatten(claims), scopes: scopes.length > 0 ? granted : null } } };
  }

  async #verify(token: string): Promise<JWTPayload> {
    this.#keys ??= this.#discover();
    const keys = await this.#keys.catch((error) => {
      this.#keys = undefined;
      throw error;
    });
    const now = this.#options.clock.now();
    const { payload } = await jwtVerify(token, keys, {
      issuer: this.#options.issuer,
      algorithms: ['RS256'],
      requiredClaims: ['exp'],
      currentDate: new Date(now),
    });
    if (payload.iat !== undefined && payload.iat > Math.floor(now / 1000)) {
      throw new errors.JWTClaimValidationFailed('issued in the future', payload, 'iat');
    }
    return payload;
  }

  async #discover(): Promise<ReturnType<typeof createRemoteJWKSet>> {
    const { issuer } = this.#options;
    const response = await fetch(`${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`);
    const { jwks_uri } = (await response.json()) as { jwks_uri: string };
    return createRemoteJWKSet(new URL(jwks_uri));
  }
}

/**
 * AWS documents two of these descriptions: the one for an expired token and the one for a wrong audience. The wording
 * of the others is ours.
 */
function describe(error: unknown): string {
  if (error instanceof errors.JWTExpired) return 'the token has expired';
  if (error instanceof errors.JOSEError) return 'the token is invalid';
  return 'OIDC discovery endpoint communication error';
}

const unauthorized = (challenge: string): Decision => ({
  refusal: message(401, 'Unauthorized', [['www-authenticate', challenge]]),
});

const scopesOf = (claims: JWTPayload): string[] =>
  [claims.scope ?? claims.scp ?? []].flat().flatMap((scope) => String(scope).split(' '));

/** Converts every claim to a string. A list becomes `[a b]`, as Go prints it. */
function flatten(claims: JWTPayload): Record<string, string> {
  const print = (value: unknown): string => {
    if (Array.isArray(value)) return `[${value.map(print).join(' ')}]`;
    if (typeof value !== 'object' || value === null) return String(value ?? '<nil>');
    const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
    return `map[${entries.map(([name, item]) => `${name}:${print(item)}`).join(' ')}]`;
  };
  return Object.fromEntries(Object.entries(claims).map(([name, value]) => [name, print(value)]));
}

/** The settings of a Lambda authorizer for an HTTP API. */
export interface LambdaAuthorizerOptions {
  readonly identitySources: readonly string[];
  /** True if the function returns `isAuthorized`; false if it returns an IAM policy. */
  readonly isSimple: boolean;
  /** ARN of the API, without the stage, method and path. */
  readonly apiArn: string;
  readonly invoke: (event: object) => Promise<InvocationResult>;
}

/** Emulates the Lambda authorizer for HTTP APIs, with event format 2.0 and both response types, but without a cache. */
export class LambdaAuthorizer implements Authorizer {
  readonly #options: LambdaAuthorizerOptions;

  constructor(options: LambdaAuthorizerOptions) {
    options.identitySources.forEach(assertKnown);
    this.#options = options;
  }

  async decide(event: HttpApiEvent): Promise<Decision> {
    const { identitySources, isSimple, apiArn, invoke } = this.#options;
    const identities = identitySources.map((source) => identity(source, event));
    if (identities.includes(undefined)) return { refusal: message(401, 'Unauthorized') };

    const { stage, http } = event.requestContext;
    const routeArn = `${apiArn}/${stage}/${http.method}${event.rawPath}`;
    const { body, isBase64Encoded, ...rest } = event;
    const outcome = await invoke({ ...rest, type: 'REQUEST', routeArn, identitySource: identities });
    const verdict = outcome.ok ? decisionOf(JSON.parse(outcome.payload), isSimple, routeArn) : undefined;
    if (verdict === undefined) return { refusal: message(500, 'Internal Server Error') };
    return verdict.isAllowed
      ? { context: { lambda: verdict.context } }
      : { refusal: message(403, 'Forbidden') };
  }
}

/** Returns the function's decision; undefined if the function's response does not have the configured type. */
function decisionOf(
  answer: unknown,
  isSimple: boolean,
  routeArn: string,
): { isAllowed: boolean; context: object } | undefined {
  if (typeof answer !== 'object' || answer === null) return undefined;
  if (isSimple) {
    const { isAuthorized, context = {} } = answer as { isAuthorized?: unknown; context?: object };
    return typeof isAuthorized === 'boolean' ? { isAllowed: isAuthorized, context } : undefined;
  }
  const { policyDocument, context = {} } = answer as { policyDocument?: unknown; context?: object };
  const verdict = evaluate(policyDocument, routeArn);
  return verdict && { isAllowed: verdict === 'allowed', context };
}
