import { Logger } from '@aws-lambda-powertools/logger';
import type { APIGatewayProxyEventV2, Context } from 'aws-lambda';
import fc from 'fast-check';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { mintCredential } from '../../functions/domain/credentials.ts';
import {
  formParameters,
  invalidClient,
  invalidRequest,
  type OAuthRequest,
  oauthHandler,
  TOKEN_EXCHANGE,
} from '../../functions/http/oauth.ts';

const FORM = 'application/x-www-form-urlencoded';
const KEY_ID = 'dk_etl_01ARZ3NDEKTSV4RRFFQ69G5FAV';
const context = { awsRequestId: 'r', getRemainingTimeInMillis: () => 1000 } as Context;
const logger = new Logger({ logLevel: 'SILENT' });
const onRejectedClient = vi.fn();
const route = vi.fn(async (_request: OAuthRequest) => ({ status: 200, body: { ok: true } }));
beforeEach(() => {
  onFailed.mockReset();
  for (const method of ['error', 'info', 'appendKeys', 'resetKeys'] as const) vi.spyOn(logger, method);
  onRejectedClient.mockReset();
  route.mockReset().mockResolvedValue({ status: 200, body: { ok: true } });
});

interface Sent {
  body?: string;
  type?: string | undefined;
  authorization?: string | undefined;
  query?: string;
  routeKey?: string;
}

const onFailed = vi.fn();

async function send(
  sent: Sent,
  options: { acceptsJson?: boolean; acceptsNoSecret?: boolean; publicUrl?: string } = {},
) {
  const { body = '', type = FORM, authorization, query = '', routeKey = 'POST /oauth/token' } = sent;
  const handler = oauthHandler(
    { 'POST /oauth/token': route },
    { logger, onFailed, onRejectedClient, ...options },
  );
  const event = {
    routeKey,
    rawQueryString: query,
    headers: { 'content-type': type, authorization },
    body,
    isBase64Encoded: false,
    requestContext: {
      requestId: 'r-1',
      domainName: 'keys.test',
      http: { sourceIp: '192.0.2.1', userAgent: 'curl/8.5.0' },
    },
  };
  const reply = (await handler(event as unknown as APIGatewayProxyEventV2, context)) as {
    statusCode: number;
    headers: Record<string, string>;
    body: string;
  };
  const { error, error_description: description } = JSON.parse(reply.body);
  return { status: reply.statusCode, headers: reply.headers, error, description };
}
const basic = (id: string, secret: string) => `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}`;
const POST = 'client_id=a&client_secret=b';
const receivedRequest = () => route.mock.lastCall?.[0];
const badRequest = (description: string) => ({ status: 400, error: 'invalid_request', description });
const refusedClient = {
  status: 401,
  error: 'invalid_client',
  description: 'Client authentication failed.',
  headers: { 'WWW-Authenticate': 'Basic realm="deployment-api-keys", charset="UTF-8"' },
};

describe('An OAuth endpoint passes a valid request to its route', () => {
  it('passes an OAuth request to its route with parameters, client, caller and issuer', async () => {
    const reply = await send({ body: `${POST}&scope=a+b&empty=` });
    expect(reply).toMatchObject({ status: 200, headers: { 'Cache-Control': 'no-store' } });
    expect(route).toHaveBeenCalledExactlyOnceWith({
      parameters: new Map([
        ['client_id', 'a'],
        ['client_secret', 'b'],
        ['scope', 'a b'],
      ]),
      client: { clientId: 'a', clientSecret: 'b' },
      caller: { address: '192.0.2.1', userAgent: 'curl/8.5.0' },
      issuer: 'https://keys.test',
      requestId: 'r-1',
    });
    expect(onRejectedClient).not.toHaveBeenCalled();
  });

  it("an OAuth request's issuer is the stack's public URL if the stack has one", async () => {
    await send({ body: POST }, { publicUrl: 'https://public.test' });
    expect(receivedRequest()?.issuer).toBe('https://public.test');
  });

  it('an OAuth endpoint returns 500 when no route matches the request', async () => {
    expect(await send({ body: POST, routeKey: 'POST /other' })).toMatchObject({
      status: 500,
      error: 'server_error',
    });
    expect(vi.mocked(logger.error).mock.calls[0]?.[1]).toMatchObject({ message: 'no route for POST /other' });
    expect(onFailed).toHaveBeenCalledTimes(1);
  });

  it('logs a client ID only if it is well-formed', async () => {
    const secret = mintCredential('secret', 'etl', '01ARZ3NDEKTSV4RRFFQ69G5FAV');
    await send({ body: `client_id=${KEY_ID}&client_secret=${secret}` });
    await send({ body: `client_id=${secret}&client_secret=${KEY_ID}` });
    const { calls } = vi.mocked(logger.appendKeys).mock;
    expect(calls.filter(([keys]) => keys && 'client_id' in keys)).toEqual([
      [{ client_id: KEY_ID }],
      [{ client_id: KEY_ID }],
    ]);
    expect(JSON.stringify(calls)).not.toContain(secret);
    expect(logger.resetKeys).toHaveBeenCalled();
  });

  it('an OAuth endpoint reports each failed client authentication once, but no other rejections', async () => {
    route.mockRejectedValue(invalidClient('wrong_secret'));
    expect(await send({ body: POST })).toMatchObject(refusedClient);
    expect(onRejectedClient).toHaveBeenCalledTimes(1);
    route.mockRejectedValue(invalidRequest('No.'));
    expect(await send({ body: POST })).toMatchObject(badRequest('No.'));
    route.mockRejectedValue(Object.assign(new Error('x'), { code: 'invalid_client' }));
    expect(await send({ body: POST })).toMatchObject({ status: 500 });
    expect(onRejectedClient).toHaveBeenCalledTimes(1);
  });
});

it('only the log contains the cause of a malformed OAuth request', async () => {
  const cause = new Error('bad signature');
  route.mockRejectedValue(invalidRequest('No.', cause));
  expect(await send({ body: POST })).toMatchObject(badRequest('No.'));
  expect(vi.mocked(logger.info).mock.calls).toEqual([
    ['rejected', { status: 400, code: 'invalid_request', detail: 'No.', reason: cause }],
  ]);
});

describe('An OAuth endpoint authenticates the client', () => {
  it('decodes client_secret_basic credentials, whether or not they are form-encoded (RFC 6749, section 2.3.1)', async () => {
    for (const [id, secret, clientId, clientSecret] of [
      ['a', 'b', 'a', 'b'],
      ['a%20b', 'c+d', 'a b', 'c d'],
      ['a', 'b:c', 'a', 'b:c'],
      ['a%3Ab', 'c', 'a:b', 'c'],
      ['a', 'b\nc', 'a', 'b\nc'],
      ['a+b+c', 'd+e+f', 'a b c', 'd e f'],
      ['', '', '', ''],
    ] as const) {
      route.mockClear();
      await send({ authorization: basic(id, secret) });
      expect(receivedRequest()?.client).toEqual({ clientId, clientSecret });
    }
  });

  it('accepts the scheme Basic in any case, followed by any number of spaces', async () => {
    await send({ authorization: basic('a', 'b').replace('Basic ', 'bASIC   ') });
    expect(receivedRequest()?.client).toEqual({ clientId: 'a', clientSecret: 'b' });
  });

  it.each([
    ['text that is not base64', 'Basic YTpi!'],
    ['base64 of an invalid length', 'Basic YTp'],
    ['base64 with padding in the middle', 'Basic YT=pi'],
    ['three padding characters', 'Basic Y==='],
    ['base64url', 'Basic YTo_Pz8_'],
    ['text after the credentials', `${basic('a', 'b')} x`],
    ['no credentials', 'Basic '],
    ['text before the credentials', `Basic x ${basic('a', 'b')}`],
    ['no colon', `Basic ${Buffer.from('abc').toString('base64')}`],
    ['broken percent-encoding', basic('a%zz', 'b')],
  ])('returns 400 for Basic authentication with %s', async (_, authorization) => {
    expect(await send({ authorization })).toMatchObject(
      badRequest('The Authorization header is not valid Basic authentication.'),
    );
    expect(route).not.toHaveBeenCalled();
  });

  it.each([
    ['no credentials', {}],
    ['only a client ID', { body: 'client_id=a' }],
    ['only a secret', { body: 'client_secret=b' }],
    ['another scheme', { authorization: 'Bearer abc' }],
    ['a scheme that ends in "Basic"', { authorization: 'xBasic YTpi' }],
    ['a scheme without credentials', { authorization: 'Basic' }],
    ['an empty Authorization header', { authorization: '', body: POST }],
  ])('returns 401 for an OAuth request with %s', async (_, sent) => {
    expect(await send(sent)).toMatchObject(refusedClient);
    expect(onRejectedClient).toHaveBeenCalledTimes(1);
    const { description: detail } = refusedClient;
    expect(vi.mocked(logger.info).mock.calls).toEqual([
      ['rejected', { status: 401, code: 'invalid_client', detail, reason: 'no_credentials' }],
    ]);
  });

  it('accepts a client ID without a secret only on an OAuth endpoint that allows it', async () => {
    const sent = { body: 'client_id=a' };
    expect(await send(sent)).toMatchObject(refusedClient);
    expect(await send(sent, { acceptsNoSecret: true })).toMatchObject({ status: 200 });
    expect(receivedRequest()?.client).toEqual({ clientId: 'a', clientSecret: '' });
    expect(await send({}, { acceptsNoSecret: true })).toMatchObject(refusedClient);
  });

  it('returns 400 for Basic authentication together with a secret in the body', async () => {
    for (const body of [POST, 'client_secret=b'])
      expect(await send({ authorization: basic('a', 'b'), body })).toMatchObject(
        badRequest('Use only one client authentication method.'),
      );
  });

  it('returns 400 when the client ID in the body differs from the Basic credentials', async () => {
    expect(await send({ authorization: basic('a', 'b'), body: 'client_id=a' })).toMatchObject({
      status: 200,
    });
    expect(await send({ authorization: basic('a', 'b'), body: 'client_id=x' })).toMatchObject(
      badRequest('client_id in the body differs from the one in the Authorization header.'),
    );
  });

  it('accepts a subject token instead of a client secret for a token exchange', async () => {
    const body = `grant_type=${encodeURIComponent(TOKEN_EXCHANGE)}&client_id=a`;
    expect(TOKEN_EXCHANGE).toBe('urn:ietf:params:oauth:grant-type:token-exchange');
    expect(await send({ body })).toMatchObject({ status: 200 });
    expect(receivedRequest()?.client).toEqual({ clientId: 'a', clientSecret: '' });
    route.mockClear();
    expect(await send({ body: body.replace('&client_id=a', '') })).toMatchObject({ status: 200 });
    expect(receivedRequest()?.client).toEqual({ clientId: '', clientSecret: '' });
    for (const sent of [
      { body: `${body}&client_secret=b` },
      { body, authorization: basic('a', 'b') },
      { body, authorization: '' },
    ])
      expect(await send(sent)).toMatchObject(
        badRequest('A token exchange requires a subject_token instead of a secret.'),
      );
  });
});

describe("An OAuth endpoint reads the request's parameters from the body", () => {
  it.each([
    'access_token',
    'client_id',
    'client_secret',
    'grant_type',
    'scope',
    'subject_token',
    'token',
    'token_type_hint',
  ])('rejects an OAuth parameter in the query string: %s', async (name) => {
    expect(await send({ authorization: basic('a', 'b'), query: `x=1&${name}=` })).toMatchObject(
      badRequest('Parameters belong in the body, not in the query.'),
    );
  });

  it('rejects a repeated parameter of an OAuth request, even if it is once in the body and once in the query', async () => {
    expect(await send({ body: `${POST}&x=1`, query: 'x=1' })).toMatchObject(
      badRequest('Parameters belong in the body, not in the query.'),
    );
    expect(await send({ body: POST, query: 'x=1&x=2' })).toMatchObject(
      badRequest('Parameters must not be repeated.'),
    );
    expect(await send({ body: POST, query: 'x=1&y=1' })).toMatchObject({ status: 200 });
    expect(await send({ body: `${POST}&x=1&x=1` })).toMatchObject(
      badRequest('Parameters must not be repeated.'),
    );
  });

  it('accepts form-encoded OAuth parameters, and JSON only on endpoints that allow it', async () => {
    const json = { body: '{"client_id":"a","client_secret":"b","x":""}', type: 'application/json' };
    const wanted = badRequest('Send the body as application/x-www-form-urlencoded.');
    expect(await send(json)).toMatchObject(wanted);
    expect(await send({ ...json, type: 'text/plain' }, { acceptsJson: true })).toMatchObject(wanted);
    expect(await send(json, { acceptsJson: true })).toMatchObject({ status: 200 });
    expect(receivedRequest()?.parameters).toEqual(
      new Map([
        ['client_id', 'a'],
        ['client_secret', 'b'],
      ]),
    );
  });

  it.each([
    ['invalid JSON', '{', 'The body must be JSON.'],
    ['null', 'null', 'The body must be a JSON object of strings.'],
    ['an array', '["client_id","a"]', 'The body must be a JSON object of strings.'],
    ['a string', '"client_id"', 'The body must be a JSON object of strings.'],
    ['a number', '1', 'The body must be a JSON object of strings.'],
    [
      'an object with a number',
      '{"client_id":"a","client_secret":1}',
      'The body must be a JSON object of strings.',
    ],
    [
      'a repeated name',
      '{"client_id":"a","client_id":"b","client_secret":"c"}',
      'Parameters must not be repeated.',
    ],
    [
      'a repeated name, once escaped',
      '{"client_id":"a","client_i\\u0064":"b"}',
      'Parameters must not be repeated.',
    ],
    [
      'an array for another parameter',
      '{"client_id":"a","scope":["b"]}',
      'The body must be a JSON object of strings.',
    ],
    [
      'an array of numbers as audience',
      '{"client_id":"a","audience":[1]}',
      'The body must be a JSON object of strings.',
    ],
    [
      'nested arrays as audience',
      '{"client_id":"a","audience":[["b"]]}',
      'The body must be a JSON object of strings.',
    ],
    [
      'a text and a number as audience',
      '{"client_id":"a","audience":["b",1]}',
      'The body must be a JSON object of strings.',
    ],
    ['null as audience', '{"client_id":"a","audience":null}', 'The body must be a JSON object of strings.'],
    ['a repeated value with quotes in it', '{"a":"\\"","a":"\\\\"}', 'Parameters must not be repeated.'],
  ])(
    'rejects an OAuth request whose JSON body is not a flat object of strings: %s',
    async (_, body, description) => {
      expect(await send({ body, type: 'application/json' }, { acceptsJson: true })).toMatchObject(
        badRequest(description),
      );
    },
  );

  it('rejects repeated OAuth parameters other than audience and resource', async () => {
    const name = fc.constantFrom(
      'audience',
      'resource',
      'Audience',
      'audience ',
      'scope',
      'x',
      '__proto__',
      'a"b\\:',
    );
    const pairs = fc.array(fc.tuple(name, fc.constantFrom('a', '": "audience', '', 'é')), { maxLength: 6 });
    const asForm = (all: [string, string][]) => new URLSearchParams(all).toString();
    const asJson = (all: [string, string][]) =>
      `{${all.map((pair) => pair.map((text) => JSON.stringify(text)).join(' :\n')).join()}}`;
    await fc.assert(
      fc.asyncProperty(pairs, fc.boolean(), async (some, isJson) => {
        const all: [string, string][] = [['client_id', 'a'], ['client_secret', 'b'], ...some];
        const body = isJson ? asJson(all) : asForm(all);
        const type = isJson ? 'application/json' : 'application/x-www-form-urlencoded';
        const single = some.map(([one]) => one).filter((one) => one !== 'audience' && one !== 'resource');
        const answer = await send({ body, type }, { acceptsJson: true });
        if (new Set(single).size < single.length) {
          expect(answer).toMatchObject(badRequest('Parameters must not be repeated.'));
        } else {
          expect(answer).toMatchObject({ status: 200 });
          const passed = all.filter(([one, value]) => value !== '' && !/^(audience|resource)$/.test(one));
          expect([...(receivedRequest()?.parameters ?? [])].sort()).toEqual(passed.sort());
        }
      }),
    );
  });

  it('ignores audience and resource in JSON, also if they are lists of strings', async () => {
    const body = JSON.stringify({
      client_id: 'a',
      client_secret: 'b',
      audience: ['x', 'y'],
      resource: [],
    });
    expect(await send({ body, type: 'application/json' }, { acceptsJson: true })).toMatchObject({
      status: 200,
    });
    expect([...(receivedRequest()?.parameters ?? [])]).toEqual([
      ['client_id', 'a'],
      ['client_secret', 'b'],
    ]);
  });

  it('accepts OAuth parameters in JSON whose names begin with a colon', async () => {
    const body = '{"client_id":"a","client_secret":"b",":x":"c",":y":"d"}';
    expect(await send({ body, type: 'application/json' }, { acceptsJson: true })).toMatchObject({
      status: 200,
    });
    expect(receivedRequest()?.parameters.get(':y')).toBe('d');
  });

  it('accepts empty values, quotes and backslashes in OAuth parameters that are sent as JSON', async () => {
    const body = JSON.stringify({ client_id: 'a"b', client_secret: '\\', x: '"\\"', y: '' });
    expect(await send({ body, type: 'application/json' }, { acceptsJson: true })).toMatchObject({
      status: 200,
    });
    expect(receivedRequest()?.parameters.get('x')).toBe('"\\"');
    expect(receivedRequest()?.parameters.has('y')).toBe(false);
    expect(await send({ body: '{}', type: 'application/json' }, { acceptsJson: true })).toMatchObject(
      refusedClient,
    );
  });
});

describe('formParameters', () => {
  it('treats an OAuth parameter without a value as omitted', () => {
    expect(formParameters('a=&b=1&c')).toEqual(new Map([['b', '1']]));
    expect(formParameters('')).toEqual(new Map());
    expect(formParameters('a=%41%2b%7E+x')).toEqual(new Map([['a', 'A+~ x']]));
  });

  it.each(['a=%', 'a=%4', 'a=%zz', 'a=%4g', '%=a', 'a=%41%'])(
    'rejects an OAuth parameter with invalid percent-encoding: %s',
    (text) => {
      expect(() => formParameters(text)).toThrow('The body has a malformed percent-encoding.');
    },
  );

  it.each(['a=%ff', '%ff=a', 'a=b&c=%c3%28'])('rejects an OAuth parameter that is not UTF-8: %s', (text) => {
    expect(() => formParameters(text)).toThrow('The body must be UTF-8.');
  });
});
