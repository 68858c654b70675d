import type { APIGatewayAuthorizerResult, APIGatewaySimpleAuthorizerWithContextResult } from 'aws-lambda';
import { type CheckRules, type CheckStore, check, type Refusal, type Verdict } from '../domain/check.ts';
import type { Clock } from '../domain/expiry.ts';
import {
  type AuthorizerCall,
  type AuthorizerEvent,
  demandOf,
  hasDetour,
  parseAuthorizerEvent,
} from '../http/authorizer-event.ts';
import { bearerToken } from '../http/bearer.ts';
import { type AuthorizerContext, contextOf } from '../http/context.ts';

export type AuthorizerResult =
  | APIGatewaySimpleAuthorizerWithContextResult<Partial<AuthorizerContext>>
  | APIGatewayAuthorizerResult;

/** Why a call is denied: because of the token, or because of the API's stage variables or the path. */
export type CallRefusal =
  | Refusal
  /** The stage variables are malformed, or `requiredScopes` does not list this route. */
  | 'configuration'
  /**
   * The path cannot be named in a policy, because it contains `*`, `?` or `${` or is too long; or it names a Deployment
   * and has segments such as `..`.
   */
  | 'path';

/** Receives the denials and failures of checks, without secrets. */
export interface CheckReport {
  refused: (reason: CallRefusal, call: CallOrigin) => void;
  failed: (error: unknown, call: CallOrigin) => void;
}

/** The API and request that a call belongs to. */
export interface CallOrigin {
  apiId?: string | undefined;
  requestId?: string | undefined;
}

interface Dependencies {
  store: CheckStore;
  clock: Clock;
  rules: CheckRules;
  report: CheckReport;
}

/** Denials of a valid token or of the call, which get 403. A REST API answers all others with 401. */
const FORBIDDEN: ReadonlySet<CallRefusal> = new Set<CallRefusal>([
  'network',
  'deployment',
  'scope',
  'configuration',
  'path',
]);

/** The maximum length of an ARN in a policy, in characters, that API Gateway accepts. */
const MAX_RESOURCE = 512;

type Decision = Extract<Verdict, { allowed: true }> | { allowed: false; reason: CallRefusal };

/**
 * Returns the Lambda authorizer that other APIs put in front of their routes.
 * @throws Error with the message `Unauthorized` when the token is not valid and the API is a REST API. API Gateway
 *   turns exactly this message into a 401. It turns any other error into a 500, which also denies the call.
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
    if (!decision.allowed) dependencies.report.refused(decision.reason, origin);
    return call.answer === 'simple' ? simpleAnswer(decision) : policyAnswer(call, decision);
  };
}

async function decide(call: AuthorizerCall, dependencies: Dependencies): Promise<Decision> {
  const demand = demandOf(call);
  if (!demand) return { allowed: false, reason: 'configuration' };
  if (demand.deploymentId !== undefined && hasDetour(call)) return { allowed: false, reason: 'path' };
  if (call.answer !== 'simple' && isByRoute(call) && !isNameable(call.arn)) {
    return { allowed: false, reason: 'path' };
  }
  const token = bearerToken(call.authorization);
  return token
    ? check(token, dependencies, { ...demand, ...call.caller })
    : { allowed: false, reason: 'malformed' };
}

/** Returns the simple answer for an HTTP API. It turns a denial into a 403. */
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
 * Returns what an Allow policy names. If the API requires scopes by route, that is only the called method, so that a
 * result cache that someone has enabled denies other routes. Otherwise it is the whole stage, where every route would
 * be allowed.
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
 * Reports whether a policy can name the ARN. A path can contain characters that are wildcards or variables in a policy.
 */
function isNameable(arn: string): boolean {
  return arn.length <= MAX_RESOURCE && !/[*?]|\$\{/.test(arn);
}
