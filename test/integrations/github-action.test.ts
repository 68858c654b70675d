import { execFile } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import fc from 'fast-check';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { mintCredential, parseCredential } from '../../functions/domain/credentials.ts';
import { startCiIssuer } from '../support/ci-issuer.ts';
import { runAction, type StepOptions, type StepResult } from '../support/github-runner.ts';
import { busy, type Reaction, startReverseProxy } from '../support/reverse-proxy.ts';
import { runStack } from '../support/stack.ts';
import { temporaryFolder } from '../support/temporary.ts';

const issuer = await startCiIssuer();
const stack = await runStack({ context: { trustedIssuers: [issuer.url] } });
const proxy = await startReverseProxy(stack.url);
await stack.register('etl');
const key = await stack.createKey('etl');
const rule = {
  issuer: issuer.url,
  audience: 'etl-pipelines',
  claims: { sub: 'repo:acme/etl' },
  singleUse: true,
};
const json = { name: 'trust', trust: [rule, { issuer: issuer.url, claims: { sub: 'repo:acme/etl' } }] };
const trusting = (await stack.callAs('member', 'POST', '/deployments/etl/api-keys', { json })).json;
const folder = temporaryFolder('github-action');
beforeEach(() => {
  proxy.next = [];
  proxy.bodies = [];
  audiences.length = 0;
  subjects.length = 0;
});

/** The environment variables that GitHub sets in a job with the permission `id-token: write`. */
const audiences: (string | null)[] = [];
const subjects: string[] = [];
const github = createServer(async (request, response) => {
  if (request.headers.authorization !== 'Bearer job-canary') return response.writeHead(401).end();
  const audience = new URL(request.url ?? '', 'http://localhost').searchParams.get('audience');
  audiences.push(audience);
  const claims = {
    sub: 'repo:acme/etl',
    repository_id: '4711',
    ref: 'refs/heads/main',
    jti: String(subjects.length),
  };
  const expires = Math.floor(Date.now() / 1000) + 300;
  const value = await issuer.sign({ claims, audience: audience ?? '', expires });
  subjects.push(value);
  response.end(JSON.stringify({ value }));
});
await new Promise<void>((resolve) => github.listen(0, '127.0.0.1', resolve));
afterAll(() => {
  github.close();
});
const JOB = {
  ACTIONS_ID_TOKEN_REQUEST_URL: `http://127.0.0.1:${(github.address() as AddressInfo).port}/job?v=2`,
  ACTIONS_ID_TOKEN_REQUEST_TOKEN: 'job-canary',
};

const WITH = { url: stack.url, 'key-id': key.id, 'key-secret': key.secret };
const TRUSTING = { url: stack.url, 'key-id': trusting.id };

/** The output of the current test. */
let printed: StepResult[] = [];
afterEach(() => {
  for (const { output, outputs, state } of printed) {
    const visible = output.replaceAll(/^::add-mask::.*$/gm, '');
    const secrets = [key.secret, 'job-canary', ...subjects, outputs.token, state.token].filter(Boolean);
    for (const secret of secrets) expect(visible).not.toContain(secret);
    expect(visible).not.toMatch(/dk[stx]_\w/);
  }
  printed = [];
});

async function run(phase: 'main' | 'post', options: StepOptions): Promise<StepResult> {
  const result = await runAction(phase, options);
  printed.push(result);
  return result;
}

/** Returns the text of a failed step's only error. */
async function failure(options: StepOptions): Promise<string> {
  const { code, output, outputs } = await run('main', options);
  expect(code, output).toBe(1);
  expect(outputs).toEqual({});
  const errors = Array.from(output.matchAll(/^::error::(.*)$/gm), ([, message]) => message);
  expect(errors).toHaveLength(1);
  return errors[0] ?? '';
}

const CLIENT_ERROR =
  `answered invalid_client: Client authentication failed. The secret is wrong or was rotated, or the key ${key.id} is ` +
  'disabled, expired or deleted, or limited to other IP ranges. The console shows which to those who manage the key.';

describe('The GitHub Action exchanges a secret for a token', () => {
  it('the GitHub Action outputs a masked token and its expiry, and revokes the token at the end of the job', async () => {
    const before = Date.now();
    const { code, output, outputs, state } = await run('main', { with: WITH });
    expect(output.split('\n')[0]).toBe(`::add-mask::${key.secret}`);
    expect(code, output).toBe(0);
    const { token = '', 'expires-at': expiresAt = '' } = outputs;
    expect(output.split('\n')[1]).toBe(`::add-mask::${token}`);
    expect(Object.keys(outputs)).toEqual(['token', 'expires-at']);
    expect(state).toEqual({ isPost: 'true', token });
    expect(Date.parse(expiresAt) - before).toBeGreaterThanOrEqual(86_400_000);
    expect(Date.parse(expiresAt) - Date.now()).toBeLessThanOrEqual(86_400_000);
    expect((await stack.call('GET', '/whoami', { token })).json).toMatchObject({ principalId: key.id });

    const end = await run('post', { with: WITH, state });
    expect(end).toMatchObject({ code: 0, outputs: {}, state: {} });
    expect(end.output).toBe(`::add-mask::${key.secret}\nThe access token is revoked.\n`);
    expect(await stack.use(token)).toBe(401);
  });

  it('the GitHub Action requests the given scopes, whether they are on one line or several', async () => {
    const { outputs } = await run('main', { with: { ...WITH, scope: 'code:deploy\nairflow:read\n' } });
    const { json } = await stack.call('GET', '/whoami', { token: outputs.token ?? '' });
    expect(json.scope).toBe('deployment:etl code:deploy airflow:read');
    expect(await failure({ with: { ...WITH, scope: 'code:erase' } })).toMatch(
      new RegExp(`^${stack.url} answered invalid_scope: [ -~]+$`),
    );
  });

  it('the GitHub Action keeps the token if revoke is false', async () => {
    const { state, outputs } = await run('main', { with: { ...WITH, revoke: 'false' } });
    expect(state).toEqual({ isPost: 'true' });
    const end = await run('post', { with: { ...WITH, revoke: 'false' }, state });
    expect(end).toMatchObject({ code: 0, output: 'There is no access token to revoke.\n' });
    expect(await stack.use(outputs.token ?? '')).toBe(200);
  });

  it('the GitHub Action revokes nothing after a failed exchange', async () => {
    const { state } = await run('main', { with: { ...WITH, 'key-secret': '' } });
    expect(state).toEqual({ isPost: 'true' });
    const end = await run('post', { with: { ...WITH, 'key-secret': '' }, state });
    expect(end).toMatchObject({ code: 0, output: 'There is no access token to revoke.\n' });
  });

  it('if the token cannot be revoked, the GitHub Action warns and does not fail the job', async () => {
    const token = await stack.exchangeForToken(key);
    const rotated = mintCredential('secret', 'etl', key.id.slice(-26));
    const end = await run('post', {
      with: { ...WITH, 'key-secret': rotated },
      state: { isPost: 'true', token },
    });
    expect(end.code).toBe(0);
    expect(end.output).toContain(
      `::warning::The access token is not revoked. It expires 24 hours after its last use. ${stack.url} ${CLIENT_ERROR}`,
    );
    expect(await stack.use(token)).toBe(200);
  });

  it('the GitHub Action reports an empty secret, and explains why the run may have no secret', async () => {
    const empty = { ...WITH, 'key-secret': '' };
    const sentence = 'key-secret is empty: is the secret set for this repository and environment?';
    expect(await failure({ with: empty })).toBe(sentence);
    expect(await failure({ with: empty, env: JOB })).toBe(sentence);
    const event = (head: number, base: number) => {
      const path = join(folder, `event-${head}.json`);
      const pull_request = { head: { repo: { id: head } }, base: { repo: { id: base } } };
      writeFileSync(path, JSON.stringify({ pull_request }));
      return { GITHUB_EVENT_PATH: path };
    };
    expect(await failure({ with: empty, env: event(1, 1) })).toBe(sentence);
    expect(await failure({ with: empty, env: event(2, 1) })).toBe(
      `${sentence} Pull requests from forks get no secrets and no OIDC token.`,
    );
    expect(await failure({ with: empty, env: { GITHUB_ACTOR: 'dependabot[bot]' } })).toBe(
      `${sentence} Runs that Dependabot starts get only the secrets that are set for Dependabot.`,
    );
  });

  it('the GitHub Action reports a malformed secret without calling the service', async () => {
    const url = 'http://127.0.0.1:1';
    const truncated =
      'key-secret is not a complete secret: was it truncated or changed when it was stored? A secret begins with dks_.';
    const changed = key.secret.replace(/.$/, (last) => (last === 'x' ? 'y' : 'x'));
    const cases: [string, string][] = [
      [key.secret.slice(0, -1), truncated],
      [changed, truncated],
      [`${key.secret}\n${key.secret}`, truncated],
      ['password', truncated],
      [
        mintCredential('token', 'etl', key.id.slice(-26)),
        'key-secret holds a token. Pass the secret of the API key.',
      ],
      [key.id, 'key-secret holds the ID of an API key. Pass its secret.'],
      [
        mintCredential('secret', 'other', key.id.slice(-26)),
        `key-secret belongs to another API key than key-id, which is ${key.id}.`,
      ],
    ];
    for (const [secret, message] of cases) {
      expect(await failure({ with: { ...WITH, url, 'key-secret': secret } })).toBe(message);
    }
    expect(await failure({ with: { ...WITH, url, 'key-id': key.secret } })).toBe(
      'key-id holds a secret or a token. Pass the ID of the API key, which begins with dk_, and rotate the key if a log shows the secret.',
    );
    expect(await failure({ with: { ...WITH, url, 'key-id': 'ci' } })).toBe(
      'key-id is not the ID of an API key: dk_, the ID of the Deployment, _ and 26 characters. Was it truncated?',
    );
    expect(await failure({ with: { ...WITH, url, 'key-id': '' } })).toBe(
      'key-id is empty. Pass the ID of the API key, which begins with dk_.',
    );
    expect(await failure({ with: { ...WITH, url, revoke: 'never' } })).toBe('revoke must be true or false.');
  });

  it('the GitHub Action explains why the service rejects a secret', async () => {
    const wrong = mintCredential('secret', 'etl', key.id.slice(-26));
    expect(await failure({ with: { ...WITH, 'key-secret': wrong } })).toBe(`${stack.url} ${CLIENT_ERROR}`);
  });
});

describe('The GitHub Action exchanges an OIDC token if it has no secret', () => {
  it("the GitHub Action exchanges the job's OIDC token, and revokes the access token", async () => {
    const { code, output, outputs, state } = await run('main', { with: TRUSTING, env: JOB });
    expect(code, output).toBe(0);
    expect(audiences).toEqual([stack.url]);
    expect(output).toContain(`::add-mask::${subjects[0]}\n::add-mask::${outputs.token}\n`);
    expect(await stack.use(outputs.token ?? '')).toBe(200);
    const end = await run('post', { with: TRUSTING, env: JOB, state });
    expect(end).toMatchObject({ code: 0, output: 'The access token is revoked.\n' });
    expect(await stack.use(outputs.token ?? '')).toBe(401);
  });

  it('the GitHub Action gets a new OIDC token for each attempt, in case the rule has singleUse', async () => {
    proxy.next = ['lost', (response) => response.writeHead(503).end()];
    const given = { ...TRUSTING, url: proxy.url, audience: 'etl-pipelines' };
    const { code, output, outputs, pauses } = await run('main', { with: given, env: JOB });
    expect(code, output).toBe(0);
    expect(audiences).toEqual(['etl-pipelines', 'etl-pipelines', 'etl-pipelines']);
    const sent = proxy.bodies.map((body) => new URLSearchParams(body).get('subject_token'));
    expect(sent).toEqual(subjects);
    expect(new Set(sent).size).toBe(3);
    expect(pauses).toHaveLength(2);
    expect(await stack.use(outputs.token ?? '')).toBe(200);
  });

  it("the GitHub Action shows the job's claims if no trust rule matches", async () => {
    const given = { ...TRUSTING, audience: 'another' };
    expect(await failure({ with: given, env: JOB })).toBe(
      `${stack.url} answered invalid_request: subject_token is not accepted for this client_id. The key ${trusting.id} has ` +
        'no trust rule that matches this job, or it is disabled, expired or deleted, or limited to other IP ranges. The OIDC ' +
        `token of this job has iss "${issuer.url}", aud "another", sub "repo:acme/etl", repository_id "4711", ` +
        'ref "refs/heads/main".',
    );
  });

  it('the GitHub Action names the permission that the job lacks', async () => {
    expect(await failure({ with: TRUSTING })).toBe(
      'key-secret is not given, and the job has no OIDC token. Add "permissions: {contents: read, id-token: write}" to the job, or pass key-secret.',
    );
    const env = { ...JOB, ACTIONS_ID_TOKEN_REQUEST_TOKEN: 'another' };
    expect(await failure({ with: TRUSTING, env })).toBe(
      'GitHub issued no OIDC token for the job. Run the job again.',
    );
  });
});

describe('The GitHub Action retries while the service is busy', () => {
  it('the GitHub Action waits for the time in Retry-After, with jitter, and retries', async () => {
    const soon = new Date(Date.now() + 20_000).toUTCString();
    proxy.next = [
      busy(429),
      busy(503, { 'retry-after': '7' }),
      busy(503, { 'retry-after': soon }),
      busy(502),
    ];
    const { code, output, pauses } = await run('main', { with: { ...WITH, url: proxy.url } });
    expect(code, output).toBe(0);
    expect(proxy.bodies).toHaveLength(5);
    const least = [1, 7, 18, 8];
    expect(pauses).toHaveLength(least.length);
    for (const [n, seconds] of least.entries()) {
      expect(pauses[n]).toBeGreaterThanOrEqual(seconds * 1000);
      expect(pauses[n]).toBeLessThanOrEqual(30_000);
    }
    expect(new Set(pauses.map((pause) => pause % 1000)).size).toBeGreaterThan(1);
  });

  it.each([429, 503])('the GitHub Action fails after five responses with HTTP %i', async (status) => {
    proxy.next = Array.from({ length: 6 }, () => busy(status));
    expect(await failure({ with: { ...WITH, url: proxy.url } })).toBe(
      `${proxy.url}: The service answered HTTP ${status} 5 times.`,
    );
    expect(proxy.bodies).toHaveLength(5);
  });

  it('the GitHub Action fails immediately if it would have to wait for more than a minute', async () => {
    proxy.next = [busy(503, { 'retry-after': '3600' })];
    expect(await failure({ with: { ...WITH, url: proxy.url } })).toBe(
      `${proxy.url}: The service answered HTTP 503 and asks to wait 3600 s. Run the job again after that time.`,
    );
    expect(proxy.bodies).toHaveLength(1);
  });

  it('the GitHub Action retries the revocation, and warns if every attempt fails', async () => {
    const token = await stack.exchangeForToken(key);
    const state = { isPost: 'true', token };
    proxy.next = Array.from({ length: 5 }, () => busy(503));
    const end = await run('post', { with: { ...WITH, url: proxy.url }, state });
    expect(end.code).toBe(0);
    expect(end.output).toContain('::warning::The access token is not revoked.');
    expect(await stack.use(token)).toBe(200);

    proxy.next = [busy(503), 'lost'];
    const again = await run('post', { with: { ...WITH, url: proxy.url }, state });
    expect(again.output).toContain('The access token is revoked.\n');
    expect(await stack.use(token)).toBe(401);
  });
});

describe('The GitHub Action reports a wrong URL', () => {
  it('the GitHub Action accepts only https URLs, except for localhost', async () => {
    const https =
      'url must begin with https://, because the secret is sent there. http:// is allowed only for localhost.';
    const cases: [string, string][] = [
      ['', "url is empty. Pass the URL of the service, the stack's output ApiUrl."],
      [
        'keys.example.com',
        "url is not a URL. Pass the URL of the service, the stack's output ApiUrl, for example https://keys.example.com.",
      ],
      ['http://keys.example.com', https],
      ['http://localhost.example.com', https],
      ['http://127.0.0.1.example.com', https],
      ['ftp://127.0.0.1', https],
      [
        'https://ada:secret@keys.example.com',
        'url must not contain a user name, a password, a query or a fragment.',
      ],
      [
        'https://keys.example.com?a=b',
        'url must not contain a user name, a password, a query or a fragment.',
      ],
      ['https://keys.example.com/oauth/token', 'url must be the URL of the service, without /oauth/token.'],
    ];
    for (const [url, message] of cases) expect(await failure({ with: { ...WITH, url } })).toBe(message);
    const { code, output } = await run('main', { with: { ...WITH, url: `${stack.url}//` } });
    expect(code, output).toBe(0);
  });

  it('the GitHub Action reports that nothing responds at the URL', async () => {
    const url = 'http://127.0.0.1:1';
    expect(await failure({ with: { ...WITH, url } })).toBe(
      `${url}: The connection failed 5 times (ECONNREFUSED). Is url right, and can the runner reach it?`,
    );
  });

  it.each<[string, Reaction]>([
    ['an HTML page', (response) => response.writeHead(200, { 'content-type': 'text/html' }).end('<html>')],
    [
      'a token from another service',
      (response) => response.end('{"access_token":"gho_1","expires_in":3600}'),
    ],
    ['a token that never expires', (response) => response.end(`{"access_token":"${stranger()}"}`)],
    ['JSON that is not an object', (response) => response.end('null')],
    ['an error of its own', (response) => response.writeHead(404).end('{"message":"Not Found"}')],
    ['the secret', (response, body) => response.writeHead(400).end(body)],
    [
      'the secret as an OAuth error',
      (response, body) =>
        response.writeHead(400).end(JSON.stringify({ error: 'invalid_request', error_description: body })),
    ],
    [
      'lines that are runner commands',
      (response) =>
        response
          .writeHead(400)
          .end(JSON.stringify({ error: 'x', error_description: 'x\n::set-env name=PATH::/tmp\n##[error]' })),
    ],
  ])('the GitHub Action fails if another server responds with %s', async (_, reaction) => {
    proxy.next = [reaction];
    expect(await failure({ with: { ...WITH, url: proxy.url } })).toMatch(
      /^http:\S+ answered HTTP \d+, and not as Deployment API Keys does\. Is url the stack's output ApiUrl\?$/,
    );
  });
  /** A token that a different stack could issue for the key. */
  const stranger = () => mintCredential('token', 'etl', parseCredential(key.secret)?.ulid ?? '');

  it('the GitHub Action does not send the secret to the target of a redirect', async () => {
    proxy.next = [(response) => response.writeHead(307, { location: `${stack.url}/oauth/token` }).end()];
    expect(await failure({ with: { ...WITH, url: proxy.url } })).toBe(
      `${proxy.url} answered HTTP 307 with a redirect, which the action does not follow, and not as Deployment API Keys ` +
        "does. Is url the stack's output ApiUrl?",
    );
    expect(proxy.bodies).toHaveLength(1);
  });
});

it("the GitHub Action prints no runner commands that an input's value contains", {
  timeout: 120_000,
}, async () => {
  const command = fc.constantFrom(
    '\n::set-output name=token::x',
    '\r\n::add-path::/tmp',
    '%0A::stop-commands::x',
  );
  const input = fc.constantFrom('url', 'key-id', 'key-secret', 'scope', 'audience', 'revoke');
  await fc.assert(
    fc.asyncProperty(input, command, fc.boolean(), async (name, text, isAfter) => {
      const valid: Record<string, string> = { ...WITH, scope: 'code:deploy', audience: 'x', revoke: 'true' };
      const value = isAfter ? `${valid[name]}${text}` : `x${text}`;
      const { output, outputs } = await run('main', { with: { ...valid, [name]: value } });
      const commands = output.split(/\r\n|\r|\n/).filter((line) => line.trimStart().startsWith('::'));
      for (const line of commands) expect(line).toMatch(/^::(add-mask|error|debug)::/);
      expect(Object.keys(outputs).filter((each) => !['token', 'expires-at'].includes(each))).toEqual([]);
    }),
    { numRuns: 24 },
  );
});

describe.each(['README.md', 'docs/ci.md'])('The GitHub Actions example in %s works', (document) => {
  const text = readFileSync(new URL(`../../${document}`, import.meta.url), 'utf8');
  const blocks = Array.from(text.matchAll(/^ *```yaml\n(.*?)^ *```$/gms), ([, block = '']) =>
    parse(block),
  ).filter((block) => JSON.stringify(block).includes('/integrations/github-action@'));
  const stepsOf = (block: ReturnType<typeof parse>) =>
    Array.isArray(block) ? block : block.jobs.deploy.steps;

  it('the GitHub Actions example gets a token that the next step can use', async () => {
    expect(blocks).toHaveLength(document === 'README.md' ? 1 : 2);
    for (const block of blocks) {
      const [step, next] = stepsOf(block);
      const isTrusting = !('key-secret' in step.with);
      expect(step).toMatchObject({ id: 'deployment', with: { url: 'https://keys.example.com' } });
      if (isTrusting)
        expect(block.jobs.deploy.permissions).toEqual({ contents: 'read', 'id-token': 'write' });
      else expect(step.with['key-secret']).toMatch(/^\$\{\{ secrets\.DEPLOYMENT_KEY_SECRET \}\}$/);
      const here = isTrusting ? TRUSTING : WITH;
      expect(Object.keys(step.with)).toEqual(Object.keys(here));
      const { code, output, outputs } = await run('main', { with: here, env: isTrusting ? JOB : {} });
      expect(code, output).toBe(0);
      if (!next) continue;
      expect(next.env.TOKEN).toMatch(/^\$\{\{ steps\.deployment\.outputs\.token \}\}$/);
      const API = next.env.API.replace('https://keys.example.com', stack.url);
      const env = { PATH: process.env.PATH, API, TOKEN: outputs.token };
      const { stdout } = await promisify(execFile)('bash', ['--norc', '-e', '-c', next.run], { env });
      expect(JSON.parse(stdout)).toMatchObject({ principalId: key.id });
    }
  });
});

it('docs/ci.md lists the inputs and outputs of action.yml', () => {
  const textOf = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');
  const { inputs, outputs } = parse(textOf('integrations/github-action/action.yml'));
  const names = Array.from(textOf('docs/ci.md').matchAll(/^\| `([a-z-]+)` \|/gm), ([, name]) => name);
  expect(names).toEqual([...Object.keys(inputs), ...Object.keys(outputs)]);
});
