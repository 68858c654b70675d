import { randomBytes } from 'node:crypto';
import type { InvocationResult } from '../lambda/worker-pool.ts';
import { compareNumbers, isGreedy, matchPath, specificityOf, withOneLeadingSlash } from '../paths.ts';
import { ACCOUNT } from '../template.ts';
import type { Authorizer } from './authorizers.ts';
import {
  type Api,
  type ApiOptions,
  type GatewayRequest,
  type GatewayResponse,
  message,
  withContentType,
} from './gateway.ts';
import type { HttpApiEvent } from './http-api-event.ts';

/** A route of an HTTP API, with its authorizer and its function. */
export interface Route {
  /** Route key: `GET /deployments/{deploymentId}`, `ANY /{proxy+}` or `$default`. */
  readonly key: string;
  readonly authorizer?: Authorizer | undefined;
  /** Scopes for a JWT authorizer. The access token needs at least one of them. */
  readonly authorizationScopes?: readonly string[] | undefined;
  readonly invoke: (event: HttpApiEvent) => Promise<InvocationResult>;
}

/** The configuration of an HTTP API. */
export interface HttpApiOptions extends ApiOptions {
  readonly routes: readonly Route[];
}

/**
 * Emulates an HTTP API: selects the route, calls its authorizer, invokes its function and renders the function's
 * response.
 */
export class HttpApi implements Api {
  readonly idHeader = 'apigw-requestid';
  readonly #options: HttpApiOptions;

  constructor(options: HttpApiOptions) {
    this.#options = options;
  }

  newId = (): string => `${randomBytes(11).toString('base64url')}=`;

  tooLarge = (): GatewayResponse => message(413, 'Request Entity Too Large');

  get routes(): string[] {
    return this.#options.routes.map(({ key }) => this.#pathOf(key));
  }

  routeOf(method: string, path: string): string | undefined {
    const inStage = decoded(this.#pathInStage(path) ?? '');
    const found = inStage && chooseRoute(this.#options.routes, method, inStage);
    return found ? this.#pathOf(found.route.key) : undefined;
  }

  /** The stage's path, which precedes the route's path. */
  get #prefix(): string {
    const { stage } = this.#options;
    return stage === '$default' ? '' : `/${stage}`;
  }

  #pathOf = (key: string): string => `${this.#prefix}${key.split(' ')[1] ?? `/${key}`}`;

  /** Returns the part of the path after the stage, still percent-encoded; undefined if the path is not in the stage. */
  #pathInStage(path: string): string | undefined {
    const received = this.#prefix === '' ? path : withOneLeadingSlash(path);
    if (!`${received}/`.startsWith(`${this.#prefix}/`)) return undefined;
    return received.slice(this.#prefix.length) || '/';
  }

  async handle(request: GatewayRequest): Promise<GatewayResponse> {
    const inStage = this.#pathInStage(request.path);
    if (inStage === undefined) return message(404, 'Not Found');
    const path = decoded(inStage);
    if (path === undefined) return message(400, 'Bad Request');
    const found = chooseRoute(this.#options.routes, request.method, path);
    if (!found) return message(404, 'Not Found');
    const { route, parameters } = found;

    const event = this.#event(request, path, route.key, parameters);
    const decision = await route.authorizer?.decide(event, route.authorizationScopes ?? [], request);
    if (decision?.refusal) return decision.refusal;
    const requestContext = { ...event.requestContext, authorizer: decision?.context };
    return render(await route.invoke({ ...event, requestContext }));
  }

  #event(
    request: GatewayRequest,
    path: string,
    routeKey: string,
    parameters: Record<string, string>,
  ): HttpApiEvent {
    const { apiId, stage, stageVariables, clock } = this.#options;
    const headers = joined(request.headers.map(([name, value]) => [name.toLowerCase(), value]));
    const { cookie, ...others } = headers;
    const host = headers.host ?? '';
    const now = clock.now();
    return {
      version: '2.0',
      routeKey,
      rawPath: stage === '$default' ? path : `/${stage}${path}`,
      rawQueryString: request.query,
      cookies: cookie?.split(/; */),
      headers: {
        'content-length': String(request.body.length),
        ...others,
        'x-forwarded-for': [others['x-forwarded-for'], request.sourceIp].filter(Boolean).join(', '),
        'x-forwarded-port': host.split(':')[1] ?? '80',
        'x-forwarded-proto': 'http',
      },
      queryStringParameters: unlessEmpty(joined([...new URLSearchParams(request.query)])),
      pathParameters: unlessEmpty(parameters),
      stageVariables: unlessEmpty(stageVariables ?? {}),
      requestContext: {
        accountId: ACCOUNT,
        apiId,
        domainName: host,
        domainPrefix: host.split('.')[0] ?? '',
        http: {
          method: request.method,
          path: stage === '$default' ? path : `/${stage}${path}`,
          protocol: request.protocol,
          sourceIp: request.sourceIp,
          userAgent: headers['user-agent'] ?? '',
        },
        requestId: request.id,
        routeKey,
        stage,
        time: commonLogTime(now),
        timeEpoch: now,
      },
      ...bodyOf(request.body, headers),
    };
  }
}

/** Decodes a path. Returns undefined if a percent sign does not start a valid escape, or if the bytes are not UTF-8. */
function decoded(path: string): string | undefined {
  try {
    return decodeURIComponent(path);
  } catch {
    return undefined;
  }
}

const joined = (pairs: readonly (readonly [string, string])[]): Record<string, string> => {
  const values = new Map<string, string>();
  for (const [name, value] of pairs) {
    const before = values.get(name);
    values.set(name, before === undefined ? value : `${before},${value}`);
  }
  return Object.fromEntries(values);
};

const unlessEmpty = <T extends object>(record: T): T | undefined =>
  Object.keys(record).length > 0 ? record : undefined;

/** Formats a time in epoch milliseconds in the style of the common log format: `12/Mar/2020:19:03:58 +0000`. */
export function commonLogTime(epochMilliseconds: number): string {
  const [, day, month, year, time] = new Date(epochMilliseconds).toUTCString().split(' ');
  return `${day}/${month}/${year}:${time} +0000`;
}

const TEXT_TYPE = /^(text\/.*|application\/(json|javascript|xml))$/;

/**
 * Encodes every body in base64, except for bodies with a known text type. Forms and bodies without a content type are
 * also encoded.
 */
function bodyOf(
  body: Buffer,
  headers: Record<string, string>,
): Pick<HttpApiEvent, 'body' | 'isBase64Encoded'> {
  if (body.length === 0) return { isBase64Encoded: false };
  const type = headers['content-type']?.split(';')[0]?.trim().toLowerCase() ?? '';
  const isText = TEXT_TYPE.test(type) && headers['content-encoding'] === undefined;
  return { body: body.toString(isText ? 'utf8' : 'base64'), isBase64Encoded: !isText };
}

/** Converts a function's result to the HTTP response. Supports both response formats of payload format 2.0. */
function render(outcome: InvocationResult): GatewayResponse {
  const failure = message(500, 'Internal Server Error');
  if (!outcome.ok) return outcome.isThrottled ? message(503, 'Service Unavailable') : failure;
  const answer = JSON.parse(outcome.payload);
  const isInferred = typeof answer !== 'object' || answer === null || answer.statusCode === undefined;
  if (isInferred) {
    return {
      status: 200,
      headers: [['content-type', 'application/json']],
      body: typeof answer === 'string' ? answer : outcome.payload,
    };
  }
  const { statusCode, headers = {}, cookies = [], body = '', isBase64Encoded = false } = answer;
  const isStatus = Number.isInteger(Number(statusCode)) && statusCode >= 100 && statusCode <= 599;
  if (!isStatus || typeof body !== 'string') return failure;
  const own = Object.entries(headers).map(([name, value]) => [name.toLowerCase(), String(value)] as const);
  return {
    status: Number(statusCode),
    headers: [
      ...withContentType(own, 'text/plain; charset=utf-8'),
      ...(cookies as string[]).map((cookie) => ['set-cookie', cookie] as const),
    ],
    body: isBase64Encoded ? Buffer.from(body, 'base64') : body,
  };
}

/**
 * Ranks a matching route by several criteria, the most important one first. For each criterion, the smaller number
 * wins.
 */
function precedenceOf(key: string): number[] {
  const [method = '', path = ''] = key.split(' ');
  const segments = specificityOf(path);
  return [Number(key === '$default'), Number(isGreedy(path)), ...segments, Number(method === 'ANY')];
}

/**
 * Selects a route in AWS's order: a full match comes before a greedy parameter, and `$default` comes last. Among equal
 * matches, the more specific path wins, and then a named method wins over ANY.
 */
export function chooseRoute<T extends { readonly key: string }>(
  routes: readonly T[],
  method: string,
  path: string,
): { route: T; parameters: Record<string, string> } | undefined {
  const candidates = routes.flatMap((route) => {
    const parameters = matchRoute(route.key, method, path);
    return parameters ? [{ route, parameters, precedence: precedenceOf(route.key) }] : [];
  });
  const [first] = candidates.sort((a, b) => compareNumbers(a.precedence, b.precedence));
  return first && { route: first.route, parameters: first.parameters };
}

/** Returns the path parameters, or undefined if the route does not match. */
function matchRoute(key: string, method: string, path: string): Record<string, string> | undefined {
  if (key === '$default') return {};
  const [routeMethod, routePath = ''] = key.split(' ');
  if (routeMethod !== 'ANY' && routeMethod !== method) return undefined;
  return matchPath(routePath, path);
}
