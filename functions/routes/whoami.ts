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
 * GET /whoami: the authorizer's check over plain HTTP, for proxies that guard what is not behind API Gateway.
 * It is a use. The token comes only in the header, never in the query (RFC 6750 §5.3). A valid token with any query
 * parameter is a 400 and not a use: the parameter may be a requirement that this version does not know.
 */
export function whoami(dependencies: Dependencies) {
  return async ({
    headers,
    rawQueryString,
    requestContext,
  }: APIGatewayProxyEventV2): Promise<APIGatewayProxyStructuredResultV2> => {
    const { apiId, requestId, http } = requestContext;
    // RFC 6750 §3.1: who sent no token is told no error.
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
 * Reports whether text arrives unchanged as a header (RFC 9110 §5.5): recipients trim it, and interpret other than
 * printable ASCII characters differently. A principal that does not is left out rather than read as another one.
 */
function isHeaderValue(text: string): boolean {
  return /^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/.test(text);
}

/** RFC 6750 §3. */
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
