import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { parse } from 'yaml';
import { startCiIssuer } from '../support/ci-issuer.ts';
import { runStack } from '../support/stack.ts';
import { temporaryFolder } from '../support/temporary.ts';

const text = readFileSync(new URL('../../docs/keys.md', import.meta.url), 'utf8');
const blocks = (language: string) =>
  [...text.matchAll(/^```(\w+)\n(.*?)^```$/gms)].flatMap(([, of, block = '']) =>
    of === language ? [block] : [],
  );

const issuer = await startCiIssuer();
const stack = await runStack({ context: { trustedIssuers: [{ issuer: issuer.url, preset: 'github' }] } });
await stack.register('etl');
const ACTIONS = { repository_id: '74', ref: 'refs/heads/main' };
const ciToken = await issuer.sign({
  claims: { sub: 'repo:acme/etl:ref:refs/heads/main', ...ACTIONS },
  audience: stack.url,
  expires: Math.floor(Date.now() / 1000) + 300,
});

const bash = async (script: string, env: Record<string, string>) =>
  (
    await promisify(execFile)('bash', ['--norc', '-c', script], {
      env: { PATH: process.env.PATH, ...env },
    })
  ).stdout;

it('the commands in docs/keys.md do what the page says, in order', { timeout: 60_000 }, async () => {
  const [functions = '', setUp = '', ...others] = blocks('sh');
  // Only an administrator can register a Deployment. A member can run all other commands.
  const all = [functions, setUp, ...others.with(0, `PERSON=$MEMBER\n${others[0]}`)];
  const script = ['set -eu', ...all.map((block) => `${block}echo; echo ---`)].join('\n');
  const stdout = await bash(script, {
    KEYS_URL: stack.url,
    PERSON: await stack.signIn('admin'),
    MEMBER: await stack.signIn('member'),
    CI_ISSUER: issuer.url,
    CI_TOKEN: ciToken,
  });
  const outputs = stdout.split('---\n').map((output) => output.trim());
  expect(outputs).toHaveLength(17);
  const [defined, registered, rotated, networks, anywhere, expiry, lastUse, tokens, revoked, ...rest] =
    outputs;
  const [events, leak, recovered, created, exchanged, explained, trust] = rest;
  expect([defined, rotated, revoked, leak, created]).toEqual(['', '', '', '', '']);
  expect(JSON.parse(registered ?? '')).toMatchObject({ id: 'try-keys', groups: ['data-eng'] });
  expect(JSON.parse(networks ?? '')).toMatchObject({ networks: ['127.0.0.0/8', '2001:db8::/32'] });
  expect(JSON.parse(anywhere ?? '')).toMatchObject({ networks: [] });
  expect(JSON.parse(expiry ?? '')).toMatchObject({ status: 'active', expiresAt: '2099-12-31T23:59:59.000Z' });
  expect(lastUse).toMatch(/^"20\d\d-.*"\n"127\.0\.0\.1"\nnull$/);
  expect(tokens).toMatch(/^("[\w-]{22}"\n("20\d\d-.*"\n?){2}){3}$/);
  expect(JSON.parse(events ?? '').items).toMatchObject([{ type: 'api_key.tokens_revoked' }]);
  expect(recovered).toBe('');
  expect(JSON.parse(exchanged ?? '').access_token).toMatch(/^dkt_try-keys_/);
  expect(JSON.parse(explained ?? '')).toEqual({
    status: 'active',
    matches: true,
    rules: [{ index: 0, issuer: issuer.url, matches: true, differences: [] }],
  });
  expect(JSON.parse(trust ?? '').trust).toHaveLength(1);
});

it("the steps for GitHub and GitLab in docs/keys.md do not pass the pipeline's token as an argument", {
  timeout: 60_000,
}, async () => {
  const rule = { issuer: issuer.url, claims: ACTIONS };
  const json = { name: 'ci', trust: [rule] };
  const { id } = (await stack.callAs('member', 'POST', '/deployments/etl/api-keys', { json })).json;
  const [github, gitlab] = blocks('yaml').map((block) => parse(block));
  const settings = { KEYS_URL: stack.url, KEY_ID: id };
  expect(Object.keys(github[0].env)).toStrictEqual(Object.keys(settings));
  expect(Object.keys(gitlab.deploy.variables)).toStrictEqual(Object.keys(settings));
  expect(gitlab.deploy.id_tokens.SUBJECT.aud).toMatch(/^https:/);
  for (const script of [github[0].run, ...gitlab.deploy.script]) {
    expect(script).not.toMatch(/(-d|-H|-u) *"?[^"|]*\$(SUBJECT|TOKEN|ACTIONS_ID_TOKEN_REQUEST_TOKEN)/);
  }

  // GitHub returns a job's token in response to a request with a bearer token and the audience.
  const requests: (string | undefined)[] = [];
  issuer.answer = (request, response) => {
    if (!request.url?.startsWith('/job?')) {
      issuer.answer = undefined;
      const body = request.url === '/keys' ? { keys: [issuer.jwk] } : discovery;
      return response.end(JSON.stringify(body));
    }
    requests.push(request.url, request.headers.authorization);
    response.end(JSON.stringify({ value: ciToken }));
  };
  const discovery = { issuer: issuer.url, jwks_uri: `${issuer.url}/keys` };
  const folder = temporaryFolder('github');
  const file = join(folder, 'env');
  const masked = await bash(`set -e\n${github[0].run}`, {
    ...settings,
    ACTIONS_ID_TOKEN_REQUEST_TOKEN: 'of-the-job',
    ACTIONS_ID_TOKEN_REQUEST_URL: `${issuer.url}/job?api-version=2.0`,
    GITHUB_ENV: file,
  });
  expect(requests).toStrictEqual([`/job?api-version=2.0&audience=${stack.url}`, 'Bearer of-the-job']);
  const [, token = ''] = /^TOKEN=(dkt_etl_\w+)$/m.exec(readFileSync(file, 'utf8')) ?? [];
  expect(masked).toBe(`::add-mask::${token}\n`);
  expect((await stack.call('GET', '/whoami', { token })).json).toMatchObject({ principalId: id });

  const script = ['set -e', ...gitlab.deploy.script, 'echo "$TOKEN"'].join('\n');
  const other = (await bash(script, { ...settings, SUBJECT: ciToken })).trim();
  expect((await stack.call('GET', '/whoami', { token: other })).json).toMatchObject({ principalId: id });
});
