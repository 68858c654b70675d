import { randomUUID } from 'node:crypto';
import type { InvocationResult } from '../lambda/worker-pool.ts';
import { compareNumbers, matchPath, specificityOf, withOneLeadingSlash } from '../paths.ts';
import { ACCOUNT } from '../template.ts';
import {
  type Api,
  type ApiOptions,
  type GatewayRequest,
  type GatewayResponse,
  withContentType,
} from './gateway.ts';
import { commonLogTime } from './http-api.ts';
import type { RestResponses } from './rest-responses.ts';

/** A method of a REST API, with its authorizer and its function. */
export interface RestMethod {
  /** HTTP method, such as `GET`, or `ANY`. */
  readonly method: string;
  /** Path of the resource, such as `/deployments/{deploymentId}`. */
  readonly resourcePath: string;
  readonly resourceId: string;
  readonly authorizer?: RestAuthorizer | undefined;
  readonly invoke: (event: object) => Promise<InvocationResult>;
}

/**
 * An authorizer's decision: the type of gateway response that ends the request, or the context for the function's
 * event.
 */
export type RestDecision =
  | {
      readonly refusal: 'UNAUTHORIZED' | 'ACCESS_DENIED' | 'AUTHORIZER_CONFIGURATION_ERROR';
      readonly message: string | null;
    }
  | { readonly refusal?: undefined; readonly context: Readonly<Record<string, string>> };

/** An authorizer for a REST API. */
export interface RestAuthorizer {
  decide(event: RestEvent): Promise<RestDecision>;
}

/** The event of a Lambda proxy integration (payload format 1.0), as documented for REST APIs. */
export interface RestEvent {
  readonly resource: string;
  /**
   * The path as it arrived, without the stage and with one slash at its beginning. A REST API decodes neither the path
   * nor its parameters.
   */
  readonly path: string;
  readonly httpMethod: string;
  readonly headers: Readonly<Record<string, string>> | null;
  readonly multiValueHeaders: Readonly<Record<string, readonly string[]>> | null;
  readonly queryStringParameters: Readonly<Record<string, string>> | null;
  readonly multiValueQueryStringParameters: Readonly<Record<string, readonly string[]>> | null;
  readonly pathParameters: Readonly<Record<string, string>> | null;
  readonly stageVariables: Readonly<Record<string, string>> | null;
  readonly requestContext: Readonly<Record<string, unknown>> & { readonly stage: string };
  readonly body: string | null;
  readonly isBase64Encoded: boolean;
}

/** The configuration of a REST API. */
export interface RestApiOptions extends ApiOptions {
  readonly methods: readonly RestMethod[];
  readonly responses: RestResponses;
}

/**
 * Emulates a REST API (v1) under its stage's path: selects the method, calls its authorizer and invokes its function.
 */
export class RestApi implements Api {
  readonly idHeader = 'x-amzn-requestid';
  readonly #options: RestApiOptions;

  constructor(options: RestApiOptions) {
    this.#options = options;
  }

  newId = (): string => randomUUID();

  tooLarge = (): GatewayResponse =>
    this.#options.responses.answer('REQUEST_TOO_LARGE', 'Request Entity Too Large');

  get routes(): string[] {
    const { stage, methods } = this.#options;
    return methods.map(({ resourcePath }) => `/${stage}${resourcePath}`);
  }

  routeOf(method: string, path: string): string | undefined {
    const { stage, methods } = this.#options;
    const inStage = this.#pathInStage(path);
    const found = inStage === undefined ? undefined : chooseMethod(methods, method, inStage);
    return found && `/${stage}${found.method.resourcePath}`;
  }

  /** Returns the part of the path after the stage; undefined if the path is not in the stage. */
  #pathInStage(path: string): string | undefined {
    const prefix = `/${this.#options.stage}`;
    const received = withOneLeadingSlash(path);
    if (!`${received}/`.startsWith(`${prefix}/`)) return undefined;
    return withOneLeadingSlash(received.slice(prefix.length)) || '/';
  }

  async handle(request: GatewayRequest): Promise<GatewayResponse> {
    const { methods, responses } = this.#options;
    const path = this.#pathInStage(request.path);
    if (path === undefined) return responses.forbidden();
    const found = chooseMethod(methods, request.method, path);
    if (!found) return responses.unknownMethod(header(request, 'authorization'));

    const event = this.#event(request, path, found.method, found.parameters);
    const decision = await found.method.authorizer?.decide(event);
    if (decision?.refusal) return responses.answer(decision.refusal, decision.message);
    const requestContext = {
      ...event.requestContext,
      ...(decision && { authorizer: decision.context }),
    };
    return this.#render(await found.method.invoke({ ...event, requestContext }));
  }

  #event(
    request: GatewayRequest,
    path: string,
    { resourcePath, resourceId }: RestMethod,
    parameters: Record<string, string>,
  ): RestEvent {
    const { apiId, stage, stageVariables, clock } = this.#options;
    const forwarded = [
      ...request.headers,
      ['X-Forwarded-For', request.sourceIp] as const,
      ['X-Forwarded-Proto', 'http'] as const,
    ];
    const query = [...new URLSearchParams(request.query)];
    const host = header(request, 'host');
    const now = clock.now();
    return {
      resource: resourcePath,
      path,
      httpMethod: request.method,
      headers: orNull(Object.fromEntries(forwarded)),
      multiValueHeaders: orNull(grouped(forwarded)),
      queryStringParameters: orNull(Object.fromEntries(query)),
      multiValueQueryStringParameters: orNull(grouped(query)),
      pathParameters: orNull(parameters),
      stageVariables: orNull(stageVariables ?? {}),
      requestContext: {
        resourceId,
        resourcePath,
        httpMethod: request.method,
        requestTime: commonLogTime(now),
        requestTimeEpoch: now,
        // Keep the slashes between the stage and the path.
        path: withOneLeadingSlash(request.path),
        accountId: ACCOUNT,
        protocol: request.protocol,
        stage,
        domainName: host,
        domainPrefix: host.split('.')[0] ?? '',
        requestId: request.id,
        apiId,
        identity: {
          accessKey: null,
          accountId: null,
          apiKey: null,
          caller: null,
          cognitoIdentityId: null,
          sourceIp: request.sourceIp,
          user: null,
          userAgent: header(request, 'user-agent') || null,
          userArn: null,
        },
      },
      // Without binary media types, a REST API treats every body as text.
      body: request.body.length === 0 ? null : request.body.toString('utf8'),
      isBase64Encoded: false,
    };
  }

  /** Converts a function's result to the HTTP response. */
  #render(outcome: InvocationResult): GatewayResponse {
    const malformed = () => this.#options.responses.answer('INTEGRATION_FAILURE', 'Internal server error');
    if (!outcome.ok) return malformed();
    const answer = JSON.parse(outcome.payload);
    if (typeof answer !== 'object' || answer === null) return malformed();
    const { statusCode, headers = {}, multiValueHeaders = {}, body = '' } = answer;
    const isStatus = Number.isInteger(Number(statusCode)) && statusCode >= 100 && statusCode <= 599;
    if (!isStatus || (typeof body !== 'string' && body !== null)) return malformed();

    const many = Object.entries<unknown[]>(multiValueHeaders ?? {}).flatMap(([name, values]) =>
      values.map((value) => [name, String(value)] as const),
    );
    const single = Object.entries(headers ?? {})
      .filter(([name]) => !many.some(([other]) => other === name))
      .map(([name, value]) => [name, String(value)] as const);
    const own = [...single, ...many].map(([name, value]) => [remapped(name), value] as const);
    return {
      status: Number(statusCode),
      headers: withContentType(own, 'application/json'),
      body: body ?? '',
    };
  }
}

/**
 * API Gateway reserves these header names. If a function returns such a header, API Gateway sends it under another
 * name.
 */
const REMAPPED = new Set(['authorization', 'connection', 'date', 'host', 'server', 'www-authenticate']);

function remapped(name: string): string {
  const lower = name.toLowerCase();
  return REMAPPED.has(lower) ? `x-amzn-remapped-${lower}` : lower;
}

const header = (request: GatewayRequest, name: string): string =>
  request.headers.find(([given]) => given.toLowerCase() === name)?.[1] ?? '';

const orNull = <T extends object>(record: T): T | null => (Object.keys(record).length > 0 ? record : null);

/** Groups the values by name. Names that differ only in case stay separate. */
function grouped(pairs: readonly (readonly [string, string])[]): Record<string, string[]> {
  const values = new Map<string, string[]>();
  for (const [name, value] of pairs) values.set(name, [...(values.get(name) ?? []), value]);
  return Object.fromEntries(values);
}

/**
 * Selects a method as a REST API does. It first selects the resource: a literal segment comes before a parameter, and a
 * parameter before a greedy parameter. It then selects the method: a named method comes before ANY. If the resource
 * does not have the method, no other resource is tried.
 */
export function chooseMethod<T extends Pick<RestMethod, 'method' | 'resourcePath'>>(
  methods: readonly T[],
  method: string,
  path: string,
): { method: T; parameters: Record<string, string> } | undefined {
  const matching = methods.flatMap((it) => {
    const parameters = matchPath(it.resourcePath, path);
    return parameters ? [{ method: it, parameters, specificity: specificityOf(it.resourcePath) }] : [];
  });
  const [best] = matching.map((it) => it.specificity).sort(compareNumbers);
  const ofResource = matching.filter((it) => best && compareNumbers(it.specificity, best) === 0);
  return (
    ofResource.find((it) => it.method.method === method) ??
    ofResource.find((it) => it.method.method === 'ANY')
  );
}
