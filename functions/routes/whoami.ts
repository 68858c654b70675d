import type { APIGatewayProxyEventV2, APIGatewayProxyStructuredResultV2 } from 'aws-lambda';
import { type CheckRules, type CheckStore, check } from '../domain/check.ts';
import { ServiceError } from '../domain/errors.ts';
import type { Clock } from '../domain/expiry.ts';
import { bearerToken } from '../http/bearer.ts';
import { contextOf } from '../http/context.ts';
import type { CheckReport } from './authorize.ts';

interface Dependencies {
  store: CheckStore;
  clock: Clock;
  rules: CheckRules;
  report: CheckReport;
}

/**
 * GET /whoami: performs the authorizer's check over plain HTTP, for proxies in front of APIs without API Gateway. It
 * counts as a use. It accepts the token only in the header, never in the query (RFC 6750 §5.3). A valid token with any
 * query parameter gets a 400, which is not a use: the parameter may be a requirement that this version does not know.
 */
export function whoami(dependencies: Dependencies) {
  return async ({
    headers,
    rawQueryString,
    requestContext,
  }: APIGatewayProxyEventV2): Promise<APIGatewayProxyStructuredResultV2> => {
    const { apiId, requestId, http } = requestContext;
    // RFC 6750 §3.1: a request without a token gets a challenge without an error code.
    if (headers.authorization === undefined) return answer(401, { message: 'Unauthorized' }, challenge());
    try {
      const token = bearerToken(headers.authorization);
      const isMalformed = new URLSearchParams(rawQueryString).size > 0;
      const { sourceIp: address, userAgent } = http;
      const verdict = token
        ? await check(token, dependencies, { scopes: [], isMalformed, address, userAgent })
        : { allowed: false as const, reason: 'malformed' as const };
      if (!verdict.allowed) {
        dependencies.report.refused(verdict.reason, { apiId, requestId });
        if (verdict.reason === 'request')
          return answer(400, { message: 'This call has no query parameters.' });
        return answer(401, { message: 'Unauthorized' }, challenge('invalid_token'));
      }
      const context = contextOf(verdict.access);
      return answer(200, context, {
        'X-Deployment-Id': context.deploymentId,
        ...(isHeaderValue(context.principalId) && { 'X-Principal-Id': context.principalId }),
        'X-Scope': context.scope,
      });
    } catch (error) {
      dependencies.report.failed(error, { apiId, requestId });
      return error instanceof ServiceError
        ? answer(error.status, { message: 'Service Unavailable' }, error.headers)
        : answer(500, { message: 'Internal Server Error' });
    }
  };
}

/**
 * Reports whether text arrives unchanged as a header (RFC 9110 §5.5). Recipients trim values, and interpret characters
 * other than printable ASCII in different ways. A principal that would not arrive unchanged is left out.
 */
function isHeaderValue(text: string): boolean {
  return /^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/.test(text);
}

/** Returns the headers of a Bearer challenge (RFC 6750 §3). */
function challenge(error?: string): Record<string, string> {
  return { 'WWW-Authenticate': error ? `Bearer error="${error}"` : 'Bearer' };
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
