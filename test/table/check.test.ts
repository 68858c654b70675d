import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import type { CheckStore } from '../../functions/domain/check.ts';
import { newUlid } from '../../functions/domain/mint.ts';
import { checkStore } from '../../functions/table/check.ts';
import { leanCheckStore } from '../../functions/table/lean-check.ts';
import {
  CHECKED_ATTRIBUTES,
  toApiKey,
  toDeployment,
  toGrant,
  toToken,
} from '../../functions/table/schema.ts';
import type { Wire } from '../../functions/table/wire.ts';
import { apiKey, deployment, GENERATION, grant, KEY_ULID, MADE_AT, token } from '../support/records.ts';
import { startStore } from '../support/store.ts';

const store = await startStore();
afterAll(() => store.stop());
beforeEach(() => store.clear(pk));

const pk = 'DEPLOYMENT#etl';
const HASH = 't'.repeat(43);
const OF_TOKEN = { kind: 'token', deploymentId: 'etl', ulid: KEY_ULID } as const;
const OF_GRANT = { ...OF_TOKEN, kind: 'temporary' } as const;
const ofToken = { pk, sk: `TOKEN#${KEY_ULID}#${HASH}` };
const ofKey = { pk, sk: `KEY#${KEY_ULID}` };
const FROM = { address: '192.0.2.1', client: 'curl/8' };
const noted = (at: number) => ({ lastUsedAt: at, lastUsedAddress: '192.0.2.1', lastUsedClient: 'curl/8' });
const END = token().expiresAt;

const stores: [string, CheckStore][] = [
  ['with the SDK', checkStore(store.table)],
  ['without it', leanCheckStore(store.wire, store.table)],
];

describe.each(stores)('the store of a check, %s', (_, check) => {
  describe('reads', () => {
    const key = apiKey({ networks: ['10.0.0.0/8'], validUntil: 5, lastUsedAt: 6 });

    it('token, key and Deployment in one strongly consistent read, of them what it judges by', async () => {
      await store.put(toToken(token({ scopes: ['a'] })), toApiKey(key), toDeployment(deployment()));
      const { issuedAt, expiresAt } = token();
      expect(await check.read(OF_TOKEN, HASH)).toEqual({
        deployment: { generation: GENERATION },
        key: {
          scopes: ['code:deploy'],
          enabled: true,
          validUntil: 5,
          epoch: 0,
          generation: GENERATION,
          lastUsedAt: 6,
          networks: ['10.0.0.0/8'],
        },
        token: { generation: GENERATION, epoch: 0, scopes: ['a'], issuedAt, expiresAt },
      });
      expect(store.sent).toHaveLength(1);
      expect(store.sent[0]?.input).toMatchObject({
        RequestItems: { keys: { ConsistentRead: true, ...CHECKED_ATTRIBUTES } },
      });
    });

    it('a temporary token and its Deployment', async () => {
      await store.put(toGrant(grant()), toDeployment(deployment()), toApiKey(key));
      const { sub, scopes, issuedAt, expiresAt } = grant();
      expect(await check.read(OF_GRANT, 'g'.repeat(43))).toEqual({
        deployment: { generation: GENERATION },
        grant: { generation: GENERATION, sub, scopes, issuedAt, expiresAt },
      });
    });

    it('each by itself, where others are missing; and nothing that is malformed, which it reports', async () => {
      expect(await check.read(OF_TOKEN, HASH)).toEqual({});
      await store.put(toDeployment(deployment()));
      expect(await check.read(OF_TOKEN, HASH)).toEqual({ deployment: { generation: GENERATION } });
      expect(store.malformed).toEqual([]);
      await store.put({ ...toApiKey(key), enabled: 'true' });
      expect(await check.read(OF_TOKEN, HASH)).toEqual({ deployment: { generation: GENERATION } });
      expect(store.malformed).toEqual([ofKey]);
    });
  });

  describe('slides', () => {
    const slide = (until: number, now: number) => check.slide(OF_TOKEN, HASH, until, now, FROM);

    it('a live token further, and notes the use on it', async () => {
      await store.put(toToken(token()));
      expect(await slide(END + 1, MADE_AT)).toBe(END + 1);
      expect(await store.get(ofToken)).toEqual({
        ...toToken(token()),
        expiresAt: END + 1,
        ...noted(MADE_AT),
      });
    });

    it('a temporary token too, were it asked to', async () => {
      await store.put(toGrant(grant()));
      const { hash, expiresAt } = grant();
      expect(await check.slide(OF_GRANT, hash, expiresAt + 1, MADE_AT, FROM)).toBe(expiresAt + 1);
    });

    it('none back: one that is as late or later stays, and its expiry is told', async () => {
      await store.put(toToken(token()));
      for (const until of [END, END - 1]) expect(await slide(until, MADE_AT)).toBe(END);
      expect(await store.get(ofToken)).toEqual(toToken(token()));
    });

    it('none that has expired, to the second', async () => {
      await store.put(toToken(token()));
      for (const now of [END * 1000, END * 1000 + 999, (END + 1) * 1000]) {
        expect(await slide(END + 100_000, now)).toBeUndefined();
      }
      expect(await store.get(ofToken)).toEqual(toToken(token()));
      expect(await slide(END + 100_000, END * 1000 - 1)).toBe(END + 100_000);
    });

    it('none that is gone: no ghost comes of it', async () => {
      expect(await slide(END + 1, MADE_AT)).toBeUndefined();
      expect(await store.get(ofToken)).toBeUndefined();
    });

    it('none whose expiry is no number', async () => {
      for (const expiresAt of ['x', 0.5, undefined]) {
        await store.put({ ...toToken(token()), expiresAt });
        expect(await slide(END + 1, MADE_AT)).toBeUndefined();
      }
    });
  });

  describe('notes a use on the key', () => {
    const touch = (before: number, now: number) => check.touch(OF_TOKEN, before, now, FROM).catch(() => {});

    it('the first, and again when the last was not after a moment', async () => {
      await store.put(toApiKey(apiKey()));
      await touch(10, 20);
      expect(await store.get(ofKey)).toEqual({ ...toApiKey(apiKey()), ...noted(20) });
      await touch(19, 30);
      expect(await store.get(ofKey)).toMatchObject({ lastUsedAt: 20 });
      await touch(20, 30);
      expect(await store.get(ofKey)).toMatchObject({ lastUsedAt: 30 });
    });

    it('that is there: no ghost comes of it', async () => {
      await touch(10, 20);
      expect(await store.partition(pk)).toEqual([]);
    });
  });

  it('tells a key from a token of the same ULID in another Deployment', async () => {
    await store.put(
      { ...toToken(token()), pk: 'DEPLOYMENT#other' },
      toDeployment(deployment({ id: 'other' })),
    );
    expect(await check.read({ ...OF_TOKEN, deploymentId: 'other' }, HASH)).toMatchObject({
      token: { epoch: 0 },
    });
    expect(await check.read(OF_TOKEN, HASH)).toEqual({});
    await store.clear('DEPLOYMENT#other');
  });
});

describe('the store of a check, without the SDK', () => {
  const answering = (outcome: Awaited<ReturnType<Wire>>) =>
    leanCheckStore(async () => outcome, { tableName: 'keys', onMalformed: () => {} });
  const busy = expect.objectContaining({
    status: 503,
    cause: expect.objectContaining({ message: 'BatchGetItem gave no answer' }),
  });

  it('fails when an answer says nothing of the table', async () => {
    for (const output of [{}, { Responses: {} }, { Responses: { other: [] } }])
      await expect(answering({ done: true, output }).read(OF_TOKEN, HASH)).rejects.toEqual(busy);
    await expect(answering({ done: false, item: undefined }).read(OF_TOKEN, HASH)).rejects.toEqual(busy);
  });

  it('takes none of several items but those that it asked for', async () => {
    const generation = { S: newUlid(0) };
    const Responses = {
      keys: [
        {},
        { pk: { S: pk } },
        { pk: { S: 'DEPLOYMENT#other' }, sk: { S: 'DEPLOYMENT' }, generation },
        { pk: { S: pk }, sk: { S: 'OTHER' }, generation },
        { pk: { S: pk }, sk: { S: 'DEPLOYMENT' }, generation: { S: GENERATION } },
      ],
    };
    expect(await answering({ done: true, output: { Responses } }).read(OF_TOKEN, HASH)).toEqual({
      deployment: { generation: GENERATION },
    });
  });

  it('takes values of a type that our items have not for malformed ones', async () => {
    const item = (generation: object) => ({ pk: { S: pk }, sk: { S: 'DEPLOYMENT' }, generation });
    for (const generation of [
      { B: 'AAEC' },
      { SS: [GENERATION] },
      { L: [{ S: GENERATION }] },
      { NULL: true },
    ]) {
      const output = { Responses: { keys: [item(generation)] } };
      expect(await answering({ done: true, output }).read(OF_TOKEN, HASH)).toEqual({});
    }
  });
});
