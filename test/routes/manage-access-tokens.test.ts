import { createHash } from 'node:crypto';
import { BatchWriteCommand, UpdateCommand } from '@aws-sdk/lib-dynamodb';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { hashOf, mintCredential, newUlid } from '../../functions/domain/credentials.ts';
import { expiryAfter, toSeconds } from '../../functions/domain/expiry.ts';
import { toToken } from '../../functions/table/schema.ts';
import { DAY, type InProcess, inProcess, must, partsOf, startTable } from '../support/in-process.ts';
import * as records from '../support/records.ts';
import type { CreatedKey } from '../support/stack.ts';

const engine = await startTable();
afterAll(() => engine.stop());

const NOON = Date.parse('2030-01-01T12:00:00.500Z');
/** The names of all calls to the table since the test began. */
const sent: string[] = [];
const service = inProcess(engine, {
  around: (when, { operation }) => void (when === 'before' && sent.push(operation)),
});
const admin = { as: 'admin' };
beforeEach(() => {
  service.time.now = NOON;
  service.malformed.length = 0;
});

let made = 0;
interface World {
  id: string;
  key: CreatedKey;
  keyPath: string;
  /** The path of the key's tokens. */
  path: string;
}
async function newWorld(groups = ['data-eng']): Promise<World> {
  const id = `tokens-${++made}`;
  await service.register(id, { groups });
  const key = await service.createKey(id);
  const keyPath = `/deployments/${id}/api-keys/${key.id}`;
  return { id, key, keyPath, path: `${keyPath}/tokens` };
}

/** Returns a token's ID as the contract defines it. */
const idOf = (token: string) => createHash('sha256').update(token).digest('base64url').slice(0, 22);
const list = async (path: string, query = '') =>
  must(await service.call('GET', `${path}${query}`, { as: 'member' }), 200).json;
const listedIds = async (path: string): Promise<string[]> =>
  (await list(path)).items.map((one: { id: string }) => one.id);
const remove = (path: string, as = 'member') => service.call('DELETE', path, { as });
async function narrowed({ key }: World, scope: string): Promise<string> {
  const form = { grant_type: 'client_credentials', scope };
  return must(await service.call('POST', '/oauth/token', { basic: [key.id, key.secret], form }), 200).json
    .access_token;
}
const NOT_FOUND = (what: string) => ({
  type: '/errors#not_found',
  title: 'Not Found',
  status: 404,
  code: 'not_found',
  detail: `No such ${what}.`,
});
const eventsOf = async ({ id }: World, type: string) =>
  (await service.partition(`EVENTS#${id}`)).filter((event) => event.type === type);
const itemOf = ({ id, key }: World, token: string) => ({
  pk: `DEPLOYMENT#${id}`,
  sk: `TOKEN#${partsOf(key.id).ulid}#${hashOf(token)}`,
});
const set = (Key: object, name: string, value: unknown) =>
  service.table.client.send(
    new UpdateCommand({
      TableName: service.table.tableName,
      Key: { ...Key },
      UpdateExpression: 'SET #name = :value',
      ExpressionAttributeNames: { '#name': name },
      ExpressionAttributeValues: { ':value': value },
    }),
  );

/** Writes tokens for the key, all with the given attributes. */
async function seed({ id, key }: World, count: number, attributes: object): Promise<void> {
  const { ulid } = partsOf(key.id);
  const [deployment] = await service.partition(`DEPLOYMENT#${id}`);
  const all = Array.from({ length: count }, () => {
    const hash = hashOf(mintCredential('token', id, ulid));
    const generation = String(deployment?.generation);
    const times = { issuedAt: toSeconds(NOON), expiresAt: expiryAfter(NOON, DAY) };
    return toToken(
      records.token({ deploymentId: id, ulid, hash, generation, epoch: 0, ...times, ...attributes }),
    );
  });
  for (let at = 0; at < count; at += 25) {
    const RequestItems = {
      [service.table.tableName]: all.slice(at, at + 25).map((Item) => ({ PutRequest: { Item } })),
    };
    await service.table.client.send(new BatchWriteCommand({ RequestItems }));
  }
}

describe("A key's access tokens can be listed", () => {
  it('lists each access token with its issue time, expiry, last use and narrowed scope', async () => {
    const world = await newWorld();
    const plain = await service.exchangeForToken(world.key);
    const less = await narrowed(world, 'airflow:read');
    service.time.now += 1_000_000;
    expect(await service.use(less)).toBe(200);
    const listed = await list(world.path);
    const expected = [
      { id: idOf(plain), issuedAt: '2030-01-01T12:00:00.000Z', expiresAt: '2030-01-02T12:00:01.000Z' },
      {
        id: idOf(less),
        issuedAt: '2030-01-01T12:00:00.000Z',
        expiresAt: '2030-01-02T12:21:41.000Z',
        scope: `deployment:${world.id} airflow:read`,
        lastUsedAt: '2030-01-01T12:16:40.500Z',
        lastUsedFrom: { address: '192.0.2.1', client: 'test' },
      },
    ];
    expect(listed).toStrictEqual({ items: expected.toSorted((a, b) => (a.id < b.id ? -1 : 1)) });
    for (const one of listed.items) expect(one.id).toMatch(/^[A-Za-z0-9_-]{22}$/);
    const text = JSON.stringify(listed);
    for (const token of [plain, less]) {
      expect(text).not.toContain(token);
      expect(text).not.toContain(hashOf(token));
    }
  });

  it('does not list access tokens that a check would deny', async () => {
    const world = await newWorld();
    const other = await service.createKey(world.id);
    await service.exchangeForToken(other);
    await seed(world, 1, { expiresAt: Math.ceil(NOON / 1000) });
    await seed(world, 1, { epoch: 1 });
    await seed(world, 1, { generation: newUlid(0) });
    service.time.now += 1000;
    expect(await list(world.path)).toStrictEqual({ items: [] });
    const token = await service.exchangeForToken(world.key);
    expect(await listedIds(world.path)).toStrictEqual([idOf(token)]);
    service.time.now += DAY * 1000 + 500;
    expect(await list(world.path)).toStrictEqual({ items: [] });
  });

  it('lists an access token with the expiry of its key, or of its maximum lifetime, if that is earlier', async () => {
    const world = await newWorld();
    await service.exchangeForToken(world.key);
    const expiresAt = '2030-01-01T18:00:00Z';
    must(await service.call('PATCH', world.keyPath, { ...admin, json: { expiresAt } }), 200);
    expect((await list(world.path)).items[0].expiresAt).toBe('2030-01-01T18:00:00.000Z');
    const strict = inProcess(engine, { rules: { maxTokenLifetime: 3600 } });
    const { items } = must(await strict.call('GET', world.path, admin), 200).json;
    expect(items[0].expiresAt).toBe('2030-01-01T13:00:00.000Z');
  });

  it('does not list access tokens while the key is disabled', async () => {
    const world = await newWorld();
    await service.exchangeForToken(world.key);
    must(await service.call('PATCH', world.keyPath, { ...admin, json: { enabled: false } }), 200);
    expect(await list(world.path)).toStrictEqual({ items: [] });
  });

  it('lists each access token once across all pages', async () => {
    const world = await newWorld();
    await seed(world, 7, {});
    await seed(world, 7, { expiresAt: 1 });
    const ids: string[] = [];
    let cursor = '';
    do {
      const page = await list(world.path, `?limit=2${cursor && `&cursor=${cursor}`}`);
      expect(page.items.length).toBeLessThanOrEqual(2);
      ids.push(...page.items.map((one: { id: string }) => one.id));
      cursor = page.nextCursor ?? '';
    } while (cursor);
    expect(ids).toHaveLength(7);
    expect(ids).toStrictEqual(ids.toSorted());
    expect(new Set(ids)).toStrictEqual(new Set(await listedIds(world.path)));
  });

  it('a page of access tokens needs at most two queries, and can be empty although there is a next page', async () => {
    const world = await newWorld();
    // Expired tokens of more than 1 MB, which two queries cannot read completely.
    await seed(world, 150, { expiresAt: 1, scopes: ['x'.repeat(10_000)] });
    sent.length = 0;
    const first = await list(world.path, '?limit=1');
    expect(sent).toStrictEqual(['GetItem', 'GetItem', 'GetItem', 'Query', 'Query']);
    expect(first).toStrictEqual({ items: [], nextCursor: expect.any(String) });
    expect(await list(world.path, `?limit=1&cursor=${first.nextCursor}`)).toStrictEqual({ items: [] });
  });

  it('the listing of access tokens rejects an invalid limit, and a cursor from another key or caller', async () => {
    const world = await newWorld();
    await seed(world, 3, {});
    const { nextCursor } = await list(world.path, '?limit=1');
    const another = await service.createKey(world.id);
    const elsewhere = world.path.replace(world.key.id, another.id);
    for (const [path, as] of [
      [elsewhere, 'member'],
      [world.path, 'admin'],
    ] as const) {
      const reply = await service.call('GET', `${path}?limit=1&cursor=${nextCursor}`, { as });
      expect([reply.status, reply.json.errors[0].field]).toStrictEqual([400, 'cursor']);
    }
    const reply = await service.call('GET', `${world.path}?limit=101`, admin);
    expect([reply.status, reply.json.errors]).toStrictEqual([
      400,
      [{ field: 'limit', rule: 'must be a whole number from 1 to 100' }],
    ]);
  });

  it.each(['generation', 'epoch', 'issuedAt', 'expiresAt', 'scope'])(
    'omits an access token with a malformed %s from the listing, and reports it',
    async (name) => {
      const world = await newWorld();
      const [good, bad] = [
        await service.exchangeForToken(world.key),
        await service.exchangeForToken(world.key),
      ];
      await set(itemOf(world, bad), name, { x: 1 });
      expect(await listedIds(world.path)).toStrictEqual([idOf(good)]);
      expect(service.malformed).toStrictEqual([itemOf(world, bad)]);
    },
  );

  it('lists an access token even if its last use is malformed, but not if its sort key is malformed', async () => {
    const world = await newWorld();
    const token = await service.exchangeForToken(world.key);
    await set(itemOf(world, token), 'lastUsedAt', 'x');
    const { sk, ...rest } = toToken(records.token({ deploymentId: world.id })) as Record<string, unknown>;
    expect(sk).toBeDefined();
    await set(
      { ...itemOf(world, token), sk: `TOKEN#${partsOf(world.key.id).ulid}#short` },
      'epoch',
      rest.epoch,
    );
    expect((await list(world.path)).items).toStrictEqual([
      { id: idOf(token), issuedAt: '2030-01-01T12:00:00.000Z', expiresAt: '2030-01-02T12:00:01.000Z' },
    ]);
  });
});

describe('An access token can be revoked by its ID', () => {
  it('revoking an access token takes effect at the next check and does not affect other tokens', async () => {
    const world = await newWorld();
    const [one, other] = [
      await service.exchangeForToken(world.key),
      await service.exchangeForToken(world.key),
    ];
    const reply = await remove(`${world.path}/${idOf(one)}`);
    expect([reply.status, reply.text]).toStrictEqual([204, '']);
    expect(await service.use(one)).toBe(401);
    expect(await service.use(other)).toBe(200);
    expect((await service.exchange(world.key)).status).toBe(200);
    const again = await remove(`${world.path}/${idOf(one)}`);
    expect([again.status, again.json]).toStrictEqual([404, NOT_FOUND('access token')]);
  });

  it('records who revoked an access token, but neither the token nor its hash', async () => {
    const world = await newWorld();
    const token = await service.exchangeForToken(world.key);
    await remove(`${world.path}/${idOf(token)}`);
    const events = await eventsOf(world, 'token.revoked');
    expect(events).toMatchObject([{ actor: { principal: 'member', type: 'person' }, createdAt: NOON }]);
    expect(events[0]?.data).toStrictEqual({ keyId: world.key.id, name: 'ci', tokenId: idOf(token) });
    expect(JSON.stringify(events)).not.toContain(hashOf(token));
  });

  it('returns 404 for an access token ID that is not exactly 22 base64url characters', async () => {
    const world = await newWorld();
    const token = await service.exchangeForToken(world.key);
    const hash = hashOf(token);
    const ids = [0, 1, 20, 21, 23, 42, 43].map((length) => hash.slice(0, length));
    const others = [
      `${hash.slice(0, 21)}~`,
      `${hash.slice(0, 21)}%`,
      `${hash.slice(0, 22)}\n`,
      '#'.repeat(22),
    ];
    for (const id of [...ids.filter((it) => it !== ''), ...others, '.', '..', '*', '__proto__']) {
      sent.length = 0;
      const reply = await remove(`${world.path}/${encodeURIComponent(id)}`);
      expect([id, reply.status, reply.json]).toStrictEqual([id, 404, NOT_FOUND('access token')]);
      // The service does not look up a malformed ID.
      expect(sent).toStrictEqual(['GetItem', 'GetItem', 'GetItem']);
    }
    expect(await service.use(token)).toBe(200);
  });

  it('returns 404 for revoking a token that has expired, was revoked or belongs to another key', async () => {
    const world = await newWorld();
    const other = await service.createKey(world.id);
    const [mine, others] = [await service.exchangeForToken(world.key), await service.exchangeForToken(other)];
    const never = idOf(mintCredential('token', world.id, newUlid(0)));
    for (const id of [idOf(others), never]) {
      expect((await remove(`${world.path}/${id}`)).status).toBe(404);
    }
    expect(await service.use(others)).toBe(200);
    service.time.now += (DAY + 1) * 1000;
    expect((await remove(`${world.path}/${idOf(mine)}`)).status).toBe(404);
    expect(await eventsOf(world, 'token.revoked')).toStrictEqual([]);
  });

  it('returns 404 for an access token ID in a different case or with a wildcard', async () => {
    const world = await newWorld();
    const token = await service.exchangeForToken(world.key);
    const id = idOf(token);
    const swapped = id.replace(/[a-zA-Z]/g, (it) =>
      it === it.toLowerCase() ? it.toUpperCase() : it.toLowerCase(),
    );
    for (const other of [swapped, id.toLowerCase(), id.toUpperCase(), `_${id.slice(1)}`, '_'.repeat(22)]) {
      if (other === id) continue;
      expect((await remove(`${world.path}/${other}`)).status).toBe(404);
    }
    expect(await service.use(token)).toBe(200);
  });

  it('finds an access token by its ID without reading other tokens', async () => {
    const world = await newWorld();
    await seed(world, 30, {});
    const token = await service.exchangeForToken(world.key);
    const queries: unknown[] = [];
    const watched = inProcess(engine, {
      around: (when, { operation, input }) =>
        void (when === 'before' && operation === 'Query' && queries.push(input)),
    });
    expect((await watched.call('DELETE', `${world.path}/${idOf(token)}`, admin)).status).toBe(204);
    expect(queries).toMatchObject([
      {
        ConsistentRead: true,
        ExpressionAttributeValues: { ':prefix': `TOKEN#${partsOf(world.key.id).ulid}#${idOf(token)}` },
      },
    ]);
  });

  it('revoking a malformed access token deletes it, so that a later repair does not make it valid', async () => {
    const world = await newWorld();
    const token = await service.exchangeForToken(world.key);
    await set(itemOf(world, token), 'epoch', 'x');
    expect(await service.use(token)).toBe(401);
    expect((await remove(`${world.path}/${idOf(token)}`)).status).toBe(204);
    const items = await service.partition(`DEPLOYMENT#${world.id}`);
    expect(items.filter(({ sk }) => String(sk).startsWith('TOKEN#'))).toStrictEqual([]);
  });
});

describe('All access tokens of a key can be revoked at once', () => {
  it("revoking all access tokens denies each token at its next check, but the key's secret stays valid", async () => {
    const world = await newWorld();
    const before = [await service.exchangeForToken(world.key), await service.exchangeForToken(world.key)];
    const reply = await remove(world.path);
    expect([reply.status, reply.text]).toStrictEqual([204, '']);
    for (const token of before) expect(await service.use(token)).toBe(401);
    expect(await list(world.path)).toStrictEqual({ items: [] });
    const fresh = await service.exchangeForToken(world.key);
    expect(await service.use(fresh)).toBe(200);
    expect(await listedIds(world.path)).toStrictEqual([idOf(fresh)]);
  });

  it("revoking all access tokens changes only the key's epoch and records who revoked them", async () => {
    const world = await newWorld();
    const keyItem = async () =>
      (await service.partition(`DEPLOYMENT#${world.id}`)).find(({ sk }) => String(sk).startsWith('KEY#'));
    const before = await keyItem();
    await remove(world.path);
    expect(await keyItem()).toStrictEqual({ ...before, epoch: 1, revision: Number(before?.revision) + 1 });
    const events = await eventsOf(world, 'api_key.tokens_revoked');
    expect(events).toMatchObject([{ actor: { principal: 'member', type: 'person' }, createdAt: NOON }]);
    expect(events[0]?.data).toStrictEqual({ keyId: world.key.id, name: 'ci' });
  });

  it('revoking all access tokens succeeds even if the key has no tokens or is disabled', async () => {
    const world = await newWorld();
    expect((await remove(world.path)).status).toBe(204);
    must(await service.call('PATCH', world.keyPath, { ...admin, json: { enabled: false } }), 200);
    expect((await remove(world.path)).status).toBe(204);
    expect((await remove(world.path)).status).toBe(204);
  });

  it('revoked access tokens stay revoked when an edit that read the key before is written afterwards', async () => {
    const world = await newWorld();
    const token = await service.exchangeForToken(world.key);
    let isFirst = true;
    const editor: InProcess = inProcess(engine, {
      around: async (when, { operation }) => {
        if (when === 'after' || operation !== 'TransactWriteItems' || !isFirst) return;
        isFirst = false;
        expect((await remove(world.path)).status).toBe(204);
      },
    });
    editor.time.now = NOON;
    expect((await editor.call('PATCH', world.keyPath, { ...admin, json: { name: 'renamed' } })).status).toBe(
      200,
    );
    expect(await service.use(token)).toBe(401);
    const { json } = must(await service.call('GET', world.keyPath, admin), 200);
    expect(json.name).toBe('renamed');
  });

  it('revoking all access tokens succeeds at the first attempt even if the key changes during the call', async () => {
    const world = await newWorld();
    const token = await service.exchangeForToken(world.key);
    let edits = 0;
    const owner = inProcess(engine, {
      around: async (when, { operation }) => {
        if (when === 'after' || operation !== 'TransactWriteItems') return;
        edits++;
        const json = { name: `n${edits}`, enabled: edits % 2 === 0 };
        must(await service.call('PATCH', world.keyPath, { ...admin, json }), 200);
      },
    });
    expect((await owner.call('DELETE', world.path, admin)).status).toBe(204);
    expect(edits).toBe(1);
    expect(await service.use(token)).toBe(401);
  });
});

describe('The access tokens of a hidden key cannot be listed or revoked', () => {
  it('returns the same 404 after the same reads for the tokens of a hidden key and of a missing Deployment', async () => {
    const hidden = await newWorld(['others']);
    const token = await service.exchangeForToken(hidden.key);
    const absent = hidden.path.replaceAll(hidden.id, hidden.id.replace(/./, 'x'));
    for (const [method, suffix] of [
      ['GET', ''],
      ['DELETE', ''],
      ['DELETE', `/${idOf(token)}`],
    ] as const) {
      for (const path of [hidden.path, absent]) {
        sent.length = 0;
        const reply = await service.call(method, path + suffix, { as: 'member' });
        expect([reply.status, reply.json]).toStrictEqual([404, NOT_FOUND('Deployment')]);
        // One read of the caller's record, and one of the Deployment.
        expect(sent).toStrictEqual(['GetItem', 'GetItem']);
      }
    }
    expect(await service.use(token)).toBe(200);
  });

  it('returns 404 for the tokens of a missing key, or of a key in a different Deployment', async () => {
    const [world, other] = [await newWorld(), await newWorld()];
    const token = await service.exchangeForToken(other.key);
    for (const keyId of [
      other.key.id,
      `dk_${world.id}_${newUlid(0)}`,
      'x',
      'dk__',
      world.key.id.slice(0, -1),
    ]) {
      const path = world.path.replace(world.key.id, keyId);
      for (const [method, target] of [
        ['GET', path],
        ['DELETE', path],
        ['DELETE', `${path}/${idOf(token)}`],
      ] as const) {
        const reply = await service.call(method, target, admin);
        expect([keyId, reply.status, reply.json]).toStrictEqual([keyId, 404, NOT_FOUND('API key')]);
      }
    }
    expect(await service.use(token)).toBe(200);
  });
});
