import { gunzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { paths, viewOf } from '../../functions/console/paths.ts';
import { ago } from '../../functions/console/words.ts';
import { buildConsolePage } from '../../infra/console-page.ts';
import { CLIENT_ID } from '../../local/sign-in/issuer.ts';
import { call, makeDeployment, runStack } from '../support/stack.ts';

const stack = await runStack();
const page = buildConsolePage();
const get = (path: string, headers: Record<string, string> = {}) => call(stack, 'GET', path, { headers });

const securityHeaders = {
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; " +
    `connect-src 'self' ${stack.issuer}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; ` +
    "require-trusted-types-for 'script'; trusted-types 'none'",
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'permissions-policy': 'camera=(), geolocation=(), microphone=(), payment=(), clipboard-write=(self)',
  'referrer-policy': 'no-referrer',
  'strict-transport-security': 'max-age=31536000',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
};

const views = [
  '/console',
  '/console/signed-in?code=abc&state=def',
  '/console/deployments/demo',
  '/console/deployments/demo/keys/dk_demo_01ARZ3NDEKTSV4RRFFQ69G5FAV/edit',
  '/console/deployments/demo/temporary-tokens',
  '/console/deployments/demo/events',
  '/token',
  '/token?deployment=demo',
];

describe('the console page', () => {
  it.each(views)('is served at %s, so that a reload stays on the page, and is not cached', async (path) => {
    const reply = await get(path);
    expect(reply.status).toBe(200);
    expect(reply.headers).toMatchObject({
      ...securityHeaders,
      'cache-control': 'no-store',
      'content-type': 'text/html; charset=utf-8',
    });
    expect(reply.text).toBe((await get('/console')).text);
    expect(reply.cookies).toStrictEqual([]);
  });

  it('is the target of a redirect from the root', async () => {
    const reply = await get('/');
    expect(reply.status).toBe(302);
    expect(reply.headers).toMatchObject({
      ...securityHeaders,
      location: '/console',
      'cache-control': 'no-store',
    });
  });

  it("leaves the API's paths to the API, which responds with JSON and requires a sign-in", async () => {
    await makeDeployment(stack, 'demo');
    expect((await get('/deployments')).json).toStrictEqual({ message: 'Unauthorized' });
    const token = await stack.signIn('member');
    const listing = await call(stack, 'GET', '/deployments', { token, headers: { accept: 'text/html' } });
    expect(listing.headers['content-type']).toBe('application/json');
    expect(listing.json.items).toHaveLength(1);
  });

  it('receives only the issuer, the client, the scopes and the issuers that keys can trust', async () => {
    const { text } = await get('/console');
    const [, content = ''] = /<meta name="console" content="([^"]*)">/.exec(text) ?? [];
    expect(JSON.parse(content.replace(/&#(\d+);/g, (_, code) => String.fromCharCode(code)))).toStrictEqual({
      issuer: stack.issuer,
      clientId: CLIENT_ID,
      signInScope: 'openid profile email',
      scopes: ['code:deploy', 'airflow:read', 'airflow:write'],
      trustedIssuers: ['https://token.actions.githubusercontent.com', 'https://gitlab.com'],
    });
  });

  it('has no inline script, style or handler, and loads nothing from other hosts', async () => {
    const { text } = await get('/console');
    expect(text).not.toMatch(/<style|\sstyle=|\son\w+=|javascript:/i);
    expect([...text.matchAll(/<script[^>]*>([^<]*)</g)].map(([, inside]) => inside)).toStrictEqual(['']);
    const asked = [...text.matchAll(/(?:src|href)="([^"]*)"/g)].map(([, url]) => url);
    expect(asked.toSorted()).toStrictEqual(
      [page.icon, page.script, page.style].map((name) => `/console/assets/${name}`).toSorted(),
    );
  });
});

describe('a file of the console page', () => {
  const types = [
    [page.script, 'text/javascript; charset=utf-8'],
    [page.style, 'text/css; charset=utf-8'],
    [page.icon, 'image/svg+xml'],
  ] as const;

  it.each(types)('is cached forever because its name contains its hash: %s', async (name, type) => {
    expect(name).toMatch(/-[0-9A-Z]{8}\.(js|css|svg)$/);
    const reply = await get(`/console/assets/${name}`);
    expect(reply.status).toBe(200);
    expect(reply.headers).toMatchObject({
      ...securityHeaders,
      'cache-control': 'public, max-age=31536000, immutable',
      'content-encoding': 'gzip',
      'content-type': type,
      vary: 'Accept-Encoding',
    });
    expect(reply.text).toBe(gunzipSync(Buffer.from(page.assets[name] ?? '', 'base64')).toString());
  });

  it('is sent uncompressed to a client that does not accept gzip', async () => {
    const reply = await get(`/console/assets/${page.script}`, { 'accept-encoding': 'identity' });
    expect(reply.headers).not.toHaveProperty('content-encoding');
    expect(reply.text).toBe(gunzipSync(Buffer.from(page.assets[page.script] ?? '', 'base64')).toString());
  });

  it.each(['main-00000000.js', 'index.html', 'constructor', '__proto__'])(
    'returns 404 and is not cached when it does not exist: %s',
    async (name) => {
      const reply = await get(`/console/assets/${name}`);
      expect(reply.status).toBe(404);
      expect(reply.headers).toMatchObject({ ...securityHeaders, 'cache-control': 'no-store' });
    },
  );

  it('is small: all files together with the page are less than 60 KiB compressed', async () => {
    const files = Object.values(page.assets).map((gzipped) => Buffer.from(gzipped, 'base64').length);
    const html = Buffer.byteLength((await get('/console')).text);
    const total = files.reduce((sum, size) => sum + size, html);
    expect(total).toBeLessThan(60 * 1024);
  });
});

describe("the console's views", () => {
  const id = 'etl_1-A';
  const keyId = `dk_${id}_01ARZ3NDEKTSV4RRFFQ69G5FAV`;
  it.each([
    [paths.deployments(), { page: 'deployments' }],
    [paths.signedIn(), { page: 'signed-in' }],
    [paths.signedOut(), { page: 'signed-out' }],
    [paths.keys(id), { page: 'keys', deploymentId: id }],
    [paths.addKey(id), { page: 'keys', deploymentId: id, dialog: { name: 'add' } }],
    [paths.key(id, keyId, 'edit'), { page: 'keys', deploymentId: id, dialog: { name: 'edit', keyId } }],
    [paths.key(id, keyId, 'delete'), { page: 'keys', deploymentId: id, dialog: { name: 'delete', keyId } }],
    [paths.key(id, keyId, 'secret'), { page: 'keys', deploymentId: id, dialog: { name: 'secret', keyId } }],
    [paths.key(id, keyId, 'rotate'), { page: 'keys', deploymentId: id, dialog: { name: 'rotate', keyId } }],
    [paths.key(id, keyId, 'leaked'), { page: 'keys', deploymentId: id, dialog: { name: 'leaked', keyId } }],
    [paths.key(id, keyId, 'ci'), { page: 'keys', deploymentId: id, dialog: { name: 'ci', keyId } }],
    [paths.events(id), { page: 'events', deploymentId: id }],
    [paths.temporaryTokens(id), { page: 'temporary-tokens', deploymentId: id }],
    [paths.token(), { page: 'token', deploymentId: undefined }],
    ['/console/deployments/a%2Fb', { page: 'unknown' }],
    ['/console/deployments/etl/keys/x/secret/more', { page: 'unknown' }],
    ['/console/deployments/etl/keys/x/revoke', { page: 'unknown' }],
    ['/console/nowhere', { page: 'unknown' }],
  ])("the console's views have the path %s", (path, view) => {
    expect(viewOf(path)).toStrictEqual(view);
  });

  it("the console's views include the token page, which takes its Deployment from the query", () => {
    const url = new URL(paths.token(id), 'http://localhost');
    const view = viewOf(url.pathname, Object.fromEntries(url.searchParams));
    expect(view).toStrictEqual({ page: 'token', deploymentId: id });
  });
});

describe('a time relative to now', () => {
  const now = Date.parse('2030-01-01T12:00:00Z');
  it.each([
    ['2030-01-01T12:00:00Z', 'just now'],
    ['2030-01-01T11:59:01Z', 'just now'],
    ['2030-01-01T11:59:00Z', '1 minute ago'],
    ['2030-01-01T09:00:00Z', '3 hours ago'],
    ['2029-12-31T11:00:00Z', '25 hours ago'],
    ['2029-12-30T12:00:00Z', '2 days ago'],
    ['2029-10-01T12:00:00Z', '3 months ago'],
    ['2028-01-01T12:00:00Z', '2 years ago'],
    ['2030-01-01T12:00:30Z', 'in less than a minute'],
    ['2030-01-02T12:00:01Z', 'in 24 hours'],
    ['2030-04-01T12:00:00Z', 'in 3 months'],
  ])('is shown for %s as %s', (time, words) => {
    expect(ago(time, now)).toBe(words);
  });
});
