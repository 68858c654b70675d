import { once } from 'node:events';
import { connect } from 'node:net';
import { PassThrough } from 'node:stream';
import fc from 'fast-check';
import { expect, it, onTestFinished, vi } from 'vitest';
import { requestJson, requestLine } from '../../../local/activity.ts';
import { Gateway } from '../../../local/api-gateway/gateway.ts';
import { HttpApi } from '../../../local/api-gateway/http-api.ts';
import { RestApi } from '../../../local/api-gateway/rest-api.ts';
import { RestResponses } from '../../../local/api-gateway/rest-responses.ts';
import type { ServedRequest } from '../../../local/api-gateway/served-request.ts';
import { Clock } from '../../../local/clock.ts';
import { sample } from '../../support/generated.ts';

/** A stream that is not a terminal. */
const PIPE = new PassThrough() as unknown as NodeJS.WriteStream;
vi.stubEnv('FORCE_COLOR', undefined);

/** The paths of both emulated APIs. */
const ROUTES = ['/', '/oauth/token', '/deployments/{deploymentId}', '/files/{path+}'];

/** Serves an API whose functions all return one fixed response, and records the line shown for each request. */
async function serve(kind: 'http' | 'rest', response: object) {
  const shown: ServedRequest[] = [];
  const gateway = new Gateway(
    () => {},
    (request) => shown.push(request),
  );
  const url = new URL(await gateway.listen(0));
  onTestFinished(() => gateway.stop());
  const clock = new Clock();
  const invoke = async () => ({ ok: true, payload: JSON.stringify(response) }) as const;
  gateway.serve(
    kind === 'http'
      ? new HttpApi({
          apiId: 'a',
          stage: '$default',
          routes: ROUTES.map((path) => ({ key: `POST ${path}`, invoke })),
          clock,
        })
      : new RestApi({
          apiId: 'a',
          stage: 'prod',
          methods: ROUTES.map((resourcePath) => ({ method: 'POST', resourcePath, resourceId: 'r', invoke })),
          responses: new RestResponses([]),
          clock,
        }),
  );
  /** Sends a request target unchanged, without the normalization that an HTTP client applies to a URL. */
  const post = async (target: string, header = '') => {
    const socket = connect(Number(url.port), url.hostname);
    socket.end(`POST ${target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n${header}\r\n`);
    socket.resume();
    await once(socket, 'close');
  };
  return { shown, post };
}

const PROBLEM = { status: 409, code: 'already_exists', detail: 'dks_demo_canary' };

it.each([
  [{ statusCode: 200, body: '{"code":"secret"}' }, '200'],
  [{ statusCode: 302, headers: { location: '/console?token=canary' } }, '302'],
  [
    { statusCode: 401, body: '{"error":"invalid_client","error_description":"canary"}' },
    '401 invalid_client',
  ],
  [{ statusCode: 409, body: JSON.stringify(PROBLEM) }, '409 already_exists'],
  [
    {
      statusCode: 401,
      headers: { 'WWW-Authenticate': 'Bearer error="invalid_token"' },
      body: '{"message":"Unauthorized"}',
    },
    '401 invalid_token',
  ],
  [{ statusCode: 500, body: 'null' }, '500'],
  [{ statusCode: 500, body: 'not JSON' }, '500'],
  [{ statusCode: 400, body: '{"code":"dks_demo_01ABC"}' }, '400'],
  [{ statusCode: 400, body: '{"code":"a\\u001b[31m","error":{"a":1}}' }, '400'],
  [{ statusCode: 400, body: JSON.stringify({ code: 'a'.repeat(41) }) }, '400'],
])('a request whose function returns %j is shown as one line with %s', async (response, expected) => {
  const http = await serve('http', response);
  await http.post('/oauth/token?client_secret=canary');
  await http.post('/deployments/canary');
  const rest = await serve('rest', response);
  await rest.post('/prod/files/canary/canary');
  const lines = [...http.shown, ...rest.shown].map((it) => requestLine({ ...it, milliseconds: 11.6 }, PIPE));
  expect(lines).toEqual([
    `POST /oauth/token ${expected} 12 ms`,
    `POST /deployments/{deploymentId} ${expected} 12 ms`,
    `POST /prod/files/{path+} ${expected} 12 ms`,
  ]);
});

it('a request that matches no route is shown with only those path segments that occur in a route', async () => {
  const { shown, post } = await serve('http', { statusCode: 200 });
  for (const target of [
    '/oauth/tokens',
    '/token',
    '//',
    '//oauth/token/',
    '/%zz',
    '/%1b%5b31m/oauth',
    '/a/b/c/token/d',
    '/{deploymentId}',
    'http://canary/oauth/canary',
    '/oauth/token#canary',
    `/oauth${'/token'.repeat(100)}`,
  ]) {
    await post(target);
  }
  expect(shown.map(({ path, status }) => `${path} ${status}`)).toEqual([
    '/oauth/… 404',
    '/token 404',
    '/ 200',
    '/oauth/token 200',
    '/… 400',
    '/…/oauth 404',
    '/…/token/… 404',
    '/… 404',
    '//…/oauth/… 404',
    '/oauth/… 404',
    `/oauth${'/token'.repeat(7)}/… 404`,
  ]);
});

it("the values in a request's path, query string and headers are not shown", async () => {
  const hostile = fc.oneof(
    fc.constantFrom(
      'canary',
      'dks_demo_canary',
      '%63anary',
      '%1b[2Jcanary',
      '%0aPOST%20/canary',
      '%E2%80%AEcanary',
      'é',
    ),
    fc.string({ unit: fc.constantFrom(...'canary%;=&:@!~.é\u009b\u202e'), maxLength: 8 }),
    fc.constantFrom('oauth', 'token', 'deployments', 'files', 'prod', ''),
  );
  const target = fc
    .tuple(fc.constantFrom('/', '/prod/', 'http://canary/', '/deployments/'), fc.array(hostile), hostile)
    .map(([start, segments, query]) => `${start}${segments.join('/')}?canary=${query}`);
  const apis = [
    await serve('http', { statusCode: 400, body: '{}' }),
    await serve('rest', { statusCode: 400, body: '{}' }),
  ];
  await fc.assert(
    fc.asyncProperty(target, async (it) => {
      for (const { post, shown } of apis) {
        shown.length = 0;
        await post(it, 'Authorization: Bearer canary\r\nUser-Agent: canary\r\n');
        for (const request of shown) {
          expect(requestLine(request, PIPE)).toMatch(
            /^POST (\/(oauth|token|deployments|files|prod|\{deploymentId\}|\{path\+\}|…|))+ \d{3} \d+ ms$/,
          );
          expect(requestJson(request)).not.toMatch(/canary|[^ -~…]/);
        }
      }
    }),
    { numRuns: sample(500) },
  );
});

it('the API keeps serving, and shows nothing, after a client disconnects before its request is complete', async () => {
  const { shown, post } = await serve('http', { statusCode: 200 });
  await post('/oauth/token', 'Content-Length: 100\r\n');
  await post('/oauth/token');
  expect(shown).toMatchObject([{ status: 200 }]);
});
