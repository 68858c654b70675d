import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, describe, expect, it } from 'vitest';
import { DEVELOPER } from '../../local/api-gateway/iam-authorizer.ts';
import { awsEnvironment, commandLine } from '../support/command-line.ts';
import { runStack } from '../support/stack.ts';

const stack = await runStack({ context: { platformPrincipals: DEVELOPER.arn } });
const { run } = commandLine();
const signedIn = async (person: 'admin' | 'member') => ({
  env: { DEPLOYMENT_KEYS_URL: stack.url, DEPLOYMENT_KEYS_ACCESS_TOKEN: await stack.signIn(person) },
});

async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener).listen(0, '127.0.0.1');
  await once(server, 'listening');
  afterAll(() => {
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** Forwards calls to the stack, except for the calls that `fault` answers with a status. */
const serveWith = (fault: (call: string) => number | undefined) =>
  serve(async (request, response) => {
    const { method = '', url = '', headers } = request;
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const status = fault(`${method} ${url}`);
    if (status !== undefined) return response.writeHead(status).end('{}');
    const names = ['authorization', 'content-type'].filter((name) => headers[name] !== undefined);
    const answer = await fetch(`${stack.url}${url}`, {
      method,
      headers: Object.fromEntries(names.map((name) => [name, String(headers[name])])),
      ...(chunks.length > 0 && { body: Buffer.concat(chunks) }),
    });
    return response.writeHead(answer.status).end(await answer.text());
  });

const remaining = async () => (await stack.callAs('admin', 'GET', '/deployments')).json.items;

describe('The verify-stack command tests a deployed stack', { timeout: 120_000 }, () => {
  it('the verify-stack command prints rows for docs/verified.md, and leaves no Deployment or secret behind', async () => {
    const { code, stdout, stderr } = await run(['verify-stack'], await signedIn('admin'));
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout.match(/^✓ .*(?= [\d.]+ m?s$)/gm)).toHaveLength(13);
    const rows = stdout.split('\n').filter((line) => line.startsWith('| '));
    expect(rows).toHaveLength(14);
    const date = new Date().toISOString().slice(0, 10);
    expect(rows).toContain(
      `| The revoked token is rejected immediately | GET \`/whoami\` answers 401 | 127.0.0.1, ${date} |`,
    );
    expect(rows.at(-1)).toMatch(
      /^\| The purge deletes what the Deployment left \| event `deployment\.purged` after /,
    );
    expect(stdout).not.toMatch(/dk[stx]_[\w-]{6}/);
    expect(await remaining()).toEqual([]);
  });

  it('the verify-stack command can sign its calls with AWS credentials and print JSON', async () => {
    const env = awsEnvironment(DEVELOPER);
    const { code, stdout } = await run(['verify-stack', '--url', stack.url, '--sigv4', '--json'], { env });
    expect(code).toBe(0);
    const steps: { status: number; isExpected: boolean; method: string; path: string }[] = JSON.parse(stdout);
    expect(steps.map(({ status }) => status)).toEqual([
      201, 201, 200, 200, 401, 403, 200, 401, 200, 204, 401, 401, 200,
    ]);
    expect(steps.every(({ isExpected }) => isExpected)).toBe(true);
    expect(steps[0]).toMatchObject({ method: 'PUT', path: '/deployments/{deploymentId}' });
    expect(stdout).not.toMatch(/dk[stx]_[\w-]{6}/);
  });

  it('the verify-stack command fails if the API that it verifies is not protected', async () => {
    const guarded = await serve(async ({ headers }, response) => {
      const answer = await fetch(`${stack.url}/whoami`, {
        headers: headers.authorization === undefined ? {} : { authorization: headers.authorization },
      });
      response.writeHead(answer.status).end();
    });
    const person = await signedIn('admin');
    const good = await run(['verify-stack', '--api', guarded], person);
    expect(good.code).toBe(0);
    expect(good.stdout).toContain('✓ A call without a token gets HTTP 401.\n');
    expect(good.stdout).toContain('✓ A call with the right token gets HTTP 200.\n');

    const open = await serve((_, response) => response.end());
    const bad = await run(['verify-stack', '--api', open], person);
    expect(bad).toMatchObject({
      code: 1,
      stderr: `The throwaway Deployment was deleted.\nerror: The checks of ${open} failed.\n`,
    });
    const problem = '✗ A call without a token gets HTTP 200: the API is not guarded.';
    expect(bad.stdout).toContain(problem);
    const json = await run(['verify-stack', '--api', open, '--json'], person);
    expect(json.stderr).toContain(problem);
    expect(JSON.parse(json.stdout)).toHaveLength(6);

    const busy = await serve((_, response) => response.writeHead(503).end());
    const failing = await run(['verify-stack', '--api', busy], person);
    expect(failing.code).toBe(1);
    expect(failing.stdout).toContain(
      '✗ A call without a token gets HTTP 503: the API or its authorizer failed.\n',
    );
    expect(failing.stderr).not.toContain('Attempt');
    expect(await remaining()).toEqual([]);
  });

  it('the verify-stack command puts the ID of its temporary Deployment into the URL of --api', async () => {
    const called: string[] = [];
    const guarded = await serve((request, response) => {
      called.push(String(request.url));
      response.writeHead(request.headers.authorization?.startsWith('Bearer dkt_') ? 200 : 401).end();
    });
    const api = `${guarded}/deployments/{deploymentId}/dags`;
    expect((await run(['verify-stack', '--api', api], await signedIn('admin'))).code).toBe(0);
    expect(called).toHaveLength(3);
    expect(new Set(called).size).toBe(1);
    expect(called[0]).toMatch(/^\/deployments\/verify-[0-9a-f]{8}\/dags$/);
  });

  it('the verify-stack command fails at the first unexpected response, and prints the steps as JSON even after a failure', async () => {
    const member = await signedIn('member');
    const rejected = await run(['verify-stack'], member);
    expect(rejected).toMatchObject({ code: 1, stderr: 'error: The response should have the status 201.\n' });
    expect(rejected.stdout).toMatch(/^✗ An administrator registers a Deployment /);
    const json = await run(['verify-stack', '--json'], member);
    expect(json).toMatchObject({ code: 1, stderr: rejected.stderr });
    expect(JSON.parse(json.stdout)).toMatchObject([{ method: 'PUT', status: 404, isExpected: false }]);
  });

  it('the verify-stack command sends each request only once, because a retry could hide a fault', async () => {
    const { env } = await signedIn('admin');
    for (const [faulty, calls] of [
      ['POST /oauth/token', 1],
      ['GET /deployments/[^/]*/events', 1],
    ] as const) {
      let seen = 0;
      const url = await serveWith((call) =>
        new RegExp(`^${faulty}$`).test(call) && ++seen === 1 ? 503 : undefined,
      );
      const { code, stderr } = await run(['verify-stack', '--url', url], { env });
      expect([code, seen], faulty).toEqual([1, calls]);
      expect(stderr).not.toContain('Attempt');
    }
    expect(await remaining()).toEqual([]);
  });

  it('the verify-stack command deletes its Deployment even if the response to the registration is lost', async () => {
    let isLost = false;
    const url = await serve(
      async ({ method = '', url: path = '', headers: { authorization = '' } }, response) => {
        const isPut = method === 'PUT';
        const headers = { authorization, ...(isPut && { 'content-type': 'application/json' }) };
        const answer = await fetch(`${stack.url}${path}`, { method, headers, ...(isPut && { body: '{}' }) });
        isLost ||= isPut && answer.status === 201;
        if (isPut) response.destroy();
        else response.writeHead(answer.status).end();
      },
    );
    const { code, stderr } = await run(['verify-stack', '--url', url], await signedIn('admin'));
    expect([code, isLost]).toEqual([5, true]);
    expect(stderr).toBe(
      `The throwaway Deployment was deleted.\nerror: Cannot reach ${new URL(url).host}: the connection was closed (UND_ERR_SOCKET).\n`,
    );
    expect(await remaining()).toEqual([]);
  });

  it('if the verify-stack command cannot delete its Deployment, it prints a command that does so', async () => {
    const person = await signedIn('admin');
    let isBroken = true;
    const url = await serveWith((call) =>
      isBroken && /^(POST|DELETE) \/deployments\//.test(call) ? 500 : undefined,
    );
    const { code, stderr } = await run(['verify-stack', '--url', url], person);
    expect(code).toBe(1);
    const [, command = '', id] =
      /^The throwaway Deployment may be left\. To delete it, run: deployment-api-keys (deployments delete (verify-\w+) .*)$/m.exec(
        stderr,
      ) ?? [];
    expect(await remaining()).toMatchObject([{ id }]);
    isBroken = false;
    expect((await run(command.split(' '), person)).stdout).toBe(`Deleted ${id}.\n`);
    expect(await remaining()).toEqual([]);
  });

  it.each([
    ['interrupted twice', ['SIGINT', 'SIGINT']],
    ['stopped', ['SIGTERM']],
  ] as const)('the verify-stack command deletes its Deployment if it is %s', async (_, signals) => {
    const interrupted = await run(['verify-stack'], {
      ...(await signedIn('admin')),
      onStart: (child) =>
        child.stdout?.on('data', (chunk) => {
          if (String(chunk).includes('creates a key')) for (const signal of signals) child.kill(signal);
        }),
    });
    expect(interrupted.code).toBe(1);
    expect(interrupted.stderr).toMatch(
      /^Interrupted\. Deleting the throwaway Deployment verify-\w+\.\nThe throwaway Deployment was deleted\.\nerror: Interrupted\.\n$/,
    );
    expect(await remaining()).toEqual([]);
  });

  it('the verify-stack command deletes its Deployment if the reader of its output closes the pipe', async () => {
    const { stderr } = await run(['verify-stack'], {
      ...(await signedIn('admin')),
      onStart: (child) => child.stdout?.once('data', () => child.stdout?.destroy()),
    });
    expect(stderr).toContain('The throwaway Deployment was deleted.\n');
    expect(await remaining()).toEqual([]);
  });
});
