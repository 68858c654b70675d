import { generateKeyPairSync } from 'node:crypto';
import { gunzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { paths, viewOf } from '../../functions/console/paths.ts';
import { EMPTY_QUERY, type TableQuery, tableQueryOf } from '../../functions/console/table-query.ts';
import { ago } from '../../functions/console/words.ts';
import { buildConsolePage } from '../../infra/console-page.ts';
import { CLIENT_ID } from '../../local/sign-in/issuer.ts';
import { runStack } from '../support/stack.ts';

const GITHUB = 'https://token.actions.githubusercontent.com';
const GITLAB = { issuer: 'https://git.acme.test', preset: 'gitlab', bind: ['ref'], audience: 'acme-keys' };
const { kty, n, e } = generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey.export({ format: 'jwk' });
const stack = await runStack({
  context: { trustedIssuers: [GITHUB, { ...GITLAB, jwks: { keys: [{ kty, n, e }] } }] },
});
const page = buildConsolePage();
const get = (path: string, headers: Record<string, string> = {}) => stack.call('GET', path, { headers });

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
  '/console/people',
  '/token',
  '/token?deployment=demo',
];

describe('The service serves the console page', () => {
  it.each(views)(
    'the console page is served without caching at %s, so that a reload stays on the same page',
    async (path) => {
      const reply = await get(path);
      expect(reply.status).toBe(200);
      expect(reply.headers).toMatchObject({
        ...securityHeaders,
        'cache-control': 'no-store',
        'content-type': 'text/html; charset=utf-8',
      });
      expect(reply.text).toBe((await get('/console')).text);
      expect(reply.cookies).toStrictEqual([]);
    },
  );

  it('the root path redirects to the console page', async () => {
    const reply = await get('/');
    expect(reply.status).toBe(302);
    expect(reply.headers).toMatchObject({
      ...securityHeaders,
      location: '/console',
      'cache-control': 'no-store',
    });
  });

  it('the API still serves its own paths next to the console, responds with JSON and requires a sign-in', async () => {
    await stack.register('demo');
    expect((await get('/deployments')).json).toStrictEqual({ message: 'Unauthorized' });
    const token = await stack.signIn('member');
    const listing = await stack.call('GET', '/deployments', { token, headers: { accept: 'text/html' } });
    expect(listing.headers['content-type']).toBe('application/json');
    expect(listing.json.items).toHaveLength(1);
  });

  it('the console page receives only the settings that it shows or needs to sign people in', async () => {
    const { text } = await get('/console');
    const [, content = ''] = /<meta name="console" content="([^"]*)">/.exec(text) ?? [];
    expect(JSON.parse(content.replace(/&#(\d+);/g, (_, code) => String.fromCharCode(code)))).toStrictEqual({
      issuer: stack.issuer,
      clientId: CLIENT_ID,
      signInScope: 'openid profile email',
      scopes: ['code:deploy', 'airflow:read', 'airflow:write'],
      trustedIssuers: [{ issuer: GITHUB }, GITLAB],
      people: { groupsClaim: 'groups', adminGroup: 'platform-admins' },
      policy: {},
    });
  });

  it('the console page has no inline script, style or handler, and loads nothing from other hosts', async () => {
    const { text } = await get('/console');
    expect(text).not.toMatch(/<style|\sstyle=|\son\w+=|javascript:/i);
    expect([...text.matchAll(/<script[^>]*>([^<]*)</g)].map(([, inside]) => inside)).toStrictEqual(['']);
    const urls = [...text.matchAll(/(?:src|href)="([^"]*)"/g)].map(([, url]) => url);
    expect(urls.toSorted()).toStrictEqual(
      [page.icon, page.script, page.style].map((name) => `/console/assets/${name}`).toSorted(),
    );
  });
});

describe("The service serves the console's files", () => {
  const types = [
    [page.script, 'text/javascript; charset=utf-8'],
    [page.style, 'text/css; charset=utf-8'],
    [page.icon, 'image/svg+xml'],
  ] as const;

  it.each(types)(
    'a console file can be cached forever, because its name contains its hash: %s',
    async (name, type) => {
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
    },
  );

  it('a console file is sent uncompressed to a client that does not accept gzip', async () => {
    const reply = await get(`/console/assets/${page.script}`, { 'accept-encoding': 'identity' });
    expect(reply.headers).not.toHaveProperty('content-encoding');
    expect(reply.text).toBe(gunzipSync(Buffer.from(page.assets[page.script] ?? '', 'base64')).toString());
  });

  it.each(['main-00000000.js', 'index.html', 'constructor', '__proto__'])(
    'a console file that does not exist returns an uncached 404: %s',
    async (name) => {
      const reply = await get(`/console/assets/${name}`);
      expect(reply.status).toBe(404);
      expect(reply.headers).toMatchObject({ ...securityHeaders, 'cache-control': 'no-store' });
    },
  );

  it("the console's first load is at most 60 KiB compressed, and other pages load only when they are opened", async () => {
    const sizeOf = (name: string) => Buffer.from(page.assets[name] ?? '', 'base64').length;
    const textOf = (name: string) => gunzipSync(Buffer.from(page.assets[name] ?? '', 'base64')).toString();
    /** Returns the scripts that a script imports immediately, and those that it imports on demand. */
    const importsOf = (name: string) => {
      const names = (pattern: RegExp) => [...textOf(name).matchAll(pattern)].map((found) => found[1] ?? '');
      return {
        atOnce: names(/(?:from|import)"\.\/(page-[\w-]+\.js)"/g),
        later: names(/import\("\.\/(page-[\w-]+\.js)"\)/g),
      };
    };
    const withImports = (name: string): string[] => [name, ...importsOf(name).atOnce.flatMap(withImports)];
    const pages = importsOf(page.script).later;
    expect(new Set(pages).size).toBe(6);
    const html = Buffer.byteLength((await get('/console')).text);
    for (const one of pages) {
      const files = new Set([
        page.script,
        page.style,
        page.icon,
        ...withImports(page.script),
        ...withImports(one),
      ]);
      const total = [...files].reduce((sum, name) => sum + sizeOf(name), html);
      expect(total, one).toBeLessThanOrEqual(60 * 1024);
      expect(files.size, one).toBeLessThan(Object.keys(page.assets).length);
    }
  });
});

describe('Each view of the console has its own path', () => {
  const id = 'etl_1-A';
  const keyId = `dk_${id}_01ARZ3NDEKTSV4RRFFQ69G5FAV`;
  const FILTERED: TableQuery = {
    search: 'a b&c',
    filter: 'never-used',
    column: 'name',
    isDescending: false,
    number: 3,
    selected: ['RFFQ69G5', 'FQ69G5FA'],
  };
  const ALL: TableQuery = { ...EMPTY_QUERY, selected: 'all' };
  it.each([
    [paths.deployments(), { page: 'deployments', search: '', number: 1, isRegistering: false }],
    [paths.deployments('etl', 2), { page: 'deployments', search: 'etl', number: 2, isRegistering: false }],
    [paths.register(), { page: 'deployments', search: '', number: 1, isRegistering: true }],
    [paths.signedIn(), { page: 'signed-in' }],
    [paths.signedOut(), { page: 'signed-out' }],
    [paths.keys(id), { page: 'keys', deploymentId: id, table: EMPTY_QUERY }],
    [paths.keys(id, FILTERED), { page: 'keys', deploymentId: id, table: FILTERED }],
    [paths.keys(id, ALL), { page: 'keys', deploymentId: id, table: ALL }],
    [paths.addKey(id), { page: 'keys', deploymentId: id, table: EMPTY_QUERY, dialog: { name: 'add' } }],
    [
      paths.keyDialog(id, keyId, 'edit', FILTERED),
      { page: 'keys', deploymentId: id, table: FILTERED, dialog: { name: 'edit', keyId } },
    ],
    [
      paths.settings(id),
      { page: 'keys', deploymentId: id, table: EMPTY_QUERY, dialog: { name: 'settings' } },
    ],
    [
      paths.deleteDeployment(id),
      { page: 'keys', deploymentId: id, table: EMPTY_QUERY, dialog: { name: 'delete-deployment' } },
    ],
    [paths.key(id, keyId), { page: 'key', deploymentId: id, keyId }],
    [paths.keyDialog(id, keyId, 'delete'), { page: 'key', deploymentId: id, keyId, dialog: 'delete' }],
    [paths.keyDialog(id, keyId, 'secret'), { page: 'key', deploymentId: id, keyId, dialog: 'secret' }],
    [paths.keyDialog(id, keyId, 'rotate'), { page: 'key', deploymentId: id, keyId, dialog: 'rotate' }],
    [paths.keyDialog(id, keyId, 'leaked'), { page: 'key', deploymentId: id, keyId, dialog: 'leaked' }],
    [paths.keyDialog(id, keyId, 'ci'), { page: 'key', deploymentId: id, keyId, dialog: 'ci' }],
    [paths.events(id), { page: 'events', deploymentId: id, type: '', keyId: '' }],
    [paths.people(), { page: 'people' }],
    [paths.temporaryTokens(id), { page: 'temporary-tokens', deploymentId: id }],
    [paths.token(), { page: 'token', deploymentId: undefined }],
    ['/console/deployments/a%2Fb', { page: 'unknown' }],
    ['/console/deployments/etl/keys/x/secret/more', { page: 'unknown' }],
    ['/console/deployments/etl/keys/x/revoke', { page: 'unknown' }],
    ['/console/nowhere', { page: 'unknown' }],
  ])('the console has a view with the path %s', (path, view) => {
    const { pathname, searchParams } = new URL(path, 'http://localhost');
    expect(viewOf(pathname, Object.fromEntries(searchParams))).toStrictEqual(view);
  });

  it.each([
    ['page=0', {}],
    ['page=1e3', {}],
    ['sort=secret', {}],
    ['status=constructor', {}],
    ['selected=<script>', {}],
    ['selected=ABCDEFGH.x', { selected: ['ABCDEFGH'] }],
  ])('the path of the key table accepts any query: %s', (search, expected) => {
    expect(tableQueryOf(Object.fromEntries(new URLSearchParams(search)))).toStrictEqual({
      ...EMPTY_QUERY,
      ...expected,
    });
  });

  it('the token page gets its Deployment from the query string', () => {
    const url = new URL(paths.token(id), 'http://localhost');
    const view = viewOf(url.pathname, Object.fromEntries(url.searchParams));
    expect(view).toStrictEqual({ page: 'token', deploymentId: id });
  });
});

describe('The console shows times relative to now', () => {
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
  ])('the console shows the time %s relative to now: %s', (time, words) => {
    expect(ago(time, now)).toBe(words);
  });
});
