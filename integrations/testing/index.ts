/**
 * Sample events for unit tests of an API behind the authorizer. They have the same form as the events that API Gateway
 * sends to the function behind a route. The tests need no AWS account and no particular test framework.
 */

/** The information about the caller that an API behind the authorizer receives. All values are strings. */
export type AuthorizerContext = {
  /** The key's ID, or the person's `sub`. */
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

/** The caller of a sample event. */
export interface SampleCaller {
  /** ID of the caller's Deployment. @default `etl` */
  readonly deploymentId?: string | undefined;
  /** The token's scopes, without `deployment:<id>`. @default none */
  readonly scopes?: readonly string[] | undefined;
  /** The `sub` of the person who calls. @default an API key calls */
  readonly person?: string | undefined;
  /** When the token was issued. @default 2027-01-15T08:00:00Z */
  readonly issuedAt?: Date | undefined;
  /** When the token expires. @default 24 hours after `issuedAt` */
  readonly expiresAt?: Date | undefined;
}

const ULID = '01ARZ3NDEKTSV4RRFFQ69G5FAV';
const ISSUED_AT = new Date('2027-01-15T08:00:00Z');
const DAY = 24 * 60 * 60 * 1000;

/**
 * Returns the context that the authorizer passes to an API for a caller.
 *
 * @example
 * ```ts
 * authorizerContext({ deploymentId: 'etl', scopes: ['code:deploy'] }).scope; // 'deployment:etl code:deploy'
 * ```
 */
export function authorizerContext(caller: SampleCaller = {}): AuthorizerContext {
  const { deploymentId = 'etl', scopes = [], person, issuedAt = ISSUED_AT } = caller;
  const { expiresAt = new Date(issuedAt.getTime() + DAY) } = caller;
  return {
    principalId: person ?? `dk_${deploymentId}_${ULID}`,
    principalType: person === undefined ? 'api_key' : 'person',
    deploymentId,
    scope: [`deployment:${deploymentId}`, ...scopes].join(' '),
    issuedAt: issuedAt.toISOString(),
    expiresAt: expiresAt.toISOString(),
  };
}

/** A sample call to a route. */
export interface SampleCall {
  /** Method and path of the route, as in `requiredScopes`: `POST /deployments/{deploymentId}/deploys`. */
  readonly route: string;
  /** The caller. @default a key of the `etl` Deployment, without scopes */
  readonly caller?: SampleCaller | undefined;
  /** Values of the path parameters. @default the caller's Deployment for `deploymentId` */
  readonly parameters?: Readonly<Record<string, string>> | undefined;
  /** Query parameters. @default none */
  readonly query?: Readonly<Record<string, string>> | undefined;
  /** Additional headers. @default none */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** The body. Text is sent unchanged, and any other value is sent as JSON. @default none */
  readonly body?: unknown;
}

/** An event in payload format 2.0, as an HTTP API sends it for a route with the authorizer. */
export interface HttpApiEvent {
  version: '2.0';
  routeKey: string;
  rawPath: string;
  rawQueryString: string;
  headers: Record<string, string>;
  queryStringParameters?: Record<string, string>;
  pathParameters?: Record<string, string>;
  requestContext: {
    accountId: string;
    apiId: string;
    authorizer: { lambda: AuthorizerContext };
    domainName: string;
    domainPrefix: string;
    http: { method: string; path: string; protocol: string; sourceIp: string; userAgent: string };
    requestId: string;
    routeKey: string;
    stage: string;
    time: string;
    timeEpoch: number;
  };
  body?: string;
  isBase64Encoded: boolean;
}

/** An event as a REST API sends it for a method with the authorizer. */
export interface RestApiEvent {
  resource: string;
  path: string;
  httpMethod: string;
  headers: Record<string, string>;
  multiValueHeaders: Record<string, string[]>;
  queryStringParameters: Record<string, string> | null;
  multiValueQueryStringParameters: Record<string, string[]> | null;
  pathParameters: Record<string, string> | null;
  stageVariables: Record<string, string> | null;
  requestContext: {
    accountId: string;
    apiId: string;
    authorizer: AuthorizerContext;
    domainName: string;
    domainPrefix: string;
    httpMethod: string;
    identity: typeof NO_IDENTITY & { sourceIp: string; userAgent: string };
    path: string;
    protocol: string;
    requestId: string;
    requestTime: string;
    requestTimeEpoch: number;
    resourceId: string;
    resourcePath: string;
    stage: string;
  };
  body: string | null;
  isBase64Encoded: boolean;
}

const ACCOUNT = '111122223333';
const API = 'a1b2c3d4e5';
const HOST = `${API}.execute-api.eu-west-1.amazonaws.com`;
const REQUEST = '0e3f1a2b-0000-4000-8000-000000000000';
const ADDRESS = '192.0.2.10';
const AGENT = 'curl/8.9.1';
const TIME = '15/Jan/2027:08:00:00 +0000';

const NO_IDENTITY = {
  accessKey: null,
  accountId: null,
  apiKey: null,
  apiKeyId: null,
  caller: null,
  clientCert: null,
  cognitoAuthenticationProvider: null,
  cognitoAuthenticationType: null,
  cognitoIdentityId: null,
  cognitoIdentityPoolId: null,
  principalOrgId: null,
  user: null,
  userArn: null,
};

/**
 * Returns the event of an HTTP API. The Authorization header contains no valid token.
 *
 * @throws Error if the route is not a method and a path, or a path parameter has no value
 * @example
 * ```ts
 * const event = httpApiEvent({
 *   route: 'POST /deployments/{deploymentId}/deploys',
 *   caller: { deploymentId: 'etl', scopes: ['code:deploy'] },
 *   body: { image: 'etl:1.4.0' },
 * });
 * expect(await handler(event)).toMatchObject({ statusCode: 202 });
 * ```
 */
export function httpApiEvent(call: SampleCall): HttpApiEvent {
  const { context, method, path, query, parameters, headers, body } = parsed(call);
  const lowerCase = Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]);
  return {
    version: '2.0',
    routeKey: call.route,
    rawPath: path,
    rawQueryString: new URLSearchParams(query).toString(),
    headers: Object.fromEntries(lowerCase),
    ...(query && { queryStringParameters: query }),
    ...(parameters && { pathParameters: parameters }),
    requestContext: {
      accountId: ACCOUNT,
      apiId: API,
      authorizer: { lambda: context },
      domainName: HOST,
      domainPrefix: API,
      http: { method, path, protocol: 'HTTP/1.1', sourceIp: ADDRESS, userAgent: AGENT },
      requestId: REQUEST,
      routeKey: call.route,
      stage: '$default',
      time: TIME,
      timeEpoch: ISSUED_AT.getTime(),
    },
    ...(body !== undefined && { body }),
    isBase64Encoded: false,
  };
}

/**
 * Returns the event of a REST API. The Authorization header contains no valid token.
 *
 * @throws Error if the route is not a method and a path, or a path parameter has no value
 */
export function restApiEvent(call: SampleCall): RestApiEvent {
  const { context, method, resource, path, query, parameters, headers, body } = parsed(call);
  const listed = (record: Record<string, string>) =>
    Object.fromEntries(Object.entries(record).map(([name, value]) => [name, [value]]));
  return {
    resource,
    path,
    httpMethod: method,
    headers,
    multiValueHeaders: listed(headers),
    queryStringParameters: query ?? null,
    multiValueQueryStringParameters: query ? listed(query) : null,
    pathParameters: parameters ?? null,
    stageVariables: null,
    requestContext: {
      accountId: ACCOUNT,
      apiId: API,
      authorizer: context,
      domainName: HOST,
      domainPrefix: API,
      httpMethod: method,
      identity: { ...NO_IDENTITY, sourceIp: ADDRESS, userAgent: AGENT },
      path: `/prod${path}`,
      protocol: 'HTTP/1.1',
      requestId: REQUEST,
      requestTime: TIME,
      requestTimeEpoch: ISSUED_AT.getTime(),
      resourceId: 'abc123',
      resourcePath: resource,
      stage: 'prod',
    },
    body: body ?? null,
    isBase64Encoded: false,
  };
}

/** The parts of a call that both kinds of event contain. */
function parsed({ route, caller, parameters = {}, query, headers = {}, body }: SampleCall) {
  const { method, resource } = /^(?<method>[A-Z]+) (?<resource>\/\S*)$/.exec(route)?.groups ?? {};
  if (method === undefined || resource === undefined) {
    throw new Error(
      `route must be a method and a path, such as POST /deployments/{deploymentId}/deploys, not ${route}.`,
    );
  }
  const context = authorizerContext(caller);
  const values: Record<string, string> = {};
  const path = resource.replace(/\{(?<name>[^}+]+)\+?\}/g, (_, name: string) => {
    const value = parameters[name] ?? (name === 'deploymentId' ? context.deploymentId : undefined);
    if (value === undefined)
      throw new Error(`parameters.${name} must have a value, because the route ${route} has it.`);
    values[name] = value;
    return value;
  });
  const isText = body === undefined || typeof body === 'string';
  return {
    context,
    method,
    resource,
    path,
    query: query && { ...query },
    parameters: Object.keys(values).length > 0 ? values : undefined,
    headers: {
      Authorization: 'Bearer sample',
      ...(!isText && { 'Content-Type': 'application/json' }),
      Host: HOST,
      'User-Agent': AGENT,
      'X-Forwarded-For': ADDRESS,
      'X-Forwarded-Port': '443',
      'X-Forwarded-Proto': 'https',
      ...headers,
    } as Record<string, string>,
    body: isText ? body : JSON.stringify(body),
  };
}
