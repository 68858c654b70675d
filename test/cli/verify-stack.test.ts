import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, describe, expect, it } from 'vitest';
import { DEVELOPER } from '../../local/api-gateway/iam-authorizer.ts';
import { commandLine } from '../support/command-line.ts';
import { callAs } from '../support/service.ts';
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

const remaining = async () => (await callAs(stack, 'admin', 'GET', '/deployments')).json.items;

describe('deployment-api-keys verify-stack', { timeout: 120_000 }, () => {
  it('verify-stack runs every step that needs a sign-in, prints rows for docs/verified.md, and leaves no Deployment or secret behind', async () => {
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

  it('verify-stack signs its calls with AWS credentials, and prints JSON', async () => {
    const { accessKeyId, secretAccessKey } = DEVELOPER;
    const env = {
      AWS_ACCESS_KEY_ID: accessKeyId,
      AWS_SECRET_ACCESS_KEY: secretAccessKey,
      AWS_REGION: 'us-east-1',
    };
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

  it('verify-stack also verifies that an API is protected, and fails if it is not', async () => {
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
      stderr: `The throwaway Deployment was deleted.\nerror: ${open} is not guarded.\n`,
    });
    expect(bad.stdout).toContain('✗ A call without a token gets HTTP 200: the API is not guarded.');
    expect(await remaining()).toEqual([]);
  });

  it('verify-stack fails at the first unexpected response, and deletes the Deployment when the run is interrupted', async () => {
    const rejected = await run(['verify-stack'], await signedIn('member'));
    expect(rejected).toMatchObject({ code: 1, stderr: 'error: The response should have the status 201.\n' });
    expect(rejected.stdout).toMatch(/^✗ An administrator registers a Deployment /);

    const interrupted = await run(['verify-stack'], {
      ...(await signedIn('admin')),
      onStart: (child) =>
        child.stdout?.on('data', (chunk) => {
          if (String(chunk).includes('creates a key')) child.kill('SIGINT');
        }),
    });
    expect(interrupted).toMatchObject({
      code: 1,
      stderr: 'The throwaway Deployment was deleted.\nerror: Interrupted.\n',
    });
    expect(await remaining()).toEqual([]);
  });
});
