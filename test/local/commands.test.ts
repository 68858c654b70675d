import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, describe, expect, it, vi } from 'vitest';
import { call } from '../support/stack.ts';
import { temporaryFolder } from '../support/temporary.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const data = temporaryFolder('local-data');
const port = await freePort();
const url = `http://127.0.0.1:${port}`;
// These tests need the embedded engine, regardless of the engine that other tests use.
const env = { ...process.env, PORT: String(port), DYNAMODB_ENDPOINT: '' };
const running = new Set<ChildProcess>();

afterAll(async () => {
  for (const child of running) child.kill('SIGKILL');
  await vi.waitFor(() => expect(engines()).toEqual([]), { timeout: 10_000 });
});

/**
 * The first of several consecutive free ports, for the API, the sign-in and the API behind the authorizer. They are
 * below the range of ephemeral ports, because another test could take a port from that range before the next start.
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

/** Returns the processes whose command line contains all of these words. */
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

/** Returns the processes of database engines that run on the data of these tests. */
const engines = () => processes(join(data, 'dynamodb.sqlite'));

/** Runs `npm start` and waits until the stack is ready. Returns the output, and the time of its first line. */
async function start(...options: string[]) {
  const began = performance.now();
  let firstLine = 0;
  const child = spawn('npm', ['start', '--silent', '--', '--data', data, ...options], { cwd: root, env });
  running.add(child);
  let said = '';
  let stdout = '';
  child.stdout?.on('data', (chunk) => {
    firstLine ||= performance.now() - began;
    stdout += chunk;
    said += chunk;
  });
  child.stderr?.on('data', (chunk) => {
    said += chunk;
  });
  await vi.waitFor(
    () => {
      if (child.exitCode === null) expect(said).toContain('\nRequests:\n');
    },
    // The start takes up to 3 s, and longer on a busy machine.
    { timeout: 100_000, interval: 50 },
  );
  const ready = performance.now() - began;
  return { child, said: () => said, stdout: () => stdout, firstLine, ready };
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

describe('npm start runs the service on the local machine', { timeout: 180_000 }, () => {
  it('the commands in the README and in the output of npm start work', async () => {
    const { child, said, firstLine, ready } = await start('--fresh');
    // On an idle machine, the start takes one to three seconds, and the first line appears after a quarter of a second.
    expect(firstLine).toBeLessThan(ready / 2);
    const [title, ...steps] = said().slice(0, said().indexOf('\n\n')).split('\n');
    expect(title).toBe('Starting Deployment API Keys');
    expect(steps.map((step) => step.replace(/ +✓ \d+(\.\d)? m?s$/, ''))).toEqual([
      '  Loading the emulator',
      '  Synthesising the stack',
      '  Creating the tables',
      '  Starting functions and APIs',
      '  Making the first call',
    ]);
    expect(said()).toMatch(/\nDeployment API Keys is ready after \d+\.\d s\. Press Ctrl-C to stop it\.\n/);
    expect(said()).toContain(
      `\n  Console and API        ${url}\n  Sign-in                http://127.0.0.1:${port + 1}\n`,
    );
    expect(said()).toMatch(
      /\n {2}Table +deployment-api-keys-development-\S+-local at http:\/\/127\.0\.0\.1:\d+, access key \w+, any secret\n/,
    );
    expect(said()).toContain(`\n  Queues and schedules   http://127.0.0.1:${port + 9}\n`);
    const ran = await run('bash', [
      '--norc',
      '-ec',
      said()
        .split('\n')
        .find((line) => line.trim().startsWith('curl -X POST')) ?? '',
    ]);
    expect(JSON.parse(ran.stdout)).toEqual({ outcome: 'succeeded' });
    // If the output is not a terminal, it has no colours.
    expect(said()).not.toContain('\u001b');
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
    const story = said().slice(said().indexOf(`API=${url}`), said().indexOf('\nRequests:\n'));
    const { stdout } = await run('bash', ['--norc', '-ec', story]);
    const [registered, used, deployed, dags, deleted, rejected] = stdout.trim().split('\n');
    const { id } = JSON.parse(registered ?? '');
    expect(id).toMatch(/^story-\d+$/);
    expect(JSON.parse(used ?? '')).toMatchObject({ deploymentId: id, principalType: 'api_key' });
    expect(deployed).toContain(id);
    expect(dags).toContain('dags');
    expect(deleted).toBe('204');
    expect(JSON.parse(rejected ?? '')).toEqual({ message: 'Unauthorized' });

    const requests = said().slice(said().indexOf('\nRequests:\n') + '\nRequests:\n'.length);
    expect(
      requests
        .trimEnd()
        .split('\n')
        .slice(-8)
        .map((line) => line.replace(/ \d+ ms$/, '')),
    ).toEqual([
      'PUT /deployments/{deploymentId} 201',
      'POST /deployments/{deploymentId}/api-keys 201',
      'POST /oauth/token 200',
      'GET /whoami 200',
      'POST /prod/deployments/{deploymentId}/deploys 202',
      'GET /deployments/{deploymentId}/dags 200',
      'DELETE /deployments/{deploymentId} 204',
      'GET /whoami 401 invalid_token',
    ]);
    // The Deployment that `npm start` created still exists.
    const admin = await login('admin');
    expect(await call(url, 'GET', '/deployments/demo', { token: admin })).toMatchObject({ status: 200 });

    const environment = { ...env, STORY_TOKEN: admin };
    const played = await run('npm', ['run', '-s', 'story', '--', '--url', url], environment);
    expect(played.code).toBe(0);
    const rows = played.stdout.split('\n').filter((line: string) => line.startsWith('| '));
    const date = new Date().toISOString().slice(0, 10);
    // The table has one row for each step and one for the purge, below a heading of two rows.
    expect(rows).toHaveLength(14);
    expect(rows).toContain(
      `| The revoked token is rejected immediately | GET \`/whoami\` answers 401 | 127.0.0.1, ${date} |`,
    );
    expect(rows.at(-1)).toMatch(
      /^\| The purge deletes what the Deployment left \| event `deployment\.purged` after [\d.]+ m?s \| /,
    );
    expect(played.stdout).not.toMatch(/dk[stx]_[\w-]{6}/);

    const body = { json: { groups: ['data-eng'] }, token: admin };
    expect(await call(url, 'PUT', '/deployments/kept', body)).toMatchObject({ status: 201 });
    expect(engines()).not.toEqual([]);
    await end(child, 'SIGTERM');
    expect(engines()).toEqual([]);
    await expect(fetch(url)).rejects.toThrow('fetch failed');
  });

  it('npm start keeps its data across restarts, and leaves no database engine running after it is killed', async () => {
    const { child } = await start();
    const { json } = await call(url, 'GET', '/deployments', { token: await login('member') });
    expect(json.items.map((item: { id: string }) => item.id)).toEqual(['demo', 'kept']);
    // npm's child process is the stack itself. With SIGKILL, neither process can clean up.
    const [engine] = engines();
    expect(engine).toBeDefined();
    for (const pid of processes('local/main.ts', data)) process.kill(pid, 'SIGKILL');
    await once(child, 'exit');
    running.delete(child);
    await vi.waitFor(() => expect(engines()).toEqual([]), { timeout: 10_000 });
  });

  it('npm start --fresh deletes the stored data, and --json makes every output line JSON', async () => {
    const { child, stdout } = await start('--fresh', '--json', '-c', 'tokenLifetime=60');
    const admin = await login('admin');
    const { json } = await call(url, 'GET', '/deployments', { token: admin });
    expect(json.items.map((item: { id: string }) => item.id)).toEqual(['demo']);
    await call(url, 'PUT', '/deployments/d', { token: admin, json: {} });
    const key = await call(url, 'POST', '/deployments/d/api-keys', { token: admin, json: { name: 'ci' } });
    const exchanged = await call(url, 'POST', '/oauth/token', {
      basic: [key.json.id, key.json.secret],
      form: { grant_type: 'client_credentials' },
    });
    expect(exchanged.json.expires_in).toBe(60);
    await call(url, 'POST', '/oauth/token', {
      basic: [exchanged.json.access_token, key.json.secret],
      form: { grant_type: 'client_credentials' },
    });
    // Standard output contains only JSON: the requests and the logs of the functions.
    const request = {
      time: expect.any(String),
      method: 'POST',
      path: '/oauth/token',
      ms: expect.any(Number),
    };
    await vi.waitFor(() => {
      const lines = stdout()
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line));
      expect(lines).toContainEqual({ ...request, status: 200 });
      expect(lines).toContainEqual({ ...request, status: 401, code: 'invalid_client' });
      expect(lines).toContainEqual(expect.objectContaining({ level: 'INFO', code: 'invalid_client' }));
    }, 10_000);
    expect(stdout()).not.toMatch(/dk[stx]_/);

    const second = await run('npm', ['start', '--silent', '--', '--data', data]);
    expect(second).toMatchObject({
      code: 1,
      stderr: `Port ${port} is in use. Stop what listens there, or choose another: PORT=9000 npm start\n`,
    });
    await end(child, 'SIGINT');
    expect(engines()).toEqual([]);
  });

  it('npm start reports an invalid setting', async () => {
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

  it('npm start -- --help prints the options', async () => {
    const { code, stdout } = await run('npm', ['start', '--silent', '--', '--help']);
    expect(code).toBe(0);
    expect(stdout).toContain('--fresh                 Delete the data');
  });

  it.each([
    [['--frsh'], 'Unknown option --frsh. Did you mean --fresh?'],
    [['-c', 'tokenLifetime'], '-c takes name=value, such as -c tokenLifetime=3, not tokenLifetime'],
  ])(
    'npm start reports the mistake in %j without a stack trace, before anything starts',
    async (options, expected) => {
      const { code, stdout, stderr } = await run('npm', ['start', '--silent', '--', ...options]);
      expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
      expect(stderr.split('\n')[0]).toBe(expected);
      expect(stderr).not.toContain('    at ');
    },
  );

  it('npm start reports a port that leaves no room for the other ports, before anything starts', async () => {
    const environment = { ...env, PORT: '65534' };
    expect(await run('npm', ['start', '--silent', '--', '--data', data], environment)).toEqual({
      code: 1,
      stdout: '',
      stderr:
        'PORT must be a whole number from 0 to 65526, not 65534. The stack also uses the ports after it.\n',
    });
  });

  it('npm start reports an option that is not preceded by --', async () => {
    const { code, stderr } = await run('npm', ['start', '--silent', '--fresh']);
    expect(code).toBe(1);
    expect(stderr).toBe('npm read --fresh as an option of its own. Run npm start -- --fresh\n');
  });
});

describe('npm run login signs in to the local stack', () => {
  it('npm run login reports that no stack is running', async () => {
    const unused = { ...process.env, PORT: String(await freePort()) };
    const { code, stdout, stderr } = await run('npm', ['run', '-s', 'login', '--', 'admin'], unused);
    expect(code).toBe(1);
    expect(stdout).toBe('');
    expect(stderr).toMatch(
      /^No server responds at http:\/\/127\.0\.0\.1:\d+\. Start the stack with npm start and the same PORT\.\n/,
    );
  });

  it('npm run login rejects a name other than admin and member', async () => {
    const { code, stderr } = await run('npm', ['run', '-s', 'login', '--', 'eve']);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^Unknown person eve\.\n\nPrints an access token/);
  });

  it('npm run login suggests a similar name, and lists both names if no name is given', async () => {
    const { stderr } = await run('npm', ['run', '-s', 'login', '--', 'amdin']);
    expect(stderr).toMatch(/^Unknown person amdin\. Did you mean admin\?\n/);
    expect(await run('npm', ['run', '-s', 'login'])).toMatchObject({
      code: 1,
      stderr: 'Usage: npm run -s login -- <admin|member>\n',
    });
  });
});

describe('npm run story demonstrates the service', { timeout: 180_000 }, () => {
  it('npm run story runs against its own stack without printing a secret', async () => {
    const { code, stdout } = await run('npm', ['run', '-s', 'story']);
    expect(code).toBe(0);
    const steps = stdout.slice(stdout.indexOf('\n\n')).replaceAll(/ \d+(\.\d)? m?s$/gm, ' #');
    expect(steps.match(/^✓ .*$/gm)).toEqual([
      '✓ An administrator registers a Deployment #',
      '✓ The administrator creates a key, whose secret is returned only once #',
      '✓ A pipeline exchanges the ID and the secret for an access token #',
      '✓ The pipeline uses the token #',
      '✓ A call without a token is rejected #',
      '✓ The token is rejected for another Deployment #',
      '✓ The pipeline revokes the token #',
      '✓ The revoked token is rejected immediately #',
      '✓ The pipeline gets another token #',
      '✓ The administrator deletes the Deployment #',
      '✓ The token is rejected immediately #',
      '✓ The key is rejected too #',
      '✓ The purge deletes what the Deployment left #',
    ]);
    expect(steps.match(/^ {2}\d{3}\b/gm)?.map((line: string) => line.trim())).toEqual([
      ...['201', '201', '200', '200', '401', '403', '200', '401', '200', '204', '401', '401', '200'],
    ]);
    expect(stdout).not.toContain('docs/verified.md');
    expect(stdout).not.toMatch(/dk[stx]_[\w-]{6}/);
  });

  it('npm run story deletes its Deployment if a later step fails', async () => {
    const calls: string[] = [];
    const server = createServer(({ method = '' }, answer) => {
      calls.push(method);
      const statuses: Record<string, number> = { PUT: 201, DELETE: 204 };
      answer.writeHead(statuses[method] ?? 500).end(method === 'DELETE' ? '' : '{}');
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const broken = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const { code, stdout } = await run('npm', ['run', '-s', 'story', '--', '--url', broken, '--token', 'x']);
    server.close();
    expect(code).toBe(1);
    expect(calls).toEqual(['PUT', 'POST', 'DELETE']);
    expect(stdout).toMatch(/\nThe throwaway Deployment was deleted\.\n$/);
  });

  it('npm run story fails if a response is unexpected', async () => {
    const server = createServer((_, answer) => answer.writeHead(500).end('{}')).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const broken = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const { code, stdout, stderr } = await run('npm', [
      'run',
      '-s',
      'story',
      '--',
      '--url',
      broken,
      '--token',
      'x',
    ]);
    server.close();
    expect(code).toBe(1);
    expect(stdout).toMatch(/^✗ An administrator registers a Deployment [\d.]+ m?s\n/);
    expect(stderr).toBe('The response should have the status 201.\n');
  });
});
