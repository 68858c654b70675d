import { PutCommand, ScanCommand } from '@aws-sdk/lib-dynamodb';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { restore } from '../../cli/restoration.ts';
import { OPERATIONS } from '../../functions/openapi/operations.ts';
import { openTokenVerifier } from '../../functions/runtime/subject-tokens.ts';
import { deleteItem, putItem, type Table } from '../../functions/table/retried-calls.ts';
import { personKey } from '../../functions/table/schema.ts';
import { startCiIssuer } from '../support/ci-issuer.ts';
import { createTable } from '../support/engine.ts';
import { httpEvent } from '../support/events.ts';
import {
  bearerOf,
  type InProcessCall,
  ISSUER,
  inProcess,
  must,
  type Reply,
  startTable,
} from '../support/in-process.ts';
import { restoration } from '../support/interrupted.ts';

/**
 * Row 63 of docs/faults.md: attempts of people whose access was ended to keep or regain access. The people are mallory,
 * a member; rogue, an administrator; and banned, a member who is also blocked.
 */
const PLATFORM = 'arn:aws:iam::111122223333:role/platform';
const TOKEN_EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';
const JWT = 'urn:ietf:params:oauth:token-type:jwt';

const ci = await startCiIssuer();
const engine = await startTable();
afterAll(() => engine.stop());
const verify = openTokenVerifier(() => service.time.now, { issuers: [] });
/** Function that runs before or after one of the next calls to the table. `at` is the index of that call. */
let interruption: { at: number; when: 'before' | 'after'; act: () => Promise<void> } | undefined;
const service = inProcess(engine, {
  watchesChecks: true,
  platformPrincipals: [PLATFORM],
  trust: { issuers: [ci.url], verify: (issuer, jwt) => verify(issuer, jwt) },
  around: async (when) => {
    const isDue = interruption !== undefined && when === interruption.when && interruption.at-- === 0;
    if (!interruption || !isDue) return;
    const { act } = interruption;
    interruption = undefined;
    await act();
  },
});

const seconds = () => Math.floor(service.time.now / 1000);
/** The times of the sign-in that the attackers use. The sign-in happened before their access ended. */
const signedIn = { auth_time: seconds() - 60, iat: seconds() - 60 };
const ADMINISTRATOR = { groups: ['platform-admins'] };
const asMallory = (claims: object = {}): InProcessCall => ({
  as: 'mallory',
  claims: { ...signedIn, ...claims },
});
const asRogue = (claims: object = {}): InProcessCall =>
  asMallory({ ...ADMINISTRATOR, sub: 'rogue', ...claims });
const asBanned = (claims: object = {}): InProcessCall => asMallory({ sub: 'banned', ...claims });
const eve = { as: 'eve' };
const admin = { as: 'admin' };
const once = (key: string) => ({ headers: { 'idempotency-key': key } });
const keysOf = (id: string) => `/deployments/${id}/api-keys`;
const temporaryOf = (id: string) => `/deployments/${id}/temporary-tokens`;
const post = (path: string, options: InProcessCall, json: object = {}) =>
  service.call('POST', path, { ...options, json });
const patch = (key: { id: string }, options: InProcessCall, json: object) =>
  service.call('PATCH', `${keysOf('target')}/${key.id}`, { ...options, json });
const end = async (sub: string, more: object = {}) =>
  must(await post('/people/end-access', admin, { sub, keys: 'disable', ...more }), 202);
const create = async (options: InProcessCall, json: object = { name: 'ci' }) =>
  must(await post(keysOf('target'), options, json), 201).json;
const exchange = (key: Secret, more: Record<string, string> = {}) =>
  service.call('POST', '/oauth/token', {
    basic: [key.id, key.secret],
    form: { grant_type: 'client_credentials', ...more },
  });
const presentCi = async (key: { id: string }, sub: string) =>
  service.call('POST', '/oauth/token', {
    form: {
      grant_type: TOKEN_EXCHANGE,
      client_id: key.id,
      subject_token: await ci.sign({
        claims: { sub },
        audience: 'https://service.test',
        expires: seconds() + 300,
      }),
      subject_token_type: JWT,
    },
  });
const whoami = (token: string) => service.call('GET', '/whoami', { token });
/** A response of an HTTP API behind the authorizer. */
const authorized = async (token: string): Promise<Reply> => {
  const event = httpEvent({ headers: { authorization: `Bearer ${token}` } });
  const answer = await service.authorize(event as never);
  const status = 'isAuthorized' in answer && answer.isAuthorized ? 200 : 403;
  return { status, headers: {}, text: '', json: undefined };
};
const withHeader = (authorization: string, options = asMallory()): InProcessCall => ({
  ...options,
  headers: { authorization },
});

interface Secret {
  id: string;
  secret: string;
}
interface Held {
  /** Keys that mallory created, rotated or gave a trust rule. */
  own: Secret;
  switchedOff: Secret;
  seen: Secret;
  pipeline: Secret;
  opened: Secret;
  ofRogue: Secret;
  /** Another person's key, which must keep working. */
  ofEve: Secret;
  accessToken: string;
  ciToken: string;
  temporary: string;
  temporaryId: string;
  elsewhere: string;
  ofRogueTemporary: string;
  ofBanned: string;
}
let held: Held;

/** Returns all items of the service's table. */
async function everything(): Promise<Record<string, unknown>[]> {
  const { Items = [], LastEvaluatedKey } = await service.table.client.send(
    new ScanCommand({ TableName: 'keys', ConsistentRead: true }),
  );
  expect(LastEvaluatedKey).toBeUndefined();
  return Items;
}

beforeAll(async () => {
  for (const id of ['target', 'second']) await service.register(id);
  const trust = [{ issuer: ci.url, claims: { sub: 'pipeline' } }];
  const own = await create({ ...asMallory(), ...once('create') });
  const switchedOff = await create(asMallory());
  const pipeline = await create(asMallory(), { name: 'ci', trust });
  const opened = await create(eve, { name: 'ci', trust: [{ issuer: ci.url, claims: { sub: 'eve' } }] });
  const ofEve = await create(eve);
  must(await patch(opened, asMallory(), { trust: [{ issuer: ci.url, claims: { sub: 'mallory' } }] }), 200);
  must(await patch(switchedOff, asMallory(), { enabled: false }), 200);
  // A key may be enabled only if someone else enabled it after the person's access ended.
  for (const enabled of [false, true]) must(await patch(own, eve, { enabled }), 200);
  const { id } = await create(eve);
  const rotation = { ...asMallory(), ...once('rotate') };
  const seen = must(await post(`${keysOf('target')}/${id}/rotate`, rotation, {}), 200).json;
  const ofRogue = await create(asRogue());
  const issue = async (deployment: string, options: InProcessCall) =>
    must(await post(temporaryOf(deployment), options), 201).json;
  const temporary = await issue('target', { ...asMallory(), ...once('issue') });
  held = {
    ...{ own, switchedOff, seen, pipeline, opened, ofRogue, ofEve },
    accessToken: must(await exchange(own), 200).json.access_token,
    ciToken: must(await presentCi(pipeline, 'pipeline'), 200).json.access_token,
    temporary: temporary.access_token,
    temporaryId: temporary.id,
    elsewhere: (await issue('second', asMallory())).access_token,
    ofRogueTemporary: (await issue('target', asRogue())).access_token,
    ofBanned: (await issue('target', asBanned())).access_token,
  };
  for (const token of credentials()) expect(await service.use(token)).toBe(200);
  await end('mallory');
  await end('rogue', { block: true });
  await end('banned', { block: true });
  await service.findKeys();
  service.time.now += 60_000;
});

/** Returns all tokens that the attackers hold. */
const credentials = () => [
  held.accessToken,
  held.ciToken,
  held.temporary,
  held.elsewhere,
  held.ofRogueTemporary,
  held.ofBanned,
];
const keysHeld = () => [held.own, held.switchedOff, held.seen, held.ofRogue];

type Attempt = [attempt: string, expected: string, call: () => Promise<Reply>];
const list = (options: InProcessCall) => service.call('GET', '/deployments', options);
const SIGN_IN_AGAIN = '401 invalid_token';

const SIGN_INS: Attempt[] = [
  ['the previous sign-in', SIGN_IN_AGAIN, () => list(asMallory())],
  ['a refreshed token with a new iat', SIGN_IN_AGAIN, () => list(asMallory({ iat: seconds() }))],
  ['a token without auth_time', SIGN_IN_AGAIN, () => list(asMallory({ auth_time: undefined }))],
  ['a token with neither time', SIGN_IN_AGAIN, () => list({ as: 'mallory', claims: {} })],
  ['an auth_time of null', SIGN_IN_AGAIN, () => list(asMallory({ auth_time: null, iat: seconds() }))],
  [
    'an auth_time in milliseconds',
    SIGN_IN_AGAIN,
    () => list(asMallory({ auth_time: seconds() * 1000, iat: seconds() })),
  ],
  [
    'an old auth_time in milliseconds',
    SIGN_IN_AGAIN,
    () => list(asMallory({ auth_time: signedIn.auth_time * 1000, iat: seconds() })),
  ],
  [
    'an auth_time as text',
    SIGN_IN_AGAIN,
    () => list(asMallory({ auth_time: String(seconds()), iat: seconds() })),
  ],
  ['a negative auth_time', SIGN_IN_AGAIN, () => list(asMallory({ auth_time: -seconds(), iat: seconds() }))],
  ['an auth_time of true', SIGN_IN_AGAIN, () => list(asMallory({ auth_time: true, iat: seconds() }))],
  [
    'an auth_time in a list',
    SIGN_IN_AGAIN,
    () => list(asMallory({ auth_time: [seconds()], iat: seconds() })),
  ],
  ['an auth_time in the future', SIGN_IN_AGAIN, () => list(asMallory({ auth_time: seconds() + 9999 }))],
  ['an iat as text', SIGN_IN_AGAIN, () => list(asMallory({ auth_time: seconds(), iat: String(seconds()) }))],
  [
    'an auth_time within the tolerated difference of the clocks',
    SIGN_IN_AGAIN,
    () => list(asMallory({ auth_time: seconds() - 60 + 5, iat: seconds() })),
  ],
  [
    'the same sub from another issuer',
    SIGN_IN_AGAIN,
    () => list(asMallory({ iss: 'https://evil.test', iat: seconds() })),
  ],
  [
    'groups that administrators have',
    SIGN_IN_AGAIN,
    () => list(asMallory({ ...ADMINISTRATOR, iat: seconds() })),
  ],
  [
    'a new sign-in of a blocked member',
    SIGN_IN_AGAIN,
    () => list(asBanned({ auth_time: seconds(), iat: seconds() })),
  ],
  [
    'a sign-in of a blocked member in the far future',
    SIGN_IN_AGAIN,
    () => list(asBanned({ auth_time: 1e11, iat: 1e11 })),
  ],
  [
    'a new sign-in of a blocked administrator',
    SIGN_IN_AGAIN,
    () => list(asRogue({ auth_time: seconds(), iat: seconds() })),
  ],
  ['an ID token', SIGN_IN_AGAIN, () => list(asMallory({ nonce: 'n', auth_time: seconds(), iat: seconds() }))],
  [
    'an ID token of Cognito',
    SIGN_IN_AGAIN,
    () => list(asMallory({ token_use: 'id', auth_time: seconds(), iat: seconds() })),
  ],
  ['a sub with an accent', SIGN_IN_AGAIN, () => list(asMallory({ sub: 'mállory' }))],
  ['a sub with a Cyrillic letter', SIGN_IN_AGAIN, () => list(asMallory({ sub: 'mаllory' }))],
  ['a sub with full-width letters', SIGN_IN_AGAIN, () => list(asMallory({ sub: 'ｍallory' }))],
  ['a sub with a zero-width space', SIGN_IN_AGAIN, () => list(asMallory({ sub: 'mallory\u200b' }))],
  ['a sub with a NUL', SIGN_IN_AGAIN, () => list(asMallory({ sub: 'mallory\0' }))],
  ['a sub with a line break', SIGN_IN_AGAIN, () => list(asMallory({ sub: 'mallory\n' }))],
  ['a list as the sub', SIGN_IN_AGAIN, () => list(asMallory({ sub: ['mallory'] }))],
  ['no sub', SIGN_IN_AGAIN, () => list(asMallory({ sub: undefined }))],
  ['an empty sub', SIGN_IN_AGAIN, () => list(asMallory({ sub: '' }))],
  [
    'two Authorization headers',
    SIGN_IN_AGAIN,
    () => list(withHeader(`${bearerOf('mallory', signedIn)}, ${bearerOf('eve', { iat: seconds() })}`)),
  ],
  [
    'a second token after a space',
    SIGN_IN_AGAIN,
    () => list(withHeader(`${bearerOf('mallory', signedIn)} ${bearerOf('eve').slice(7)}`)),
  ],
  [
    'a token that API Gateway did not verify',
    SIGN_IN_AGAIN,
    () => {
      const authorization = bearerOf('mallory', { auth_time: seconds(), iat: seconds() });
      return service.call('GET', '/deployments', { headers: { authorization } });
    },
  ],
  ['a temporary token as the sign-in', SIGN_IN_AGAIN, () => list(withHeader(`Bearer ${held.temporary}`))],
  ['an access token as the sign-in', SIGN_IN_AGAIN, () => list(withHeader(`Bearer ${held.accessToken}`))],
];

const CALLS: Attempt[] = [
  [
    'repeat the creation of a key with its Idempotency-Key',
    SIGN_IN_AGAIN,
    () => post(keysOf('target'), { ...asMallory(), ...once('create') }, { name: 'ci' }),
  ],
  [
    'repeat the creation of a key with a new Idempotency-Key',
    SIGN_IN_AGAIN,
    () => post(keysOf('target'), { ...asMallory(), ...once('other') }, { name: 'ci' }),
  ],
  [
    'repeat a rotation with its Idempotency-Key',
    SIGN_IN_AGAIN,
    () => post(`${keysOf('target')}/${held.seen.id}/rotate`, { ...asMallory(), ...once('rotate') }),
  ],
  [
    'repeat the issue of a temporary token with its Idempotency-Key',
    SIGN_IN_AGAIN,
    () => post(temporaryOf('target'), { ...asMallory(), ...once('issue') }),
  ],
  [
    'rotate a key that the job disabled',
    SIGN_IN_AGAIN,
    () => post(`${keysOf('target')}/${held.own.id}/rotate`, asMallory(), { retireOld: 'now' }),
  ],
  [
    'enable a key that the job disabled',
    SIGN_IN_AGAIN,
    () => patch(held.own, asMallory(), { enabled: true }),
  ],
  ['remove the expiry of a key', SIGN_IN_AGAIN, () => patch(held.own, asMallory(), { expiresAt: null })],
  ['rename a key', SIGN_IN_AGAIN, () => patch(held.own, asMallory(), { name: 'innocent' })],
  [
    'set a trust rule',
    SIGN_IN_AGAIN,
    () => patch(held.pipeline, asMallory(), { trust: [{ issuer: ci.url, claims: { sub: 'mallory' } }] }),
  ],
  [
    "rotate another person's key",
    SIGN_IN_AGAIN,
    () => post(`${keysOf('target')}/${held.ofEve.id}/rotate`, asMallory()),
  ],
  [
    'restore their own access as an administrator',
    SIGN_IN_AGAIN,
    () => post('/people/restore-access', asRogue({ auth_time: seconds(), iat: seconds() }), { sub: 'rogue' }),
  ],
  [
    "restore an accomplice's access as an administrator",
    SIGN_IN_AGAIN,
    () => post('/people/restore-access', asRogue(), { sub: 'banned' }),
  ],
  [
    "end the last administrator's access",
    SIGN_IN_AGAIN,
    () => post('/people/end-access', asRogue(), { sub: 'admin', block: true }),
  ],
  [
    'restore their own access as a member',
    SIGN_IN_AGAIN,
    () => post('/people/restore-access', asBanned(), { sub: 'banned' }),
  ],
  [
    'let an accomplice restore access who is not an administrator',
    '403 forbidden',
    () => post('/people/restore-access', eve, { sub: 'banned' }),
  ],
  [
    'let an accomplice look the person up',
    '403 forbidden',
    () => post('/people/find', eve, { sub: 'mallory' }),
  ],
  ['let an accomplice list the people', '403 forbidden', () => service.call('GET', '/people', eve)],
  ['look up their own record', SIGN_IN_AGAIN, () => post('/people/find', asRogue(), { sub: 'rogue' })],
  [
    'register a Deployment',
    SIGN_IN_AGAIN,
    () => service.call('PUT', '/deployments/hideout', { ...asRogue(), json: { groups: ['data-eng'] } }),
  ],
  [
    "call a platform route with a person's token",
    '403 forbidden',
    () => service.call('GET', '/platform/deployments', asRogue({ sub: PLATFORM, auth_time: seconds() })),
  ],
  [
    'restore access on a platform route',
    '403 forbidden',
    () => post('/platform/people/restore-access', asRogue(), { sub: 'rogue' }),
  ],
  ['a temporary token', '401', () => whoami(held.temporary)],
  ['a temporary token in another Deployment', '401', () => whoami(held.elsewhere)],
  ["a blocked person's temporary token", '401', () => whoami(held.ofBanned)],
  ["an administrator's temporary token", '401', () => whoami(held.ofRogueTemporary)],
  ['a temporary token in two headers', '401', () => whoami(`${held.temporary}, Bearer ${held.elsewhere}`)],
  ['a temporary token at the authorizer', '403', () => authorized(held.temporary)],
  ['a temporary token of another Deployment at the authorizer', '403', () => authorized(held.elsewhere)],
  ['the access token of a disabled key', '401', () => whoami(held.accessToken)],
  ['the access token of a disabled key at the authorizer', '403', () => authorized(held.accessToken)],
  ['an access token from a pipeline without a secret', '401', () => whoami(held.ciToken)],
  ['the secret of a key that they created', '401 invalid_client', () => exchange(held.own)],
  ['the secret of a key that they had disabled', '401 invalid_client', () => exchange(held.switchedOff)],
  ['a secret that they got from a rotation', '401 invalid_client', () => exchange(held.seen)],
  ['the secret of a key of an administrator', '401 invalid_client', () => exchange(held.ofRogue)],
  ['a token of their CI', '400 invalid_request', () => presentCi(held.pipeline, 'pipeline')],
  [
    "a token of their CI for another person's key",
    '400 invalid_request',
    () => presentCi(held.opened, 'mallory'),
  ],
  [
    'introspection with the secret of a disabled key',
    '401 invalid_client',
    () => introspect(held.own, held.accessToken),
  ],
  [
    "introspection of their temporary token with another person's key",
    '200 inactive',
    () => introspect(held.ofEve, held.temporary),
  ],
  [
    'revocation with the secret of a disabled key',
    '401 invalid_client',
    () =>
      service.call('POST', '/oauth/revoke', {
        basic: [held.own.id, held.own.secret],
        form: { token: held.accessToken },
      }),
  ],
  [
    'a temporary token in place of a subject token',
    '400 invalid_request',
    () =>
      service.call('POST', '/oauth/token', {
        form: {
          grant_type: TOKEN_EXCHANGE,
          client_id: held.pipeline.id,
          subject_token: held.temporary,
          subject_token_type: JWT,
        },
      }),
  ],
  [
    'a temporary token in place of a secret',
    '401 invalid_client',
    () => exchange({ id: held.ofEve.id, secret: held.temporary }),
  ],
];

const introspect = (key: Secret, token: string) =>
  service.call('POST', '/oauth/introspect', { basic: [key.id, key.secret], form: { token } });

/** Every management operation of the API, with IDs of existing resources in its path. */
const ROUTES: Attempt[] = Object.entries(OPERATIONS)
  .filter(([, { caller }]) => caller === 'person')
  .map(([routeKey, { body }]) => [
    `a call to ${routeKey}`,
    SIGN_IN_AGAIN,
    () => {
      const [method = '', pattern = ''] = routeKey.split(' ');
      const path = pattern
        .replace('{deploymentId}', 'target')
        .replace('{keyId}', held.own.id)
        .replace('{tokenId}', held.temporaryId)
        .replace('{accessTokenId}', 'A'.repeat(22));
      const [json] = Object.values(body?.examples ?? {});
      return service.call(method, path, { ...asRogue(), ...(json !== undefined && { json }) });
    },
  ]);

function outcomeOf({ status, json }: Reply): string {
  const code = json?.code ?? json?.error ?? (json?.active === false ? 'inactive' : undefined);
  return code === undefined ? String(status) : `${status} ${code}`;
}

describe('#63: A person cannot regain access after it has ended', () => {
  it.each([...SIGN_INS, ...CALLS, ...ROUTES])(
    '#63: an attempt to regain access is denied and changes nothing: %s',
    async (_, expected, call) => {
      const before = await everything();
      expect(outcomeOf(await call())).toBe(expected);
      expect(await everything()).toStrictEqual(before);
    },
  );

  it('#63: the attempts to regain access include every management operation of the API', () => {
    expect(ROUTES.length).toBeGreaterThan(20);
    expect(SIGN_INS.length + CALLS.length).toBeGreaterThanOrEqual(40);
  });

  it.each(['Mallory', 'MALLORY', ' mallory', 'mallory ', 'mallory%00', 'mallory/..', '"mallory"'])(
    '#63: a person with the sub %j cannot see, revoke or use tokens of the person whose access ended',
    async (sub) => {
      const other = asMallory({ sub, auth_time: seconds() });
      const tokens = must(await service.call('GET', temporaryOf('target'), other), 200).json.items;
      expect(tokens).toStrictEqual([]);
      const path = `${temporaryOf('target')}/${held.temporaryId}`;
      expect((await service.call('DELETE', path, other)).status).toBe(404);
      expect(await service.use(held.temporary)).toBe(401);
    },
  );
});

describe('#63: A person cannot regain access through calls that are in flight when access ends', () => {
  let count = 0;
  const rule = (sub: string) => ({ issuer: ci.url, claims: { sub } });

  interface Keys {
    /** A key that the person created and someone else has disabled. */
    own: Secret;
    /** Two keys of someone else: one with a secret, and one with a trust rule. */
    other: Secret;
    pipeline: Secret;
  }
  /** A call in flight, and what the person then attempts with the call's response. */
  type InFlight = [
    attempt: string,
    call: (options: InProcessCall, keys: Keys) => Promise<Reply>,
    use: (reply: Reply, keys: Keys) => Promise<number>,
  ];
  it.each<InFlight>([
    [
      'issuing a temporary token',
      (options) => post(temporaryOf('target'), options),
      async ({ json }) => service.use(json.access_token ?? 'none'),
    ],
    [
      'issuing a temporary token with an Idempotency-Key',
      (options) => post(temporaryOf('target'), { ...options, ...once(`in-flight-${count}`) }),
      async ({ json }) => service.use(json.access_token ?? 'none'),
    ],
    [
      'creating a key',
      (options) => post(keysOf('target'), options, { name: 'late' }),
      async ({ json }) => (await exchange({ id: held.ofEve.id, secret: 'none', ...json })).status,
    ],
    [
      'rotating a key',
      (options, { other }) => post(`${keysOf('target')}/${other.id}/rotate`, options),
      async ({ json }, { other }) => (await exchange({ secret: 'none', ...json, id: other.id })).status,
    ],
    [
      'setting a trust rule',
      (options, { pipeline }) => patch(pipeline, options, { trust: [rule('late')] }),
      async (_, { pipeline }) => {
        const { status } = await presentCi(pipeline, 'late');
        // The token endpoint returns 400 instead of 401 for a rejected CI token.
        return status === 400 ? 401 : status;
      },
    ],
    [
      'enabling a key',
      (options, { own }) => patch(own, options, { enabled: true }),
      async (_, { own }) => (await exchange(own)).status,
    ],
  ])(
    '#63: %s gives no access, whenever access ends and the job runs during the call',
    async (_, call, use) => {
      let interrupted = 0;
      for (const when of ['before', 'after'] as const) {
        for (let at = 0; at < 7; at++) {
          const sub = `late-${++count}`;
          const options = asMallory({ sub, auth_time: seconds() - 30, iat: seconds() - 30 });
          const keys = {
            own: await create(options),
            other: await create(eve),
            pipeline: await create(eve, { name: 'ci', trust: [rule('eve')] }),
          };
          must(await patch(keys.own, eve, { enabled: false }), 200);
          let isEnded = false;
          const act = async () => {
            isEnded = true;
            await end(sub);
            await service.findKeys();
          };
          interruption = { at, when, act };
          const reply = await call(options, keys);
          interruption = undefined;
          if (isEnded) interrupted++;
          else await act();
          expect([when, at, await use(reply, keys)]).toStrictEqual([when, at, 401]);
          expect((await list(options)).status).toBe(401);
        }
      }
      expect(interrupted).toBeGreaterThan(4);
    },
  );
});

describe('#63: A person cannot regain access through what other people do later', () => {
  /** Checks that every token and secret of the attackers is rejected. */
  async function expectNothingWorks() {
    for (const token of credentials()) expect([token, await service.use(token)]).toStrictEqual([token, 401]);
    for (const key of keysHeld()) {
      expect([key.id, outcomeOf(await exchange(key))]).toStrictEqual([key.id, '401 invalid_client']);
    }
    expect(outcomeOf(await list(asMallory({ iat: seconds() })))).toBe(SIGN_IN_AGAIN);
  }

  it("#63: a leak report and a rotation do not enable a key that was disabled when its creator's access ended", async () => {
    await service.leak(held.own.secret).catch(() => {});
    await expectNothingWorks();
    const path = `${keysOf('target')}/${held.own.id}/rotate`;
    const { json } = must(await post(path, eve, { retireOld: 'now' }), 200);
    expect(json.enabled).toBe(false);
    await expectNothingWorks();
  });

  it('#63: the end-access job disables a key even if the key was already reported as leaked', async () => {
    const options = asMallory({ sub: 'reporter', iat: seconds(), auth_time: seconds() });
    const key = await create(options);
    await service.leak(key.secret);
    await end('reporter');
    await service.findKeys();
    const path = `${keysOf('target')}/${key.id}/rotate`;
    expect(must(await post(path, eve, { retireOld: 'now' }), 200).json.enabled).toBe(false);
    expect((await exchange(key)).status).toBe(401);
  });

  it('#63: access tokens of a person whose access ended stay revoked if somebody enables the key again', async () => {
    must(await patch(held.pipeline, eve, { enabled: true }), 200);
    expect(await service.use(held.ciToken)).toBe(401);
    must(await patch(held.pipeline, eve, { enabled: false }), 200);
    await expectNothingWorks();
  });

  it('#63: a repeated message of an earlier end-access job enables nothing', async () => {
    service.jobs.push({ issuer: ISSUER, sub: 'mallory' });
    await service.findKeys();
    await expectNothingWorks();
  });

  it("#63: ending a person's access a second time does not make rejected credentials valid", async () => {
    await end('mallory', { keys: 'report' });
    await service.findKeys();
    await expectNothingWorks();
  });

  it('#63: restoring access of a blocked person makes only new sign-ins valid', async () => {
    must(await post('/people/restore-access', admin, { sub: 'banned' }), 200);
    expect(await service.use(held.ofBanned)).toBe(401);
    expect(outcomeOf(await list(asBanned({ iat: seconds() })))).toBe(SIGN_IN_AGAIN);
    await expectNothingWorks();
    await end('banned', { block: true });
  });

  it("#63: if a person's record is malformed, the service rejects all of the person's sign-ins and temporary tokens", async () => {
    const key = personKey({ issuer: ISSUER, sub: 'mallory' });
    const [record] = await service.partition(key.pk);
    for (const damage of [{ endedAt: 'never' }, { endedAt: undefined }, { blocked: 0 }, { endedAt: -1 }]) {
      await putItem(service.table, { Item: { ...record, ...key, ...damage } });
      await expectNothingWorks();
      const later = asMallory({ auth_time: seconds(), iat: seconds() });
      expect([damage, (await post(temporaryOf('target'), later)).status]).toStrictEqual([damage, 401]);
    }
    await putItem(service.table, { Item: { ...record, ...key } });
  });

  it('#63: restoring a backup that is older than the end of access gives the person no access', async () => {
    const sub = 'restored';
    const options = asMallory({ sub, iat: seconds(), auth_time: seconds() });
    const key = await create(options);
    const temporary = must(await post(temporaryOf('second'), options), 201).json.access_token;
    const token = must(await exchange(key), 200).json.access_token;
    const backup = await backedUp();
    const point = service.time.now;
    service.time.now += 60_000;
    await end(sub);
    await service.findKeys();
    service.time.now += 60_000;
    // The table has lost the person's record, so only an event shows that access was ended.
    await deleteItem(service.table, { Key: personKey({ issuer: ISSUER, sub }) });
    const given = { from: backup, into: service.table, point, clock: () => service.time.now };
    await restore(restoration(given));
    expect([(await exchange(key)).status, await service.use(temporary), await service.use(token)]).toEqual([
      401, 401, 401,
    ]);
    expect(outcomeOf(await list(options))).toBe(SIGN_IN_AGAIN);
    await expectNothingWorks();
  });

  it('#63: a Deployment that is deleted and registered again accepts no earlier credential', async () => {
    must(await service.call('DELETE', '/deployments/target', admin), 204);
    await service.register('target');
    await expectNothingWorks();
    expect(outcomeOf(await post(temporaryOf('target'), asMallory()))).toBe(SIGN_IN_AGAIN);
    const replay = { ...asMallory(), ...once('create') };
    expect(outcomeOf(await post(keysOf('target'), replay, { name: 'ci' }))).toBe(SIGN_IN_AGAIN);
  });

  it('#63: no credential works after all attempts to regain access, and a new sign-in finds no keys or tokens', async () => {
    service.time.now += 60_000;
    await expectNothingWorks();
    const later = asMallory({ auth_time: seconds(), iat: seconds() });
    expect(must(await service.call('GET', temporaryOf('target'), later), 200).json.items).toStrictEqual([]);
    expect(must(await service.call('GET', keysOf('target'), later), 200).json.items).toStrictEqual([]);
    const ids = must(await service.call('GET', '/deployments', admin), 200).json.items;
    expect(ids.map(({ id }: { id: string }) => id)).toStrictEqual(['second', 'target']);
  });

  /** Returns a copy of the service's table. */
  async function backedUp(): Promise<Table> {
    const tableName = 'backup';
    await createTable(service.table.client as never, tableName);
    for (const Item of await everything()) {
      await service.table.client.send(new PutCommand({ TableName: tableName, Item }));
    }
    return { ...service.table, tableName };
  }
});
