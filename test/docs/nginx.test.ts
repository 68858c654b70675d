import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { faultyEngine } from '../support/faulty-engine.ts';
import { snippet } from '../support/snippets.ts';
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

/** The application, nginx in front of it, and the service that nginx calls. */
async function setUp() {
  if (nginx === undefined) throw new Error('nginx is not installed: apt-get install nginx');
  const engine = await faultyEngine();
  const stack = await runStack();
  await makeDeployment(stack, 'etl');
  const token = await swap(stack, await makeKey(stack, 'etl'));

  const seen: { method?: string; url?: string; headers: IncomingHttpHeaders; body: string }[] = [];
  const application = createServer(async (incoming, outgoing) => {
    const { method, url, headers } = incoming;
    seen.push({ method, url, headers, body: Buffer.concat(await incoming.toArray()).toString() });
    outgoing.end('hello');
  }).listen(0, '127.0.0.1');
  await once(application, 'listening');

  const folder = mkdtempSync(join(tmpdir(), 'nginx-'));
  const port = await freePort();
  const site = snippet('authorizer.md', 'nginx')
    .replace('127.0.0.1:8080', `127.0.0.1:${port}`)
    .replace('http://127.0.0.1:9000', `http://127.0.0.1:${portOf(application)}`)
    .replace('https://api-id.execute-api.eu-west-1.amazonaws.com', stack.url);
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
    application.close();
    application.closeAllConnections();
    rmSync(folder, { recursive: true });
  });
  const url = `http://127.0.0.1:${port}`;
  const isUp = () =>
    fetch(`${url}/_whoami`).then(
      () => true,
      () => false,
    );
  for (let attempt = 0; attempt < 100 && !(await isUp()); attempt++) await sleep(20);
  return { engine, stack, token, url, seen };
}

describe.runIf(canRun)('nginx with the documented configuration', async () => {
  if (!canRun) return;
  const { engine, stack, token, url, seen } = await setUp();
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
