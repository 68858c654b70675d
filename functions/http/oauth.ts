import type { Logger } from '@aws-lambda-powertools/logger';
import middy, { type MiddlewareObj } from '@middy/core';
import type { APIGatewayProxyEventV2 } from 'aws-lambda';
import { ServiceError } from '../domain/errors.ts';
import { parseKeyId } from '../domain/identifiers.ts';
import type { Caller } from '../domain/last-use.ts';
import { type Answer, answers, asOAuthError, invocation } from './answer.ts';
import { bodyText, mediaType } from './body.ts';
import { issuerOf } from './issuer.ts';

/** RFC 8693 §2.1. */
export const TOKEN_EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';

/** A call of an OAuth client, as a route sees it. */
export interface OAuthRequest {
  /** Parameters of the body, each once and with a value. */
  parameters: ReadonlyMap<string, string>;
  client: ClientCredentials;
  caller: Caller;
  /** API Gateway's request ID. */
  requestId: string;
  /** The service's issuer, RFC 8414 §2. */
  issuer: string;
}

/** What a client says it is, not yet verified. */
export interface ClientCredentials {
  clientId: string;
  /** Empty when none was sent: no key's secret is empty. */
  clientSecret: string;
}

export type OAuthRoute = (request: OAuthRequest) => Promise<Answer>;

export interface OAuthHandlerOptions {
  logger: Logger;
  /** Told of each refused authentication, once. */
  onRefusedClient: () => void;
  /** Accept JSON with the same fields: the token call does, for pipelines that were written for an older service. */
  acceptsJson?: boolean;
  /** Accept a client_id without a secret, which the route then judges: the revocation call does. */
  acceptsNoSecret?: boolean;
  /** The URL under which clients know the service, where it has a name of its own. */
  publicUrl?: string | undefined;
}

/** A function that OAuth clients call: what its routes have in common, in the order in which it happens. */
export function oauthHandler(
  routes: Record<string, OAuthRoute>,
  { logger, onRefusedClient, acceptsJson = false, acceptsNoSecret = false, publicUrl }: OAuthHandlerOptions,
) {
  return middy<APIGatewayProxyEventV2>()
    .use(invocation(logger))
    .use(answers(logger, asOAuthError))
    .use(refusals(onRefusedClient))
    .handler(async (event): Promise<Answer> => {
      const route = routes[event.routeKey];
      // The gateway has no route that is not in the map: this is a fault of the stack.
      if (!route) throw new Error(`no route for ${event.routeKey}`);
      const parameters = bodyParameters(event, acceptsJson);
      refuseQueryParameters(event.rawQueryString, parameters);
      const client = clientCredentials(event.headers.authorization, parameters, acceptsNoSecret);
      // Only what has a key ID's form: anything else could be a secret in the wrong place.
      if (parseKeyId(client.clientId)) logger.appendKeys({ client_id: client.clientId });
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

/** Tells of each invalid_client: whatever the cause, it counts the same. */
function refusals(onRefusedClient: () => void): MiddlewareObj<APIGatewayProxyEventV2> {
  return {
    onError: ({ error }) => {
      if (error instanceof ServiceError && error.code === 'invalid_client') onRefusedClient();
    },
  };
}

/** RFC 6749 §5.2: the request is malformed. */
export function invalidRequest(detail: string): ServiceError {
  return new ServiceError(400, 'invalid_request', detail);
}

/**
 * RFC 6749 §5.2: the client is not who it says it is. One body for every cause, so that it tells no caller
 * whether an ID exists. The challenge is RFC 7617's.
 */
export function invalidClient(): ServiceError {
  return new ServiceError(401, 'invalid_client', 'Client authentication failed.', {
    headers: { 'WWW-Authenticate': 'Basic realm="deployment-api-keys", charset="UTF-8"' },
  });
}

/** Parameters that mean something here, and so may not come in a URL, which ends up in logs (RFC 6749 §2.3.1). */
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

/** Parameters that a client may repeat (RFC 8693 §2.1, RFC 8707 §2). They mean nothing here, and no route gets them. */
const REPEATABLE = ['audience', 'resource'];

/** RFC 6749 §3.2. */
function refuseRepeated(names: readonly string[]): void {
  const single = names.filter((name) => !REPEATABLE.includes(name));
  if (new Set(single).size < single.length) throw invalidRequest('No parameter may come twice.');
}

/** What a route gets: a parameter without a value is as good as absent. */
const given = (pairs: readonly (readonly [string, string])[]): ReadonlyMap<string, string> =>
  new Map(pairs.filter(([name, value]) => value !== '' && !REPEATABLE.includes(name)));

function refuseQueryParameters(rawQueryString: string, parameters: ReadonlyMap<string, string>): void {
  const names = [...new URLSearchParams(rawQueryString).keys()];
  const isMisplaced = (name: string) => BODY_ONLY.includes(name) || parameters.has(name);
  if (names.some(isMisplaced)) throw invalidRequest('Parameters belong in the body, not in the query.');
  refuseRepeated(names);
}

/** @throws ServiceError 400, 413 */
function bodyParameters(event: APIGatewayProxyEventV2, acceptsJson: boolean): ReadonlyMap<string, string> {
  const text = bodyText(event);
  const type = mediaType(event.headers);
  if (type === 'application/x-www-form-urlencoded') return formParameters(text);
  if (acceptsJson && type === 'application/json') return jsonParameters(text);
  throw invalidRequest('Send the body as application/x-www-form-urlencoded.');
}

/** The parameters of a form. URLSearchParams alone forgives too much. */
export function formParameters(text: string): ReadonlyMap<string, string> {
  if (/%(?![0-9A-Fa-f]{2})/.test(text)) throw invalidRequest('The body has a broken percent-encoding.');
  const pairs = [...new URLSearchParams(text)];
  if (pairs.flat().some((part) => part.includes('\uFFFD'))) throw invalidRequest('The body must be UTF-8.');
  refuseRepeated(pairs.map(([name]) => name));
  return given(pairs);
}

/** The same as JSON: an object of strings, in which a parameter that may be repeated may be a list of strings. */
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
  // JSON.parse keeps the last of two equal names, so they are read from the text: a string before a colon is one.
  const strings = [...text.matchAll(/(?<string>"(?:[^"\\]|\\.)*")\s*(?<colon>:?)/g)];
  refuseRepeated(
    strings.flatMap(({ groups = {} }) => (groups.colon ? [JSON.parse(groups.string ?? '')] : [])),
  );
  return given(pairs);
}

function isRepeatedInJson([name, value]: [string, unknown]): boolean {
  return REPEATABLE.includes(name) && Array.isArray(value) && value.every((one) => typeof one === 'string');
}

/**
 * The client's ID and secret, by client_secret_basic or client_secret_post: by one of them (RFC 6749 §2.3).
 * @throws ServiceError 400 for two mechanisms or malformed Basic credentials, 401 for none
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
      throw invalidRequest('A token exchange has subject_token in place of a secret.');
    }
    return { clientId: clientId ?? '', clientSecret: '' };
  }
  if (authorization === undefined) {
    if (!clientId || !(clientSecret || acceptsNoSecret)) throw invalidClient();
    return { clientId, clientSecret: clientSecret ?? '' };
  }
  if (!/^Basic /i.test(authorization)) throw invalidClient();
  const basic = basicCredentials(authorization);
  if (clientSecret) throw invalidRequest('The client must authenticate in one way, not in two.');
  if (clientId && clientId !== basic.clientId) {
    throw invalidRequest('client_id in the body differs from the one in the Authorization header.');
  }
  return basic;
}

/** RFC 6749 §2.3.1: base64 of two form-encoded halves. Split first, then decode: a decoded half may hold a colon. */
function basicCredentials(authorization: string): ClientCredentials {
  const malformed = () => invalidRequest('The Authorization header is not valid Basic authentication.');
  const [, encoded] = /^Basic +([A-Za-z0-9+/]+={0,2})$/i.exec(authorization) ?? [];
  if (encoded === undefined || encoded.length % 4 !== 0) throw malformed();
  const [, clientId, clientSecret] = /^([^:]*):(.*)$/s.exec(Buffer.from(encoded, 'base64').toString()) ?? [];
  if (clientId === undefined || clientSecret === undefined) throw malformed();
  try {
    return { clientId: formDecode(clientId), clientSecret: formDecode(clientSecret) };
  } catch {
    throw malformed();
  }
}

/** @throws URIError for a broken percent-encoding */
function formDecode(text: string): string {
  return decodeURIComponent(text.replaceAll('+', ' '));
}
