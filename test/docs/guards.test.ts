import { execFile } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { promisify } from 'node:util';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { mintCredential, newUlid } from '../../functions/domain/credentials.ts';
import { openGuard } from '../../integrations/guard/guard.ts';
import { faultyEngine } from '../support/faulty-engine.ts';
import { GUARDS, startGuard } from '../support/guards.ts';
import { snippetsOf } from '../support/snippets.ts';
import { call, runStack } from '../support/stack.ts';

const PATH = '/deployments/etl/deploys';

async function listen(handler: RequestListener, host = '127.0.0.1', port = 0): Promise<Server> {
  const server = createServer(handler).listen(port, host);
  await once(server, 'listening');
  afterAll(() => {
    server.close();
    server.closeAllConnections();
  });
  return server;
}
const portOf = (server: Server) => (server.address() as AddressInfo).port;

const engine = await faultyEngine();
const stack = await runStack();
await stack.register('etl');
await stack.register('web');
const key = await stack.createKey('etl');
const token = await stack.exchangeForToken(key);
const reader = await stack.exchangeForToken(key, 'airflow:read');
const foreign = await stack.exchangeForToken(await stack.createKey('web'));

const bearer = (presented: string) => `Authorization: Bearer ${presented}`;

/** The requests that the application behind a proxy received. */
const seen: (Pick<IncomingMessage, 'method' | 'url' | 'headers'> & { body: string })[] = [];
const application = await listen(async (incoming, outgoing) => {
  const { method, url, headers } = incoming;
  seen.push({ method, url, headers, body: Buffer.concat(await incoming.toArray()).toString() });
  outgoing.end('{}');
});

/** Sends a raw request unchanged, and returns the response's status. */
async function raw(port: number, lines: readonly string[]): Promise<number> {
  const socket = connect(port, '127.0.0.1');
  socket.write(
    `${[...lines, 'Host: api.test', 'Connection: close', 'Content-Length: 0'].join('\r\n')}\r\n\r\n`,
  );
  const text = Buffer.concat(await socket.toArray()).toString('latin1');
  return Number(text.split(' ')[1]);
}

/**
 * A DNS server that answers every IPv4 query with one address, which tests can change. Its records expire immediately.
 */
async function startDns(first: string) {
  const dns = { address: first, port: 0 };
  const socket = createSocket('udp4');
  socket.on('message', (query, { port, address }) => {
    const question = query.subarray(12, query.indexOf(0, 12) + 5);
    const isIpv4 = question.readUInt16BE(question.length - 4) === 1;
    const ip = dns.address.split('.').map(Number);
    // The response to a recursive query, with one question and at most one answer.
    const header = [...query.subarray(0, 2), 0x81, 0x80, 0, 1, 0, isIpv4 ? 1 : 0, 0, 0, 0, 0];
    // The answer: the name in the question, type A, class IN, a lifetime of 0 s and four bytes.
    const answer = isIpv4 ? [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, ...ip] : [];
    socket.send(Buffer.from([...header, ...question, ...answer]), port, address);
  });
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  afterAll(() => void socket.close());
  dns.port = socket.address().port;
  return dns;
}

/** CI installs all of these programs, so a missing program fails the tests there. */
const installed = GUARDS.filter(({ isInstalled }) => isInstalled || process.env.CI !== undefined);
describe.each(installed)(
  '$name protects an API if it is configured as documented',
  async ({ name, isProxy }) => {
    const guard = await startGuard(name, stack.url, portOf(application));
    afterAll(() => guard.stop());
    beforeEach(() => {
      seen.length = 0;
    });
    const deploy = (presented: string | undefined, path = PATH) =>
      call(guard.url, 'POST', path, presented === undefined ? {} : { token: presented });

    it('the guard passes the test from the documentation for whether an API is protected', async () => {
      const functions = snippetsOf('authorizer.md', 'sh', 'Attach the authorizer');
      const proof = snippetsOf('guards.md', 'sh', name);
      expect(proof).toHaveLength(1);
      const script = [...functions, ...proof].join('\n').replace('http://127.0.0.1:8080', guard.url);
      const { stdout } = await promisify(execFile)('sh', ['-euc', script], {
        env: {
          PATH: process.env.PATH,
          KEYS_URL: stack.url,
          KEY_ID: key.id,
          KEY_SECRET: key.secret,
          DEPLOYMENT: 'etl',
        },
      });
      expect(stdout).toBe('no token: 401, wrong scope: 403, right scope: 200\n');
    });

    it.each([
      ['no token', undefined, 401, 'Bearer'],
      ['garbage', 'garbage', 401, 'Bearer error="invalid_token"'],
      ['a forged token', mintCredential('token', 'etl', newUlid(0)), 401, 'Bearer error="invalid_token"'],
      ['a token without the scope', reader, 403, 'Bearer error="insufficient_scope", scope="code:deploy"'],
      [
        'a token of another Deployment',
        foreign,
        403,
        'Bearer error="insufficient_scope", scope="code:deploy"',
      ],
    ])("the guard rejects %s with the service's challenge", async (_, presented, status, challenge) => {
      const reply = await deploy(presented);
      expect([reply.status, reply.headers['www-authenticate']]).toStrictEqual([status, challenge]);
      expect(seen).toStrictEqual([]);
    });

    it('the guard rejects a call with two Authorization headers, even if one of them is valid', async () => {
      const valid = bearer(token);
      for (const other of ['Authorization: Bearer x', 'authorization: Basic eDp4', valid]) {
        for (const both of [
          [valid, other],
          [other, valid],
        ]) {
          const status = await raw(guard.port, [`POST ${PATH} HTTP/1.1`, ...both]);
          expect([400, 401]).toContain(status);
        }
      }
      expect(seen).toStrictEqual([]);
    });

    /** Sends raw lines, and asserts that the guard rejects the call and the application does not receive it. */
    const expectRejection = async (lines: readonly string[]) => {
      const status = await raw(guard.port, lines);
      expect(status).toBeGreaterThanOrEqual(400);
      expect(status).toBeLessThan(500);
      expect(seen).toStrictEqual([]);
    };

    it.each<[attempt: string, headers: readonly string[]]>([
      ['a token in another header', [`X-Authorization: Bearer ${token}`]],
      ['a token for a proxy', [`Proxy-Authorization: Bearer ${token}`]],
      ['a token in a cookie', [`Cookie: access_token=${token}`]],
      ['a secret as the token', [bearer(key.secret)]],
      ['a token without a scheme', [`Authorization: ${token}`]],
      ['two tokens in one header', [`${bearer(reader)}, Bearer ${token}`]],
      ['forged identity', ['X-Deployment-Id: etl', 'X-Principal-Id: dk_etl', 'X-Scope: code:deploy']],
      [
        'forged identity and a token of another Deployment',
        [bearer(foreign), 'X-Deployment-Id: etl', 'X-Scope: code:deploy'],
      ],
      [
        'another path in a header',
        [
          bearer(foreign),
          'X-Original-URI: /deployments/web/deploys',
          'X-Rewrite-URL: /',
          'X-Forwarded-Uri: /',
        ],
      ],
      ['another method in a header', ['X-HTTP-Method-Override: OPTIONS', 'X-Forwarded-Method: OPTIONS']],
      ['a header that the connection drops', [bearer(reader), 'Connection: X-Scope']],
      ['a folded header', [bearer(reader), ` ${token}`]],
      ['a space before the colon', [`Authorization : Bearer ${token}`]],
      ['a tab after the scheme', [`Authorization: Bearer\t${foreign}`]],
    ])('the guard does not pass a call to the application with %s', async (_, headers) => {
      await expectRejection([`POST ${PATH} HTTP/1.1`, ...headers]);
    });

    it.each([
      ['another Deployment in the query', `${PATH}?deployment=web`],
      ['a path through another Deployment', '/deployments/web/../etl/deploys'],
      ['an encoded path through another Deployment', '/deployments/web%2F..%2Fetl/deploys'],
      ['a parameter in the path', '/deployments/etl;web/deploys'],
      ['a second Deployment in the path', '/deployments/etl%26deployment=web/deploys'],
      ['a fragment in the path', '/deployments/etl%23web/deploys'],
      ['a NUL in the path', '/deployments/etl%00/deploys'],
      ['an encoded letter in the path', '/deployments/%65tl/deploys'],
      ['a path in upper case', '/DEPLOYMENTS/etl/DEPLOYS'],
      ['a whole URL as the path', `http://web.test${PATH}`],
    ])('the guard does not pass a call to the application with %s', async (_, target) => {
      await expectRejection([`POST ${target} HTTP/1.1`, bearer(foreign)]);
    });

    it.each([
      ['a token in the query', `POST ${PATH}?access_token=${token} HTTP/1.1`, []],
      ['a weaker scope in the query', `POST ${PATH}?scope=airflow:read HTTP/1.1`, [bearer(reader)]],
      ['an old version of HTTP', `POST ${PATH} HTTP/1.0`, []],
    ])('the guard does not pass a call to the application with %s', async (_, line, headers) => {
      await expectRejection([line, ...headers]);
    });

    it.runIf(isProxy)(
      'the guard sends the identity to the application, even if the caller tries to drop the header',
      async () => {
        const names = 'X-Deployment-Id, X-Principal-Id, X-Scope';
        const lines = [bearer(token), `Connection: close, ${names}`];
        expect(await raw(guard.port, [`POST ${PATH} HTTP/1.1`, ...lines])).toBe(200);
        expect(seen).toMatchObject([{ headers: { 'x-deployment-id': 'etl', 'x-principal-id': key.id } }]);
        expect(seen[0]?.headers).toHaveProperty('x-scope');
      },
    );

    it('the guard rejects every call while the service cannot check tokens, and allows valid calls again afterwards', async () => {
      engine.fault = { status: 500, name: 'InternalServerError' };
      const { status } = await deploy(token);
      engine.fault = undefined;
      expect(status).toBeGreaterThanOrEqual(500);
      expect(seen).toStrictEqual([]);
      expect((await deploy(token)).status).toBe(200);
    });

    it("the guard rejects a call as soon as the call's token is revoked, because the guard caches nothing", async () => {
      const own = await stack.createKey('etl');
      const short = await stack.exchangeForToken(own);
      expect((await deploy(short)).status).toBe(200);
      await stack.call('POST', '/oauth/revoke', { basic: [own.id, own.secret], form: { token: short } });
      expect((await deploy(short)).status).toBe(401);
    });

    it('the guard rejects a call while the service is down', async () => {
      const down = await startGuard(name, 'http://127.0.0.1:9', portOf(application));
      const { status } = await call(down.url, 'POST', PATH, { token });
      await down.stop();
      expect(status).toBeGreaterThanOrEqual(500);
      expect(seen).toStrictEqual([]);
    });

    it('the guard rejects a call within seconds if the service does not respond', async () => {
      const silent = await listen(() => {});
      const slow = await startGuard(name, `http://127.0.0.1:${portOf(silent)}`, portOf(application));
      const { status } = await call(slow.url, 'POST', PATH, { token });
      await slow.stop();
      expect(status).toBeGreaterThanOrEqual(500);
      expect(seen).toStrictEqual([]);
    });

    it.runIf(isProxy)(
      'the guard replaces any identity that the caller claims, and does not forward the token',
      async () => {
        const headers = {
          'X-Deployment-Id': 'forged',
          'X-Principal-Id': 'forged',
          'X-Scope': 'forged',
          X_Scope: 'forged',
        };
        const reply = await call(guard.url, 'POST', `${PATH}?x=1&y`, { token, body: 'payload', headers });
        expect(reply.status).toBe(200);
        const scope = 'deployment:etl code:deploy airflow:read airflow:write';
        expect(seen).toMatchObject([
          {
            method: 'POST',
            url: `${PATH}?x=1&y`,
            body: 'payload',
            headers: { 'x-deployment-id': 'etl', 'x-principal-id': key.id, 'x-scope': scope },
          },
        ]);
        expect(seen[0]?.headers).not.toHaveProperty('authorization');
        expect(seen[0]?.headers).not.toHaveProperty('x_scope');
      },
    );

    it.runIf(isProxy)('the guard forwards exactly the path that it checked', async () => {
      const paths = [
        '/deployments/web/../etl/deploys',
        '/deployments/web%2F..%2Fetl/deploys',
        '//deployments//etl//deploys',
        '/deployments/%65tl/deploys',
      ];
      for (const path of paths) await raw(guard.port, [`POST ${path} HTTP/1.1`, bearer(token)]);
      expect(seen.length).toBeGreaterThan(0);
      for (const { url = '' } of seen) expect(decodeURIComponent(url)).toBe(PATH);
    });

    it.runIf(isProxy)('the guard serves no path except the protected one', async () => {
      for (const path of [
        '/',
        '/_whoami',
        '/deployments/etl',
        `${PATH}/`,
        '/deployments/etl&scope=x/deploys',
      ]) {
        const status = await raw(guard.port, [`POST ${path} HTTP/1.1`, bearer(token)]);
        expect([403, 404], path).toContain(status);
      }
      expect(seen).toStrictEqual([]);
    });
  },
);

it.runIf(installed.some(({ name }) => name === 'nginx'))(
  "nginx follows a change of the service's DNS record",
  async () => {
    const accepting = await listen((_, response) => response.end());
    const port = portOf(accepting);
    await listen((_, response) => response.writeHead(401).end(), '127.0.0.2', port);
    const dns = await startDns('127.0.0.1');
    const guard = await startGuard(
      'nginx',
      `http://keys.test:${port}`,
      portOf(application),
      `127.0.0.1:${dns.port}`,
    );
    const status = async () => (await call(guard.url, 'POST', PATH, { token })).status;
    expect(await status()).toBe(200);
    dns.address = '127.0.0.2';
    // nginx counts the lifetime of a DNS record in whole seconds.
    await expect.poll(status, { timeout: 5000 }).toBe(401);
    await guard.stop();
  },
);

describe('The guard middleware rejects invalid options and unexpected responses', () => {
  const options = { url: 'https://keys.example.com', scopes: ['code:deploy'], deployment: 'deploymentId' };

  it.each([
    [
      'a URL without TLS',
      { url: 'http://keys.example.com' },
      'url: "http://keys.example.com" must begin with https://.',
    ],
    ['no scopes', { scopes: undefined }, 'scopes: must be a list'],
    ['an empty scope', { scopes: [''] }, 'scopes: must be a list'],
    ['no Deployment', { deployment: undefined }, 'deployment: must be a path parameter'],
    ['an empty parameter name', { deployment: '' }, 'deployment: must be a path parameter'],
  ])('the guard middleware cannot be created with %s', (_, wrong, message) => {
    expect(() => openGuard({ ...options, ...wrong } as typeof options)).toThrow(message);
  });

  it.each([
    ['a page from another server', 200, '<html>'],
    ['other JSON', 200, '{}'],
    ['null', 200, 'null'],
    ['a holder without the scope', 200, '{"principalId":"p","deploymentId":"etl","scope":"deployment:etl"}'],
    ['a holder of another Deployment', 200, '{"principalId":"p","deploymentId":"web","scope":"code:deploy"}'],
    ['a redirect', 302, ''],
    ['204', 204, ''],
    ['400', 400, '{}'],
    ['429', 429, '{}'],
  ])('the guard middleware returns 503 if the service responds with %s', async (_, status, body) => {
    const other = await listen((_request, response) =>
      response.writeHead(status, { location: `${stack.url}/whoami` }).end(body),
    );
    const check = openGuard({ ...options, url: `http://127.0.0.1:${portOf(other)}` });
    const rejection = await check(
      {},
      {
        authorization: [`Bearer ${token}`],
        userAgent: undefined,
        parameter: () => 'etl',
      },
    );
    expect(rejection).toStrictEqual({
      status: 503,
      headers: { 'Cache-Control': 'no-store', 'Retry-After': '1' },
      body: { message: 'Service Unavailable' },
    });
  });

  it('the guard middleware fails if the route lacks the path parameter that names the Deployment', async () => {
    const check = openGuard({ ...options, url: stack.url });
    const made = check(
      {},
      { authorization: [`Bearer ${token}`], userAgent: undefined, parameter: () => undefined },
    );
    await expect(made).rejects.toThrow('The guard found no Deployment in the call');
  });
});
