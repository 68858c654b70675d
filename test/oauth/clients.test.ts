import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import * as oauth from 'oauth4webapi';
import * as openid from 'openid-client';
import { ClientCredentials } from 'simple-oauth2';
import { describe, expect, it } from 'vitest';
import { snippet } from '../support/snippets.ts';
import { runStack } from '../support/stack.ts';

const AsyncFunction = Object.getPrototypeOf(async () => {}).constructor;

/** Tests common OAuth clients without any changes to them. The first test is row 33 of the OAuth rules. */
const stack = await runStack();
// The ID contains an underscore, a hyphen and a digit, because an encoding could corrupt these characters.
const DEPLOYMENT = 'a_b-C_9';
await stack.register(DEPLOYMENT);
const key = await stack.createKey(DEPLOYMENT);
const ALL = `deployment:${DEPLOYMENT} code:deploy airflow:read airflow:write`;

describe('oauth4webapi', () => {
  // This option of oauth4webapi allows a local server without TLS.
  const insecure = { [oauth.allowInsecureRequests]: true };
  const issuer = new URL(stack.url);
  const discover = async () =>
    oauth.processDiscoveryResponse(
      issuer,
      await oauth.discoveryRequest(issuer, { algorithm: 'oauth2', ...insecure }),
    );
  const client = { client_id: key.id };

  it.each([
    ['client_secret_basic', oauth.ClientSecretBasic(key.secret)],
    ['client_secret_post', oauth.ClientSecretPost(key.secret)],
  ])(
    '33: oauth4webapi discovers the service, and gets and revokes a token with %s',
    async (_, authentication) => {
      const server = await discover();
      expect(server.issuer).toBe(stack.url);

      const parameters = { scope: 'code:deploy airflow:read' };
      const granted = await oauth.processClientCredentialsResponse(
        server,
        client,
        await oauth.clientCredentialsGrantRequest(server, client, authentication, parameters, insecure),
      );
      expect(granted).toMatchObject({
        token_type: 'bearer',
        expires_in: 86_400,
        scope: `deployment:${DEPLOYMENT} code:deploy airflow:read`,
      });
      const { access_token: token } = granted;

      const introspect = async () =>
        oauth.processIntrospectionResponse(
          server,
          client,
          await oauth.introspectionRequest(server, client, authentication, token, insecure),
        );
      expect(await introspect()).toMatchObject({ active: true, client_id: key.id, iss: stack.url });

      const used = await oauth.protectedResourceRequest(
        token,
        'GET',
        new URL(`${stack.url}/whoami`),
        undefined,
        undefined,
        insecure,
      );
      expect(used.status).toBe(200);

      const answer = await oauth.revocationRequest(server, client, authentication, token, insecure);
      await oauth.processRevocationResponse(answer);
      expect(await introspect()).toStrictEqual({ active: false });
      expect(await stack.use(token)).toBe(401);
    },
  );

  it('oauth4webapi recognises a rejection and the WWW-Authenticate challenge in it', async () => {
    const server = await discover();
    const wrong = oauth.ClientSecretBasic(`${key.secret}x`);
    const answer = await oauth.clientCredentialsGrantRequest(server, client, wrong, {}, insecure);
    await expect(oauth.processClientCredentialsResponse(server, client, answer)).rejects.toMatchObject({
      code: 'OAUTH_WWW_AUTHENTICATE_CHALLENGE',
      status: 401,
      cause: [{ scheme: 'basic', parameters: { realm: 'deployment-api-keys' } }],
    });
    const bad = await oauth.clientCredentialsGrantRequest(
      server,
      client,
      oauth.ClientSecretBasic(key.secret),
      { scope: 'nonsense' },
      insecure,
    );
    await expect(oauth.processClientCredentialsResponse(server, client, bad)).rejects.toMatchObject({
      code: 'OAUTH_RESPONSE_BODY_ERROR',
      error: 'invalid_scope',
    });
  });
});

describe('openid-client', () => {
  it.each([
    ['client_secret_basic', openid.ClientSecretBasic(key.secret)],
    ['client_secret_post', openid.ClientSecretPost(key.secret)],
  ])(
    'openid-client discovers the service, and gets and revokes a token with %s',
    async (_, authentication) => {
      const config = await openid.discovery(new URL(stack.url), key.id, undefined, authentication, {
        algorithm: 'oauth2',
        execute: [openid.allowInsecureRequests],
      });
      const granted = await openid.clientCredentialsGrant(config);
      expect(granted).toMatchObject({ token_type: 'bearer', scope: ALL });
      expect(granted.expiresIn()).toBeGreaterThan(86_390);
      expect(await openid.tokenIntrospection(config, granted.access_token)).toMatchObject({ active: true });
      await openid.tokenRevocation(config, granted.access_token);
      expect(await openid.tokenIntrospection(config, granted.access_token)).toStrictEqual({ active: false });
    },
  );

  it("openid-client needs the option algorithm: 'oauth2', because the service has no OpenID configuration", async () => {
    const discovery = openid.discovery(
      new URL(stack.url),
      key.id,
      undefined,
      openid.ClientSecretBasic(key.secret),
      {
        execute: [openid.allowInsecureRequests],
      },
    );
    await expect(discovery).rejects.toMatchObject({
      message: 'unexpected HTTP response status code',
      cause: { status: 404 },
    });
  });

  it.each([401, 403])('the documented program gets a new token after the API returns %i', async (status) => {
    const [, program = ''] = snippet('oauth.md', 'js').split(/^import .*;$/m);
    // The service in this test has no TLS.
    const discovery = (
      ...[url, id, metadata, authentication, options]: Parameters<typeof openid.discovery>
    ) =>
      openid.discovery(url, id, metadata, authentication, {
        ...options,
        execute: [openid.allowInsecureRequests],
      });
    const tokens: string[] = [];
    const revokedAtFirst: typeof fetch = async (url, init) => {
      const token = new Headers(init?.headers).get('authorization')?.slice('Bearer '.length) ?? '';
      tokens.push(token);
      if (tokens.length === 1) {
        await stack.call('POST', '/oauth/revoke', { form: { token }, basic: [key.id, key.secret] });
      }
      const response = await fetch(url, init);
      return response.status === 401 ? new Response(null, { status }) : response;
    };
    const run = new AsyncFunction('openid', 'process', 'fetch', `${program}\nreturn response;`);
    const env = { KEYS_URL: stack.url, KEY_ID: key.id, KEY_SECRET: key.secret, API: `${stack.url}/whoami` };
    const response: Response = await run({ ...openid, discovery }, { env }, revokedAtFirst);
    expect(await response.json()).toMatchObject({ principalId: key.id });
    expect(new Set(tokens).size).toBe(2);
  });
});

describe('simple-oauth2', () => {
  const modes = (['header', 'body'] as const).flatMap((authorizationMethod) =>
    (['form', 'json'] as const).flatMap((bodyFormat) =>
      (['strict', 'loose'] as const).map((credentialsEncodingMode) => ({
        authorizationMethod,
        bodyFormat,
        credentialsEncodingMode,
      })),
    ),
  );

  it.each(modes)('simple-oauth2 gets a token with the options %j', async (options) => {
    const config = {
      client: { id: key.id, secret: key.secret },
      auth: { tokenHost: stack.url, revokePath: '/oauth/revoke' },
      options,
    };
    const granted = await new ClientCredentials(config).getToken({ scope: ['code:deploy', 'airflow:read'] });
    expect(granted.expired()).toBe(false);
    expect(granted.token.scope).toBe(`deployment:${DEPLOYMENT} code:deploy airflow:read`);
    const token = granted.token.access_token as string;
    expect(await stack.use(token)).toBe(200);
    // Only the token endpoint accepts JSON.
    if (options.bodyFormat === 'json') return;
    await granted.revoke('access_token');
    expect(await stack.use(token)).toBe(401);
  });
});

describe('curl', () => {
  const run = promisify(execFile);
  const curl = async (...args: string[]) => {
    const { stdout } = await run('curl', ['--silent', '--show-error', '--fail', ...args]);
    return stdout;
  };
  const { id, secret } = key;
  const isToken = {
    access_token: expect.stringMatching(/^dkt_/),
    token_type: 'Bearer',
    expires_in: 86_400,
    scope: ALL,
  };

  it("accepts the JSON request from the older service's documentation", async () => {
    const fields = {
      client_id: id,
      client_secret: secret,
      audience: 'astronomer-ee',
      grant_type: 'client_credentials',
    };
    const json = ['--header', 'content-type: application/json', '--data', JSON.stringify(fields)];
    const answer = await curl('--location', '--request', 'POST', `${stack.url}/oauth/token`, ...json);
    expect(JSON.parse(answer)).toStrictEqual(isToken);
    // The older service's command-line client reads the number as an integer.
    expect(answer).toContain('"expires_in":86400,');
  });

  it("accepts the form that the older service's command-line client sends", async () => {
    const form = `audience=astronomer-ee&client_id=${id}&client_secret=${secret}&grant_type=client_credentials`;
    const answer = await curl('--data', form, `${stack.url}/oauth/token`);
    expect(JSON.parse(answer)).toStrictEqual(isToken);
  });

  it('curl gets a token with --user, and revokes the token', async () => {
    const granted = await curl(
      '--user',
      `${id}:${secret}`,
      '--data',
      'grant_type=client_credentials',
      `${stack.url}/oauth/token`,
    );
    const { access_token: token } = JSON.parse(granted);
    const described = await curl(
      '--user',
      `${id}:${secret}`,
      '--data',
      `token=${token}`,
      `${stack.url}/oauth/introspect`,
    );
    expect(JSON.parse(described).active).toBe(true);
    expect(
      await curl('--user', `${id}:${secret}`, '--data', `token=${token}`, `${stack.url}/oauth/revoke`),
    ).toBe('');
    expect(await stack.use(token)).toBe(401);
  });
});

describe('docs/oauth.md', () => {
  const text = readFileSync(new URL('../../docs/oauth.md', import.meta.url), 'utf8');
  const blocks = [...text.matchAll(/```sh\n(.*?)```/gs)].map(([, block]) => block);

  it('the documented OAuth commands run in order, exactly as written', async () => {
    expect(blocks).toHaveLength(6);
    const script = ['set -eu', ...blocks.flatMap((block) => [block, 'echo'])].join('\n');
    const env = { ...process.env, KEYS_URL: stack.url, KEY_ID: key.id, KEY_SECRET: key.secret };
    const { stdout } = await promisify(execFile)('bash', ['--norc', '-c', script], { env });
    const [, context, narrowed, introspected, revoked, old] = stdout.split('\n');
    expect(JSON.parse(context ?? '')).toMatchObject({ principalId: key.id });
    expect(JSON.parse(narrowed ?? '').scope).toBe(`deployment:${DEPLOYMENT} code:deploy`);
    expect(JSON.parse(introspected ?? '')).toMatchObject({ active: true, client_id: key.id });
    expect(revoked).toBe('');
    expect(JSON.parse(old ?? '').scope).toBe(ALL);
  });
});
