import type { APIGatewayAuthorizerResult, APIGatewaySimpleAuthorizerWithContextResult } from 'aws-lambda';
import { type CheckRules, type CheckStore, check, type DenialReason, type Verdict } from '../domain/check.ts';
import type { Clock } from '../domain/expiry.ts';
import {
  type AuthorizerCall,
  type AuthorizerEvent,
  hasDetour,
  parseAuthorizerEvent,
  requirementsOf,
} from '../http/authorizer-event.ts';
import { type AuthorizerContext, bearerToken, contextOf } from '../http/bearer.ts';

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
export interface CallIdentifiers {
  apiId?: string | undefined;
  requestId?: string | undefined;
  /** The public ID of the presented token. Undefined if the text does not have the format of a token. */
  client_id?: string | undefined;
}

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

function isByRoute({ stageVariables }: AuthorizerCall): boolean {
  return stageVariables.requiredScopes !== undefined;
}

function wholeStage({ arn }: AuthorizerCall): string {
  return `${arn.split('/', 2).join('/')}/*`;
}

/**
 * Reports whether a policy can name the ARN. A path can contain characters that act as wildcards or variables in a
 * policy.
 */
function isNameable(arn: string): boolean {
  return arn.length <= MAX_RESOURCE && !/[*?]|\$\{/.test(arn);
}
