import { PutCommand, ScanCommand, UpdateCommand } from '@aws-sdk/lib-dynamodb';
import { afterAll, beforeEach, expect, it, vi } from 'vitest';
import { restore } from '../../cli/restoration.ts';
import { hashOf, tokenIdOf } from '../../functions/domain/credentials.ts';
import { deleteApiKey } from '../../functions/table/keys.ts';
import { allEvents } from '../../functions/table/restore.ts';
import { toApiKey, toDeployment } from '../../functions/table/schema.ts';
import { subjectForm } from '../support/ci-issuer.ts';
import { createTable } from '../support/engine.ts';
import { startFaultProxy } from '../support/fault-proxy.ts';
import { type InProcess, inProcess, must, type Reply, startTable } from '../support/in-process.ts';
import { restoration } from '../support/interrupted.ts';
import { apiKey, deployment, event } from '../support/records.ts';
import type { CreatedKey } from '../support/stack.ts';
import type { TestTable } from '../support/store.ts';

/**
 * The proxy holds back the first attempt of a write. The service repeats the write, someone revokes the result, and
 * only then does the first attempt reach the table. No revoked credential may become valid again.
 */
const engine = await startTable();
const proxy = await startFaultProxy(engine.endpoint);
afterAll(async () => {
  await proxy.stop();
  await engine.stop();
});
// The test shortens the random pauses between attempts.
beforeEach(() => void vi.spyOn(Math, 'random').mockReturnValue(0.01));

const ISSUER = 'https://issuer.test';
const part = (of: object) => Buffer.from(JSON.stringify(of)).toString('base64url');
const claims = {
  aud: 'https://service.test',
  sub: 'pipeline',
  exp: Date.parse('2030-01-02T12:00:00Z') / 1000,
};
const trust = { issuers: [ISSUER], verify: async () => ({ claims }) };
const rules = { slideInterval: 0 };
/** Client for the test's own setup, revocations and checks. The proxy does not hold back its calls. */
const faultFree = inProcess(engine, { trust, rules });
const service = (attempts: number) =>
  inProcess(engine, {
    trust,
    rules,
    endpoint: proxy.endpoint,
    retryPolicy: { attemptTimeout: 20_000, attempts },
  });
const [patient, impatient] = [service(3), service(1)];

interface World {
  id: string;
  path: string;
  key: CreatedKey;
  /** Creates a key with a second secret that was never used. */
  rotated: CreatedKey;
  /** A disabled key with one scope. */
  disabled: CreatedKey;
  /** The ID of a key with trust rules. */
  trusting: string;
  /** A token that must be extended at its next use. */
  token: string;
}

/** The credentials that a call returns or makes valid. */
interface Given {
  token?: string;
  secret?: CreatedKey;
}

interface Trial {
  make: (one: InProcess, world: World) => Promise<Reply>;
  given?: (reply: Reply, world: World) => Given;
  revoke: (world: World, reply: Reply) => Promise<Reply>;
}

const admin = { as: 'admin' };
const pathOf = ({ path }: World, { id }: CreatedKey) => `${path}/api-keys/${id}`;
const json = (body: object) => ({ ...admin, json: body });
const tokenOf = ({ json: body }: Reply): Given => ({ token: body.access_token });
const leak = (text: string) => faultFree.leak(text).then(() => ({ status: 200 }) as Reply);
const rotateNow = (world: World, key: CreatedKey) =>
  faultFree.call('POST', `${pathOf(world, key)}/rotate`, json({ retireOld: 'now' }));
const remove = (path: string) => faultFree.call('DELETE', path, admin);
const patch = (one: InProcess, path: string, body: object) => one.call('PATCH', path, json(body));

type Call = Pick<Trial, 'make' | 'given'>;
const exchange: Call = { make: (one, { key }) => one.exchange(key), given: tokenOf };
const firstUse: Call = { make: (one, { rotated }) => one.exchange(rotated), given: tokenOf };
const use: Call = {
  make: (one, { token }) => one.call('GET', '/whoami', { token }),
  given: (_, { token }) => ({ token }),
};
const subject: Trial['make'] = (one, { id, trusting }) =>
  one.call('POST', '/oauth/token', {
    form: subjectForm(trusting, `${part({ alg: 'RS256' })}.${part({ iss: ISSUER, jti: id })}.c2ln`),
  });
const createKey: Trial['make'] = (one, { path }) =>
  one.call('POST', `${path}/api-keys`, json({ name: 'late' }));
const secretOf = ({ json: { id, secret } }: Reply): Given => ({ secret: { id, secret, scopes: [] } });
const rotate =
  (retireOld: unknown): Trial['make'] =>
  (one, world) =>
    one.call('POST', `${pathOf(world, world.key)}/rotate`, json({ retireOld }));
const revoke = ({ key }: World, token: string) =>
  faultFree.call('POST', '/oauth/revoke', { basic: [key.id, key.secret], form: { token } });

const TRIALS: Record<string, Trial> = {
  'an exchange arrives after its token was revoked': {
    ...exchange,
    revoke: (world, reply) => revoke(world, reply.json.access_token),
  },
  'an exchange arrives after its token was reported as leaked': {
    ...exchange,
    revoke: (_, reply) => leak(reply.json.access_token),
  },
  'an exchange arrives after its key was rotated with "now"': {
    ...exchange,
    revoke: (world) => rotateNow(world, world.key),
  },
  'the first use of a new secret arrives after its token was reported as leaked': {
    ...firstUse,
    revoke: (_, reply) => leak(reply.json.access_token),
  },
  'the first use of a new secret arrives after its key was rotated with "now"': {
    ...firstUse,
    given: (reply, { rotated }) => ({ ...tokenOf(reply), secret: rotated }),
    revoke: (world) => rotateNow(world, world.rotated),
  },
  'an exchange of a subject token arrives after its access token was reported as leaked': {
    make: subject,
    given: tokenOf,
    revoke: (_, reply) => leak(reply.json.access_token),
  },
  'a use of a token arrives after the token was reported as leaked': {
    ...use,
    revoke: ({ token }) => leak(token),
  },
  'a use of a token arrives after the token was revoked by its ID': {
    ...use,
    revoke: (world) => remove(`${pathOf(world, world.key)}/tokens/${tokenIdOf(hashOf(world.token))}`),
  },
  'an exchange arrives after its token was revoked by its ID': {
    ...exchange,
    revoke: (world, reply) =>
      remove(`${pathOf(world, world.key)}/tokens/${tokenIdOf(hashOf(reply.json.access_token))}`),
  },
  'an exchange arrives after all tokens of its key were revoked': {
    ...exchange,
    revoke: (world) => remove(`${pathOf(world, world.key)}/tokens`),
  },
  'the first use of a new secret arrives after all tokens of its key were revoked': {
    ...firstUse,
    revoke: (world) => remove(`${pathOf(world, world.rotated)}/tokens`),
  },
  'an edit that adds a scope arrives after all tokens of the key were revoked': {
    make: (one, world) => patch(one, pathOf(world, world.key), { scopes: ['code:deploy', 'airflow:write'] }),
    given: (_, { token }) => ({ token }),
    revoke: (world) => remove(`${pathOf(world, world.key)}/tokens`),
  },
  'the creation of a key arrives after the key was deleted': {
    make: createKey,
    given: secretOf,
    revoke: ({ path }, reply) => remove(`${path}/api-keys/${reply.json.id}`),
  },
  'the creation of a key with an Idempotency-Key arrives after the key was deleted': {
    make: (one, { path }) =>
      one.call('POST', `${path}/api-keys`, {
        ...json({ name: 'late' }),
        headers: { 'idempotency-key': 'a' },
      }),
    given: secretOf,
    revoke: ({ path }, reply) => remove(`${path}/api-keys/${reply.json.id}`),
  },
  'a rotation arrives after its new secret was reported as leaked': {
    make: rotate(3600),
    given: (reply) => secretOf(reply),
    revoke: (_, reply) => leak(reply.json.secret),
  },
  'a rotation with "now" arrives after the key was rotated again': {
    make: rotate('now'),
    given: secretOf,
    revoke: (world) => rotateNow(world, world.key),
  },
  'an edit that enables a key arrives after the key was disabled again': {
    make: (one, world) => patch(one, pathOf(world, world.disabled), { enabled: true }),
    given: (_, { disabled }) => ({ secret: disabled }),
    revoke: (world) => patch(faultFree, pathOf(world, world.disabled), { enabled: false }),
  },
  'an edit that adds a scope arrives after the scope was removed again': {
    make: (one, world) => patch(one, pathOf(world, world.key), { scopes: ['code:deploy', 'airflow:write'] }),
    revoke: (world) => patch(faultFree, pathOf(world, world.key), { scopes: ['code:deploy'] }),
  },
  'the issue of a temporary token arrives after the token was revoked': {
    make: (one, { path }) => one.call('POST', `${path}/temporary-tokens`, json({})),
    given: tokenOf,
    revoke: ({ path }, reply) => remove(`${path}/temporary-tokens/${reply.json.id}`),
  },
  'the registration of a Deployment arrives after the Deployment was deleted': {
    make: (one, { path }) => one.call('PUT', `${path}-2`, json({ groups: ['data-eng'] })),
    revoke: ({ path }) => remove(`${path}-2`),
  },
  'an edit that adds a group arrives after the group was removed again': {
    make: (one, { path }) => one.call('PUT', path, json({ groups: ['data-eng', 'others'] })),
    revoke: ({ path }) => faultFree.call('PUT', path, json({ groups: ['data-eng'] })),
  },
  'an edit that adds a group arrives after two other edits': {
    make: (one, { path }) => one.call('PUT', path, json({ groups: ['data-eng', 'others'] })),
    revoke: async ({ path }) => {
      must(await faultFree.call('PUT', path, json({ groups: [] })), 200);
      return faultFree.call('PUT', path, json({ groups: ['data-eng'] }));
    },
  },
};

let worlds = 0;
async function newWorld(): Promise<World> {
  const id = `late-${++worlds}-x`;
  await faultFree.register(id);
  const key = await faultFree.createKey(id, { name: 'ci', scopes: ['code:deploy'] });
  const before = await faultFree.createKey(id);
  const path = `/deployments/${id}`;
  const { secret } = must(
    await faultFree.call('POST', `${path}/api-keys/${before.id}/rotate`, json({ retireOld: 'on_first_use' })),
    200,
  ).json;
  const disabled = await faultFree.createKey(id, { name: 'off', scopes: ['code:deploy'] });
  must(await patch(faultFree, `${path}/api-keys/${disabled.id}`, { enabled: false }), 200);
  const trusting = await faultFree.createKey(id);
  await faultFree.table.client.send(
    new UpdateCommand({
      TableName: faultFree.table.tableName,
      Key: { pk: `DEPLOYMENT#${id}`, sk: `KEY#${trusting.id.slice(-26)}` },
      UpdateExpression: 'SET secrets = :none, trust = :rules',
      ExpressionAttributeValues: {
        ':none': [],
        ':rules': [{ issuer: ISSUER, claims: { sub: 'pipeline' }, singleUse: true }],
      },
    }),
  );
  const token = await faultFree.exchangeForToken(key);
  for (const one of [faultFree, patient, impatient]) one.time.now += 5000;
  return { id, path, key, rotated: { ...before, secret }, disabled, trusting: trusting.id, token };
}

/**
 * Returns all items except tokens. A late attempt may write a token that no one holds, but must not change other items.
 */
async function stored({ id }: World): Promise<object[]> {
  const partitions = [`DEPLOYMENT#${id}`, `DEPLOYMENT#${id}-2`, `EVENTS#${id}`, `EVENTS#${id}-2`];
  const items = (
    await Promise.all([...partitions, 'DEPLOYMENTS', 'GROUP#data-eng', 'PURGES'].map(faultFree.partition))
  ).flat();
  return items.filter(({ sk }) => !String(sk).startsWith('TOKEN#'));
}

async function isAccepted({ token, secret }: Given): Promise<boolean[]> {
  return [
    token !== undefined && (await faultFree.use(token)) !== 401,
    secret !== undefined && (await faultFree.exchange(secret)).status !== 401,
  ];
}

/** Returns the positions of the writes among the call's requests. */
async function writesOf({ make }: Trial): Promise<number[]> {
  const world = await newWorld();
  const watch = proxy.holdBack(world.id, -1);
  must(await make(patient, world), 200, 201);
  watch.ignore();
  return watch.operations.flatMap((operation, at) => (/Get|Query/.test(operation) ? [] : [at]));
}

it.each(Object.entries(TRIALS))(
  '#47: no revoked access comes back when the first attempt at %s',
  { timeout: 60_000 },
  async (_, trial) => {
    const writes = await writesOf(trial);
    expect(writes).not.toEqual([]);
    for (const at of writes) {
      for (const collision of [undefined, { kind: 'conflict' as const, at: at + 1, lasts: false }]) {
        const world = await newWorld();
        const late = proxy.holdBack(world.id, at, collision);
        const reply = must(await trial.make(patient, world), 200, 201);
        late.ignore();
        must(await trial.revoke(world, reply), 200, 204);
        const before = await stored(world);
        await late.release();
        expect(await stored(world)).toEqual(before);
        expect(await isAccepted(trial.given?.(reply, world) ?? {})).toEqual([false, false]);
      }
    }
  },
);

const EDITS = [
  'an edit that enables a key arrives after the key was disabled again',
  'an edit that adds a scope arrives after the scope was removed again',
  'an edit that adds a scope arrives after all tokens of the key were revoked',
  'a rotation with "now" arrives after the key was rotated again',
  'an edit that adds a group arrives after the group was removed again',
  'an edit that adds a group arrives after two other edits',
];

it.each(EDITS)('#47: no revoked access comes back when the only attempt at %s', async (name) => {
  const { make, revoke: undo } = TRIALS[name] as Trial;
  const world = await newWorld();
  const watch = proxy.holdBack(world.id, -1);
  must(await make(impatient, world), 200);
  watch.ignore();
  const at = watch.operations.indexOf('TransactWriteItems');
  const other = await newWorld();
  const late = proxy.holdBack(other.id, at);
  must(await make(impatient, other), 503);
  late.ignore();
  must(await undo(other, { status: 503 } as Reply), 200, 204);
  const before = await stored(other);
  await late.release();
  expect(await stored(other)).toEqual(before);
});

const named = (one: InProcess, tableName: string): TestTable => ({ ...one.table, tableName });
let tables = 0;
async function newTable(): Promise<string> {
  const name = `late-${++tables}`;
  await createTable(faultFree.table.client as never, name);
  return name;
}
const itemsOf = async ({ client, tableName: TableName }: TestTable) =>
  (await client.send(new ScanCommand({ TableName }))).Items;

it('#47: npm run restore does not bring back a deleted key when the first attempt at any write arrives late', async () => {
  const backup = named(faultFree, await newTable());
  for (const Item of [toDeployment(deployment()), toApiKey(apiKey())]) {
    await backup.client.send(new PutCommand({ TableName: backup.tableName, Item }));
  }
  const restoreInto = (tableName: string) =>
    restore(
      restoration({
        from: backup,
        into: named(patient, tableName),
        point: faultFree.time.now,
        history: (id) => allEvents(named(faultFree, tableName), id),
        clock: () => faultFree.time.now,
      }),
    );
  const trial = await newTable();
  const watch = proxy.holdBack(trial, -1);
  await restoreInto(trial);
  watch.ignore();
  const writes = watch.operations.flatMap((operation, at) => (/Put|Transact/.test(operation) ? [at] : []));
  expect(writes).toHaveLength(4);
  for (const at of writes) {
    for (const collision of [undefined, { kind: 'conflict' as const, at: at + 1, lasts: false }]) {
      const name = await newTable();
      const late = proxy.holdBack(name, at, collision);
      expect(await restoreInto(name)).toMatchObject({ counts: { 'keys restored': 1 } });
      late.ignore();
      const into = named(faultFree, name);
      expect(await deleteApiKey(into, deployment(), apiKey().ulid, event())).toBe(true);
      const before = await itemsOf(into);
      await late.release();
      expect(await itemsOf(into)).toEqual(before);
    }
  }
});
