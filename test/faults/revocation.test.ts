import { setImmediate } from 'node:timers/promises';
import { UpdateCommand } from '@aws-sdk/lib-dynamodb';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { hashOf, tokenIdOf } from '../../functions/domain/credentials.ts';
import { TOKEN_EXCHANGE } from '../../functions/http/oauth.ts';
import { startFaultProxy } from '../support/fault-proxy.ts';
import { sample } from '../support/generated.ts';
import {
  type InProcess,
  type InProcessOptions,
  inProcess,
  partsOf,
  type Reply,
  startTable,
} from '../support/in-process.ts';
import type { CreatedKey } from '../support/stack.ts';

/** Ways to revoke a credential while someone else uses the credential as often as possible. */
const engine = await startTable();
const proxy = await startFaultProxy(engine.endpoint, { collides: true });
afterAll(async () => {
  await proxy.stop();
  await engine.stop();
});

const admin = { as: 'admin' };
const everyUse = { rules: { slideInterval: 0 } };
const pathOf = ({ id }: CreatedKey) => `/deployments/${partsOf(id).deploymentId}/api-keys/${id}`;
const rotate = (owner: InProcess, key: CreatedKey, retireOld: unknown) =>
  owner.call('POST', `${pathOf(key)}/rotate`, { ...admin, json: { retireOld } });

const disable = (owner: InProcess, key: CreatedKey) =>
  owner.call('PATCH', pathOf(key), { ...admin, json: { enabled: false } });

/** Each of these calls revokes every secret and every token of the key. */
const REVOCATIONS: Record<string, (owner: InProcess, key: CreatedKey) => Promise<number>> = {
  'a rotation with "now"': async (owner, key) => (await rotate(owner, key, 'now')).status,
  'a leak report': (owner, key) => owner.leak(key.secret).then(() => 200),
  'disabling the key': async (owner, key) => (await disable(owner, key)).status,
  'deleting the key': async (owner, key) => (await owner.call('DELETE', pathOf(key), admin)).status,
  'deleting the Deployment': async (owner, key) =>
    (await owner.call('DELETE', pathOf(key).replace(/.api-keys.*/, ''), admin)).status,
};

let made = 0;
async function newKey(owner: InProcess, body?: object): Promise<CreatedKey> {
  const id = `stolen-${++made}`;
  await owner.register(id);
  return owner.createKey(id, body);
}

/** Starts clients that repeat one call in a loop. */
async function loopOf(clients: InProcess[], use: (client: InProcess) => Promise<Reply>) {
  const replies: Reply[] = [];
  const late: Reply[] = [];
  let isRevoked = false;
  const loops = clients.map(async (client) => {
    for (let wasRevoked = false; !wasRevoked; ) {
      wasRevoked = isRevoked;
      // A call that needs no I/O must not block the other calls.
      await setImmediate();
      const reply = await use(client);
      replies.push(reply);
      if (wasRevoked) late.push(reply);
    }
  });
  while (replies.length < 2 * clients.length)
    await use(clients[0] as InProcess).then((it) => replies.push(it));
  return {
    /**
     * @returns the responses to all calls, and the responses to those calls that began after the revocation was
     *   acknowledged
     */
    end: async () => {
      isRevoked = true;
      // Each loop ends only after it has made a call that started after the revocation.
      await Promise.all(loops);
      return { replies, late };
    },
  };
}
const five = (options: InProcessOptions) => Array.from({ length: 5 }, () => inProcess(engine, options));
const tokensIn = (replies: Reply[]) =>
  replies.flatMap(({ json }) => (json?.access_token ? [json.access_token] : []));

describe('#46: A key can be revoked while five clients exchange its secret in a loop', () => {
  it.each(Object.entries(REVOCATIONS))(
    '#46: %s succeeds each time, and then the secret and its tokens are rejected',
    { timeout: 120_000 },
    async (_, revoke) => {
      const [owner, clients] = [inProcess(engine, everyUse), five(everyUse)];
      for (let round = 0; round < 5; round++) {
        const key = await newKey(owner);
        // Each exchange happens a second after the previous one, so that each use is recorded.
        const loop = await loopOf(clients, (client) => {
          client.time.now = owner.time.now += 1000;
          return client.exchange(key);
        });
        const status = await revoke(owner, key);
        expect((await owner.exchange(key)).status).toBe(401);
        const { replies, late } = await loop.end();
        expect([200, 204]).toContain(status);
        expect(new Set(late.map((reply) => reply.status))).toEqual(new Set([401]));
        for (const token of tokensIn(replies)) expect(await owner.use(token)).toBe(401);
      }
    },
  );

  it.each(Object.entries(REVOCATIONS))(
    '#46: %s succeeds each time, even if transactions conflict with other writes to their items',
    { timeout: 120_000 },
    async (_, revoke) => {
      const colliding = { ...everyUse, endpoint: proxy.endpoint };
      const [owner, clients] = [inProcess(engine, colliding), five(colliding)];
      const start = owner.time.now - performance.now();
      for (let round = 0; round < 3; round++) {
        const key = await newKey(owner);
        const loop = await loopOf(clients, (client) => {
          client.time.now = Math.floor(start + performance.now());
          return client.exchange(key);
        });
        const status = await revoke(owner, key);
        const { late } = await loop.end();
        expect([200, 204]).toContain(status);
        expect(new Set(late.map((reply) => reply.status))).toEqual(new Set([401]));
      }
    },
  );
});

const tokenPath = (key: CreatedKey, token: string) => `${pathOf(key)}/tokens/${tokenIdOf(hashOf(token))}`;

it.each<[change: string, revoke: (owner: InProcess, key: CreatedKey, token: string) => Promise<void>]>([
  ['reporting a token as leaked', (owner, _, token) => owner.leak(token)],
  [
    'revoking a token by its ID',
    async (owner, key, token) => {
      const { status } = await owner.call('DELETE', tokenPath(key, token), admin);
      expect(status).toBe(204);
    },
  ],
])('#46: %s always succeeds while five clients use the token in a loop', async (_, revoke) => {
  const colliding = { ...everyUse, endpoint: proxy.endpoint };
  const [owner, clients] = [inProcess(engine, colliding), five(colliding)];
  const start = owner.time.now - performance.now();
  const key = await newKey(owner);
  for (let round = 0; round < 3; round++) {
    const token = await owner.exchangeForToken(key);
    const loop = await loopOf(clients, (client) => {
      client.time.now = Math.floor(start + performance.now());
      return client.call('GET', '/whoami', { token });
    });
    await revoke(owner, key, token);
    const { late } = await loop.end();
    expect(new Set(late.map(({ status }) => status))).toEqual(new Set([401]));
  }
});

it("#46: revoking all of a key's tokens always succeeds while five clients exchange the key's secret in a loop", async () => {
  const colliding = { ...everyUse, endpoint: proxy.endpoint };
  const [owner, clients] = [inProcess(engine, colliding), five(colliding)];
  const start = owner.time.now - performance.now();
  for (let round = 0; round < 3; round++) {
    const key = await newKey(owner);
    const issued: string[] = [];
    const loop = await loopOf(clients, async (client) => {
      client.time.now = Math.floor(start + performance.now());
      const reply = await client.exchange(key);
      issued.push(...tokensIn([reply]));
      return reply;
    });
    const before = [...issued];
    const { status } = await owner.call('DELETE', `${pathOf(key)}/tokens`, admin);
    const { late } = await loop.end();
    expect(status).toBe(204);
    expect(before).not.toEqual([]);
    for (const token of before) expect(await owner.use(token)).toBe(401);
    // Revoking the tokens leaves the secret valid.
    expect(new Set(late.map((reply) => reply.status))).toEqual(new Set([200]));
    for (const token of tokensIn(late)) expect(await owner.use(token)).toBe(200);
  }
});

/** Possible histories of a key, each with the secrets that its holders have afterwards, oldest first. */
const HISTORIES: Record<string, (owner: InProcess, key: CreatedKey) => Promise<string[]>> = {
  'was never used': async (_, { secret }) => [secret],
  'is in use': async (owner, key) => {
    await owner.exchangeForToken(key);
    return [key.secret];
  },
  'waits for the first use of its new secret': async (owner, key) => [
    key.secret,
    (await rotate(owner, key, 'on_first_use')).json.secret,
  ],
  'was rotated, with neither secret used since': async (owner, key) => [
    key.secret,
    (await rotate(owner, key, 3600)).json.secret,
  ],
  'was rotated, with both secrets in use': async (owner, key) => {
    const { secret } = (await rotate(owner, key, 3600)).json;
    await owner.exchangeForToken(key);
    await owner.exchangeForToken({ ...key, secret });
    return [key.secret, secret];
  },
};
const OTHER_ROTATIONS = [0, 3600, 'on_first_use'];
const revocations = [
  ...Object.entries(REVOCATIONS),
  [
    'revoking all its tokens',
    async (owner, key) => (await owner.call('DELETE', `${pathOf(key)}/tokens`, admin)).status,
  ] satisfies [string, (typeof REVOCATIONS)[string]],
  ...OTHER_ROTATIONS.map((retireOld): [string, (typeof REVOCATIONS)[string]] => [
    `a rotation with ${JSON.stringify(retireOld)}`,
    async (owner, key) => (await rotate(owner, key, retireOld)).status,
  ]),
];
const cases = Object.entries(HISTORIES).flatMap(([history, make]) =>
  revocations.map(([name, revoke]) => [name, history, make, revoke] as const),
);

it.each(cases)(
  '#46: %s succeeds even if each secret of a key that %s is used just before each transaction',
  async (_, __, make, revoke) => {
    const holder = inProcess(engine, everyUse);
    let secrets: string[] = [];
    const owner = inProcess(engine, {
      ...everyUse,
      around: async (when, command) => {
        if (when === 'after' || command.operation !== 'TransactWriteItems') return;
        holder.time.now = owner.time.now += 1000;
        for (const secret of secrets) await holder.exchange({ ...key, secret });
      },
    });
    const key = await newKey(owner);
    const held = await make(owner, key);
    secrets = held;
    const newest = held.at(-1) as string;
    expect([200, 204]).toContain(await revoke(owner, { ...key, secret: newest }));
  },
);

it('#46: a key with trust rules can be disabled and deleted while five clients exchange CI tokens in a loop', async () => {
  const issuer = 'https://issuer.test';
  const claims = {
    aud: 'https://service.test',
    sub: 'pipeline',
    exp: Date.parse('2030-01-02T12:00:00Z') / 1000,
  };
  const trust = { issuers: [issuer], verify: async () => ({ claims }) };
  const part = (of: object) => Buffer.from(JSON.stringify(of)).toString('base64url');
  const colliding = { ...everyUse, endpoint: proxy.endpoint, trust };
  const [owner, clients] = [inProcess(engine, colliding), five(colliding)];
  const start = owner.time.now - performance.now();
  for (const revoke of [REVOCATIONS['disabling the key'], REVOCATIONS['deleting the key']]) {
    const key = await newKey(owner);
    await owner.table.client.send(trustInPlaceOfSecrets(key, issuer));
    const loop = await loopOf(clients, (client) => {
      client.time.now = Math.floor(start + performance.now());
      return client.call('POST', '/oauth/token', {
        form: {
          grant_type: TOKEN_EXCHANGE,
          client_id: key.id,
          subject_token: `${part({ alg: 'RS256' })}.${part({ iss: issuer })}.c2ln`,
          subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
        },
      });
    });
    const status = await revoke?.(owner, key);
    const { replies, late } = await loop.end();
    expect([200, 204]).toContain(status);
    expect(tokensIn(replies)).not.toEqual([]);
    expect(new Set(late.map((reply) => reply.status))).toEqual(new Set([400]));
  }
});

function trustInPlaceOfSecrets({ id }: CreatedKey, issuer: string): UpdateCommand {
  const { deploymentId, ulid } = partsOf(id);
  return new UpdateCommand({
    TableName: 'keys',
    Key: { pk: `DEPLOYMENT#${deploymentId}`, sk: `KEY#${ulid}` },
    UpdateExpression: 'SET secrets = :none, trust = :rules',
    ExpressionAttributeValues: { ':none': [], ':rules': [{ issuer, claims: { sub: 'pipeline' } }] },
  });
}

const setEnabled = (service: InProcess, key: CreatedKey, enabled: boolean, as = 'admin') =>
  service.call('PATCH', pathOf(key), { as, json: { enabled } });

/** A key, and what the service must know about it. */
interface KnownKey {
  key: CreatedKey;
  /** True if a person wants the key to be enabled. */
  isWanted: boolean;
  isLeaked: boolean;
}

async function enableOrDisable(service: InProcess, known: KnownKey, enabled: boolean): Promise<KnownKey> {
  const { status } = await setEnabled(service, known.key, enabled);
  expect(status).toBe(enabled && known.isLeaked ? 409 : 200);
  return status === 200 ? { ...known, isWanted: enabled } : known;
}

async function rotateKnown(service: InProcess, known: KnownKey, retireOld: 0 | 'now'): Promise<KnownKey> {
  const { status, json } = await rotate(service, known.key, retireOld);
  expect(status).toBe(retireOld === 0 && known.isLeaked ? 409 : 200);
  return status === 200 ? { ...known, key: { ...known.key, secret: json.secret }, isLeaked: false } : known;
}

/** Calls that change a key. Each checks its status and returns what the service must know about the key afterwards. */
const KEY_CHANGES = {
  disable: (service, known) => enableOrDisable(service, known, false),
  enable: (service, known) => enableOrDisable(service, known, true),
  leak: async (service, known) => {
    await service.leak(known.key.secret);
    return { ...known, isLeaked: true };
  },
  rotate: (service, known) => rotateKnown(service, known, 0),
  'rotate now': (service, known) => rotateKnown(service, known, 'now'),
  rename: async (service, known) => {
    const json = { name: `n${service.time.now}` };
    await service.call('PATCH', pathOf(known.key), { as: 'ada', json });
    return known;
  },
} satisfies Record<string, (service: InProcess, known: KnownKey) => Promise<KnownKey>>;

function statusOf({ isWanted, isLeaked }: KnownKey): string {
  if (isLeaked) return 'leaked';
  return isWanted ? 'active' : 'disabled';
}

describe('#55: A disabled key stays disabled until a person enables it', () => {
  const shown = async (service: InProcess, key: CreatedKey) =>
    (await service.call('GET', pathOf(key), { as: 'ada' })).json;
  const typesOf = async (service: InProcess, key: CreatedKey) =>
    (await service.partition(`EVENTS#${partsOf(key.id).deploymentId}`)).map(({ type }) => type);

  it('#55: a key that an administrator disabled stays disabled if a member then rotates it', async () => {
    const service = inProcess(engine);
    const key = await newKey(service);
    // Events in the same millisecond have no defined order.
    const later = () => void service.time.now++;
    later();
    await service.leak(key.secret);
    later();
    const reply = await setEnabled(service, key, false);
    expect([reply.status, reply.json.enabled, reply.json.status]).toEqual([200, false, 'leaked']);
    expect((await typesOf(service, key)).at(-1)).toBe('api_key.disabled');
    const again = await setEnabled(service, key, false);
    expect(again.status).toBe(200);
    later();
    const refused = await setEnabled(service, key, true);
    expect([refused.status, refused.json.detail]).toEqual([
      409,
      'This key leaked. Rotate it with retireOld "now" before you enable it.',
    ]);
    const rotation = await service.call('POST', `${pathOf(key)}/rotate`, {
      as: 'ada',
      json: { retireOld: 'now' },
    });
    expect([rotation.status, rotation.json.enabled, rotation.json.status]).toEqual([200, false, 'disabled']);
    const fresh = { ...key, secret: rotation.json.secret };
    later();
    expect((await service.exchange(fresh)).status).toBe(401);
    expect((await setEnabled(service, key, true, 'ada')).status).toBe(200);
    expect(await service.use(await service.exchangeForToken(fresh))).toBe(200);
    expect((await typesOf(service, key)).slice(-4)).toEqual([
      'api_key.leaked',
      'api_key.disabled',
      'api_key.rotated',
      'api_key.enabled',
    ]);
  });

  const steps = fc.array(fc.constantFrom(...(Object.keys(KEY_CHANGES) as (keyof typeof KEY_CHANGES)[])), {
    minLength: 1,
    maxLength: 8,
  });

  it('#55: a disabled key stays disabled, regardless of other calls, until a person enables it', {
    timeout: 180_000,
  }, async () => {
    const service = inProcess(engine);
    const property = fc.asyncProperty(steps, async (all) => {
      let known: KnownKey = { key: await newKey(service), isWanted: true, isLeaked: false };
      for (const step of all) {
        service.time.now += 1000;
        known = await KEY_CHANGES[step](service, known);
        const { enabled, status } = await shown(service, known.key);
        expect([enabled, status]).toEqual([known.isWanted && !known.isLeaked, statusOf(known)]);
        expect((await service.exchange(known.key)).status).toBe(enabled ? 200 : 401);
      }
    });
    await fc.assert(property, { numRuns: sample(200) });
  });
});
