import type {
  APIGatewayAuthorizerResult,
  APIGatewayRequestAuthorizerEvent,
  APIGatewayRequestAuthorizerEventV2,
  APIGatewaySimpleAuthorizerWithContextResult,
  APIGatewayTokenAuthorizerEvent,
} from 'aws-lambda';
import {
  type Access,
  type CallRequirements,
  type CheckRules,
  type CheckStore,
  check,
  type DenialReason,
  scopeOf,
  type Verdict,
} from '../domain/check.ts';
import { type Clock, isoTime } from '../domain/expiry.ts';
import type { CallSource } from '../domain/last-use.ts';
import { DEPLOYMENT_PARAMETER, isParameterName, parseRequiredScopes, scopesFor } from '../domain/scopes.ts';

/** The types of API Gateway authorizer events that the service supports. */
export type AuthorizerEvent =
  | APIGatewayRequestAuthorizerEventV2
  | APIGatewayRequestAuthorizerEvent
  | APIGatewayTokenAuthorizerEvent;

/**
 * Information about the caller that the authorizer passes to an API. All values are strings, because API Gateway passes
 * only strings. It is declared as a type, not as an interface, to be compatible with API Gateway's index signature.
 */
export type AuthorizerContext = {
  /** ID of the token's key, or `sub` of the person. */
  principalId: string;
  /** `api_key` or `person`. */
  principalType: string;
  deploymentId: string;
  /** `deployment:<id>` and the scopes, space-separated. */
  scope: string;
  /** RFC 3339, UTC. */
  issuedAt: string;
  /** When the token expires unless it is used again, in RFC 3339 (UTC). */
  expiresAt: string;
};

export type AuthorizerResult =
  | APIGatewaySimpleAuthorizerWithContextResult<Partial<AuthorizerContext>>
  | APIGatewayAuthorizerResult;

/** The reason why a call is denied: the token, the API's stage variables, or the path. */
export type CallDenialReason =
  | DenialReason
  /**
   * The call has no token. API Gateway itself rejects such calls to other APIs, so only `/whoami` reports this reason.
   */
  | 'missing'
  /** The stage variables are malformed, or `requiredScopes` does not list this route. */
  | 'configuration'
  /**
   * A policy cannot name the path, because the path contains `*`, `?` or `${`, or is too long. Or the path names a
   * Deployment and has segments such as `..`.
   */
  | 'path';

/** Receives reports of denied and failed checks. The reports contain no secrets. */
export interface CheckReport {
  denied: (reason: CallDenialReason, call: CallIdentifiers) => void;
  failed: (error: unknown, call: CallIdentifiers) => void;
}

/** Identifiers of a call's API, request and token, for the log. */
interface CallIdentifiers {
  apiId?: string | undefined;
  requestId?: string | undefined;
  /** The public ID of the presented token. Undefined if the text does not have the format of a token. */
  client_id?: string | undefined;
}

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

interface Dependencies {
  store: CheckStore;
  clock: Clock;
  rules: CheckRules;
  report: CheckReport;
}

/** Reasons for which a caller with a valid token gets a 403. For all other reasons, a REST API returns a 401. */
const FORBIDDEN: ReadonlySet<CallDenialReason> = new Set<CallDenialReason>([
  'network',
  'deployment',
  'scope',
  'configuration',
  'path',
]);

/** Maximum length of an ARN that API Gateway accepts in a policy, in characters. */
const MAX_RESOURCE = 512;

type Decision =
  | Extract<Verdict, { allowed: true }>
  | { allowed: false; reason: CallDenialReason; id?: string };

/**
 * Returns the Lambda authorizer that other APIs use for their routes.
 * @throws Error with the message `Unauthorized` if the token is not valid and the API is a REST API. API Gateway turns
 *   an error with exactly this message into a 401. It turns any other error into a 500, which also denies the call.
 * @example
 * ```
 * export const handler = authorizer({ store, clock: Date.now, rules, report: checkReport() });
 * ```
 */
export function authorizer(dependencies: Dependencies) {
  return async (event: AuthorizerEvent): Promise<AuthorizerResult> => {
    const call = parseAuthorizerEvent(event);
    const origin = { apiId: call.apiId, requestId: call.requestId };
    let decision: Decision;
    try {
      decision = await decide(call, dependencies);
    } catch (error) {
      dependencies.report.failed(error, origin);
      throw error;
    }
    if (!decision.allowed) dependencies.report.denied(decision.reason, { ...origin, client_id: decision.id });
    return call.answer === 'simple' ? simpleAnswer(decision) : policyAnswer(call, decision);
  };
}

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

async function decide(call: AuthorizerCall, dependencies: Dependencies): Promise<Decision> {
  const requirements = requirementsOf(call);
  if (!requirements) return { allowed: false, reason: 'configuration' };
  if (requirements.deploymentId !== undefined && hasDetour(call)) return { allowed: false, reason: 'path' };
  if (call.answer !== 'simple' && isByRoute(call) && !isNameable(call.arn)) {
    return { allowed: false, reason: 'path' };
  }
  const token = bearerToken(call.authorization);
  return token
    ? check(token, dependencies, { ...requirements, ...call.caller })
    : { allowed: false, reason: 'malformed' };
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

/**
 * Matches a `.` or `..` segment, or an empty segment that is not the last. Dots and slashes can be percent-encoded,
 * even more than once. A backslash can replace a slash, and some servers ignore the text after a semicolon (`..;x`).
 */
const detour = /(^|[/\\]|%(25)*(2f|5c))((\.|%(25)*2e){1,2}($|[/\\;]|%(25)*(2f|5c|3b))|[/\\]|%(25)*(2f|5c))/i;

/**
 * Reports whether a path parameter has a segment such as `..`, which the API or a server behind it might resolve to the
 * path of another Deployment.
 */
function hasDetour({ route }: AuthorizerCall): boolean {
  return Object.values(route?.parameters ?? {}).some((value) => detour.test(String(value)));
}

function isByRoute({ stageVariables }: AuthorizerCall): boolean {
  return stageVariables.requiredScopes !== undefined;
}

/**
 * Reports whether a policy can name the ARN. A path can contain characters that act as wildcards or variables in a
 * policy.
 */
function isNameable(arn: string): boolean {
  return arn.length <= MAX_RESOURCE && !/[*?]|\$\{/.test(arn);
}

// RFC 6750 §2.1: the scheme in upper or lower case, then spaces, then a b64token. Two headers joined by a comma do not
// match.
const BEARER = /^Bearer +([\w.~+/-]+=*)$/i;

/** Returns the token in an Authorization header, or undefined if the header is absent or malformed. */
export function bearerToken(authorization: string | undefined): string | undefined {
  return BEARER.exec(authorization ?? '')?.[1];
}

/** Returns the simple response for an HTTP API. API Gateway turns a denial into a 403. */
function simpleAnswer(decision: Decision): AuthorizerResult {
  return decision.allowed
    ? { isAuthorized: true, context: contextOf(decision.access) }
    : { isAuthorized: false, context: {} };
}

function policyAnswer(call: AuthorizerCall, decision: Decision): APIGatewayAuthorizerResult {
  if (decision.allowed) {
    const { principalId } = decision.access;
    return { ...policy(principalId, 'Allow', allowedBy(call)), context: contextOf(decision.access) };
  }
  if (call.answer === 'rest' && !FORBIDDEN.has(decision.reason)) throw new Error('Unauthorized');
  return policy('refused', 'Deny', wholeStage(call));
}

function policy(principalId: string, Effect: 'Allow' | 'Deny', Resource: string): APIGatewayAuthorizerResult {
  return {
    principalId,
    policyDocument: {
      Version: '2012-10-17',
      Statement: [{ Action: 'execute-api:Invoke', Effect, Resource }],
    },
  };
}

/**
 * Returns the resource ARN of an Allow policy. If the API requires scopes by route, the ARN names only the called
 * method. If someone has enabled caching of results, a cached policy then denies other routes. If the API does not
 * require scopes by route, the ARN names the whole stage, because the token would be allowed on every route.
 */
function allowedBy(call: AuthorizerCall): string {
  return isByRoute(call) ? call.arn : wholeStage(call);
}

function wholeStage({ arn }: AuthorizerCall): string {
  return `${arn.split('/', 2).join('/')}/*`;
}

export function contextOf(access: Access): AuthorizerContext {
  return {
    principalId: access.principalId,
    principalType: access.principalType,
    deploymentId: access.deploymentId,
    scope: scopeOf(access),
    issuedAt: isoTime(access.issuedAt),
    expiresAt: isoTime(access.expiresAt),
  };
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
