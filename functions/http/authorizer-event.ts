import type {
  APIGatewayRequestAuthorizerEvent,
  APIGatewayRequestAuthorizerEventV2,
  APIGatewayTokenAuthorizerEvent,
} from 'aws-lambda';
import type { Demand } from '../domain/check.ts';
import type { Caller } from '../domain/last-use.ts';
import {
  DEPLOYMENT_PARAMETER,
  isParameterName,
  parseRequiredScopes,
  scopesFor,
} from '../domain/required-scopes.ts';

/** The authorizer events of API Gateway that the service supports. */
export type AuthorizerEvent =
  | APIGatewayRequestAuthorizerEventV2
  | APIGatewayRequestAuthorizerEvent
  | APIGatewayTokenAuthorizerEvent;

/** A call to authorize, parsed from its event. */
export interface AuthorizerCall {
  /** Which answer the API expects: `simple` and `iam` from an HTTP API, `rest` from a REST API. */
  answer: 'simple' | 'iam' | 'rest';
  /** The Authorization header; undefined if there is none or more than one. */
  authorization: string | undefined;
  /** `arn:aws:execute-api:<region>:<account>:<api>/<stage>/<method>/<path>` */
  arn: string;
  /** What `demandOf` needs, together with the stage variables. */
  route: { method: string; template: string | undefined; parameters: Texts } | undefined;
  stageVariables: Texts;
  /** Where the call came from. A TOKEN event does not contain it. */
  caller: Caller;
  /** ID of the API that the authorizer protects, and of the request, for the log. A TOKEN event has no request ID. */
  apiId: string | undefined;
  requestId: string | undefined;
}

type Texts = Readonly<Record<string, unknown>>;
type Fields = Readonly<Record<string, unknown>>;

const EXPECTED =
  'Expected the event of an authorizer: of an HTTP API with payload format 2.0, or of a REST API, type REQUEST or TOKEN';

/**
 * Parses an event without assumptions about its form.
 * @throws Error for any other event. The message says what was expected. API Gateway answers with 500.
 */
export function parseAuthorizerEvent(event: unknown): AuthorizerCall {
  const it = fields(event);
  if (it.type === 'REQUEST' && it.version === '2.0') return parseHttp(it);
  if (it.type === 'REQUEST' && it.version === undefined) return parseRest(it);
  if (it.type === 'TOKEN') return parseToken(it);
  throw new Error(`${EXPECTED}; type is ${named(it.type)}, version ${named(it.version)}.`);
}

function parseHttp(event: Fields): AuthorizerCall {
  const context = fields(event.requestContext);
  const [, template] = text(event.routeKey, 'routeKey').split(' ');
  const stageVariables = fields(event.stageVariables);
  return {
    answer: answerOf(stageVariables.authorizerResponse),
    // API Gateway joins two headers with a comma, which a bearer token cannot contain.
    authorization: optionalText(fields(event.headers).authorization),
    arn: text(event.routeArn, 'routeArn'),
    route: {
      method: text(fields(context.http).method, 'requestContext.http.method'),
      template,
      parameters: fields(event.pathParameters),
    },
    stageVariables,
    caller: callerOf(fields(context.http)),
    apiId: optionalText(context.apiId),
    requestId: optionalText(context.requestId),
  };
}

function parseRest(event: Fields): AuthorizerCall {
  const context = fields(event.requestContext);
  return {
    answer: 'rest',
    authorization: theOneHeader(event),
    arn: text(event.methodArn, 'methodArn'),
    route: {
      method: text(event.httpMethod, 'httpMethod'),
      template: text(event.resource, 'resource'),
      parameters: fields(event.pathParameters),
    },
    stageVariables: fields(event.stageVariables),
    caller: callerOf(fields(context.identity)),
    apiId: optionalText(context.apiId),
    requestId: optionalText(context.requestId),
  };
}

/** A TOKEN event has only these fields: no path, stage variables or address. */
function parseToken(event: Fields): AuthorizerCall {
  const arn = text(event.methodArn, 'methodArn');
  return {
    answer: 'rest',
    authorization: optionalText(event.authorizationToken),
    arn,
    route: undefined,
    stageVariables: {},
    caller: {},
    apiId: arn.split(/[:/]/)[5],
    requestId: undefined,
  };
}

/** Events do not show which answer the HTTP API expects, so a stage variable must. */
function answerOf(variable: unknown): 'simple' | 'iam' {
  if (variable === undefined || variable === 'simple') return 'simple';
  if (variable === 'iam') return 'iam';
  throw new Error('The stage variable authorizerResponse must be simple or iam, or be left out.');
}

function callerOf({ sourceIp, userAgent }: Fields): Caller {
  return { address: optionalText(sourceIp), userAgent: optionalText(userAgent) };
}

/**
 * Returns the value of the Authorization header, in any case. Returns undefined for two such headers, because API
 * Gateway might use either.
 */
function theOneHeader(event: Fields): string | undefined {
  const headers = event.multiValueHeaders ?? event.headers;
  const values = Object.entries(fields(headers))
    .filter(([name]) => name.toLowerCase() === 'authorization')
    .flatMap(([, value]) => value);
  return values.length === 1 ? optionalText(values[0]) : undefined;
}

/**
 * Returns what the API requires of a token for this call, according to its stage variables. `requiredScopes` lists
 * scopes. The Deployment is the path parameter `deploymentId`, or the one that `deploymentParameter` names.
 * @returns undefined when the stage variables are malformed or do not list this route: the call must be denied
 */
export function demandOf({ route, stageVariables }: AuthorizerCall): Demand | undefined {
  const { requiredScopes, deploymentParameter = DEPLOYMENT_PARAMETER } = stageVariables;
  if (typeof deploymentParameter !== 'string' || !isParameterName(deploymentParameter)) return undefined;
  if (route === undefined) return { scopes: [] };

  const deploymentId = parameterOf(route, deploymentParameter);
  if (requiredScopes === undefined) return { deploymentId, scopes: [] };
  if (typeof requiredScopes !== 'string') return undefined;
  const required = parseRequiredScopes(requiredScopes);
  const scopes = required && scopesFor(required, route.method, route.template);
  return scopes && { deploymentId, scopes };
}

/**
 * Matches a segment `.` or `..`, or an empty segment that is not the last. Dots and slashes may be percent-encoded,
 * even repeatedly. A slash may be a backslash, and some servers ignore what follows a semicolon (`..;x`).
 */
const detour =
  /(?:^|[/\\]|%(?:25)*(?:2f|5c))(?:(?:\.|%(?:25)*2e){1,2}(?:$|[/\\;]|%(?:25)*(?:2f|5c|3b))|[/\\]|%(?:25)*(?:2f|5c))/i;

/**
 * Reports whether a path parameter has a segment such as `..`. The API, or a server behind it, might resolve it to the path
 * of another Deployment.
 */
export function hasDetour({ route }: AuthorizerCall): boolean {
  return Object.values(route?.parameters ?? {}).some((value) => detour.test(String(value)));
}

/**
 * Returns undefined when the route has no such parameter, and '' when its value is missing. '' is not a Deployment ID.
 */
function parameterOf(
  { template, parameters }: NonNullable<AuthorizerCall['route']>,
  name: string,
): string | undefined {
  const isOfRoute = template?.split('/').some((part) => part === `{${name}}` || part === `{${name}+}`);
  if (!isOfRoute && !Object.hasOwn(parameters, name)) return undefined;
  return optionalText(parameters[name]) ?? '';
}

/** Returns the fields of an object. API Gateway sends null for an empty map. */
function fields(value: unknown): Fields {
  return typeof value === 'object' && value !== null ? (value as Fields) : {};
}

function text(value: unknown, name: string): string {
  if (typeof value === 'string' && value !== '') return value;
  throw new Error(`${EXPECTED}; ${name} is missing.`);
}

function optionalText(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

/** Returns text that is safe in an error message. Only a short word is repeated; for other values, it is the type. */
function named(value: unknown): string {
  return typeof value === 'string' && /^[\w.]{1,16}$/.test(value) ? value : typeof value;
}
