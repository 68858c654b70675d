import type { APIGatewayProxyEventV2, APIGatewayProxyStructuredResultV2 } from 'aws-lambda';
import {
  type CallRequirements,
  type CheckRules,
  type CheckStore,
  check,
  type DenialReason,
  parseToken,
  type Verdict,
} from '../domain/check.ts';
import { ServiceError } from '../domain/errors.ts';
import type { Clock } from '../domain/expiry.ts';
import { parseRequirement, type Requirement } from '../http/requirement.ts';
import { type AuthorizerContext, bearerToken, type CheckReport, contextOf } from './authorize.ts';

interface Dependencies {
  store: CheckStore;
  clock: Clock;
  rules: CheckRules;
  report: CheckReport;
}

const BAD_REQUIREMENT =
  'The query may contain scope and deployment, each once and not empty. Each scope must be one of the stack.';

/**
 * GET /whoami: performs the authorizer's check over plain HTTP, for proxies and middleware in front of APIs without API
 * Gateway. The query contains the requirements of the call: `scope`, a space-separated list, and `deployment`. An
 * allowed call counts as a use of the token. The route accepts the token only in the header, never in the query (RFC
 * 6750 §5.3).
 */
export function whoami(dependencies: Dependencies) {
  const { report, rules } = dependencies;
  return async ({
    headers,
    rawQueryString,
    requestContext,
  }: APIGatewayProxyEventV2): Promise<APIGatewayProxyStructuredResultV2> => {
    const { apiId, requestId, http } = requestContext;
    // RFC 6750 §3.1: a request without a token gets a challenge without an error code.
    if (headers.authorization === undefined) {
      report.denied('missing', { apiId, requestId });
      return answer(401, { message: 'Unauthorized' }, challenge());
    }
    try {
      const token = bearerToken(headers.authorization);
      const requirement = parseRequirement(rawQueryString, rules.scopes);
      const verdict: Verdict = token
        ? await check(token, dependencies, requirementsOf(token, requirement, http))
        : { allowed: false, reason: 'malformed' };
      if (verdict.allowed) return allowed(contextOf(verdict.access));
      report.denied(verdict.reason, { apiId, requestId, client_id: verdict.id });
      return denied(verdict.reason, requirement);
    } catch (error) {
      report.failed(error, { apiId, requestId });
      return error instanceof ServiceError
        ? answer(error.status, { message: 'Service Unavailable' }, error.headers)
        : answer(500, { message: 'Internal Server Error' });
    }
  };
}

/**
 * Returns the requirements for the check. A malformed requirement, or a requirement for a different Deployment, matters
 * only for a valid token, because an invalid token always gets a 401.
 */
function requirementsOf(
  token: string,
  requirement: Requirement | undefined,
  { sourceIp: address, userAgent }: { sourceIp: string; userAgent: string },
): CallRequirements {
  const caller = { address, userAgent };
  if (!requirement) return { ...caller, scopes: [], denial: 'request' };
  const { scopes, deploymentId } = requirement;
  const isOfAnother = deploymentId !== undefined && parseToken(token)?.deploymentId !== deploymentId;
  return { ...caller, scopes, denial: isOfAnother ? 'deployment' : undefined };
}

function allowed(context: AuthorizerContext): APIGatewayProxyStructuredResultV2 {
  return answer(200, context, {
    'X-Deployment-Id': context.deploymentId,
    ...(isHeaderValue(context.principalId) && { 'X-Principal-Id': context.principalId }),
    'X-Scope': context.scope,
  });
}

function denied(reason: DenialReason, requirement?: Requirement): APIGatewayProxyStructuredResultV2 {
  if (reason === 'request') return answer(400, { message: BAD_REQUIREMENT });
  if (reason === 'scope' || reason === 'deployment') {
    return answer(403, { message: 'Forbidden' }, challenge('insufficient_scope', requirement?.scopes));
  }
  return answer(401, { message: 'Unauthorized' }, challenge('invalid_token'));
}

/**
 * Reports whether text arrives unchanged when it is sent as a header (RFC 9110 §5.5). Recipients trim values, and
 * differ in how they interpret characters other than printable ASCII. The route omits a principal that would not arrive
 * unchanged.
 */
function isHeaderValue(text: string): boolean {
  return /^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/.test(text);
}

/** Returns the header of a Bearer challenge (RFC 6750 §3). @param scopes the scopes that the call requires, if any */
function challenge(error?: string, scopes: readonly string[] = []): Record<string, string> {
  const scope = scopes.length > 0 ? `, scope="${scopes.join(' ')}"` : '';
  return { 'WWW-Authenticate': error ? `Bearer error="${error}"${scope}` : 'Bearer' };
}

function answer(
  statusCode: number,
  body: object,
  headers: Record<string, string> = {},
): APIGatewayProxyStructuredResultV2 {
  return {
    statusCode,
    headers: { 'Content-Type': 'application/json', 'Cache-Control': 'no-store', ...headers },
    body: JSON.stringify(body),
  };
}
