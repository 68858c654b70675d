import fc from 'fast-check';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { pathOf, viewOf } from '../../functions/console/paths.ts';

const ORIGIN = 'https://keys.example.com';
const KEY = 'dk_demo_01ARZ3NDEKTSV4RRFFQ69G5FAV';
const ULID = '01ARZ3NDEKTSV4RRFFQ69G5FAV';

// The types of this module depend on browser types, which the type check of the tests does not include.
const { Api } = await import(new URL('../../functions/console/api.ts', import.meta.url).href);

/** Strings that a link can contain in place of an ID. */
const HOSTILE = [
  '',
  '.',
  '..',
  '../..',
  'demo/api-keys/X/rotate?',
  'demo?',
  'demo#',
  'demo/',
  '/demo',
  '//evil.example',
  '\\evil.example',
  '%2e%2e',
  '..%2F..',
  'demo%2Fapi-keys',
  'demo%3F',
  'demo;x=1',
  'demo\n',
  'demo\t',
  'demo\u0000',
  ' demo',
  'demo ',
  'démo',
  '@evil.example',
  'https://evil.example/',
  'a'.repeat(129),
];
const hostile = fc.oneof(
  fc.constantFrom(...HOSTILE),
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc
    .tuple(
      fc.stringMatching(/^[a-z]{0,5}$/),
      fc.constantFrom('/', '?', '#', '..', '%2F', '\\', '\u0000', ';', '@'),
    )
    .map((parts) => parts.join('')),
);
const isSafe = (text: string) => /^[\w-]{1,128}$/.test(text);

describe('pathOf', () => {
  it('#62: pathOf rejects a path segment that could lead to another path', () => {
    fc.assert(
      fc.property(hostile, (text) => {
        const build = () => pathOf(['deployments', text, 'api-keys']);
        if (isSafe(text))
          expect(new URL(build(), ORIGIN).href).toBe(`${ORIGIN}/deployments/${text}/api-keys`);
        else expect(build).toThrow('not a path of the service');
      }),
    );
  });

  it('#62: pathOf encodes every query value, so that the path stays the same', () => {
    fc.assert(
      fc.property(hostile, (cursor) => {
        const url = new URL(pathOf(['deployments'], { cursor, absent: undefined }), ORIGIN);
        expect([url.origin, url.pathname, url.hash]).toStrictEqual([ORIGIN, '/deployments', '']);
        expect([...url.searchParams]).toStrictEqual([['cursor', cursor.toWellFormed()]]);
      }),
    );
  });
});

describe("The console's API client calls only the intended paths", () => {
  const api = new Api({ accessToken: async () => 'token' });
  const input = { name: 'ci', scopes: ['code:deploy'] };

  /** Every call that the API client can make, each with two IDs. */
  const CALLS: [
    name: string,
    expected: (a: string, b: string) => string,
    call: (a: string, b: string) => Promise<unknown>,
  ][] = [
    ['deployment', (a) => `GET /deployments/${a}`, (a) => api.deployment(a)],
    ['putDeployment', (a) => `PUT /deployments/${a}`, (a) => api.putDeployment(a, {})],
    ['deleteDeployment', (a) => `DELETE /deployments/${a}`, (a) => api.deleteDeployment(a)],
    ['keys', (a) => `GET /deployments/${a}/api-keys?order=newest`, (a) => api.keys(a)],
    ['key', (a, b) => `GET /deployments/${a}/api-keys/${b}`, (a, b) => api.key(a, b)],
    ['addKey', (a) => `POST /deployments/${a}/api-keys`, (a) => api.addKey(a, input, '1')],
    ['editKey', (a, b) => `PATCH /deployments/${a}/api-keys/${b}`, (a, b) => api.editKey(a, b, {})],
    [
      'rotateKey',
      (a, b) => `POST /deployments/${a}/api-keys/${b}/rotate`,
      (a, b) => api.rotateKey(a, b, 'now', '1'),
    ],
    ['deleteKey', (a, b) => `DELETE /deployments/${a}/api-keys/${b}`, (a, b) => api.deleteKey(a, b)],
    [
      'accessTokens',
      (a, b) => `GET /deployments/${a}/api-keys/${b}/tokens?limit=25`,
      (a, b) => api.accessTokens(a, b),
    ],
    [
      'revokeAccessToken',
      (a, b) => `DELETE /deployments/${a}/api-keys/${b}/tokens/${b}`,
      (a, b) => api.revokeAccessToken(a, b, b),
    ],
    [
      'revokeAllAccessTokens',
      (a, b) => `DELETE /deployments/${a}/api-keys/${b}/tokens`,
      (a, b) => api.revokeAllAccessTokens(a, b),
    ],
    [
      'explain',
      (a, b) => `POST /deployments/${a}/api-keys/${b}/explain`,
      (a, b) => api.explain(a, b, 'token'),
    ],
    ['people', () => 'GET /people', () => api.people()],
    ['peopleEvents', () => 'GET /people/events', () => api.peopleEvents()],
    ['findPerson', () => 'POST /people/find', (a) => api.findPerson(a)],
    ['endAccess', () => 'POST /people/end-access', (a) => api.endAccess(a, { keys: 'report', block: true })],
    ['restoreAccess', () => 'POST /people/restore-access', (a) => api.restoreAccess(a)],
    ['events', (a) => `GET /deployments/${a}/events`, (a) => api.events(a)],
    ['temporaryTokens', (a) => `GET /deployments/${a}/temporary-tokens`, (a) => api.temporaryTokens(a)],
    ['issueToken', (a) => `POST /deployments/${a}/temporary-tokens`, (a) => api.issueToken(a, [], '1')],
    [
      'revokeToken',
      (a, b) => `DELETE /deployments/${a}/temporary-tokens/${b}`,
      (a, b) => api.revokeToken(a, b),
    ],
  ];
  afterEach(() => vi.unstubAllGlobals());

  function watchCalls(): string[] {
    const calls: string[] = [];
    vi.stubGlobal('fetch', async (path: string, { method }: RequestInit) => {
      const { origin, pathname, search } = new URL(path, ORIGIN);
      calls.push(`${method} ${origin === ORIGIN ? '' : origin}${pathname}${search}`);
      return new Response('{}');
    });
    return calls;
  }

  it("the tests cover every call that the console's API client can make", () => {
    const own = Object.keys(api).filter((name) => name !== 'deployments');
    expect(CALLS.map(([name]) => name).sort()).toStrictEqual(own.sort());
  });

  it.each(CALLS)(
    '#62: the API client makes only the intended call, or no call, regardless of the IDs: %s',
    async (_, expected, call) => {
      const usesFirst = expected('A', 'B').includes('/A');
      const usesBoth = expected('A', 'B').includes('B');
      await fc.assert(
        fc.asyncProperty(
          fc.oneof(hostile, fc.constant('demo')),
          fc.oneof(hostile, fc.constantFrom(KEY, ULID)),
          async (a, b) => {
            const calls = watchCalls();
            const outcome = await call(a, b).then(
              () => 'made',
              () => 'rejected',
            );
            const isMeant = (!usesFirst || isSafe(a)) && (!usesBoth || isSafe(b));
            expect([outcome, calls]).toStrictEqual(isMeant ? ['made', [expected(a, b)]] : ['rejected', []]);
          },
        ),
      );
    },
  );

  it('#62: the API client sends a cursor as one parameter, whatever characters the cursor contains', async () => {
    await fc.assert(
      fc.asyncProperty(hostile, async (cursor) => {
        const calls = watchCalls();
        await api.keys('demo', cursor);
        expect(calls).toStrictEqual([
          `GET /deployments/demo/api-keys?${new URLSearchParams({ order: 'newest', cursor })}`,
        ]);
      }),
    );
  });
});

describe('viewAt', () => {
  const viewAt = (href: string) => {
    const { pathname, searchParams } = new URL(href, ORIGIN);
    return viewOf(pathname.replace(/\/+$/, ''), Object.fromEntries(searchParams));
  };

  it('a link to the token page that names no Deployment shows a list of Deployments to choose from', () => {
    for (const link of ['/token', '/token?deployment=']) {
      expect(viewAt(link)).toStrictEqual({ page: 'token', deploymentId: undefined });
    }
  });

  const isDeploymentId = (id: string) => /^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/.test(id);
  const expectValidIds = (view: ReturnType<typeof viewOf>) => {
    if ('deploymentId' in view) expect(isDeploymentId(view.deploymentId ?? '')).toBe(true);
    if (view.page === 'key') expect(view.keyId).toMatch(/^dk_[A-Za-z0-9][A-Za-z0-9_-]{0,63}_[0-9A-Z]{26}$/);
  };

  it('#62: viewAt accepts only valid Deployment and key IDs', () => {
    fc.assert(
      fc.property(hostile, (text) => {
        const token = viewAt(`/token?${new URLSearchParams({ deployment: text })}`);
        const deploymentId = text || undefined;
        expect(token).toStrictEqual(
          deploymentId === undefined || isDeploymentId(deploymentId)
            ? { page: 'token', deploymentId }
            : { page: 'unknown' },
        );
        // Tries each string both unchanged and encoded as one path segment.
        const paths = [text, encodeURIComponent(text.toWellFormed())].flatMap((part) => [
          `/console/deployments/${part}`,
          `/console/deployments/demo/keys/${part}/rotate`,
        ]);
        for (const path of paths) expectValidIds(viewOf(path.replace(/\/+$/, '')));
      }),
    );
  });
});
