import { STATUS_CODES } from 'node:http';
import type { Logger } from '@aws-lambda-powertools/logger';
import { injectLambdaContext } from '@aws-lambda-powertools/logger/middleware';
import type { MiddlewareObj } from '@middy/core';
import type { APIGatewayProxyEventV2, APIGatewayProxyStructuredResultV2 } from 'aws-lambda';
import { ServiceError } from '../domain/errors.ts';

/** A route's response, before it is rendered. */
export interface Answer {
  status: number;
  /** Body, sent as JSON. Undefined means an empty body. */
  body?: unknown;
  headers?: Record<string, string>;
}

type Render = (error: ServiceError) => Answer;

/**
 * Renders an error as RFC 9457 problem details. `type` is a link to the code's section on the stack's `/errors` page.
 * `code` is specific to this service; `errors` names each invalid field and its rule.
 */
export const asProblem: Render = ({ status, code, message, errors, headers }) => ({
  status,
  headers: { 'Content-Type': 'application/problem+json', ...headers },
  body: { type: `/errors#${code}`, title: STATUS_CODES[status], status, code, detail: message, errors },
});

/** Renders an error in the format of RFC 6749 §5.2, which RFC 7009 §2.2.1 and RFC 7662 §2.3 also require. */
export const asOAuthError: Render = ({ status, code, message, headers }) => ({
  status,
  headers: { ...headers },
  body: { error: code, error_description: message },
});

/**
 * Adds the invocation's details to every log line. Never logs the event, even if POWERTOOLS_LOGGER_LOG_EVENT is set,
 * because the body can be encoded in base64 and the redactor cannot find credentials in base64.
 */
export const invocation = (logger: Logger) =>
  injectLambdaContext(logger, { resetKeys: true, logEvent: false });

/**
 * Renders a route's result, or the error that the route throws. A ServiceError becomes the response that it describes.
 * Any other error becomes a 500 without details, and only the log contains its cause.
 * @param onFailed called for each response with a status of 500 or higher
 */
export function answers<E extends APIGatewayProxyEventV2>(
  logger: Logger,
  render: Render,
  onFailed: () => void,
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
      if (known.status >= 500) {
        logger.error('failed', (known.cause ?? error) as Error);
        onFailed();
      } else {
        const { status, code, message: detail, cause: reason } = known;
        logger.info('rejected', { status, code, detail, reason });
      }
      request.response = rendered(render(known));
    },
  };
}

/** Forbids caching of any response, because responses contain secrets or can become outdated within a second. */
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
