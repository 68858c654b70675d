import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { mintCredential } from '../../functions/domain/credentials.ts';
import { startCiIssuer } from '../support/ci-issuer.ts';
import {
  type Inputs,
  includeComponent,
  type JobOptions,
  type JobResult,
  runJob,
} from '../support/gitlab-runner.ts';
import { busy, type Reaction, startReverseProxy } from '../support/reverse-proxy.ts';
import { runStack } from '../support/stack.ts';
import { temporaryFolder } from '../support/temporary.ts';

const issuer = await startCiIssuer();
const stack = await runStack({ context: { trustedIssuers: [issuer.url] } });
const proxy = await startReverseProxy(stack.url);
await stack.register('etl_1');
const key = await stack.createKey('etl_1');
const json = { name: 'trust', trust: [{ issuer: issuer.url, claims: { sub: 'project_path:acme/etl' } }] };
const trusting = (await stack.callAs('member', 'POST', '/deployments/etl_1/api-keys', { json })).json;
const subject = await issuer.sign({
  claims: { sub: 'project_path:acme/etl' },
  audience: stack.url,
  expires: Math.floor(Date.now() / 1000) + 3600,
});

const folder = temporaryFolder('gitlab-component');
const log = join(folder, 'calls');
/** Programs that record their arguments. `sleep` does nothing else. */
function programs(name: string, shell: string, links: Record<string, string> = {}): string {
  const place = join(folder, name);
  mkdirSync(place);
  const stubs = { curl: '/usr/bin/curl', sleep: ':' };
  for (const [program, command] of Object.entries(stubs)) {
    const text = `#!${shell}\necho ${program} "$@" >>${log}\n${command} "$@"\n`;
    writeFileSync(join(place, program), text, { mode: 0o755 });
  }
  for (const [program, target] of Object.entries(links)) {
    if (!(program in stubs)) symlinkSync(target, join(place, program));
  }
  return place;
}
const hasBusybox = spawnSync('/usr/bin/busybox', ['true']).status === 0;
const debian = `${programs('debian', '/bin/sh')}:/usr/bin:/bin`;
/** As on Alpine, BusyBox provides all programs. */
function alpine(): string {
  const applets = execFileSync('/usr/bin/busybox', ['--list'], { encoding: 'utf8' })
    .split('\n')
    .filter(Boolean);
  return programs('alpine', '/bin/sh', Object.fromEntries(applets.map((name) => [name, '/usr/bin/busybox'])));
}
const SHELLS: [string, Pick<JobOptions, 'shell' | 'path'>][] = [
  ['bash', { shell: ['bash', '--norc'], path: debian }],
  ['sh, which is dash', { shell: ['dash'], path: debian }],
  ...(hasBusybox
    ? [
        ['sh of BusyBox', { shell: ['/usr/bin/busybox', 'sh'], path: alpine() }] as [
          string,
          Pick<JobOptions, 'shell' | 'path'>,
        ],
      ]
    : []),
];
it.runIf(!hasBusybox)('BusyBox is not installed: the GitLab component was not tested in its shell', () => {
  expect(process.env.CI, '.ci/run installs it').toBeUndefined();
});

const INPUTS = { url: stack.url, 'key-id': key.id, 'secret-variable': 'MY_SECRET' };
const SECRET = { MY_SECRET: key.secret };
const TRUSTING = { url: stack.url, 'key-id': trusting.id };
const OIDC = { DEPLOYMENT_ID_TOKEN: subject };
/** Stores the token in a file that the test knows, and prints the token's expiry. */
const SCRIPT = `printf %s "$DEPLOYMENT_TOKEN" >${join(folder, 'token')}; sh -c 'echo "expires $DEPLOYMENT_TOKEN_EXPIRES_AT"'`;
const token = () => readFileSync(join(folder, 'token'), 'utf8');
/** This file exists only if a shell has evaluated a variable's value as code. */
const evaluated = join(folder, 'evaluated');
const USED = `[ "$(printf 'Authorization: Bearer %s' "$DEPLOYMENT_TOKEN" | curl -s -o /dev/null -w '%{http_code}' -H @- ${stack.url}/whoami)" = 200 ]`;

let results: JobResult[] = [];
beforeEach(() => {
  proxy.next = [];
  proxy.bodies = [];
  writeFileSync(log, '');
  writeFileSync(join(folder, 'token'), '');
});
afterEach(() => {
  for (const text of [readFileSync(log, 'utf8'), ...results.map(({ output }) => output)]) {
    for (const secret of [key.secret, subject, token()].filter(Boolean)) expect(text).not.toContain(secret);
    expect(text).not.toMatch(/dk[stx]_\w*[0-9A-Za-z]{49}/);
  }
  for (const { left } of results) expect(left).toEqual([]);
  results = [];
});

describe.each(SHELLS)('The GitLab component works in %s', { timeout: 60_000 }, (_, shell) => {
  async function run(inputs: Inputs, variables: Record<string, string>, more: Partial<JobOptions> = {}) {
    const result = await runJob({ ...shell, inputs, variables, script: SCRIPT, ...more });
    results.push(result);
    return result;
  }
  /** Returns the error message of the failed job, on one line. */
  async function failure(inputs: Inputs, variables: Record<string, string>): Promise<string> {
    const { code, output } = await run(inputs, variables);
    expect(code, output).toBe(1);
    const said = Array.from(output.matchAll(/^Deployment API Keys: (.*)$/gm), ([, text]) => text);
    expect(said).toHaveLength(1);
    return said[0] ?? '';
  }

  it("the GitLab component exchanges the secret for the job's token, and revokes the token afterwards", async () => {
    const script = `${USED}\n${SCRIPT}`;
    const { code, output, afterwards } = await run({ ...INPUTS, scope: 'code:deploy airflow:read' }, SECRET, {
      script,
    });
    expect(code, output).toBe(0);
    const [, time = ''] = /^expires (20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ)$/m.exec(output) ?? [];
    expect(Math.abs(Date.parse(time) - Date.now() - 86_400_000)).toBeLessThan(30_000);
    expect(output).toContain(`The access token of ${key.id} expires at ${time} unless it is used.\n`);
    expect(afterwards).toContain('The access token is revoked.\n');
    expect(token()).toMatch(/^dkt_etl_1_/);
    expect(await stack.use(token())).toBe(401);
  });

  it("the GitLab component exchanges the job's OIDC token, and revokes the access token", async () => {
    const { code, output, afterwards } = await run(TRUSTING, OIDC, { script: `${USED}\n${SCRIPT}` });
    expect(code, output).toBe(0);
    expect(afterwards).toContain('The access token is revoked.\n');
    expect(await stack.use(token())).toBe(401);
  });

  it.each([
    ['DEPLOYMENT_KEYS_URL', proxy.url],
    ['DEPLOYMENT_KEY_ID', `dk_etl_1_${'0'.repeat(26)}`],
    ['DEPLOYMENT_SECRET_VARIABLE', `x}$(touch ${evaluated})`],
    ['DEPLOYMENT_SCOPE', 'code:erase'],
    ['DEPLOYMENT_REVOKE', 'false'],
  ])(
    'the GitLab component uses its inputs, and sends nothing elsewhere, if a pipeline variable sets %s',
    async (name, value) => {
      for (const [inputs, variables] of [
        [INPUTS, SECRET],
        [TRUSTING, OIDC],
      ] as const) {
        const script = `${USED}\n${SCRIPT}`;
        const { code, output, afterwards } = await run(inputs, { ...variables, [name]: value }, { script });
        expect(proxy.bodies).toEqual([]);
        expect(existsSync(evaluated)).toBe(false);
        expect(code, output).toBe(0);
        expect(afterwards).toContain('The access token is revoked.\n');
      }
    },
  );

  it('the GitLab component revokes the token of a job that failed', async () => {
    const { code, afterwards } = await run(INPUTS, SECRET, { script: `${SCRIPT}\nfalse\necho no` });
    expect(code).toBe(1);
    expect(afterwards).toContain('The access token is revoked.\n');
    expect(await stack.use(token())).toBe(401);
  });

  it('the GitLab component keeps the token if revoke is false', async () => {
    const { afterwards } = await run({ ...INPUTS, revoke: false }, SECRET);
    expect(afterwards).toContain('There is no access token to revoke.\n');
    expect(await stack.use(token())).toBe(200);
  });

  it('the GitLab component does not print the token if CI_DEBUG_TRACE is set', async () => {
    const { code } = await run(INPUTS, SECRET, { isTraced: true });
    expect(code).toBe(0);
    expect(token()).toMatch(/^dkt_etl_1_/);
  });

  it('the GitLab component retries while the service is busy, and waits for the time in Retry-After', async () => {
    proxy.next = [busy(429), busy(503, { 'retry-after': '7' }), (response) => response.destroy(), busy(502)];
    const { code, output } = await run({ ...INPUTS, url: proxy.url }, SECRET);
    expect(code, output).toBe(0);
    const pauses = Array.from(readFileSync(log, 'utf8').matchAll(/^sleep (\d+)$/gm), ([, pause]) =>
      Number(pause),
    );
    expect(pauses).toHaveLength(4);
    for (const [n, least] of [1, 7, 4, 8].entries()) {
      expect(pauses[n]).toBeGreaterThanOrEqual(least);
      expect(pauses[n]).toBeLessThanOrEqual(least * 1.5 + 1);
    }
  });

  it('the GitLab component fails after five responses with HTTP 429 or 503, or if it would have to wait for over a minute', async () => {
    for (const status of [429, 503]) {
      proxy.next = Array.from({ length: 5 }, () => busy(status));
      expect(await failure({ ...INPUTS, url: proxy.url }, SECRET)).toBe(
        `${proxy.url}: The service answered HTTP ${status} 5 times.`,
      );
    }
    proxy.next = [busy(503, { 'retry-after': '3600' })];
    expect(await failure({ ...INPUTS, url: proxy.url }, SECRET)).toBe(
      `${proxy.url}: The service answered HTTP 503 and asks to wait 3600 s. Run the job again after that time.`,
    );
    expect(await failure({ ...INPUTS, url: 'http://127.0.0.1:1' }, SECRET)).toBe(
      'http://127.0.0.1:1: The connection failed 5 times.',
    );
  });

  it('the GitLab component warns if the token cannot be revoked', async () => {
    proxy.next = [forwarded, busy(400), busy(200)];
    const { code, afterwards } = await run({ ...INPUTS, url: proxy.url }, SECRET);
    expect(code).toBe(0);
    expect(afterwards).toContain(
      'The access token is not revoked. It expires 24 hours after its last use.\n',
    );
  });
  /** A token that no stack has issued. */
  const forwarded: Reaction = (response) =>
    response.end(
      JSON.stringify({
        access_token: mintCredential('token', 'etl_1', key.id.slice(-26)),
        expires_in: 86_400,
      }),
    );

  it('the GitLab component reports what is wrong with the secret', async () => {
    const incomplete =
      `MY_SECRET is not the complete secret of ${key.id}: was it truncated, changed or taken from another API key? ` +
      `It begins with dks_${key.id.slice(3)}_ and 49 characters follow.`;
    const cases: [string, string][] = [
      [
        '',
        'MY_SECRET is empty: is the variable set for this project and environment? A protected variable is set only on protected branches and tags.',
      ],
      [key.id, 'MY_SECRET holds the ID of an API key. Store its secret.'],
      ['dkt_x', 'MY_SECRET holds a token. Store the secret of the API key.'],
      [key.secret.slice(0, -1), incomplete],
      [`${key.secret}\nurl = "http://127.0.0.1:1"`, incomplete],
      [`${key.secret}" `, incomplete],
      [mintCredential('secret', 'other', key.id.slice(-26)), incomplete],
    ];
    for (const [secret, message] of cases) expect(await failure(INPUTS, { MY_SECRET: secret })).toBe(message);
    expect(readFileSync(log, 'utf8')).toBe('');
  });

  it('the GitLab component explains why the service rejects a call', async () => {
    const wrong = mintCredential('secret', 'etl_1', key.id.slice(-26));
    expect(await failure(INPUTS, { MY_SECRET: wrong })).toBe(
      `${stack.url} answered invalid_client: Client authentication failed. The secret is wrong or was rotated, or the key ${key.id} ` +
        'is disabled, expired or deleted, or limited to other IP ranges. The console shows which to those who manage the key.',
    );
    expect(await failure({ ...INPUTS, scope: 'code:erase' }, SECRET)).toContain('answered invalid_scope: ');
    const variables = {
      CI_SERVER_URL: 'https://gitlab.example.com',
      CI_PROJECT_ID: '7',
      CI_PROJECT_NAMESPACE_ID: '3',
    };
    const forged = `${subject.slice(0, subject.lastIndexOf('.'))}.x`;
    expect(await failure(TRUSTING, { DEPLOYMENT_ID_TOKEN: forged, ...variables })).toBe(
      `${stack.url} answered invalid_request: subject_token is not accepted for this client_id. The key ${trusting.id} has no ` +
        'trust rule that matches this job, or it is disabled, expired or deleted, or limited to other IP ranges. The OIDC token of ' +
        `this job has iss https://gitlab.example.com, aud ${stack.url}, project_id 7, namespace_id 3.`,
    );
    expect(await failure(TRUSTING, {})).toBe(
      'The job has no OIDC token in DEPLOYMENT_ID_TOKEN. Extend the job of the component, or set secret-variable.',
    );
  });

  it.each<[string, Reaction]>([
    ['a page', (response) => response.end('<html>')],
    [
      'a token from another service',
      (response) => response.end('{"access_token":"gho_1","expires_in":3600}'),
    ],
    ['a token with a command', (response) => response.end('{"access_token":"dkt_$(id)","expires_in":3600}')],
    ['the secret', (response, body) => response.writeHead(400).end(body)],
    [
      'the secret as an OAuth error',
      (response, body) => response.writeHead(400).end(`{"error":"x","error_description":"${body}"}`),
    ],
    [
      'control characters',
      (response) => response.writeHead(400).end('{"error":"x","error_description":"a\u001b[31mb"}'),
    ],
    ['a redirect', (response) => response.writeHead(307, { location: `${stack.url}/oauth/token` }).end()],
  ])('the GitLab component fails if another server responds with %s', async (_name, reaction) => {
    proxy.next = [reaction];
    expect(await failure({ ...INPUTS, url: proxy.url }, SECRET)).toMatch(
      /^http:\S+ answered HTTP \d+, and not as Deployment API Keys does\. Is url the output ApiUrl of the stack\?$/,
    );
    expect(proxy.bodies).toHaveLength(1);
  });
});

describe('The GitLab component validates its inputs', () => {
  it.each([
    ['url', 'http://keys.example.com'],
    ['url', 'http://localhost.example.com'],
    ['url', 'https://keys.example.com/'],
    ['url', 'https://keys.example.com\nx: y'],
    ['key-id', key.secret],
    ['key-id', 'ci'],
    ['secret-variable', '$MY_SECRET'],
    ['secret-variable', 'A;id'],
    ['scope', 'code:deploy&grant_type=x'],
    ['job', 'deploy'],
    ['revoke', 'yes'],
  ])('the GitLab component rejects an invalid value for the %s input: %j', (name, value) => {
    expect(() => includeComponent({ ...INPUTS, [name]: value })).toThrow(`does not match: ${name}`);
  });

  it.each([
    ['url', 'https://keys.example.com:443/v1'],
    ['url', 'http://localhost:8080/v1'],
    ['key-id', key.id],
    ['secret-variable', 'MY_SECRET'],
    ['secret-variable', ''],
    ['scope', 'code:deploy airflow:read'],
    ['scope', ''],
    ['job', '.deploy'],
  ])(
    'the GitLab component rejects any character that could end a quoted shell string in the %s input: %j',
    (name, value) => {
      expect(() => includeComponent({ ...INPUTS, [name]: value })).not.toThrow();
      for (const character of '\'"`\\$\n\r\0') {
        for (let at = 0; at <= value.length; at++) {
          const changed = value.slice(0, at) + character + value.slice(at);
          expect(() => includeComponent({ ...INPUTS, [name]: changed })).toThrow(`does not match: ${name}`);
        }
      }
    },
  );

  it('the GitLab component describes each input', () => {
    const text = readFileSync(
      new URL('../../integrations/gitlab-component/templates/token.yml', import.meta.url),
      'utf8',
    );
    const { inputs } = parse(text.split(/^---$/m)[0] ?? '').spec;
    expect(Object.keys(inputs)).toEqual(['url', 'key-id', 'secret-variable', 'scope', 'revoke', 'job']);
    for (const input of Object.values(inputs)) {
      expect(input).toMatchObject({ description: expect.stringMatching(/^[A-Z].*\.$/) });
    }
  });

  it("the GitLab component requests an OIDC token for the service, whatever the job's name is", () => {
    const { '.etl': job } = includeComponent({ ...TRUSTING, job: '.etl' });
    expect(job?.id_tokens).toEqual({ DEPLOYMENT_ID_TOKEN: { aud: stack.url } });
  });
});

describe('The GitLab example in docs/ci.md works', () => {
  const text = readFileSync(new URL('../../docs/ci.md', import.meta.url), 'utf8');
  const example = Array.from(text.matchAll(/^```yaml\n(.*?)^```$/gms), ([, block = '']) => parse(block)).find(
    (block) => block.include,
  );

  it("the GitLab example in docs/ci.md gets a token that the job's script can use", async () => {
    const [{ component, inputs }] = example.include;
    expect(component).toMatch(/\/token@/);
    expect(inputs).toEqual({
      ...INPUTS,
      url: 'https://keys.example.com',
      'key-id': expect.any(String),
      'secret-variable': 'DEPLOYMENT_KEY_SECRET',
    });
    expect(example.deploy.extends).toBe('.deployment-token');
    const variables = { DEPLOYMENT_KEY_SECRET: key.secret, API: `${stack.url}/whoami` };
    const result = await runJob({
      inputs: { ...inputs, url: stack.url, 'key-id': key.id },
      variables,
      script: example.deploy.script.join('\n'),
      shell: ['bash', '--norc'],
      path: debian,
    });
    results.push(result);
    expect(result.code, result.output).toBe(0);
    expect(result.output).toContain(`"principalId":"${key.id}"`);
  });
});
