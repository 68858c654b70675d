import type {
  APIGatewayAuthorizerResult,
  APIGatewayRequestAuthorizerEvent,
  APIGatewayRequestAuthorizerEventV2,
  APIGatewaySimpleAuthorizerWithContextResult,
  APIGatewayTokenAuthorizerEvent,
} from 'aws-lambda';
import { type CheckRules, type CheckStore, check, type Verdict } from '../domain/check.ts';
import type { Clock } from '../domain/expiry.ts';
import { bearerToken } from '../http/bearer.ts';
import { type AuthorizerContext, contextOf } from '../http/context.ts';

export type AuthorizerEvent =
  | APIGatewayRequestAuthorizerEventV2
  | APIGatewayRequestAuthorizerEvent
  | APIGatewayTokenAuthorizerEvent;

export type AuthorizerResult =
  | APIGatewaySimpleAuthorizerWithContextResult<Partial<AuthorizerContext>>
  | APIGatewayAuthorizerResult;

interface Dependencies {
  store: CheckStore;
  clock: Clock;
  rules: CheckRules;
  log: (message: string, fields: Record<string, string | undefined>) => void;
}

/**
 * The custom authorizer of other APIs.
 * @throws Error `Unauthorized` (exactly, which API Gateway makes a 401) for a refusal to a REST API; any other
 *   error becomes a 500, and nobody is let in
 */
export function authorizer(dependencies: Dependencies) {
  return async (event: AuthorizerEvent): Promise<AuthorizerResult> => {
    const token = bearerToken(authorizationOf(event));
    const verdict: Verdict = token
      ? await check(token, dependencies)
      : { allowed: false, reason: 'malformed' };
    if (!verdict.allowed) dependencies.log('refused', { reason: verdict.reason, ...callOf(event) });
    return 'version' in event && event.version === '2.0'
      ? simpleAnswer(verdict)
      : policyAnswer(event, verdict);
  };
}

/** One header exactly: two of them are refused, whichever API Gateway would pick. */
function authorizationOf(event: AuthorizerEvent): string | undefined {
  if (event.type === 'TOKEN') return event.authorizationToken;
  if ('version' in event && event.version === '2.0') return event.headers?.authorization;
  const { multiValueHeaders } = event as APIGatewayRequestAuthorizerEvent;
  const values = Object.entries(multiValueHeaders ?? {})
    .filter(([name]) => name.toLowerCase() === 'authorization')
    .flatMap(([, all]) => all ?? []);
  return values.length === 1 ? values[0] : undefined;
}

/** An HTTP API's simple answer. A refusal of it is always a 403. */
function simpleAnswer(verdict: Verdict): AuthorizerResult {
  return verdict.allowed
    ? { isAuthorized: true, context: contextOf(verdict.access) }
    : { isAuthorized: false, context: {} };
}

/** Allow for the API's whole stage, so that a result cache made by hand does not refuse the next path. */
function policyAnswer(event: AuthorizerEvent, verdict: Verdict): APIGatewayAuthorizerResult {
  if (!verdict.allowed) throw new Error('Unauthorized');
  const arn = 'methodArn' in event ? event.methodArn : event.routeArn;
  const stage = arn.split('/').slice(0, 2).join('/');
  return {
    principalId: verdict.access.principalId,
    policyDocument: {
      Version: '2012-10-17',
      Statement: [{ Action: 'execute-api:Invoke', Effect: 'Allow', Resource: `${stage}/*` }],
    },
    context: contextOf(verdict.access),
  };
}

/** Whose call it was: for the log line of a refusal. */
function callOf(event: AuthorizerEvent): Record<string, string | undefined> {
  if (event.type === 'TOKEN') return {};
  return { apiId: event.requestContext.apiId, requestId: event.requestContext.requestId };
}
