import { execFile, spawn, spawnSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingHttpHeaders, type RequestListener, type Server } from 'node:http';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { faultyEngine } from '../support/faulty-engine.ts';
import { snippet, snippetsOf } from '../support/snippets.ts';
import { call, makeDeployment, makeKey, runStack, swap } from '../support/stack.ts';

/** Debian's package installs it here, which is not on everybody's PATH. */
const nginx = ['/usr/sbin/nginx', 'nginx'].find((path) => spawnSync(path, ['-v']).status === 0);
/** CI installs nginx, so its absence there is a failure. Elsewhere the tests are skipped. */
const canRun = nginx !== undefined || process.env.CI !== undefined;

const portOf = (server: { address(): unknown }) => (server.address() as AddressInfo).port;

async function freePort(): Promise<number> {
  const server = createTcpServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const port = portOf(server);
  server.close();
  return port;
}

/**
 * Starts nginx with the documented configuration.
 *
 * @param service URL of the service
 * @param resolver address of the DNS server
 * @returns the URL of nginx
 */
async function startNginx(service: string, application: Server, resolver: string): Promise<string> {
  if (nginx === undefined) throw new Error('nginx is not installed: apt-get install nginx');
  const folder = mkdtempSync(join(tmpdir(), 'nginx-'));
  const port = await freePort();
  const site = snippet('authorizer.md', 'nginx')
    .replace('127.0.0.1:8080', `127.0.0.1:${port}`)
    .replace('http://127.0.0.1:9000', `http://127.0.0.1:${portOf(application)}`)
    .replace('169.254.169.253', resolver)
    .replace('https://api-id.execute-api.eu-west-1.amazonaws.com', service);
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (kind) => `${kind}_temp_path ${kind};`,
  );
  writeFileSync(
    join(folder, 'nginx.conf'),
    `daemon off; master_process off; pid nginx.pid; events {} http { access_log off; ${temporary.join(' ')} ${site} }`,
  );
  const server = spawn(nginx, ['-p', folder, '-c', 'nginx.conf', '-e', 'stderr'], { stdio: 'ignore' });
  afterAll(async () => {
    server.kill();
    if (server.exitCode === null && server.signalCode === null) await once(server, 'exit');
    rmSync(folder, { recursive: true });
  });
  const url = `http://127.0.0.1:${port}`;
  const isUp = () =>
    fetch(`${url}/_whoami`).then(
      () => true,
      () => false,
    );
  for (let attempt = 0; attempt < 100 && !(await isUp()); attempt++) await sleep(20);
  return url;
}

/** Starts an HTTP server that closes at the end of the file. */
async function listen(handler: RequestListener, host = '127.0.0.1', port = 0): Promise<Server> {
  const server = createServer(handler).listen(port, host);
  await once(server, 'listening');
  afterAll(() => {
    server.close();
    server.closeAllConnections();
  });
  return server;
}

/** The application, nginx in front of it, and the service that nginx calls. */
async function setUp() {
  const engine = await faultyEngine();
  const stack = await runStack();
  await makeDeployment(stack, 'etl');
  const key = await makeKey(stack, 'etl');
  const token = await swap(stack, key);

  const seen: { method?: string; url?: string; headers: IncomingHttpHeaders; body: string }[] = [];
  const application = await listen(async (incoming, outgoing) => {
    const { method, url, headers } = incoming;
    seen.push({ method, url, headers, body: Buffer.concat(await incoming.toArray()).toString() });
    outgoing.statusCode = `${headers['x-scope']}`.split(' ').includes('code:deploy') ? 200 : 403;
    outgoing.end('hello');
  });
  const url = await startNginx(stack.url, application, '127.0.0.1');
  return { engine, stack, key, token, url, seen };
}

/** A DNS server that answers every question about IPv4 with one address, which can change. Its records expire at once. */
async function startDns(first: string) {
  const dns = { address: first, port: 0 };
  const socket = createSocket('udp4');
  socket.on('message', (query, { port, address }) => {
    const question = query.subarray(12, query.indexOf(0, 12) + 5);
    const isIpv4 = question.readUInt16BE(question.length - 4) === 1;
    const ip = dns.address.split('.').map(Number);
    // A response to a recursive query, with one question and at most one answer.
    const header = [...query.subarray(0, 2), 0x81, 0x80, 0, 1, 0, isIpv4 ? 1 : 0, 0, 0, 0, 0];
    // The name of the question, type A, class IN, a lifetime of 0 s, four bytes.
    const answer = isIpv4 ? [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, ...ip] : [];
    socket.send(Buffer.from([...header, ...question, ...answer]), port, address);
  });
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  afterAll(() => void socket.close());
  dns.port = socket.address().port;
  return dns;
}

describe.runIf(canRun)('nginx with the documented configuration', async () => {
  if (!canRun) return;
  const { engine, stack, key, token, url, seen } = await setUp();
  beforeEach(() => {
    seen.length = 0;
  });

  it('forwards a call with a valid token and passes the principal to the application', async () => {
    const { status, text } = await call(url, 'POST', '/anything?x=1', {
      token,
      body: 'payload',
      headers: { 'X-Deployment-Id': 'forged', 'X-Scope': 'forged' },
    });
    expect([status, text]).toStrictEqual([200, 'hello']);
    expect(seen).toMatchObject([
      {
        method: 'POST',
        url: '/anything?x=1',
        body: 'payload',
        headers: {
          'x-deployment-id': 'etl',
          'x-principal-id': expect.stringMatching(/^dk_etl_/),
          'x-scope': 'deployment:etl code:deploy airflow:read airflow:write',
        },
      },
    ]);
    expect(seen[0]?.headers).not.toHaveProperty('authorization');
  });

  it.each([
    ['no token', undefined, 'Bearer'],
    ['garbage', 'garbage', 'Bearer error="invalid_token"'],
  ])('returns 401 with the challenge for %s', async (_, presented, challenge) => {
    const { status, headers } = await call(url, 'GET', '/', { token: presented });
    expect([status, headers['www-authenticate']]).toStrictEqual([401, challenge]);
    expect(seen).toStrictEqual([]);
  });

  it('passes the documented proof that it guards', async () => {
    const functions = snippetsOf('authorizer.md', 'sh', 'Attach the authorizer');
    const proof = snippetsOf('authorizer.md', 'sh', 'nginx, and what is not behind API Gateway');
    const script = [...functions, ...proof].join('\n').replace('http://127.0.0.1:8080', url);
    const env = { KEYS_URL: stack.url, KEY_ID: key.id, KEY_SECRET: key.secret, DEPLOYMENT: 'etl' };
    const { stdout } = await promisify(execFile)('sh', ['-euc', script], {
      env: { ...env, PATH: process.env.PATH },
    });
    expect(stdout).toBe('no token: 401, wrong scope: 403, right scope: 200\n');
  });

  it('follows the DNS record of the service to another address', async () => {
    const application = await listen((_, response) => response.end('hello'));
    const accepting = await listen((_, response) => response.end());
    const port = portOf(accepting);
    await listen((_, response) => response.writeHead(401).end(), '127.0.0.2', port);
    const dns = await startDns('127.0.0.1');
    const front = await startNginx(`http://keys.test:${port}`, application, `127.0.0.1:${dns.port}`);
    expect((await fetch(front)).status).toBe(200);
    dns.address = '127.0.0.2';
    // nginx counts the lifetime of a record in whole seconds.
    await expect.poll(async () => (await fetch(front)).status, { timeout: 5000 }).toBe(401);
  });

  it('rejects every call while the service cannot check the token', async () => {
    engine.fault = { status: 500, name: 'InternalServerError' };
    const { status } = await call(url, 'GET', '/', { token });
    engine.fault = undefined;
    expect(status).toBe(500);
    expect(seen).toStrictEqual([]);
  });

  it('rejects a token as soon as its Deployment is deleted', async () => {
    expect((await call(url, 'GET', '/', { token })).status).toBe(200);
    await call(stack, 'DELETE', '/deployments/etl', { token: await stack.signIn('admin') });
    expect((await call(url, 'GET', '/', { token })).status).toBe(401);
  });

  it('does not expose the endpoint for the check', async () => {
    expect((await call(url, 'GET', '/_whoami', { token })).status).toBe(404);
  });
});

it.runIf(!canRun)('nginx is not installed: its configuration in docs/authorizer.md was not tested', () => {
  expect(nginx).toBeUndefined();
});
