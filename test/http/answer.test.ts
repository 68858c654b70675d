import { Logger } from '@aws-lambda-powertools/logger';
import middy from '@middy/core';
import type { APIGatewayProxyEventV2, Context } from 'aws-lambda';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { invalidFields, notFound, ServiceError, unavailable } from '../../functions/domain/errors.ts';
import { type Answer, answers, asOAuthError, asProblem, invocation } from '../../functions/http/answer.ts';

const logger = new Logger({ logLevel: 'SILENT' });
beforeEach(() => {
  for (const method of ['error', 'info', 'appendKeys'] as const) vi.spyOn(logger, method);
});
const calls = (method: 'error' | 'info' | 'appendKeys') => vi.mocked(logger[method]).mock.calls;

const EVENT = { routeKey: 'GET /x', requestContext: { requestId: 'r-1' } } as APIGatewayProxyEventV2;

/** Returns the HTTP response that is sent when a route returns or throws the given value. */
async function rendered(render: typeof asProblem, route: () => Answer, onFailed: () => void = () => {}) {
  const handler = middy<APIGatewayProxyEventV2>()
    .use(answers(logger, render, onFailed))
    .handler(async () => route());
  const { body, ...rest } = (await handler(EVENT, {} as Context)) as { body: string };
  return { ...rest, body: body === '' ? '' : JSON.parse(body) };
}
const throwing = (one: unknown) => () => {
  throw one;
};
const NO_STORE = { 'Cache-Control': 'no-store' };

describe('The API responds to a successful request with JSON', () => {
  it('a successful response has a JSON body and forbids caching', async () => {
    expect(
      await rendered(asProblem, () => ({ status: 201, body: { a: 1 }, headers: { Location: '/a' } })),
    ).toEqual({
      statusCode: 201,
      headers: { 'Content-Type': 'application/json', ...NO_STORE, Location: '/a' },
      body: { a: 1 },
    });
  });

  it('a response without a body has no content type', async () => {
    expect(await rendered(asProblem, () => ({ status: 204 }))).toEqual({
      statusCode: 204,
      headers: NO_STORE,
      body: '',
    });
  });

  it('adds the request ID and the route to every log line of a request', async () => {
    await rendered(asProblem, () => ({ status: 204 }));
    expect(calls('appendKeys')).toEqual([[{ request_id: 'r-1', route: 'GET /x' }]]);
    expect(logger.info).not.toHaveBeenCalled();
    expect(logger.error).not.toHaveBeenCalled();
  });

  it('never logs the event of a request, even if the environment asks for it', async () => {
    vi.stubEnv('POWERTOOLS_LOGGER_LOG_EVENT', 'true');
    const own = new Logger({ logLevel: 'SILENT' });
    vi.spyOn(own, 'info');
    const handler = middy<APIGatewayProxyEventV2>()
      .use(invocation(own))
      .handler(async () => 'done');
    expect(await handler(EVENT, {} as Context)).toBe('done');
    expect(own.info).not.toHaveBeenCalled();
  });
});

describe('The API rejects an invalid request with an error in JSON', () => {
  it('the management API rejects a request with a problem document (RFC 9457) that names each invalid field', async () => {
    const errors = [{ field: 'name', rule: 'must be text' }];
    expect(await rendered(asProblem, throwing(invalidFields(errors)))).toEqual({
      statusCode: 400,
      headers: { 'Content-Type': 'application/problem+json', ...NO_STORE },
      body: {
        type: '/errors#invalid_request',
        title: 'Bad Request',
        status: 400,
        code: 'invalid_request',
        detail: 'name must be text',
        errors,
      },
    });
  });

  it('the OAuth endpoints reject a request with an OAuth error and its headers (RFC 6749, section 5.2)', async () => {
    const challenge = { 'WWW-Authenticate': 'Basic' };
    const refused = new ServiceError(401, 'invalid_client', 'No.', { headers: challenge });
    expect(await rendered(asOAuthError, throwing(refused))).toEqual({
      statusCode: 401,
      headers: { 'Content-Type': 'application/json', ...NO_STORE, ...challenge },
      body: { error: 'invalid_client', error_description: 'No.' },
    });
  });

  it('logs a rejected request at level info, not as an error', async () => {
    await rendered(asProblem, throwing(notFound('API key')));
    expect(calls('info')).toEqual([
      ['rejected', { status: 404, code: 'not_found', detail: 'No such API key.' }],
    ]);
    expect(logger.error).not.toHaveBeenCalled();
  });
});

describe('The API hides the cause of a server error from the client', () => {
  it('returns 503 with Retry-After when DynamoDB fails, and writes the cause only to the log', async () => {
    const cause = new Error('throttled');
    const answer = await rendered(asProblem, throwing(unavailable(cause)));
    expect(answer).toMatchObject({ statusCode: 503, headers: { 'Retry-After': '1', ...NO_STORE } });
    expect(JSON.stringify(answer)).not.toContain('throttled');
    expect(calls('error')).toEqual([['failed', cause]]);
    expect(logger.info).not.toHaveBeenCalled();
  });

  it('returns 500 when the code throws an unexpected error, and writes the cause only to the log', async () => {
    const fault = new TypeError('x is not a function');
    expect(await rendered(asProblem, throwing(fault))).toEqual({
      statusCode: 500,
      headers: { 'Content-Type': 'application/problem+json', ...NO_STORE },
      body: {
        type: '/errors#server_error',
        title: 'Internal Server Error',
        status: 500,
        code: 'server_error',
        detail: 'Something went wrong here. It has been recorded.',
      },
    });
    expect(calls('error')).toEqual([['failed', fault]]);
  });

  it('reports each response with a status of 500 or higher once, and no other response', async () => {
    const onFailed = vi.fn();
    await rendered(asProblem, () => ({ status: 204 }), onFailed);
    await rendered(asProblem, throwing(new ServiceError(499, 'invalid_request', 'No.')), onFailed);
    expect(onFailed).not.toHaveBeenCalled();
    await rendered(asProblem, throwing(new ServiceError(500, 'server_error', 'Broken.')), onFailed);
    expect(onFailed).toHaveBeenCalledTimes(1);
    await rendered(asProblem, throwing(new Error('bug')), onFailed);
    expect(onFailed).toHaveBeenCalledTimes(2);
  });

  it('logs a ServiceError itself when the error has no cause', async () => {
    const fault = new ServiceError(500, 'server_error', 'Broken.');
    await rendered(asOAuthError, throwing(fault));
    expect(calls('error')).toEqual([['failed', fault]]);
  });
});
