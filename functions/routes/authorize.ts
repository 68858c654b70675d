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

/** Why a call is refused: for the token, or for what the API's stage and path are. */
export type CallRefusal =
  | Refusal
  /** The stage variables do not parse, or `requiredScopes` says nothing of this route. */
  | 'configuration'
  /**
   * The policy would have to name a path with `*`, `?` or `${`, or a longer one than policies can; or the path names a
   * Deployment and has segments such as `..`.
   */
  | 'path';

/** Where it is told who was refused and what failed. Nothing secret is told. */
export interface CheckReport {
  refused: (reason: CallRefusal, call: CallOrigin) => void;
  failed: (error: unknown, call: CallOrigin) => void;
}

/** Whose call it was. */
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

/** Refusals of a good token, a 403. Every other is of the token itself, for which a REST API answers 401. */
const FORBIDDEN: ReadonlySet<CallRefusal> = new Set<CallRefusal>([
  'network',
  'deployment',
  'scope',
  'configuration',
  'path',
]);

/** Most characters of an ARN in a policy that API Gateway takes. */
const MAX_RESOURCE = 512;

type Decision = Extract<Verdict, { allowed: true }> | { allowed: false; reason: CallRefusal };

/**
 * The custom authorizer of other APIs.
 * @throws Error `Unauthorized` (exactly, which API Gateway makes a 401) for a REST API where the token is no
 *   good; any other error becomes a 500, and nobody is let in
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

/** An HTTP API's simple answer. A refusal of it is always a 403. */
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
 * Where scopes are required by route, the called method alone, so that a result cache made by hand refuses the
 * next route instead of letting it through. Otherwise the whole stage: any route would be let through anyway.
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

/** A path can hold what a policy would take as a wildcard or a variable. */
function isNameable(arn: string): boolean {
  return arn.length <= MAX_RESOURCE && !/[*?]|\$\{/.test(arn);
}
