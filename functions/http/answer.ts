import { STATUS_CODES } from 'node:http';
import type { Logger } from '@aws-lambda-powertools/logger';
import { injectLambdaContext } from '@aws-lambda-powertools/logger/middleware';
import type { MiddlewareObj } from '@middy/core';
import type { APIGatewayProxyEventV2, APIGatewayProxyStructuredResultV2 } from 'aws-lambda';
import { ServiceError } from '../domain/errors.ts';

/** The answer of a route, before it is rendered. */
export interface Answer {
  status: number;
  /** Sent as JSON. Undefined means an empty body. */
  body?: unknown;
  headers?: Record<string, string>;
}

type Render = (error: ServiceError) => Answer;

/**
 * Renders an error as RFC 9457 problem details. `code` is specific to this service; `errors` names each field and its
 * rule.
 */
export const asProblem: Render = ({ status, code, message, errors, headers }) => ({
  status,
  headers: { 'Content-Type': 'application/problem+json', ...headers },
  body: { type: 'about:blank', title: STATUS_CODES[status], status, code, detail: message, errors },
});

/** Renders an error by RFC 6749 §5.2, as RFC 7009 §2.2.1 and RFC 7662 §2.3 also require. */
export const asOAuthError: Render = ({ status, code, message, headers }) => ({
  status,
  headers: { ...headers },
  body: { error: code, error_description: message },
});

/**
 * Adds the invocation to every log line. It never logs the event, not even with POWERTOOLS_LOGGER_LOG_EVENT set: a body
 * can arrive in base64, where the redactor does not see credentials.
 */
export const invocation = (logger: Logger) =>
  injectLambdaContext(logger, { resetKeys: true, logEvent: false });

/**
 * Renders what a route returns or throws. A ServiceError becomes the answer that it describes. Any other error becomes
 * a 500 without details, and only the log gets its cause.
 */
export function answers<E extends APIGatewayProxyEventV2>(
  logger: Logger,
  render: Render,
): MiddlewareObj<E, Answer | APIGatewayProxyStructuredResultV2> {
  return {
    before: ({ event }) => {
      logger.appendKeys({ request_id: event.requestContext.requestId, route: event.routeKey });
    },
    after: (request) => {
      request.response = rendered(request.response as Answer);
    },
    onError: (request) => {
      const { error } = request;
      const known =
        error instanceof ServiceError
          ? error
          : new ServiceError(500, 'server_error', 'Something went wrong here. It has been recorded.');
      if (known.status >= 500) logger.error('failed', (known.cause ?? error) as Error);
      else logger.info('rejected', { status: known.status, code: known.code, detail: known.message });
      request.response = rendered(render(known));
    },
  };
}

/** Forbids caches to store any answer. Answers contain secrets, or can become outdated within a second. */
function rendered({ status, body, headers }: Answer): APIGatewayProxyStructuredResultV2 {
  return {
    statusCode: status,
    headers: {
      ...(body !== undefined && { 'Content-Type': 'application/json' }),
      'Cache-Control': 'no-store',
      ...headers,
    },
    body: body === undefined ? '' : JSON.stringify(body),
  };
}
