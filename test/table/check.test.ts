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

describe.each(stores)('the check store, %s', (_, check) => {
  describe('read', () => {
    const key = apiKey({ networks: ['10.0.0.0/8'], validUntil: 5, lastUsedAt: 6 });

    it('returns token, key and Deployment in one strongly consistent read, with only the attributes that a check needs', async () => {
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

    it('returns a temporary token and its Deployment', async () => {
      await store.put(toGrant(grant()), toDeployment(deployment()), toApiKey(key));
      const { sub, scopes, issuedAt, expiresAt } = grant();
      expect(await check.read(OF_GRANT, 'g'.repeat(43))).toEqual({
        deployment: { generation: GENERATION },
        grant: { generation: GENERATION, sub, scopes, issuedAt, expiresAt },
      });
    });

    it('returns each item that exists, and reports and omits malformed ones', async () => {
      expect(await check.read(OF_TOKEN, HASH)).toEqual({});
      await store.put(toDeployment(deployment()));
      expect(await check.read(OF_TOKEN, HASH)).toEqual({ deployment: { generation: GENERATION } });
      expect(store.malformed).toEqual([]);
      await store.put({ ...toApiKey(key), enabled: 'true' });
      expect(await check.read(OF_TOKEN, HASH)).toEqual({ deployment: { generation: GENERATION } });
      expect(store.malformed).toEqual([ofKey]);
    });
  });

  describe('slide', () => {
    const slide = (until: number, now: number) => check.slide(OF_TOKEN, HASH, until, now, FROM);

    it('extends a valid token and records the use on it', async () => {
      await store.put(toToken(token()));
      expect(await slide(END + 1, MADE_AT)).toBe(END + 1);
      expect(await store.get(ofToken)).toEqual({
        ...toToken(token()),
        expiresAt: END + 1,
        ...noted(MADE_AT),
      });
    });

    it('can also extend a temporary token', async () => {
      await store.put(toGrant(grant()));
      const { hash, expiresAt } = grant();
      expect(await check.slide(OF_GRANT, hash, expiresAt + 1, MADE_AT, FROM)).toBe(expiresAt + 1);
    });

    it('never shortens a token, and returns the later expiry that it found', async () => {
      await store.put(toToken(token()));
      for (const until of [END, END - 1]) expect(await slide(until, MADE_AT)).toBe(END);
      expect(await store.get(ofToken)).toEqual(toToken(token()));
    });

    it('does not extend a token from the second of its expiry', async () => {
      await store.put(toToken(token()));
      for (const now of [END * 1000, END * 1000 + 999, (END + 1) * 1000]) {
        expect(await slide(END + 100_000, now)).toBeUndefined();
      }
      expect(await store.get(ofToken)).toEqual(toToken(token()));
      expect(await slide(END + 100_000, END * 1000 - 1)).toBe(END + 100_000);
    });

    it('does not re-create a deleted token', async () => {
      expect(await slide(END + 1, MADE_AT)).toBeUndefined();
      expect(await store.get(ofToken)).toBeUndefined();
    });

    it('does not extend a token whose expiry is not a number', async () => {
      for (const expiresAt of ['x', 0.5, undefined]) {
        await store.put({ ...toToken(token()), expiresAt });
        expect(await slide(END + 1, MADE_AT)).toBeUndefined();
      }
    });
  });

  describe('touch', () => {
    const touch = (before: number, now: number) => check.touch(OF_TOKEN, before, now, FROM).catch(() => {});

    it('records the first use of a key, and later uses when the last one is old enough', async () => {
      await store.put(toApiKey(apiKey()));
      await touch(10, 20);
      expect(await store.get(ofKey)).toEqual({ ...toApiKey(apiKey()), ...noted(20) });
      await touch(19, 30);
      expect(await store.get(ofKey)).toMatchObject({ lastUsedAt: 20 });
      await touch(20, 30);
      expect(await store.get(ofKey)).toMatchObject({ lastUsedAt: 30 });
    });

    it('does not re-create a deleted key', async () => {
      await touch(10, 20);
      expect(await store.partition(pk)).toEqual([]);
    });
  });

  it('finds no token of the same ULID in another Deployment', async () => {
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

describe('the check store, without the SDK', () => {
  const answering = (outcome: Awaited<ReturnType<Wire>>) =>
    leanCheckStore(async () => outcome, { tableName: 'keys', onMalformed: () => {} });
  const busy = expect.objectContaining({
    status: 503,
    cause: expect.objectContaining({ message: 'BatchGetItem gave no answer' }),
  });

  it('fails when the response does not mention the table', async () => {
    for (const output of [{}, { Responses: {} }, { Responses: { other: [] } }])
      await expect(answering({ done: true, output }).read(OF_TOKEN, HASH)).rejects.toEqual(busy);
    await expect(answering({ done: false, item: undefined }).read(OF_TOKEN, HASH)).rejects.toEqual(busy);
  });

  it('ignores returned items that it did not request', async () => {
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

  it('treats values of unexpected types as malformed', async () => {
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
