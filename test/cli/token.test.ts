import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { mintCredential } from '../../functions/domain/credentials.ts';
import { startCiIssuer } from '../support/ci-issuer.ts';
import { commandLine, usageError } from '../support/command-line.ts';
import { busy, startReverseProxy } from '../support/reverse-proxy.ts';
import { runStack } from '../support/stack.ts';
import { temporaryFolder } from '../support/temporary.ts';

const issuer = await startCiIssuer();
const stack = await runStack({ context: { trustedIssuers: [issuer.url] } });
const proxy = await startReverseProxy(stack.url);
await stack.register('etl');
const key = await stack.createKey('etl');
const other = await stack.createKey('etl', { name: 'other' });
const trust = [{ issuer: issuer.url, audience: 'etl', claims: { sub: 'repo:acme/etl' }, singleUse: true }];
const { json: trusting } = await stack.callAs('member', 'POST', '/deployments/etl/api-keys', {
  json: { name: 'trust', trust },
});
const { run } = commandLine();
const folder = temporaryFolder('token');
beforeEach(() => {
  proxy.next = [];
  proxy.bodies = [];
});

const usual = ['--url', stack.url, '--key-id', key.id];
const env = { DEPLOYMENT_KEY_SECRET: key.secret };
const oidcToken = () =>
  issuer.sign({
    claims: { sub: 'repo:acme/etl', jti: crypto.randomUUID() },
    audience: 'etl',
    expires: Math.floor(Date.now() / 1000) + 300,
  });

describe('The token command exchanges credentials for a token', { timeout: 120_000 }, () => {
  it('the token command prints only the token', async () => {
    const { code, stdout, stderr } = await run(['token', ...usual], { env });
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(/^dkt_etl_\w+\n$/);
    expect(await stack.use(stdout.trim())).toBe(200);
  });

  it('the token command reads every option from the environment, and requests only the given scope', async () => {
    const { stdout } = await run(['token', '--scope', ' airflow:read  code:deploy ', '--json'], {
      env: { ...env, DEPLOYMENT_KEYS_URL: `${stack.url}/`, DEPLOYMENT_KEY_ID: key.id },
    });
    const { token, expiresAt, scope } = JSON.parse(stdout);
    expect(scope).toBe('deployment:etl code:deploy airflow:read');
    expect(Math.abs(Date.parse(expiresAt) - Date.now() - 86_400_000)).toBeLessThan(60_000);
    expect((await stack.call('GET', '/whoami', { token })).json.scope).toBe(scope);
  });

  it('the token command reads the secret from standard input', async () => {
    const { code, stdout } = await run(['token', ...usual], { typed: `${key.secret}\n` });
    expect(code).toBe(0);
    expect(stdout).toMatch(/^dkt_etl_\w+\n$/);
  });

  it('the token command treats an empty environment variable as unset', async () => {
    const empty = { DEPLOYMENT_KEY_OIDC_TOKEN: '', DEPLOYMENT_KEY_SECRET: '' };
    const urlAndId = { DEPLOYMENT_KEYS_URL: stack.url, DEPLOYMENT_KEY_ID: key.id };
    const typed = `${key.secret}\n`;
    const { code, stdout } = await run(['token'], { env: { ...empty, ...urlAndId }, typed });
    expect(code).toBe(0);
    expect(stdout).toMatch(/^dkt_etl_\w+\n$/);
    const noUrl = await run(['token'], { env: { ...urlAndId, DEPLOYMENT_KEYS_URL: '' } });
    expect(noUrl.stderr).toMatch(/^error: The URL of the service is missing\./);
    const noId = await run(['token'], { env: { ...urlAndId, DEPLOYMENT_KEY_ID: '' } });
    expect(noId.stderr).toMatch(/^error: The ID of the API key is missing\./);
  });

  it('the token command says where to put an OIDC token that was given as a secret', async () => {
    const subject = await oidcToken();
    expect(await run(['token', ...usual], { typed: `${subject}\n` })).toEqual(
      usageError(
        'Standard input holds an OIDC token. Put it into DEPLOYMENT_KEY_OIDC_TOKEN instead, or use --oidc-token-file.',
      ),
    );
  });

  it('the token command exchanges an OIDC token from the environment or a file', async () => {
    const options = ['token', '--url', stack.url, '--key-id', trusting.id];
    const subject = await oidcToken();
    const fromVariable = await run(options, { env: { DEPLOYMENT_KEY_OIDC_TOKEN: subject } });
    expect(fromVariable).toMatchObject({ code: 0, stdout: expect.stringMatching(/^dkt_etl_\w+\n$/) });
    writeFileSync(join(folder, 'oidc'), `${await oidcToken()}\n`);
    const fromFile = await run([...options, '--oidc-token-file', join(folder, 'oidc')]);
    expect(fromFile).toMatchObject({ code: 0, stdout: expect.stringMatching(/^dkt_etl_\w+\n$/) });
    const again = await run(options, { env: { DEPLOYMENT_KEY_OIDC_TOKEN: subject } });
    expect(again.code).toBe(3);
    expect(again.stderr).toContain('it was used already');
    expect(again.stderr).not.toContain(subject.slice(-20));
  });

  it('the token command retries the exchange while the service is busy or the connection breaks', async () => {
    proxy.next = [busy(503), 'lost', busy(429, { 'retry-after': '1' })];
    const { code, stdout, stderr } = await run(['token', ...usual.with(1, proxy.url)], { env });
    expect(code).toBe(0);
    expect(stdout).toMatch(/^dkt_etl_\w+\n$/);
    expect(stderr.replaceAll(/127\.0\.0\.1:\d+/g, 'HOST').replaceAll(/\d+\.\d s/g, 'N s')).toBe(
      'HOST answered HTTP 503. Attempt 2 of 5 follows in N s.\n' +
        'Cannot reach HOST: the connection was closed (UND_ERR_SOCKET). Attempt 3 of 5 follows in N s.\n' +
        'HOST answered HTTP 429. Attempt 4 of 5 follows in N s.\n',
    );
  });

  const wrong = mintCredential('secret', 'etl', key.id.slice(-26));
  it.each([
    ['no URL', ['--key-id', key.id], env, 2, /^error: The URL of the service is missing\./],
    [
      'an http URL',
      ['--url', 'http://keys.acme.test', '--key-id', key.id],
      env,
      2,
      /must begin with https:\/\//,
    ],
    [
      'the URL of the token endpoint',
      [...usual.with(1, `${stack.url}/oauth/token`)],
      env,
      2,
      /without \/oauth\/token\.\n/,
    ],
    ['an empty URL', ['--url', '', '--key-id', key.id], env, 2, /^error: --url .* is not a URL\./],
    ['an empty ID', ['--url', stack.url, '--key-id', ''], env, 2, /^error: --key-id .* is empty\./],
    ['no ID', ['--url', stack.url], env, 2, /^error: The ID of the API key is missing\./],
    [
      'a secret as the ID',
      [...usual.with(3, key.secret)],
      env,
      2,
      /--key-id \(or DEPLOYMENT_KEY_ID\) holds a secret\./,
    ],
    ['a truncated ID', [...usual.with(3, key.id.slice(0, -1))], env, 2, /is not a complete ID/],
    ['no secret', usual, {}, 2, /^error: The secret is missing: is DEPLOYMENT_KEY_SECRET set for/],
    [
      'an empty secret',
      usual,
      { DEPLOYMENT_KEY_SECRET: '' },
      2,
      /^error: The secret is missing: is DEPLOYMENT_KEY_SECRET set for/,
    ],
    [
      'a truncated secret',
      usual,
      { DEPLOYMENT_KEY_SECRET: key.secret.slice(0, -3) },
      2,
      /its last part has 46 characters and should have 49/,
    ],
    [
      'a quoted secret',
      usual,
      { DEPLOYMENT_KEY_SECRET: `"${key.secret}"` },
      2,
      /has quotes or white space around/,
    ],
    [
      'the secret of another key',
      usual,
      { DEPLOYMENT_KEY_SECRET: other.secret },
      2,
      new RegExp(`belongs to another API key, ${other.id}, than the ID`),
    ],
    [
      'a wrong secret',
      usual,
      { DEPLOYMENT_KEY_SECRET: wrong },
      3,
      /answered invalid_client: .* The secret is wrong or was rotated/,
    ],
    ['a scope that the key lacks', [...usual, '--scope', 'code:erase'], env, 1, /answered invalid_scope: /],
    [
      'a secret as an option',
      [...usual, `--secret=${key.secret}`],
      env,
      2,
      /unknown option '--secret=dks_etl_…'/,
    ],
  ])(
    'the token command exits with the documented code and explains what to do for %s',
    async (_, options, environment, code, says) => {
      const outcome = await run(['token', ...options], { env: environment });
      expect(outcome).toEqual({ code, stdout: '', stderr: expect.stringMatching(says) });
      expect(outcome.stderr).not.toMatch(/dks_etl_\w{5}/);
    },
  );

  it('the token command reports that the URL leads to another server, to a redirect or to no server', async () => {
    const server = createServer((request, response) =>
      request.url?.startsWith('/r')
        ? response.writeHead(301, { location: 'https://keys.acme.test/' }).end()
        : response.end('<html></html>'),
    ).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as { port: number };
    const at = (url: string) => run(['token', ...usual.with(1, url)], { env });
    const strange = await at(`http://127.0.0.1:${port}`);
    expect(strange).toMatchObject({
      code: 1,
      stderr: `error: 127.0.0.1:${port} answered HTTP 200, not as Deployment API Keys does. Is the URL right? Give the stack's output ApiUrl.\n`,
    });
    expect((await at(`http://127.0.0.1:${port}/r`)).stderr).toContain(
      'redirects to https://keys.acme.test/.',
    );
    server.close();
    await once(server, 'close');
    const nobody = await at(`http://127.0.0.1:${port}`);
    expect(nobody.code).toBe(5);
    expect(nobody.stderr).toMatch(
      /error: Cannot reach 127\.0\.0\.1:\d+: nothing listens at this address \(ECONNREFUSED\)\.\n$/,
    );
  });
});

describe('The exec command runs another command with a token', { timeout: 120_000 }, () => {
  /** Prints the arguments and the environment that the command receives. */
  const script = `console.log(process.env.DEPLOYMENT_TOKEN, process.env.DEPLOYMENT_KEY_SECRET ?? 'no secret')`;
  const node = [process.execPath, '-e'];

  it('the exec command passes the token but not the secret to its command, and revokes the token at the end', async () => {
    const { code, stdout, stderr } = await run(['exec', ...usual, '--', ...node, script], { env });
    expect([code, stderr]).toEqual([0, '']);
    const [token = '', secret] = stdout.trim().split(/ (.*)/);
    expect(token).toMatch(/^dkt_etl_/);
    expect(secret).toBe('no secret');
    expect(await stack.use(token)).toBe(401);
  });

  it('the exec command passes a valid token to its command, even for a key without a secret', async () => {
    const use = `fetch('${stack.url}/whoami', { headers: { authorization: 'Bearer ' + process.env.T } }).then((it) => it.text()).then(console.log)`;
    const options = ['exec', '--url', stack.url, '--key-id', trusting.id, '--env', 'T', '--', ...node, use];
    const { code, stdout, stderr } = await run(options, {
      env: { DEPLOYMENT_KEY_OIDC_TOKEN: await oidcToken() },
    });
    expect([code, stderr]).toEqual([0, '']);
    expect(JSON.parse(stdout)).toMatchObject({ principalId: trusting.id, deploymentId: 'etl' });
  });

  it.each([
    ['the exit code of the command', ['process.exit(42)'], 42],
    ['128 and the signal that ended the command', ["process.kill(process.pid, 'SIGKILL')"], 137],
  ])('the exec command exits with %s', async (_, scripts, code) => {
    expect(await run(['exec', ...usual, '--', ...node, ...scripts], { env })).toMatchObject({
      code,
      stderr: '',
    });
  });

  it('the exec command exits with 127 for a command that does not exist, and still revokes the token', async () => {
    const outcome = await run(['exec', ...usual.with(1, proxy.url), '--', 'no-such-command'], { env });
    expect(outcome).toEqual({
      code: 127,
      stdout: '',
      stderr: 'error: There is no command "no-such-command".\n',
    });
    expect(proxy.bodies.at(-1)).toMatch(/&token=dkt_/);
  });

  it('the exec command forwards a signal, waits for its command to end, and revokes the token', async () => {
    const waits = `process.on('SIGTERM', () => process.exit(7)); console.log(process.env.DEPLOYMENT_TOKEN); setInterval(() => {}, 1000)`;
    const { code, stdout } = await run(['exec', ...usual, '--', ...node, waits], {
      env,
      onStart: (child) => child.stdout?.once('data', () => child.kill('SIGTERM')),
    });
    expect(code).toBe(7);
    expect(await stack.use(stdout.trim())).toBe(401);
  });

  it('the exec command keeps the token if --no-revoke is set, and otherwise warns if the revocation fails', async () => {
    const kept = await run(['exec', ...usual, '--no-revoke', '--', ...node, script], { env });
    expect(await stack.use(kept.stdout.split(' ')[0] ?? '')).toBe(200);
    proxy.next = ['forward', busy(403)];
    const { code, stderr } = await run(
      ['exec', ...usual.with(1, proxy.url), '--', ...node, `console.log('done')`],
      { env },
    );
    expect(code).toBe(0);
    expect(stderr).toMatch(
      /^warning: The access token is not revoked\. It expires at \S+ or 24 hours after its last use\. \S+ answered HTTP 403: /,
    );
  });

  it('the exec command does not run its command if the service rejects the exchange', async () => {
    const { code, stdout } = await run(['exec', ...usual, '--', ...node, script], {
      env: { DEPLOYMENT_KEY_SECRET: mintCredential('secret', 'etl', key.id.slice(-26)) },
    });
    expect([code, stdout]).toEqual([3, '']);
  });
});
