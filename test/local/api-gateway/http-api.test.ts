import { request } from 'node:http';
import { connect } from 'node:net';
import { describe, expect, it } from 'vitest';
import { chooseRoute } from '../../../local/api-gateway/http-api.ts';
import { Fixture } from '../../support/fixture.ts';
import { type call, runStack } from '../../support/stack.ts';

const fixture = new Fixture()
  .function('Echo', 'exports.handler = async (event) => event;')
  .function('Render', 'exports.handler = async (event) => JSON.parse(event.queryStringParameters.answer);')
  .function('Fail', 'exports.handler = async () => { throw new Error("no"); };')
  .function('Slow', 'exports.handler = () => new Promise(() => setInterval(() => {}, 1000));', { timeout: 1 })
  .route('POST /echo', 'Echo')
  .route('GET /things/{id}/parts/{part}', 'Echo')
  .route('GET /rest/{rest+}', 'Echo')
  .route('GET /render', 'Render')
  .route('GET /fail', 'Fail')
  .route('GET /slow', 'Slow');
const stack = await runStack({ synthesise: fixture.synthesise });
const host = new URL(stack.url).host;

const echo = async (method: string, path: string, what: Parameters<typeof call>[3] = {}) => {
  const { json } = await stack.call(method, path, what);
  return json;
};

const render = (answer: unknown) =>
  stack.call('GET', `/render?answer=${encodeURIComponent(JSON.stringify(answer))}`);

/** Sends raw bytes and reads until the connection closes. */
const raw = (text: string) =>
  new Promise<string>((resolve) => {
    let answer = '';
    const socket = connect(Number(new URL(stack.url).port), '127.0.0.1', () => socket.write(text));
    socket.on('data', (chunk) => {
      answer += chunk;
    });
    socket.on('close', () => resolve(answer));
  });

describe('Functions receive events in payload format 2.0', () => {
  it('an event in payload format 2.0 has exactly the documented fields', async () => {
    stack.clock.freeze(Date.UTC(2026, 2, 12, 19, 3, 58));
    const { headers, ...event } = await echo('POST', '/echo?a=1&a=2&b=x+y%26', {
      headers: { 'User-Agent': 'agent', 'X-Custom': 'Value', cookie: 'one=1; two=2' },
      json: { hello: 'world' },
    });
    stack.clock.release();
    expect(event).toEqual({
      version: '2.0',
      routeKey: 'POST /echo',
      rawPath: '/echo',
      rawQueryString: 'a=1&a=2&b=x+y%26',
      cookies: ['one=1', 'two=2'],
      queryStringParameters: { a: '1,2', b: 'x y&' },
      requestContext: {
        accountId: '000000000000',
        apiId: 'Api',
        domainName: host,
        domainPrefix: '127',
        http: {
          method: 'POST',
          path: '/echo',
          protocol: 'HTTP/1.1',
          sourceIp: '127.0.0.1',
          userAgent: 'agent',
        },
        requestId: expect.stringMatching(/^[\w-]{15}=$/),
        routeKey: 'POST /echo',
        stage: '$default',
        time: '12/Mar/2026:19:03:58 +0000',
        timeEpoch: Date.UTC(2026, 2, 12, 19, 3, 58),
      },
      body: '{"hello":"world"}',
      isBase64Encoded: false,
    });
    expect(headers).toMatchObject({
      'content-length': '17',
      'content-type': 'application/json',
      'x-custom': 'Value',
      'x-forwarded-for': '127.0.0.1',
      'x-forwarded-proto': 'http',
      'x-forwarded-port': host.split(':')[1],
      host,
    });
    expect(headers).not.toHaveProperty('cookie');
  });

  it('payload format 2.0 joins repeated headers with commas, including Authorization', async () => {
    const answer = await raw(
      'POST /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\n' +
        'Authorization: Bearer a\r\nAUTHORIZATION: Bearer b\r\nX-A: 1\r\nx-a: 2\r\n\r\n',
    );
    const { headers } = JSON.parse(answer.slice(answer.indexOf('\r\n\r\n')));
    expect(headers.authorization).toBe('Bearer a,Bearer b');
    expect(headers['x-a']).toBe('1,2');
  });

  it('payload format 2.0 decodes the path and its parameters, and keeps the query string unchanged', async () => {
    const event = await echo('GET', '/things/a%20b/parts/%C3%A9?q=%20');
    expect(event.pathParameters).toEqual({ id: 'a b', part: 'é' });
    expect(event.rawPath).toBe('/things/a b/parts/é');
    expect(event.rawQueryString).toBe('q=%20');
    expect(event).not.toHaveProperty('body');
    expect(event).not.toHaveProperty('cookies');
    expect(event).not.toHaveProperty('stageVariables');
  });

  it.each([
    ['application/json', false],
    ['application/json; charset=utf-8', false],
    ['text/csv', false],
    ['application/xml', false],
    ['application/javascript', false],
    ['application/x-www-form-urlencoded', true],
    ['application/problem+json', true],
    ['application/octet-stream', true],
  ])('a body with the content type %s is base64-encoded in the event: %s', async (type, isBase64Encoded) => {
    const event = await echo('POST', '/echo', { headers: { 'content-type': type }, body: 'a=é' });
    const body = isBase64Encoded ? Buffer.from('a=é').toString('base64') : 'a=é';
    expect(event).toMatchObject({ body, isBase64Encoded });
  });

  it('a body without a content type is base64-encoded in the event', async () => {
    const event = await echo('POST', '/echo', { body: new Uint8Array([0, 255]) });
    expect(event).toMatchObject({ body: 'AP8=', isBase64Encoded: true });
  });

  it.each([
    ['/things/a/parts/b/', { id: 'a', part: 'b' }],
    ['//things/a/parts/b', { id: 'a', part: 'b' }],
    ['///things/a/parts/b/', { id: 'a', part: 'b' }],
    ['/rest/a//b/', { rest: 'a//b' }],
  ])(
    'the event has the path %s as received, and path parameters without leading and trailing slashes',
    async (path, parameters) => {
      const event = await echo('GET', path);
      expect(event.rawPath).toBe(path);
      expect(event.requestContext.http.path).toBe(path);
      expect(event.pathParameters).toEqual(parameters);
    },
  );

  it('the event keeps a query parameter that is named __proto__', async () => {
    const event = await echo('POST', '/echo?__proto__=x');
    expect(Object.getOwnPropertyDescriptor(event.queryStringParameters, '__proto__')?.value).toBe('x');
  });
});

describe("The emulated gateway converts a function's response to an HTTP response", () => {
  it("a function's response becomes the HTTP response with status, headers, cookies and body", async () => {
    const reply = await render({
      statusCode: 201,
      headers: { 'Content-Type': 'text/html', 'X-Count': 2 },
      cookies: ['a=1; Secure', 'b=2'],
      body: '<p>',
    });
    expect(reply).toMatchObject({ status: 201, text: '<p>', cookies: ['a=1; Secure', 'b=2'] });
    expect(reply.headers).toMatchObject({
      'content-type': 'text/html',
      'x-count': '2',
      'content-length': '3',
      'apigw-requestid': expect.stringMatching(/=$/),
    });
  });

  it("a function's response has the content type text/plain by default", async () => {
    const { headers } = await render({ statusCode: 200, body: '{}' });
    expect(headers['content-type']).toBe('text/plain; charset=utf-8');
  });

  it("the body of a function's response is decoded if isBase64Encoded is set", async () => {
    const { text } = await render({ statusCode: 200, body: 'aGk=', isBase64Encoded: true });
    expect(text).toBe('hi');
  });

  it("a function's response without a status code becomes a 200 with JSON", async () => {
    const object = await render({ any: 'thing' });
    expect(object).toMatchObject({ status: 200, text: '{"any":"thing"}' });
    expect(object.headers['content-type']).toBe('application/json');
    expect(await render('hello')).toMatchObject({ status: 200, text: 'hello' });
  });

  it.each([
    ['an object as its body', { statusCode: 200, body: {} }],
    ['an invalid status', { statusCode: 'ok', body: '' }],
  ])("a function's response becomes a 500 if it has %s", async (_, answer) => {
    expect(await render(answer)).toMatchObject({ status: 500, text: '{"message":"Internal Server Error"}' });
  });
});

describe('The emulated gateway itself responds to calls that reach no function', () => {
  it.each([
    ['no such route', 'GET', '/nowhere', 404, 'Not Found'],
    ['another method of a route', 'DELETE', '/echo', 404, 'Not Found'],
    ['an empty path parameter', 'GET', '/things//parts/1', 404, 'Not Found'],
    ['a path that cannot be decoded', 'GET', '/things/%zz/parts/1', 400, 'Bad Request'],
    ['a function that throws', 'GET', '/fail', 500, 'Internal Server Error'],
    ['a function that runs out of time', 'GET', '/slow', 500, 'Internal Server Error'],
  ])(
    'the gateway itself responds to a call with %s: %s %s returns %i',
    async (_, method, path, status, message) => {
      const reply = await stack.call(method, path);
      expect(reply).toMatchObject({ status, text: JSON.stringify({ message }) });
      expect(reply.headers['content-type']).toBe('application/json');
    },
  );

  it('the gateway returns 413 for a body of more than 10 MB', async () => {
    const reply = await stack.call('POST', '/echo', { body: 'x'.repeat(10 * 1024 * 1024 + 1) });
    expect(reply).toMatchObject({ status: 413, text: '{"message":"Request Entity Too Large"}' });
  });

  it('the gateway returns 431 for headers of more than 10,240 bytes', async () => {
    const status = await new Promise((resolve, reject) => {
      const sent = request(`${stack.url}/render`, { headers: { 'x-long': 'x'.repeat(10_300) } }, (answer) =>
        resolve(answer.statusCode),
      );
      sent.on('error', reject);
      sent.end();
    });
    expect(status).toBe(431);
  });

  it('the emulated API listens only on 127.0.0.1', async () => {
    const { port } = new URL(stack.url);
    await expect(fetch(`http://[::1]:${port}/render`)).rejects.toThrow('fetch failed');
  });
});

describe('The emulated gateway chooses the most specific route', () => {
  const routes = [
    '$default',
    'ANY /{proxy+}',
    'GET /pets/{proxy+}',
    'ANY /pets/{id}',
    'GET /pets/{id}',
    'GET /pets/dog',
    'GET /pets/{id}/toys',
    'GET /pets/dog/{what}',
  ].map((key) => ({ key }));

  it.each([
    ['GET', '/pets/dog', 'GET /pets/dog', {}],
    ['GET', '/pets/cat', 'GET /pets/{id}', { id: 'cat' }],
    ['PUT', '/pets/dog', 'ANY /pets/{id}', { id: 'dog' }],
    ['GET', '/pets/dog/toys', 'GET /pets/dog/{what}', { what: 'toys' }],
    ['GET', '/pets/a/b/c', 'GET /pets/{proxy+}', { proxy: 'a/b/c' }],
    ['POST', '/other/path', 'ANY /{proxy+}', { proxy: 'other/path' }],
    ['GET', '/', '$default', {}],
    ['GET', '//', '$default', {}],
    ['GET', '/pets/dog/', 'GET /pets/dog', {}],
    ['GET', '//pets/dog', 'GET /pets/dog', {}],
    ['GET', '/pets/cat/', 'GET /pets/{id}', { id: 'cat' }],
    ['GET', '/pets/a/b/c/', 'GET /pets/{proxy+}', { proxy: 'a/b/c' }],
    ['GET', '/pets/a//c', 'GET /pets/{proxy+}', { proxy: 'a//c' }],
  ])('the gateway routes %s %s to %s', (method, path, key, parameters) => {
    expect(chooseRoute(routes, method, path)).toEqual({ route: { key }, parameters });
  });
});
