import { Logger } from '@aws-lambda-powertools/logger';
import type { APIGatewayProxyEventV2WithJWTAuthorizer, Context } from 'aws-lambda';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { hashOf } from '../../functions/domain/credentials.ts';
import { notFound, notSignedIn, ServiceError, unavailable } from '../../functions/domain/errors.ts';
import type { SignIn } from '../../functions/domain/records.ts';
import { type ManagementRequest, managementHandler } from '../../functions/http/management.ts';

const logger = new Logger({ logLevel: 'SILENT' });
const onRejected = vi.fn(async (_request: ManagementRequest, _error: unknown) => {});
const requireAccess = vi.fn(async (_signIn: SignIn) => {});
const route = vi.fn(async (_request: ManagementRequest) => ({ status: 204 }));
beforeEach(() => {
  onFailed.mockReset();
  for (const method of ['error', 'appendKeys', 'resetKeys'] as const) vi.spyOn(logger, method);
  onRejected.mockReset().mockResolvedValue();
  requireAccess.mockReset().mockResolvedValue();
  route.mockReset().mockResolvedValue({ status: 204 });
});

const part = (claims: object) => Buffer.from(JSON.stringify(claims)).toString('base64url');
const BEARER = `Bearer ${part({ typ: 'at+jwt' })}.${part({ sub: 'ada', groups: ['a'] })}.c2ln`;
const KEYS = 'GET /deployments/{deploymentId}/api-keys/{keyId}';
const people = {
  issuer: 'https://login.test',
  groupsClaim: 'groups',
  adminGroup: 'a',
  adminScope: undefined,
};
const context = { awsRequestId: 'r', getRemainingTimeInMillis: () => 1000 } as Context;

const onFailed = vi.fn();

async function send(
  change: object = {},
  headers: Record<string, string> = {},
  options: { platformPrincipals?: string[]; people?: typeof people & { nameClaim: string } } = {},
) {
  const handler = managementHandler(
    { [KEYS]: route, 'GET /deployments': route },
    { logger, people, onFailed, onRejected, requireAccess, ...options },
  );
  const event = {
    routeKey: KEYS,
    rawQueryString: '',
    headers: { authorization: BEARER, ...headers },
    pathParameters: { deploymentId: 'etl', keyId: 'k-1' },
    isBase64Encoded: false,
    requestContext: {
      requestId: 'r-1',
      http: { sourceIp: '192.0.2.1' },
      authorizer: { jwt: { claims: {}, scopes: null } },
    },
    ...change,
  };
  const reply = (await handler(event as unknown as APIGatewayProxyEventV2WithJWTAuthorizer, context)) as {
    statusCode: number;
    body: string;
  };
  return { status: reply.statusCode, body: reply.body === '' ? undefined : JSON.parse(reply.body) };
}
const receivedRequest = () => route.mock.calls[0]?.[0] as ManagementRequest;

describe('The management API passes a valid call to its route', () => {
  it('passes the person, the path and the query string of a management call to its route', async () => {
    expect(await send({ rawQueryString: 'X-Amz-Date=a%20b', body: '{"a":1}' })).toEqual({ status: 204 });
    expect(receivedRequest()).toMatchObject({
      person: {
        sub: 'ada',
        groups: ['a'],
        isAdministrator: true,
        signIn: { issuer: 'https://login.test', sub: 'ada', at: 0 },
      },
      actor: { principal: 'ada', type: 'person', address: '192.0.2.1', requestId: 'r-1' },
      params: { deploymentId: 'etl', keyId: 'k-1', tokenId: '', accessTokenId: '' },
      query: { 'X-Amz-Date': 'a b' },
      routeKey: KEYS,
      base: '',
      bodyHash: hashOf('{"a":1}'),
    });
    expect(logger.resetKeys).toHaveBeenCalled();
    expect(logger.appendKeys).toHaveBeenCalledWith({ principal: 'ada', deployment_id: 'etl' });
    expect(onRejected).not.toHaveBeenCalled();
  });

  it('records the name of the person behind a management call only if their access token has one', async () => {
    const actor = { principal: 'ada', type: 'person', address: '192.0.2.1', requestId: 'r-1' };
    await send();
    expect(receivedRequest().actor).toStrictEqual(actor);
    route.mockClear();
    const bearer = `Bearer ${part({ typ: 'at+jwt' })}.${part({ sub: 'ada', name: 'Ada' })}.c2ln`;
    await send({}, { authorization: bearer }, { people: { ...people, nameClaim: 'name' } });
    expect(receivedRequest().actor).toStrictEqual({ ...actor, name: 'Ada' });
  });

  it('passes a management call without parameters or a query string to its route', async () => {
    await send({ routeKey: 'GET /deployments', pathParameters: undefined });
    expect(receivedRequest()).toMatchObject({
      params: { deploymentId: '', keyId: '', tokenId: '', accessTokenId: '' },
      query: {},
      bodyHash: hashOf(''),
    });
  });

  it('the management API returns 401 when the caller is not signed in', async () => {
    expect(await send({}, { authorization: 'Bearer x' })).toMatchObject({ status: 401 });
    expect(route).not.toHaveBeenCalled();
  });

  it('the management API returns 401 when the access of a signed-in person was ended', async () => {
    requireAccess.mockRejectedValue(notSignedIn('Sign in again.'));
    expect(await send()).toMatchObject({
      status: 401,
      body: { code: 'invalid_token', detail: 'Sign in again.' },
    });
    expect(requireAccess).toHaveBeenCalledExactlyOnceWith({
      issuer: 'https://login.test',
      sub: 'ada',
      at: 0,
    });
    expect(route).not.toHaveBeenCalled();
    expect(onRejected).not.toHaveBeenCalled();
  });

  it('the management API returns 500 when no route matches the call', async () => {
    expect(await send({ routeKey: 'GET /other' })).toMatchObject({ status: 500 });
    expect(vi.mocked(logger.error).mock.calls[0]?.[1]).toMatchObject({ message: 'no route for GET /other' });
  });

  it('the management API returns 400 and states the allowed format for a malformed Deployment ID', async () => {
    for (const pathParameters of [{ deploymentId: 'a#b' }, { deploymentId: '' }, {}, undefined])
      expect(await send({ pathParameters })).toMatchObject({
        status: 400,
        body: {
          errors: [
            {
              field: 'deploymentId',
              rule: 'must be 1 to 64 characters out of A-Z a-z 0-9 _ -, the first a letter or digit',
            },
          ],
        },
      });
    expect(route).not.toHaveBeenCalled();
  });
});

describe('The management API accepts calls by IAM principals under /platform', () => {
  const USER = 'arn:aws:iam::123456789012:user/ada';
  const signed = {
    requestId: 'r-1',
    http: { sourceIp: '192.0.2.1' },
    authorizer: { iam: { userArn: USER } },
  };
  const routeKey = KEYS.replace(' /', ' /platform/');

  it("passes a call by an IAM principal to the route with an administrator's rights", async () => {
    expect(await send({ routeKey, requestContext: signed }, {}, { platformPrincipals: [USER] })).toEqual({
      status: 204,
    });
    expect(receivedRequest()).toMatchObject({
      person: { sub: USER, isAdministrator: true },
      actor: { principal: USER, type: 'iam' },
      base: '/platform',
      routeKey,
    });
    expect(requireAccess).not.toHaveBeenCalled();
  });

  it('a call under /platform gets 403 from a person, or if the stack lists no IAM principals', async () => {
    expect(await send({ routeKey, requestContext: signed })).toMatchObject({ status: 403 });
    expect(await send({ routeKey }, {}, { platformPrincipals: [USER] })).toMatchObject({ status: 403 });
    expect(route).not.toHaveBeenCalled();
  });

  it('an IAM principal gets 401 on the routes for people', async () => {
    expect(await send({ requestContext: signed }, {}, { platformPrincipals: [USER] })).toMatchObject({
      status: 401,
    });
    expect(route).not.toHaveBeenCalled();
  });
});

describe('The management API parses the request body as JSON', () => {
  const body = async (change: object, whenEmpty?: object) => {
    let result: unknown;
    route.mockImplementation(async (request) => {
      result = request.body(whenEmpty);
      return { status: 204 };
    });
    const { status } = await send(change, { 'content-type': 'application/json' });
    return status === 204 ? result : status;
  };

  it('rejects a request body that is not JSON, and an empty body if the route has no default', async () => {
    expect(await body({ body: '{"a":1}' })).toEqual({ a: 1 });
    expect(await body({ body: '{"a":1}' }, { b: 2 })).toEqual({ a: 1 });
    expect(await body({}, { b: 2 })).toEqual({ b: 2 });
    expect(await body({ body: '' }, { b: 2 })).toEqual({ b: 2 });
    expect(await body({})).toBe(400);
    expect(await body({ body: 'x' }, { b: 2 })).toBe(400);
  });

  it('rejects a request body in which API Gateway replaced bytes that are not UTF-8', async () => {
    route.mockImplementation(async (request) => {
      request.body();
      return { status: 204 };
    });
    expect(await send({ body: '{"a":"\ufffd"}' }, { 'content-type': 'application/json' })).toEqual({
      status: 400,
      body: {
        type: '/errors#invalid_request',
        title: 'Bad Request',
        status: 400,
        code: 'invalid_request',
        detail: 'The body must be UTF-8.',
      },
    });
  });
});

describe('The management API validates the Idempotency-Key header', () => {
  const key = async (header?: string) => {
    let result: unknown;
    route.mockImplementation(async (request) => {
      result = request.idempotencyKey();
      return { status: 204 };
    });
    const { status, body } = await send({}, header === undefined ? {} : { 'idempotency-key': header });
    return status === 204 ? result : body.errors;
  };

  it('passes the optional Idempotency-Key header to the route unchanged', async () => {
    expect(await key()).toBeUndefined();
    for (const one of ['a', '!', '~', '+-', 'x'.repeat(255), '{"#$%&*.']) expect(await key(one)).toBe(one);
  });

  it('an Idempotency-Key must be 1 to 255 printable characters without spaces or commas', async () => {
    const rule = 'must be 1 to 255 printable ASCII characters without space and comma';
    for (const one of ['', 'a b', 'a,b', ' a', 'a ', 'a\n', '\u007f', 'é', 'x'.repeat(256)])
      expect(await key(one), one).toEqual([{ field: 'Idempotency-Key', rule }]);
  });
});

describe('The management API records rejected calls', () => {
  it('the management API records a rejected call before sending the response', async () => {
    route.mockRejectedValue(notFound('API key'));
    let isRecorded = false;
    onRejected.mockImplementation(async () => {
      await Promise.resolve();
      isRecorded = true;
    });
    expect(await send()).toMatchObject({ status: 404, body: { detail: 'No such API key.' } });
    expect(isRecorded).toBe(true);
    expect(onRejected).toHaveBeenCalledExactlyOnceWith(
      receivedRequest(),
      expect.objectContaining({ status: 404 }),
    );
  });

  it('still rejects a call when the rejection cannot be recorded, and logs the failure', async () => {
    route.mockRejectedValue(notFound('API key'));
    const cause = new Error('down');
    onRejected.mockRejectedValue(cause);
    expect(await send()).toMatchObject({ status: 404 });
    expect(vi.mocked(logger.error).mock.calls).toEqual([['rejected call not recorded', cause]]);
  });

  it('does not record a call as rejected when the call failed with a server error', async () => {
    route.mockRejectedValueOnce(unavailable(new Error('down'))).mockRejectedValueOnce(new Error('bug'));
    expect(await send()).toMatchObject({ status: 503 });
    expect(await send()).toMatchObject({ status: 500 });
    route.mockRejectedValueOnce(new ServiceError(500, 'server_error', 'Broken.'));
    expect(await send()).toMatchObject({ status: 500 });
    route.mockRejectedValueOnce(Object.assign(new Error('x'), { status: 404 }));
    expect(await send()).toMatchObject({ status: 500 });
    expect(onRejected).not.toHaveBeenCalled();
    expect(onFailed).toHaveBeenCalledTimes(4);
  });
});
