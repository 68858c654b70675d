import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, describe, expect, it, vi } from 'vitest';
import { call } from '../support/stack.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const data = mkdtempSync(join(tmpdir(), 'local-data-'));
const port = await freePort();
const url = `http://127.0.0.1:${port}`;
// These tests need the embedded engine, regardless of the engine that other tests use.
const env = { ...process.env, PORT: String(port), DYNAMODB_ENDPOINT: '' };
const running = new Set<ChildProcess>();

afterAll(async () => {
  for (const child of running) child.kill('SIGKILL');
  await vi.waitFor(() => expect(engines()).toEqual([]), { timeout: 10_000 });
  rmSync(data, { recursive: true });
});

/**
 * The first of several consecutive free ports: for the API, the sign-in and the API behind the authorizer. They
 * are below the system's ephemeral ports, which another test could take before the next start.
 */
async function freePort(): Promise<number> {
  const server = createServer().listen(10_000 + 10 * Math.floor(Math.random() * 2000), '127.0.0.1');
  const isFree = await Promise.race([
    once(server, 'listening').then(() => true),
    once(server, 'error').then(() => false),
  ]).catch(() => false);
  if (!isFree) return freePort();
  const { port: found } = server.address() as AddressInfo;
  server.close();
  return found;
}

/** The processes whose command line contains all of these words. */
function processes(...words: string[]): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8');
        return words.every((word) => command.includes(word));
      } catch {
        return false;
      }
    })
    .map(Number);
}

/** The engines that use this file's data. */
const engines = () => processes(join(data, 'dynamodb.sqlite'));

/** Runs `npm start` and waits until it prints its URL. */
async function start(...options: string[]): Promise<{ child: ChildProcess; said: () => string }> {
  const child = spawn('npm', ['start', '--silent', '--', '--data', data, ...options], { cwd: root, env });
  running.add(child);
  let said = '';
  child.stdout?.on('data', (chunk) => {
    said += chunk;
  });
  child.stderr?.on('data', (chunk) => {
    said += chunk;
  });
  await vi.waitFor(
    () => {
      if (child.exitCode === null) expect(said).toContain('grep Unauthorized\n');
    },
    // It takes 3 s, and longer on a busy machine.
    { timeout: 100_000, interval: 50 },
  );
  return { child, said: () => said };
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  child.kill(signal);
  await once(child, 'exit');
  running.delete(child);
}

/** Runs a command until it ends. */
async function run(command: string, options: string[], environment: object = env) {
  const promise = promisify(execFile)(command, options, { cwd: root, env: environment as NodeJS.ProcessEnv });
  return promise.then(
    ({ stdout, stderr }) => ({ code: 0, stdout, stderr }),
    ({ code, stdout, stderr }) => ({ code, stdout, stderr }),
  );
}

const login = async (who: string) => (await run('npm', ['run', '-s', 'login', '--', who])).stdout.trim();

describe('npm start', { timeout: 180_000 }, () => {
  it('prints its URL, and the commands that it prints and those of the README work', async () => {
    const { child, said } = await start('--fresh');
    expect(said()).toContain(`Deployment API Keys at ${url}, sign-in at http://127.0.0.1:${port + 1}.`);
    const signed = said()
      .split('\n')
      .find((line) => line.trim().startsWith('curl --fail-with-body -sS --aws-sigv4'));
    const { stdout: listed } = await run('bash', ['--norc', '-ec', signed ?? '']);
    expect(JSON.parse(listed).items).toMatchObject([{ id: 'demo' }]);
    const [, commands = ''] =
      /^```sh\n(API=.*?)^```$/ms.exec(readFileSync(join(root, 'README.md'), 'utf8')) ?? [];
    const { stdout: answers } = await run('bash', [
      '--norc',
      '-ec',
      commands.replace('http://127.0.0.1:8787', url),
    ]);
    expect(answers).toContain('"principalType":"api_key"');
    const story = said().slice(said().indexOf(`API=${url}`));
    const { stdout } = await run('bash', ['--norc', '-ec', story]);
    const [registered, used, deployed, dags, deleted, refused] = stdout.trim().split('\n');
    expect(JSON.parse(registered ?? '')).toMatchObject({ id: 'demo', groups: ['data-eng'] });
    expect(JSON.parse(used ?? '')).toMatchObject({ deploymentId: 'demo', principalType: 'api_key' });
    expect(deployed).toContain('demo');
    expect(dags).toContain('dags');
    expect(deleted).toBe('204');
    expect(JSON.parse(refused ?? '')).toEqual({ message: 'Unauthorized' });

    const body = { json: { groups: ['data-eng'] }, token: await login('admin') };
    expect(await call(url, 'PUT', '/deployments/kept', body)).toMatchObject({ status: 201 });
    expect(engines()).not.toEqual([]);
    await end(child, 'SIGTERM');
    expect(engines()).toEqual([]);
    await expect(fetch(url)).rejects.toThrow('fetch failed');
  });

  it('keeps its data over restarts, and leaves no engine running when it is killed', async () => {
    const { child } = await start();
    const { json } = await call(url, 'GET', '/deployments', { token: await login('member') });
    expect(json.items.map((item: { id: string }) => item.id)).toEqual(['kept']);
    // npm's child is the stack itself. Killed like this, neither can clean up.
    const [engine] = engines();
    expect(engine).toBeDefined();
    for (const pid of processes('local/main.ts', data)) process.kill(pid, 'SIGKILL');
    await once(child, 'exit');
    running.delete(child);
    await vi.waitFor(() => expect(engines()).toEqual([]), { timeout: 10_000 });
  });

  it('deletes its data with --fresh, accepts settings, and reports a port that is in use', async () => {
    const { child } = await start('--fresh', '-c', 'tokenLifetime=60');
    const admin = await login('admin');
    const { json } = await call(url, 'GET', '/deployments', { token: admin });
    expect(json.items.map((item: { id: string }) => item.id)).toEqual(['demo']);
    await call(url, 'PUT', '/deployments/d', { token: admin, json: {} });
    const key = await call(url, 'POST', '/deployments/d/api-keys', { token: admin, json: { name: 'ci' } });
    const swapped = await call(url, 'POST', '/oauth/token', {
      basic: [key.json.id, key.json.secret],
      form: { grant_type: 'client_credentials' },
    });
    expect(swapped.json.expires_in).toBe(60);

    const second = await run('npm', ['start', '--silent', '--', '--data', data]);
    expect(second).toMatchObject({
      code: 1,
      stderr: `Port ${port} is in use. Stop what listens there, or choose another: PORT=9000 npm start\n`,
    });
    await end(child, 'SIGINT');
    expect(engines()).toEqual([]);
  });

  it('reports an invalid setting', async () => {
    const { code, stderr } = await run('npm', [
      'start',
      '--silent',
      '--',
      '--data',
      data,
      '-c',
      'tokenLifetime=x',
    ]);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^tokenLifetime must be whole seconds from 1 to /);
  });

  it('prints its options with --help', async () => {
    const { code, stdout } = await run('npm', ['start', '--silent', '--', '--help']);
    expect(code).toBe(0);
    expect(stdout).toContain('npm start -- --fresh');
  });
});

describe('npm run login', () => {
  it('reports when no stack is running', async () => {
    const unused = { ...process.env, PORT: String(await freePort()) };
    const { code, stdout, stderr } = await run('npm', ['run', '-s', 'login', '--', 'admin'], unused);
    expect(code).toBe(1);
    expect(stdout).toBe('');
    expect(stderr).toMatch(
      /^No server responds at http:\/\/127\.0\.0\.1:\d+\. Start the stack with npm start and the same PORT\.\n/,
    );
  });

  it('rejects a name other than admin and member', async () => {
    const { code, stderr } = await run('npm', ['run', '-s', 'login', '--', 'eve']);
    expect(code).toBe(1);
    expect(stderr).toContain('Give a person: admin or member.');
  });
});

describe('npm run story', { timeout: 180_000 }, () => {
  it('runs against its own stack and prints no secret', async () => {
    const { code, stdout } = await run('npm', ['run', '-s', 'story']);
    expect(code).toBe(0);
    expect(stdout.match(/^ {2}\d{3} in \d+ ms/gm)?.map((line: string) => line.trim().slice(0, 3))).toEqual([
      '201',
      '201',
      '200',
      '200',
      '204',
      '401',
      '401',
    ]);
    expect(stdout).not.toMatch(/dk[stx]_[\w-]{6}/);
  });

  it('fails when a response is unexpected', async () => {
    const server = createServer((_, answer) => answer.writeHead(500).end('{}')).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const broken = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const { code, stderr } = await run('npm', ['run', '-s', 'story', '--', '--url', broken, '--token', 'x']);
    server.close();
    expect(code).toBe(1);
    expect(stderr).toContain('The response should have the status 201.');
  });
});
