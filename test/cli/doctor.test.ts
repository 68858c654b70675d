import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import { afterAll, describe, expect, it } from 'vitest';
import { mintCredential } from '../../functions/domain/credentials.ts';
import { startCiIssuer } from '../support/ci-issuer.ts';
import { commandLine } from '../support/command-line.ts';
import { runStack } from '../support/stack.ts';

const issuer = await startCiIssuer();
const stack = await runStack({ context: { trustedIssuers: [issuer.url] } });
await stack.register('etl');
const { run } = commandLine();
const admin = await stack.signIn('admin');

/** A server that is not the service and responds as other software does. */
async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener).listen(0, '127.0.0.1');
  await once(server, 'listening');
  afterAll(() => {
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as { port: number }).port}`;
}

const path = (id: string) => `/deployments/etl/api-keys/${id}`;
const change = (id: string, json: object) => stack.callAs('admin', 'PATCH', path(id), { json });
const [key, other, rotated, disabled, deleted, limited] = await Promise.all(
  ['ci', 'other', 'rotated', 'disabled', 'deleted', 'limited'].map((name) =>
    stack.createKey('etl', {
      name,
      scopes: ['code:deploy', 'airflow:read'],
      ...(name === 'limited' && { networks: ['203.0.113.0/24'] }),
    }),
  ),
);
if (!key || !other || !rotated || !disabled || !deleted || !limited) throw new Error('There are six keys.');
await stack.callAs('admin', 'POST', `${path(rotated.id)}/rotate`, { json: { retireOld: 'now' } });
await change(disabled.id, { enabled: false });
await stack.callAs('admin', 'DELETE', path(deleted.id));
const trust = [{ issuer: issuer.url, audience: 'etl', claims: { sub: 'repo:acme/etl' }, singleUse: true }];
const { json: trusting } = await stack.callAs('member', 'POST', '/deployments/etl/api-keys', {
  json: { name: 'trust', trust },
});
const now = Math.floor(Date.now() / 1000);
const foreign = await issuer.sign({ claims: { sub: 'repo:acme/bi' }, audience: 'etl', expires: now + 300 });
const expired = await issuer.sign({ claims: { sub: 'repo:acme/etl' }, audience: 'etl', expires: now - 300 });
const sign = (audience: string) =>
  issuer.sign({ claims: { sub: 'repo:acme/etl' }, audience, expires: now + 300 });
const elsewhere = await sign('bi');
const used = await sign('etl');
const form = {
  grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
  client_id: trusting.id,
  subject_token: used,
  subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
};
const first = await stack.call('POST', '/oauth/token', { form });
if (first.status !== 200) throw new Error(`The first exchange returned ${first.status}.`);
const [header, payload] = elsewhere.split('.');
const forged = [header, payload, used.split('.')[2]].join('.');
const expiredKey = await stack.createKey('etl', { name: 'expired' });
const item: [string, string] = ['DEPLOYMENT#etl', `KEY#${expiredKey.id.slice(-26)}`];
await stack.setAttribute(item, 'validUntil', Date.now() - 1000);
const page = await serve((_, response) => response.end('<html></html>'));
const late = await serve(async ({ url }, response) => {
  const answer = await fetch(`${stack.url}${url}`);
  const date = new Date(Date.now() - 3_600_000).toUTCString();
  response.writeHead(answer.status, { 'content-type': 'application/json', date }).end(await answer.text());
});
const busy = await serve((_, response) => response.writeHead(503).end('{"message":"Service Unavailable"}'));

const SIGNED_IN = { DEPLOYMENT_KEYS_ACCESS_TOKEN: admin };
const secretOf = ({ secret }: { secret: string }, more: object = {}) => ({
  DEPLOYMENT_KEY_SECRET: secret,
  ...more,
});
const at = (id: string, ...more: string[]) => ['--url', stack.url, '--key-id', id, ...more];
const foreignSecret = mintCredential('secret', 'etl', key.id.slice(-26));
const gone = key.id.replace('etl', 'gone');

/** Broken setups, each with the sentence in which the doctor command names the cause. */
const NAMED: [name: string, options: string[], env: object, cause: RegExp][] = [
  ['no URL', ['--key-id', key.id], secretOf(key), /The URL of the service is missing/],
  [
    'an address without a server',
    ['--url', 'http://127.0.0.1:9', '--key-id', key.id],
    secretOf(key),
    /Cannot reach 127\.0\.0\.1:9: /,
  ],
  [
    'a host that does not exist',
    ['--url', 'https://keys.invalid', '--key-id', key.id],
    secretOf(key),
    /Cannot reach keys\.invalid: /,
  ],
  [
    'another server',
    ['--url', page, '--key-id', key.id],
    secretOf(key),
    /is not Deployment API Keys: it has no OAuth metadata/,
  ],
  [
    'a server that does not speak TLS',
    ['--url', stack.url.replace('http:', 'https:'), '--key-id', key.id],
    secretOf(key),
    /does not speak TLS/,
  ],
  ['a busy service', ['--url', busy, '--key-id', key.id], secretOf(key), /is busy or out of order: HTTP 503/],
  [
    'a clock that is off',
    ['--url', late, '--key-id', key.id],
    secretOf(key),
    /The clock of this machine is 3\d{3} s ahead/,
  ],
  ['a truncated ID', at(key.id.slice(0, -2)), secretOf(key), /not a complete ID.*truncated/],
  ['a secret as the ID', at(key.secret), secretOf(key), /The ID of the key holds a secret/],
  ['no secret', at(key.id), {}, /The secret is missing/],
  ['an empty secret', at(key.id), { DEPLOYMENT_KEY_SECRET: '' }, /The secret is missing: is /],
  [
    'a truncated secret',
    at(key.id),
    { DEPLOYMENT_KEY_SECRET: key.secret.slice(0, -9) },
    /has 40 characters and should have 49/,
  ],
  [
    'a changed secret',
    at(key.id),
    { DEPLOYMENT_KEY_SECRET: `${key.secret.slice(0, -1)}!` },
    /characters that a secret never has/,
  ],
  ['the secret of another key', at(key.id), secretOf(other), /belongs to another API key/],
  [
    'a scope that the stack lacks',
    at(key.id, '--scope', 'code:erase'),
    secretOf(key),
    /The stack has no scope code:erase/,
  ],
  [
    'a scope that the key lacks',
    at(key.id, '--scope', 'airflow:write'),
    secretOf(key, SIGNED_IN),
    /The key lacks the scope airflow:write/,
  ],
  [
    'a secret that was rotated away',
    at(rotated.id),
    secretOf(rotated, SIGNED_IN),
    /The secret is wrong: it was rotated away/,
  ],
  ['a disabled key', at(disabled.id), secretOf(disabled, SIGNED_IN), /The key is disabled\. Enable it/],
  ['a deleted key', at(deleted.id), secretOf(deleted, SIGNED_IN), /has no such key\. It was deleted/],
  [
    'a Deployment that does not exist',
    at(gone),
    { DEPLOYMENT_KEY_SECRET: mintCredential('secret', 'gone', gone.slice(-26)), ...SIGNED_IN },
    /The Deployment gone does not exist in this stack/,
  ],
  [
    'an OIDC token that expired',
    at(trusting.id),
    { DEPLOYMENT_KEY_OIDC_TOKEN: expired },
    /The OIDC token expired at /,
  ],
  [
    'an OIDC token of another repository',
    at(trusting.id),
    { DEPLOYMENT_KEY_OIDC_TOKEN: foreign, ...SIGNED_IN },
    /Rule 1: The claim sub is not exactly the expected text\. Expected: repo:acme\/etl; actual: repo:acme\/bi/,
  ],
  [
    'an OIDC token for another audience',
    at(trusting.id),
    { DEPLOYMENT_KEY_OIDC_TOKEN: elsewhere, ...SIGNED_IN },
    /Rule 1: The token is for another audience\..* Expected: etl; actual: bi/,
  ],
  [
    'an OIDC token with a changed signature',
    at(trusting.id),
    { DEPLOYMENT_KEY_OIDC_TOKEN: forged, ...SIGNED_IN },
    /Rule 1: The signature is not valid/,
  ],
  [
    'an OIDC token that was used already',
    at(trusting.id),
    { DEPLOYMENT_KEY_OIDC_TOKEN: used, ...SIGNED_IN },
    /The OIDC token was used already, and its rule allows each token only once/,
  ],
  ['an expired key', at(expiredKey.id), secretOf(expiredKey, SIGNED_IN), /The key expired at .*Extend it/],
  [
    'an API without an authorizer',
    at(key.id, '--api', `${stack.url}/console`),
    secretOf(key),
    /A call without a token gets HTTP 200: the API is not guarded/,
  ],
];

/**
 * Setups for which the doctor command can only list possible causes, each with the list entry that names the actual
 * cause.
 */
const LISTED: [name: string, options: string[], env: object, cause: RegExp][] = [
  [
    'a rotated secret without a sign-in',
    at(rotated.id),
    secretOf(rotated),
    /^- The secret was rotated away/m,
  ],
  ['a disabled key without a sign-in', at(disabled.id), secretOf(disabled), /^- The key is disabled/m],
  [
    'a deleted key without a sign-in',
    at(deleted.id),
    secretOf(deleted),
    /^- The key, or its Deployment, was deleted/m,
  ],
  [
    'a forged secret without a sign-in',
    at(key.id),
    { DEPLOYMENT_KEY_SECRET: foreignSecret },
    /^- The secret was rotated away/m,
  ],
  [
    'another IP range',
    at(limited.id),
    secretOf(limited, SIGNED_IN),
    /^- This machine is outside of the key's allowed IP ranges: 203\.0\.113\.0\/24/m,
  ],
  [
    'a trust rule without a sign-in',
    at(trusting.id),
    { DEPLOYMENT_KEY_OIDC_TOKEN: foreign },
    /^- No trust rule of the key matches/m,
  ],
];

describe('The doctor command finds the cause of a broken setup', { timeout: 120_000 }, () => {
  it('the doctor command reports no problems in a working setup, with or without a sign-in', async () => {
    for (const env of [secretOf(key), secretOf(key, SIGNED_IN)]) {
      const { code, stdout } = await run(['doctor', ...at(key.id, '--scope', 'code:deploy')], { env });
      expect([code, stdout]).toEqual([
        0,
        expect.stringContaining('✓ The service exchanges the credentials for a token.\n'),
      ]);
      expect(stdout).not.toContain('✗');
    }
  });

  it.each(NAMED)('the doctor command names the cause of a problem: %s', async (_, options, env, cause) => {
    const { code, stdout } = await run(['doctor', ...options], { env: env as Record<string, string> });
    expect(code).toBe(1);
    const problems = stdout.split('\n').filter((line) => line.startsWith('✗'));
    expect(problems.join('\n')).toMatch(cause);
    expect(stdout).not.toMatch(/dk[stx]_\w+_\w{5}/);
  });

  it.each(LISTED)(
    'the doctor command lists the actual cause among the possible causes: %s',
    async (_, options, env, cause) => {
      const { code, stdout } = await run(['doctor', ...options], { env: env as Record<string, string> });
      expect(code).toBe(1);
      expect(stdout).not.toContain('✗');
      expect(stdout).toMatch(cause);
    },
  );

  it('the doctor command prints its findings as JSON that contains no secret', async () => {
    const { stdout } = await run(['doctor', ...at(rotated.id), '--json'], { env: secretOf(rotated) });
    const { findings, possibleCauses } = JSON.parse(stdout);
    expect(findings).toContainEqual({ state: 'ok', text: 'The ID of the key is complete.' });
    expect(possibleCauses).toHaveLength(5);
  });

  it('the doctor command verifies that an API is protected', async () => {
    const api = await serve(async ({ headers }, response) => {
      const token = headers.authorization;
      if (token === undefined) return response.writeHead(401).end();
      const answer = await fetch(`${stack.url}/whoami`, { headers: { authorization: token } });
      const { scope = '' } = (await answer.json()) as { scope?: string };
      response.writeHead(answer.ok && !scope.includes('airflow:read') ? 403 : answer.status).end();
    });
    const options = ['doctor', ...at(key.id, '--api', api, '--required-scope', 'airflow:read')];
    const { code, stdout } = await run(options, { env: secretOf(key) });
    expect([code, stdout.slice(stdout.indexOf('✓ A call'))]).toEqual([
      0,
      '✓ A call without a token gets HTTP 401.\n✓ A call with an invalid token gets HTTP 401.\n' +
        '✓ A call with a token without the scope airflow:read gets HTTP 403.\n✓ A call with the right token gets HTTP 200.\n',
    ]);
  });
});
