import { execFile, spawn } from 'node:child_process';
import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { GITHUB, GITLAB, type TrustedIssuer } from '../../functions/console/issuers.ts';
import {
  SECRET_NAME,
  SNIPPETS,
  SUBJECT_NAME,
  temporaryTokenSnippet,
  trustStep,
} from '../../functions/console/snippets.ts';
import { startCiIssuer } from '../support/ci-issuer.ts';
import { firstOf } from '../support/generated.ts';
import { type CreatedKey, runStack } from '../support/stack.ts';
import { temporaryFolder } from '../support/temporary.ts';

const issuer = await startCiIssuer();
const stack = await runStack({ context: { trustedIssuers: [issuer.url] } });
let key: CreatedKey;
let folder: string;
let log: string;

/**
 * Every program that a snippet may run; all other commands are built into the shell. Each program logs its arguments
 * first.
 */
const PROGRAMS = ['curl', 'sed', 'od', 'sleep', 'stty'];

beforeAll(async () => {
  await stack.register('etl');
  key = await stack.createKey('etl');
  folder = temporaryFolder('snippets');
  log = join(folder, 'arguments');
  for (const name of PROGRAMS) {
    const real = ['/usr/bin', '/bin'].map((place) => join(place, name)).find(existsSync);
    // `sleep` does not wait in tests. Its arguments show how long the script would have slept.
    const then = name === 'sleep' ? '' : `exec ${real} "$@"`;
    writeFileSync(join(folder, name), `#!/bin/sh\necho ${name} "$@" >>${log}\n${then}\n`);
    chmodSync(join(folder, name), 0o755);
  }
});
beforeEach(() => writeFileSync(log, ''));

/** Returns the shell script that the CI system would run. */
function scriptOf(id: string, service: string, keyId: string): string {
  const code = SNIPPETS.find((snippet) => snippet.id === id)?.hardened({ keyId, service }) ?? '';
  if (id === 'github') return parse(code)[0].run;
  if (id === 'gitlab') return parse(code)['call-with-deployment-key'].script.join('\n');
  if (id === 'circleci') return parse(code)[0].run.command;
  return code;
}

/**
 * The shells that each CI system uses, and the shells on people's own machines. A normal run tests only the first shell
 * of each list; CI tests them all.
 */
const SHELLS: Record<string, string[][]> = {
  github: [['bash', '-e', '-c']],
  gitlab: [
    ['sh', '-c'],
    ['bash', '-eo', 'pipefail', '-c'],
  ],
  circleci: [['bash', '-eo', 'pipefail', '-c']],
  curl: [
    ['sh', '-c'],
    ['bash', '-c'],
    ['zsh', '-c'],
  ],
};
const runs = Object.entries(SHELLS).flatMap(([id, shells]) =>
  firstOf(
    shells.filter(([shell = '']) => existsSync(`/bin/${shell}`) || existsSync(`/usr/bin/${shell}`)),
  ).map((shell) => [id, shell] as const),
);

interface Outcome {
  code: number | null;
  stdout: string;
  stderr: string;
  /** The log, with one line for each program that ran. */
  arguments: string;
}

function run(
  [shell = 'sh', ...flags]: readonly string[],
  script: string,
  secret: string,
  env: Record<string, string> = {},
): Promise<Outcome> {
  const place = ['/bin', '/usr/bin'].map((at) => join(at, shell)).find(existsSync) ?? shell;
  const child = spawn(place, [...flags, script], {
    env: { PATH: folder, [SECRET_NAME]: secret, DEPLOYMENT_TOKEN: secret, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (chunk) => (stdout += chunk));
  child.stderr.on('data', (chunk) => (stderr += chunk));
  return new Promise((resolve) =>
    child.on('close', (code) => resolve({ code, stdout, stderr, arguments: readFileSync(log, 'utf8') })),
  );
}

/** A service that returns the given responses in order, repeats the last response, and records its requests. */
async function pretend(tokenAnswers: number[], apiAnswers: number[]) {
  const got: { path: string; authorization: string; body: string }[] = [];
  const queues: Record<string, number[]> = { '/oauth/token': tokenAnswers, '/whoami': apiAnswers };
  const server = createServer(async (request: IncomingMessage, response) => {
    let body = '';
    for await (const chunk of request) body += chunk;
    const path = request.url ?? '';
    got.push({ path, authorization: request.headers.authorization ?? '', body });
    const queue = queues[path] ?? [];
    const status = (queue.length > 1 ? queue.shift() : queue[0]) ?? 404;
    const token = `dkt_etl_canary_${got.length}`;
    const answer = path === '/whoami' ? { ok: status < 300 } : { access_token: token, token_type: 'Bearer' };
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(answer));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return { url, got, close: () => server.close() };
}

const SECRET = 'dks_etl_canary_secret';

/**
 * Checks that a token appears only in the line that masks it, and that no program gets a secret or token as an
 * argument.
 */
function expectNoLeak(id: string, outcome: Outcome, secret: string): void {
  const masks = /^::add-mask::dkt_\S+$/gm;
  const shown = id === 'github' ? outcome.stdout.replace(masks, '') : outcome.stdout;
  for (const text of [shown, outcome.stderr, outcome.arguments]) {
    expect(text).not.toContain(secret);
    expect(text).not.toMatch(/dk[stx]_/);
  }
}

describe.each(runs)('The %s snippet exchanges a secret safely in %j', (id, shell) => {
  it("a snippet exchanges the key's secret, calls the API and leaks nothing", async () => {
    const outcome = await run(shell, scriptOf(id, stack.url, key.id), key.secret);
    expect(outcome.stderr).toBe('');
    expect(outcome.code).toBe(0);
    expect(outcome.stdout).toContain(`"principalId":"${key.id}"`);
    expect(outcome.arguments.match(/^curl /gm)).toHaveLength(2);
    expectNoLeak(id, outcome, key.secret);
  });

  it('a snippet leaks nothing if the shell traces its commands', async () => {
    const [name = '', ...flags] = shell;
    const outcome = await run([name, '-x', ...flags], scriptOf(id, stack.url, key.id), key.secret);
    expect(outcome.code).toBe(0);
    expectNoLeak(id, outcome, key.secret);
  });

  it('a snippet masks each access token if the CI supports masking', async () => {
    const service = await pretend([200], [401, 200]);
    const outcome = await run(shell, scriptOf(id, service.url, 'dk_etl_x'), SECRET);
    const masks = outcome.stdout.match(/^::add-mask::.*$/gm) ?? [];
    expect(masks).toStrictEqual(
      id === 'github' ? ['::add-mask::dkt_etl_canary_1', '::add-mask::dkt_etl_canary_3'] : [],
    );
    service.close();
  });

  it('a snippet sends the secret as Basic credentials and the access token as a bearer token', async () => {
    const service = await pretend([200], [200]);
    await run(shell, scriptOf(id, service.url, 'dk_etl_x'), SECRET);
    expect(service.got).toStrictEqual([
      {
        path: '/oauth/token',
        authorization: `Basic ${Buffer.from(`dk_etl_x:${SECRET}`).toString('base64')}`,
        body: 'grant_type=client_credentials',
      },
      { path: '/whoami', authorization: 'Bearer dkt_etl_canary_1', body: '' },
    ]);
    service.close();
  });

  it('a snippet retries on 429 and 503 with increasing, random delays', async () => {
    const service = await pretend([429, 503, 200], [503, 200]);
    const outcome = await run(shell, scriptOf(id, service.url, 'dk_etl_x'), SECRET);
    expect(outcome.code).toBe(0);
    expect(service.got.map(({ path }) => path)).toStrictEqual([
      '/oauth/token',
      '/oauth/token',
      '/oauth/token',
      '/whoami',
      '/whoami',
    ]);
    const pauses = [...outcome.arguments.matchAll(/^sleep (\d+)$/gm)].map(([, seconds]) => Number(seconds));
    expect(pauses).toHaveLength(3);
    for (const [index, least] of [1, 2, 1].entries()) {
      expect(pauses[index]).toBeGreaterThanOrEqual(least);
      expect(pauses[index]).toBeLessThanOrEqual(2 * least);
    }
    expectNoLeak(id, outcome, SECRET);
    service.close();
  });

  it('a snippet fails after five attempts', async () => {
    const service = await pretend([503], [200]);
    const outcome = await run(shell, scriptOf(id, service.url, 'dk_etl_x'), SECRET);
    expect(outcome.code).toBe(1);
    expect(outcome.stderr).toBe('No access token: HTTP 503\n');
    expect(service.got).toHaveLength(5);
    service.close();
  });

  it.each([401, 403])(
    'a snippet exchanges the secret again if the API returns %d, and then succeeds',
    async (status) => {
      const service = await pretend([200], [status, 200]);
      const outcome = await run(shell, scriptOf(id, service.url, 'dk_etl_x'), SECRET);
      expect(outcome.code).toBe(0);
      expect(service.got.map(({ authorization }) => authorization.split(' ')[1]?.slice(0, 16))).toStrictEqual(
        [expect.any(String), 'dkt_etl_canary_1', expect.any(String), 'dkt_etl_canary_3'],
      );
      service.close();
    },
  );

  it.each([401, 403])('a snippet fails if the API returns %d twice', async (status) => {
    const service = await pretend([200], [status]);
    const outcome = await run(shell, scriptOf(id, service.url, 'dk_etl_x'), SECRET);
    expect(outcome.code).toBe(1);
    expect(outcome.stderr).toBe(`Refused: HTTP ${status}\n`);
    expect(service.got).toHaveLength(4);
    expectNoLeak(id, outcome, SECRET);
    service.close();
  });

  it('a snippet fails immediately if the service rejects the key', async () => {
    const service = await pretend([401], [200]);
    const outcome = await run(shell, scriptOf(id, service.url, 'dk_etl_x'), SECRET);
    expect(outcome).toMatchObject({ code: 1, stdout: '', stderr: 'No access token: HTTP 401\n' });
    expect(service.got).toHaveLength(1);
    service.close();
  });

  it('a snippet fails if the service does not respond', async () => {
    const outcome = await run(shell, scriptOf(id, 'http://127.0.0.1:1', 'dk_etl_x'), SECRET);
    expect(outcome.code).not.toBe(0);
    expectNoLeak(id, outcome, SECRET);
  });
});

describe('The CI step for a key without a secret exchanges an OIDC token', async () => {
  const trust = [{ issuer: issuer.url, claims: { sub: 'a' } }];
  let keyId: string;
  let subject: string;
  /** Emulates the GitHub endpoint that issues a job's token. */
  const job = { requests: [] as (string | undefined)[], status: 200 };
  const github = createServer((request, response) => {
    job.requests.push(request.url, request.headers.authorization);
    response.writeHead(job.status).end(JSON.stringify({ count: 1, value: subject }));
  });
  beforeAll(async () => {
    keyId = (
      await stack.callAs('member', 'POST', '/deployments/etl/api-keys', { json: { name: 'ci', trust } })
    ).json.id;
    const expires = Math.floor(Date.now() / 1000) + 3600;
    subject = await issuer.sign({ claims: { sub: 'a' }, audience: stack.url, expires });
    await new Promise<void>((resolve) => github.listen(0, '127.0.0.1', resolve));
  });
  afterAll(() => {
    github.close();
  });
  beforeEach(() => Object.assign(job, { requests: [], status: 200 }));

  /** Returns the script that the issuer's CI system would run, and the environment of that CI system. */
  function step(of: string, audience = stack.url) {
    const { hardened: code } = trustStep({ keyId, service: stack.url, issuer: { issuer: of }, audience });
    const url = `http://127.0.0.1:${(github.address() as AddressInfo).port}/job?v=2`;
    const ofGitHub = { ACTIONS_ID_TOKEN_REQUEST_TOKEN: BEARER, ACTIONS_ID_TOKEN_REQUEST_URL: url };
    if (of === GITHUB) return { script: parse(code)[0].run, env: ofGitHub };
    const env = { [SUBJECT_NAME]: subject };
    if (of !== GITLAB) return { script: code, env };
    const { id_tokens, script } = parse(code)['call-with-deployment-key'];
    expect(id_tokens).toStrictEqual({ [SUBJECT_NAME]: { aud: audience } });
    return { script: script.join('\n'), env };
  }
  const BEARER = 'canary-of-the-job';
  const steps = [
    ['github', GITHUB, SHELLS.github?.[0] ?? []],
    ['gitlab', GITLAB, SHELLS.gitlab?.[0] ?? []],
    ['another', 'https://ci.acme.test', SHELLS.gitlab?.[1] ?? []],
  ] as const;

  it.each(steps)(
    'the CI step for %s exchanges the CI token, calls the API and leaks nothing, even when traced',
    async (...of) => {
      const [id, from, [shell = '', ...flags]] = of;
      for (const traced of [[], ['-x']]) {
        const { script, env } = step(from);
        const outcome = await run([shell, ...traced, ...flags], script, 'none', env);
        expect([outcome.code, outcome.stdout]).toEqual([
          0,
          expect.stringContaining(`"principalId":"${keyId}"`),
        ]);
        expectNoLeak(id, outcome, subject);
        expectNoLeak(id, outcome, BEARER);
      }
    },
  );

  it('the short CI step for any issuer exchanges the CI token, calls the API and prints neither token', async () => {
    const { short } = trustStep({
      keyId,
      service: stack.url,
      issuer: { issuer: 'https://ci.acme.test' },
      audience: 'any',
    });
    const env = { PATH: process.env.PATH, [SUBJECT_NAME]: subject };
    const { stdout, stderr } = await promisify(execFile)('sh', ['-ec', short], { env });
    expect(JSON.parse(stdout)).toMatchObject({ principalId: keyId });
    expect(stdout + stderr).not.toContain(subject);
    expect(stdout + stderr).not.toMatch(/dkt_/);
  });

  it("the short CI steps use the GitHub Action and the GitLab component, with the audience of the key's trust rule", () => {
    const stepFor = (of: TrustedIssuer, audience: string) =>
      parse(trustStep({ keyId, service: stack.url, issuer: of, audience }).short);
    const inputs = { url: stack.url, 'key-id': keyId };
    expect(stepFor({ issuer: GITHUB }, stack.url)[0].with).toStrictEqual(inputs);
    expect(stepFor({ issuer: GITHUB }, "it's")[0].with).toStrictEqual({ ...inputs, audience: "it's" });
    expect(stepFor({ issuer: GITLAB }, stack.url).include[0].inputs).toStrictEqual(inputs);
    // The GitLab component has no input for an audience.
    const selfManaged = { issuer: 'https://git.acme.test', preset: 'gitlab' } as const;
    expect(stepFor(selfManaged, stack.url).include[0].inputs).toStrictEqual(inputs);

    const job = stepFor({ issuer: GITLAB }, "it's")['call-with-deployment-key'];
    expect(job.id_tokens).toStrictEqual({ [SUBJECT_NAME]: { aud: "it's" } });
    expect(
      trustStep({ keyId, service: stack.url, issuer: { issuer: GITLAB }, audience: "it's" }).hint,
    ).toMatch(/The image needs curl and jq\.$/);
  });

  it("the CI step for GitHub requests a token for the rule's audience, whatever characters the audience contains", async () => {
    const { script, env } = step(GITHUB, 'a b&c="d"$(e)\'');
    const outcome = await run(SHELLS.github?.[0] ?? [], script, 'none', env);
    expect(outcome.code).toBe(0);
    const [url = '', authorization] = job.requests;
    expect(new URL(url, 'http://x').searchParams.get('audience')).toBe('a b&c="d"$(e)\'');
    expect(authorization).toBe(`Bearer ${BEARER}`);
  });

  it("the CI step for GitLab requests the rule's audience, whatever characters the audience contains", () => {
    expect(step(GITLAB, `it's: "x" #y`).env).toHaveProperty(SUBJECT_NAME);
  });

  it('the CI step for a key without a secret fails with a clear message if it gets no token', async () => {
    job.status = 403;
    const none = step(GITHUB);
    const refused = await run(SHELLS.github?.[0] ?? [], none.script, 'none', none.env);
    expect([refused.code, refused.stderr]).toEqual([1, 'No token of GitHub: HTTP 403\n']);
    const { script } = step(GITLAB);
    const other = await run(['sh', '-c'], script, 'none', { [SUBJECT_NAME]: 'x.y.z' });
    expect([other.code, other.stderr]).toEqual([1, 'No access token: HTTP 400\n']);
  });
});

describe('The snippet for a terminal asks for credentials', () => {
  const PS1 = 'type here> ';

  /** Runs an interactive shell and answers one prompt, as a person would. */
  function paste(shell: string, text: string, prompt: string, answer: string): Promise<string> {
    const child = spawn('script', ['-qec', shell, '/dev/null'], {
      env: { PATH: process.env.PATH, TERM: 'dumb', HOME: folder, PS1 },
    });
    let shown = '';
    // The end of a line. zsh's line editor waits for the carriage return that a keyboard sends; bash without a terminal
    // does not.
    const enter = shell.startsWith('zsh') ? '\r' : '\n';
    const type = (lines: string) => child.stdin.write(`${lines}\n`.replaceAll('\n', enter));
    // The prompt must be at the start of a line, because the snippet also contains the prompt, and the shell echoes the
    // snippet as it is typed.
    const isAsked = new RegExp(`[\\r\\n]${prompt}\\s*$`);
    /** The output that the person waits for in each step, and what the person does when it appears. */
    const steps: [() => boolean, () => void][] = [
      // A shell may drop input that is typed while it starts.
      [() => shown.includes(PS1), () => type(text)],
      // The snippet turns off the echo immediately after the prompt. Until then, the terminal still echoes input, such
      // as a late press of Enter.
      [() => isAsked.test(shown), () => setTimeout(() => type(answer), 1000)],
      [() => shown.includes('"principalType":'), () => type('exit')],
    ];
    child.stdout.on('data', (chunk) => {
      shown += chunk;
      if (steps[0]?.[0]()) steps.shift()?.[1]();
    });
    return new Promise((resolve) => child.on('close', () => resolve(shown)));
  }

  const shells = ['bash --norc -i', 'zsh -f -i'].filter((shell) =>
    existsSync(`/usr/bin/${shell.split(' ')[0]}`),
  );

  it.each(shells)('the terminal snippet asks for the secret and does not show it: %s', async (shell) => {
    const shown = await paste(shell, scriptOf('curl', stack.url, key.id), 'Secret: ', key.secret);
    expect(shown).toContain(`"principalId":"${key.id}"`);
    expect(shown).not.toContain(key.secret);
    expect(shown).not.toMatch(/dkt_/);
  });

  it.each(shells)(
    'the terminal snippet asks for a temporary token and does not show it: %s',
    async (shell) => {
      const { json } = await stack.callAs('member', 'POST', '/deployments/etl/temporary-tokens', {
        json: {},
      });
      const shown = await paste(
        shell,
        temporaryTokenSnippet({ service: stack.url }),
        'Token: ',
        json.access_token,
      );
      expect(shown).toContain('"principalType":"person"');
      expect(shown).not.toContain(json.access_token);
    },
  );
});

describe('All snippets are valid and contain no secrets', () => {
  it("snippets contain no secret, and snippets for different keys differ only in the key's ID", () => {
    for (const { hardened: code } of SNIPPETS) {
      const [one, other] = ['dk_etl_1', 'dk_etl_2'].map((keyId) => code({ keyId, service: stack.url }));
      expect(one?.replaceAll('dk_etl_1', 'dk_etl_2')).toBe(other);
    }
  });

  it('the snippets for GitHub, GitLab and CircleCI are valid YAML and call the API with the token', () => {
    const input = { keyId: key.id, service: stack.url };
    const [github, gitlab, circleci] = SNIPPETS.map(({ short }) => short(input));
    const call = (name: string) => `printf 'Authorization: Bearer %s' "$${name}" | curl -fsS -H @- "$API"\n`;
    expect(parse(github ?? '')[1].run).toBe(call('TOKEN'));
    expect(parse(gitlab ?? '').deploy.script).toStrictEqual([call('DEPLOYMENT_TOKEN')]);
    expect(parse(circleci ?? '')[0].run).toContain(`/whoami'\n`);
    for (const { id, hardened } of SNIPPETS)
      if (id !== 'curl') expect(parse(hardened(input)), id).toBeTypeOf('object');
  });

  it("snippets read the secret from the CI's secret store", () => {
    const github = SNIPPETS[0]?.hardened({ keyId: key.id, service: stack.url }) ?? '';
    expect(parse(github)[0].env).toStrictEqual({ [SECRET_NAME]: `\${{ secrets.${SECRET_NAME} }}` });
  });
});
