import { STATUS_CODES } from 'node:http';
import type { Logger } from '@aws-lambda-powertools/logger';
import { injectLambdaContext } from '@aws-lambda-powertools/logger/middleware';
import type { MiddlewareObj } from '@middy/core';
import type { APIGatewayProxyEventV2, APIGatewayProxyStructuredResultV2 } from 'aws-lambda';
import { ServiceError } from '../domain/errors.ts';

/** What a route answers, before it is rendered. */
export interface Answer {
  status: number;
  /** JSON; left out for an empty body. */
  body?: unknown;
  headers?: Record<string, string>;
}

type Render = (error: ServiceError) => Answer;

/** RFC 9457. The code is one of ours; `errors` names each field and its rule. */
export const asProblem: Render = ({ status, code, message, errors, headers }) => ({
  status,
  headers: { 'Content-Type': 'application/problem+json', ...headers },
  body: { type: 'about:blank', title: STATUS_CODES[status], status, code, detail: message, errors },
});

/** RFC 6749 §5.2; also RFC 7009 §2.2.1 and RFC 7662 §2.3, which refer to it. */
export const asOAuthError: Render = ({ status, code, message, headers }) => ({
  status,
  headers: { ...headers },
  body: { error: code, error_description: message },
});

/**
 * Adds the invocation to every line of the log. It never logs the event, whatever POWERTOOLS_LOGGER_LOG_EVENT says: the
 * redactor does not see the credentials in a body that arrives in base64.
 */
export const invocation = (logger: Logger) =>
  injectLambdaContext(logger, { resetKeys: true, logEvent: false });

/**
 * Render what a route answers or throws. This is the one place where an error becomes an answer: a ServiceError
 * as it says, anything else as a bare 500 whose cause goes to the log alone.
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
      else logger.info('refused', { status: known.status, code: known.code, detail: known.message });
      request.response = rendered(render(known));
    },
  };
}

/** No answer of ours may be kept by a cache: each is about secrets, or may be refused a second later. */
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
