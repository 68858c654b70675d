import type { Logger } from '@aws-lambda-powertools/logger';
import middy, { type MiddlewareObj } from '@middy/core';
import type { APIGatewayProxyEventV2 } from 'aws-lambda';
import type { ClientRejection } from '../domain/client-rejection.ts';
import { parseKeyId } from '../domain/credentials.ts';
import { ServiceError } from '../domain/errors.ts';
import type { CallSource } from '../domain/last-use.ts';
import { type Answer, answers, asOAuthError, invocation } from './answer.ts';
import { bodyText, mediaType } from './body.ts';
import { issuerOf } from './issuer.ts';

/** RFC 8693 §2.1. */
export const TOKEN_EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';

/** A call by an OAuth client, as passed to a route. */
export interface OAuthRequest {
  /** Parameters from the body. Each has exactly one value, which is not empty. */
  parameters: ReadonlyMap<string, string>;
  client: ClientCredentials;
  caller: CallSource;
  /** Request ID from API Gateway. */
  requestId: string;
  /** The service's issuer (RFC 8414 §2). */
  issuer: string;
}

/** The credentials that a client sent, not yet verified. */
export interface ClientCredentials {
  clientId: string;
  /** The secret; empty if the client sent no secret. A key's secret is never empty. */
  clientSecret: string;
}

export type OAuthRoute = (request: OAuthRequest) => Promise<Answer>;

export interface OAuthHandlerOptions {
  logger: Logger;
  /** Called for each response with a status of 500 or higher. */
  onFailed: () => void;
  /** Called once for each failed client authentication. */
  onRejectedClient: () => void;
  /**
   * Whether the endpoint also accepts JSON with the same fields. The token endpoint accepts JSON for pipelines that
   * were written for an older service.
   */
  acceptsJson?: boolean;
  /**
   * Whether the endpoint accepts a client_id without a secret. The revocation endpoint does; its route decides what
   * such a client is allowed to do.
   */
  acceptsNoSecret?: boolean;
  /** The URL that clients use for the service, if it is not API Gateway's URL. */
  publicUrl?: string | undefined;
}

/**
 * Returns a Lambda handler for OAuth clients. The handler parses the request and calls the route, which authenticates
 * the client.
 * @param routes routes by route key, such as `POST /oauth/token`
 */
export function oauthHandler(
  routes: Record<string, OAuthRoute>,
  {
    logger,
    onFailed,
    onRejectedClient,
    acceptsJson = false,
    acceptsNoSecret = false,
    publicUrl,
  }: OAuthHandlerOptions,
) {
  return middy<APIGatewayProxyEventV2>()
    .use(invocation(logger))
    .use(answers(logger, asOAuthError, onFailed))
    .use(refusals(onRejectedClient))
    .handler(async (event): Promise<Answer> => {
      const route = routes[event.routeKey];
      // API Gateway has only the routes in this map, so a call to any other route means that the stack is faulty.
      if (!route) throw new Error(`no route for ${event.routeKey}`);
      const parameters = bodyParameters(event, acceptsJson);
      rejectQueryParameters(event.rawQueryString, parameters);
      logClientId(logger, parameters.get('client_id'));
      const client = clientCredentials(event.headers.authorization, parameters, acceptsNoSecret);
      logClientId(logger, client.clientId);
      const { sourceIp: address, userAgent } = event.requestContext.http;
      return route({
        parameters,
        client,
        caller: { address, userAgent },
        requestId: event.requestContext.requestId,
        issuer: issuerOf(event, publicUrl),
      });
    });
}

/**
 * Adds the client ID to every log line if it has the format of a key ID. Any other text could be a secret that was sent
 * in the wrong place.
 */
function logClientId(logger: Logger, clientId: string | undefined): void {
  if (clientId && parseKeyId(clientId)) logger.appendKeys({ client_id: clientId });
}

/** Reports each invalid_client error, regardless of its cause. */
function refusals(onRejectedClient: () => void): MiddlewareObj<APIGatewayProxyEventV2> {
  return {
    onError: ({ error }) => {
      if (error instanceof ServiceError && error.code === 'invalid_client') onRejectedClient();
    },
  };
}

/**
 * Returns a 400 for a malformed request (RFC 6749 §5.2).
 * @param cause cause of the error, which only the log contains
 */
export function invalidRequest(detail: string, cause?: unknown): ServiceError {
  return new ServiceError(400, 'invalid_request', detail, { cause });
}

/**
 * Returns the 401 for a client that failed to authenticate (RFC 6749 §5.2). The body is the same for every cause, so
 * that it does not reveal whether an ID exists. The challenge follows RFC 7617.
 * @param reason reason for the failure, which only the log contains
 */
export function invalidClient(reason: ClientRejection): ServiceError {
  return new ServiceError(401, 'invalid_client', 'Client authentication failed.', {
    headers: { 'WWW-Authenticate': 'Basic realm="deployment-api-keys", charset="UTF-8"' },
    cause: reason,
  });
}

/** Parameters that are not allowed in a URL, because URLs end up in logs (RFC 6749 §2.3.1). */
const BODY_ONLY = [
  'access_token',
  'client_id',
  'client_secret',
  'grant_type',
  'scope',
  'subject_token',
  'token',
  'token_type_hint',
];

/**
 * Parameters that a client may repeat (RFC 8693 §2.1, RFC 8707 §2). The service ignores them and does not pass them to
 * routes.
 */
const REPEATABLE = ['audience', 'resource'];

/** Rejects repeated parameters (RFC 6749 §3.2). */
function rejectRepeated(names: readonly string[]): void {
  const single = names.filter((name) => !REPEATABLE.includes(name));
  if (new Set(single).size < single.length) throw invalidRequest('Parameters must not be repeated.');
}

/** Returns the parameters to pass to a route. A parameter without a value counts as absent. */
const given = (pairs: readonly (readonly [string, string])[]): ReadonlyMap<string, string> =>
  new Map(pairs.filter(([name, value]) => value !== '' && !REPEATABLE.includes(name)));

function rejectQueryParameters(rawQueryString: string, parameters: ReadonlyMap<string, string>): void {
  const names = [...new URLSearchParams(rawQueryString).keys()];
  const isMisplaced = (name: string) => BODY_ONLY.includes(name) || parameters.has(name);
  if (names.some(isMisplaced)) throw invalidRequest('Parameters belong in the body, not in the query.');
  rejectRepeated(names);
}

/**
 * Returns the parameters in a body.
 * @throws ServiceError 400, 413
 */
function bodyParameters(event: APIGatewayProxyEventV2, acceptsJson: boolean): ReadonlyMap<string, string> {
  const text = bodyText(event);
  const type = mediaType(event.headers);
  if (type === 'application/x-www-form-urlencoded') return formParameters(text);
  if (acceptsJson && type === 'application/json') return jsonParameters(text);
  throw invalidRequest('Send the body as application/x-www-form-urlencoded.');
}

/** Parses the parameters of a form. Checks the input first, because URLSearchParams accepts malformed input. */
export function formParameters(text: string): ReadonlyMap<string, string> {
  if (/%(?![0-9A-Fa-f]{2})/.test(text)) throw invalidRequest('The body has a malformed percent-encoding.');
  const pairs = [...new URLSearchParams(text)];
  if (pairs.flat().some((part) => part.includes('\uFFFD'))) throw invalidRequest('The body must be UTF-8.');
  rejectRepeated(pairs.map(([name]) => name));
  return given(pairs);
}

/** Parses parameters sent as a JSON object of strings. A repeatable parameter can be a list of strings. */
function jsonParameters(text: string): ReadonlyMap<string, string> {
  let fields: unknown;
  try {
    fields = JSON.parse(text);
  } catch {
    throw invalidRequest('The body must be JSON.');
  }
  const isObject = typeof fields === 'object' && fields !== null && !Array.isArray(fields);
  const pairs = isObject ? Object.entries(fields as object).filter((pair) => !isRepeatedInJson(pair)) : [];
  if (!isObject || pairs.some(([, value]) => typeof value !== 'string')) {
    throw invalidRequest('The body must be a JSON object of strings.');
  }
  // JSON.parse keeps only the last value of a repeated name. To detect repetitions, this function reads the names from
  // the text, as strings before a colon.
  const strings = [...text.matchAll(/(?<string>"(?:[^"\\]|\\.)*")\s*(?<colon>:?)/g)];
  rejectRepeated(
    strings.flatMap(({ groups = {} }) => (groups.colon ? [JSON.parse(groups.string ?? '')] : [])),
  );
  return given(pairs);
}

function isRepeatedInJson([name, value]: [string, unknown]): boolean {
  return REPEATABLE.includes(name) && Array.isArray(value) && value.every((one) => typeof one === 'string');
}

/**
 * Returns the client's ID and secret. The client must use either client_secret_basic or client_secret_post, not both
 * (RFC 6749 §2.3).
 * @throws ServiceError 400 if the client uses both methods or sends malformed Basic credentials; 401 if it sends no
 * credentials
 */
function clientCredentials(
  authorization: string | undefined,
  parameters: ReadonlyMap<string, string>,
  acceptsNoSecret: boolean,
): ClientCredentials {
  const clientId = parameters.get('client_id');
  const clientSecret = parameters.get('client_secret');
  if (parameters.get('grant_type') === TOKEN_EXCHANGE) {
    if (authorization !== undefined || clientSecret) {
      throw invalidRequest('A token exchange requires a subject_token instead of a secret.');
    }
    return { clientId: clientId ?? '', clientSecret: '' };
  }
  if (authorization === undefined) {
    if (!clientId || !(clientSecret || acceptsNoSecret)) throw invalidClient('no_credentials');
    return { clientId, clientSecret: clientSecret ?? '' };
  }
  if (!/^Basic /i.test(authorization)) throw invalidClient('no_credentials');
  const basic = basicCredentials(authorization);
  if (clientSecret) throw invalidRequest('Use only one client authentication method.');
  if (clientId && clientId !== basic.clientId) {
    throw invalidRequest('client_id in the body differs from the one in the Authorization header.');
  }
  return basic;
}

/**
 * Parses Basic credentials: an ID and a secret, each form-encoded, joined by a colon and encoded in base64 (RFC 6749
 * §2.3.1). Splits the text before form-decoding it, because a decoded ID or secret can contain a colon.
 */
function basicCredentials(authorization: string): ClientCredentials {
  const malformed = () => invalidRequest('The Authorization header is not valid Basic authentication.');
  const [, encoded] = /^Basic +([A-Za-z0-9+/]+={0,2})$/i.exec(authorization) ?? [];
  if (encoded === undefined || encoded.length % 4 !== 0) throw malformed();
  const { clientId, clientSecret } =
    /^(?<clientId>[^:]*):(?<clientSecret>.*)$/s.exec(Buffer.from(encoded, 'base64').toString())?.groups ?? {};
  if (clientId === undefined || clientSecret === undefined) throw malformed();
  try {
    return { clientId: formDecode(clientId), clientSecret: formDecode(clientSecret) };
  } catch {
    throw malformed();
  }
}

/**
 * Decodes a form-encoded value.
 * @throws URIError for a malformed percent-encoding
 */
function formDecode(text: string): string {
  return decodeURIComponent(text.replaceAll('+', ' '));
}
