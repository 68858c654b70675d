import type {
  APIGatewayRequestAuthorizerEvent,
  APIGatewayRequestAuthorizerEventV2,
  APIGatewayTokenAuthorizerEvent,
} from 'aws-lambda';
import type { CallRequirements } from '../domain/check.ts';
import type { CallSource } from '../domain/last-use.ts';
import { DEPLOYMENT_PARAMETER, isParameterName, parseRequiredScopes, scopesFor } from '../domain/scopes.ts';

/** The types of API Gateway authorizer events that the service supports. */
export type AuthorizerEvent =
  | APIGatewayRequestAuthorizerEventV2
  | APIGatewayRequestAuthorizerEvent
  | APIGatewayTokenAuthorizerEvent;

/** A call that must be authorized, parsed from its event. */
export interface AuthorizerCall {
  /** Response format that the API expects: `simple` or `iam` for an HTTP API, `rest` for a REST API. */
  answer: 'simple' | 'iam' | 'rest';
  /** The Authorization header; undefined if the request has no such header, or more than one. */
  authorization: string | undefined;
  /** `arn:aws:execute-api:<region>:<account>:<api>/<stage>/<method>/<path>` */
  arn: string;
  /** The route of the call. Together with the stage variables, this is the input for `requirementsOf`. */
  route: { method: string; template: string | undefined; parameters: Texts } | undefined;
  stageVariables: Texts;
  /** Source of the call. A TOKEN event does not contain it. */
  caller: CallSource;
  /** IDs of the protected API and the request, for the log. A TOKEN event has no request ID. */
  apiId: string | undefined;
  requestId: string | undefined;
}

type Texts = Readonly<Record<string, unknown>>;
type Fields = Readonly<Record<string, unknown>>;

const EXPECTED =
  'Expected the event of an authorizer: of an HTTP API with payload format 2.0, or of a REST API, type REQUEST or TOKEN';

/**
 * Parses an event without assumptions about its structure.
 * @throws Error for an unsupported event, with a message that says what was expected; API Gateway then returns 500
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
  const [, template] = text(event, 'routeKey').split(' ');
  const shared = requestOf(event, context, context.http);
  return {
    ...shared,
    answer: answerOf(shared.stageVariables.authorizerResponse),
    // API Gateway joins repeated headers with a comma, and a bearer token cannot contain a comma.
    authorization: optionalText(fields(event.headers).authorization),
    arn: text(event, 'routeArn'),
    route: {
      method: text(fields(context.http), 'method', 'requestContext.http.method'),
      template,
      parameters: fields(event.pathParameters),
    },
  };
}

function parseRest(event: Fields): AuthorizerCall {
  const context = fields(event.requestContext);
  return {
    ...requestOf(event, context, context.identity),
    answer: 'rest',
    authorization: theOneHeader(event),
    arn: text(event, 'methodArn'),
    route: {
      method: text(event, 'httpMethod'),
      template: text(event, 'resource'),
      parameters: fields(event.pathParameters),
    },
  };
}

/** A TOKEN event has only these fields. It has no path, stage variables or source address. */
function parseToken(event: Fields): AuthorizerCall {
  const arn = text(event, 'methodArn');
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

/** An event does not show which response format the HTTP API expects, so a stage variable must specify it. */
function answerOf(variable: unknown): 'simple' | 'iam' {
  if (variable === undefined || variable === 'simple') return 'simple';
  if (variable === 'iam') return 'iam';
  throw new Error('The stage variable authorizerResponse must be simple or iam, or be left out.');
}

/** Returns those details of a request that both kinds of API provide. */
function requestOf(event: Fields, { apiId, requestId }: Fields, client: unknown) {
  const { sourceIp, userAgent } = fields(client);
  return {
    stageVariables: fields(event.stageVariables),
    caller: { address: optionalText(sourceIp), userAgent: optionalText(userAgent) },
    apiId: optionalText(apiId),
    requestId: optionalText(requestId),
  };
}

/**
 * Returns the value of the Authorization header. The case of the header's name does not matter. Returns undefined if
 * there are two such headers, because API Gateway might use either.
 */
function theOneHeader(event: Fields): string | undefined {
  const headers = event.multiValueHeaders ?? event.headers;
  const values = Object.entries(fields(headers))
    .filter(([name]) => name.toLowerCase() === 'authorization')
    .flatMap(([, value]) => value);
  return values.length === 1 ? optionalText(values[0]) : undefined;
}

/**
 * Returns the API's requirements for the token in this call, according to the API's stage variables. `requiredScopes`
 * lists the required scopes. The path parameter `deploymentId`, or the one that `deploymentParameter` names, holds the
 * Deployment.
 * @returns undefined if the stage variables are malformed or do not list this route; the caller must then deny the call
 */
export function requirementsOf({ route, stageVariables }: AuthorizerCall): CallRequirements | undefined {
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
 * Matches a `.` or `..` segment, or an empty segment that is not the last. Dots and slashes can be percent-encoded,
 * even more than once. A backslash can replace a slash, and some servers ignore the text after a semicolon (`..;x`).
 */
const detour = /(^|[/\\]|%(25)*(2f|5c))((\.|%(25)*2e){1,2}($|[/\\;]|%(25)*(2f|5c|3b))|[/\\]|%(25)*(2f|5c))/i;

/**
 * Reports whether a path parameter has a segment such as `..`, which the API or a server behind it might resolve to the
 * path of another Deployment.
 */
export function hasDetour({ route }: AuthorizerCall): boolean {
  return Object.values(route?.parameters ?? {}).some((value) => detour.test(String(value)));
}

/**
 * Returns undefined if the route has no parameter for the Deployment. Returns '' if the parameter's value is missing,
 * because '' is not a valid Deployment ID.
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

/** Returns the text in a field. */
function text(of: Fields, field: string, name = field): string {
  const value = optionalText(of[field]);
  if (value) return value;
  throw new Error(`${EXPECTED}; ${name} is missing.`);
}

function optionalText(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

/**
 * Describes a value in a form that is safe in an error message. Returns a short word unchanged, and only the type of
 * any other value.
 */
function named(value: unknown): string {
  return typeof value === 'string' && /^[\w.]{1,16}$/.test(value) ? value : typeof value;
}
