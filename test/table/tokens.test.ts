import { marshall } from '@aws-sdk/util-dynamodb';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { newUlid } from '../../functions/domain/mint.ts';
import { leanTokenStore } from '../../functions/table/lean-tokens.ts';
import { toApiKey, toDeployment, toEvent, toGrant, toToken } from '../../functions/table/schema.ts';
import { deleteLeakedToken } from '../../functions/table/tokens.ts';
import {
  apiKey,
  deployment,
  event,
  GENERATION,
  grant,
  KEY_ULID,
  MADE_AT,
  token,
} from '../support/records.ts';
import { startStore } from '../support/store.ts';

const store = await startStore();
const { table } = store;
const tokens = leanTokenStore(store.wire, table);
afterAll(() => store.stop());
beforeEach(() => store.clear('DEPLOYMENT#etl', 'EVENTS#etl'));

const pk = 'DEPLOYMENT#etl';
const ofKey = { pk, sk: `KEY#${KEY_ULID}` };
const ofToken = { pk, sk: `TOKEN#${KEY_ULID}#${'t'.repeat(43)}` };
const ofGrant = { pk, sk: `GRANT#${KEY_ULID}#${'g'.repeat(43)}` };
const FROM = { address: '192.0.2.1', client: 'curl/8' };
const OTHER = newUlid(0);

describe('readKey', () => {
  it('returns the key with its Deployment in one strongly consistent read', async () => {
    await store.put(toDeployment(deployment()), toApiKey(apiKey()));
    expect(await tokens.readKey('etl', KEY_ULID)).toEqual({ deployment: deployment(), key: apiKey() });
    const Keys = [marshall({ pk, sk: 'DEPLOYMENT' }), marshall(ofKey)];
    const input = { RequestItems: { keys: { ConsistentRead: true, Keys } } };
    expect(store.sent).toEqual([{ name: 'BatchGetItem', input }]);
  });

  it('returns neither a missing nor a malformed key or Deployment', async () => {
    expect(await tokens.readKey('etl', KEY_ULID)).toEqual({ deployment: undefined, key: undefined });
    await store.put(toApiKey(apiKey()), { pk, sk: 'DEPLOYMENT', generation: GENERATION });
    expect(await tokens.readKey('etl', KEY_ULID)).toEqual({ deployment: undefined, key: apiKey() });
    expect(store.malformed).toEqual([{ pk, sk: 'DEPLOYMENT' }]);
    await store.put({ ...toApiKey(apiKey()), enabled: 'yes' }, toDeployment(deployment()));
    expect(await tokens.readKey('etl', KEY_ULID)).toEqual({ deployment: deployment(), key: undefined });
    expect(store.malformed).toEqual([{ pk, sk: 'DEPLOYMENT' }, ofKey]);
  });
});

describe('readToken', () => {
  const of = (kind: 'token' | 'temporary') => ({ kind, deploymentId: 'etl', ulid: KEY_ULID });

  it('returns the token, its key, its Deployment and its last use in one strongly consistent read', async () => {
    const used = { lastUsedAt: 7, lastUsedAddress: '192.0.2.1', lastUsedClient: 'curl/8' };
    await store.put({ ...toToken(token()), ...used }, toApiKey(apiKey()), toDeployment(deployment()));
    const { generation, epoch, issuedAt, expiresAt } = token();
    expect(await tokens.readToken(of('token'), 't'.repeat(43))).toEqual({
      deployment: { generation },
      key: { scopes: ['code:deploy'], enabled: true, epoch: 0, generation },
      token: { generation, epoch, issuedAt, expiresAt },
      lastUse: { at: 7, address: '192.0.2.1', client: 'curl/8' },
    });
    expect(store.sent).toMatchObject([
      { name: 'BatchGetItem', input: { RequestItems: { keys: { ConsistentRead: true } } } },
    ]);
  });

  it('returns a temporary token, which has no last use, and nothing for a token that does not exist', async () => {
    expect(await tokens.readToken(of('temporary'), 'g'.repeat(43))).toEqual({});
    await store.put(toGrant(grant()));
    const { generation, sub, scopes, issuedAt, expiresAt } = grant();
    expect(await tokens.readToken(of('temporary'), 'g'.repeat(43))).toEqual({
      grant: { generation, sub, scopes, issuedAt, expiresAt },
    });
  });

  it('omits and reports malformed items', async () => {
    await store.put({ ...toToken(token()), epoch: 'x' });
    expect(await tokens.readToken(of('token'), 't'.repeat(43))).toEqual({});
    expect(store.malformed).toEqual([ofToken]);
  });

  it('fails when the response does not mention the table, and never returns another item', async () => {
    const answering = (output: Record<string, unknown>) =>
      leanTokenStore(async () => ({ done: true, output }), table).readToken(of('token'), 'h');
    for (const output of [{}, { Responses: {} }, { Responses: { other: [] } }])
      await expect(answering(output)).rejects.toMatchObject({
        status: 503,
        cause: { message: 'BatchGetItem gave no answer' },
      });
    const generation = { S: OTHER };
    const strangers = [
      {},
      { pk: { S: pk } },
      { pk: { S: 'DEPLOYMENT#other' }, sk: { S: 'DEPLOYMENT' }, generation },
      { pk: { S: pk }, sk: { S: 'OTHER' }, generation },
    ];
    expect(await answering({ Responses: { keys: strangers } })).toEqual({});
  });
});

describe('the item of a token', () => {
  it('is written in one request, with a narrowed scope as a string', async () => {
    await tokens.putToken(() => token());
    const { deploymentId: _, ulid: __, hash: ___, ...rest } = token();
    expect(await store.get(ofToken)).toEqual({ ...ofToken, ...rest });
    await tokens.putToken(() => token({ scopes: ['a', 'b:c'] }));
    expect(await store.get(ofToken)).toEqual({ ...ofToken, ...rest, scope: 'a b:c' });
    await tokens.putToken(() => token({ scopes: [] }));
    expect(await store.get(ofToken)).toMatchObject({ scope: '' });
    expect(store.sent).toHaveLength(3);
  });

  it('is deleted in one request, even if it is already gone', async () => {
    await tokens.putToken(() => token());
    await tokens.deleteToken(token());
    expect(await store.get(ofToken)).toBeUndefined();
    await tokens.deleteToken(token());
    expect(store.sent.map(({ name }) => name)).toEqual(['PutItem', 'DeleteItem', 'DeleteItem']);
  });

  it('is deleted with an event when it leaked, whatever its kind, and without one when it is already gone', async () => {
    await store.put(toToken(token()), toGrant(grant()));
    const of = (kind: 'token' | 'temporary') => ({ kind, deploymentId: 'etl', ulid: KEY_ULID });
    await deleteLeakedToken(table, of('token'), 't'.repeat(43), event({ id: newUlid(1) }));
    expect(await store.get(ofToken)).toBeUndefined();
    await deleteLeakedToken(table, of('temporary'), 'g'.repeat(43), event({ id: newUlid(2) }));
    expect(await store.get(ofGrant)).toBeUndefined();
    expect(await store.partition('EVENTS#etl')).toHaveLength(2);
    await deleteLeakedToken(table, of('token'), 't'.repeat(43), event({ id: newUlid(3) }));
    expect(await store.partition('EVENTS#etl')).toHaveLength(2);
  });
});

describe('the first token of a new secret', () => {
  const old = { hash: 'o', createdAt: 1, retiresOnFirstUse: true };
  const fresh = { hash: 'n', createdAt: 2 };
  const key = apiKey({ secrets: [old, fresh] });
  const secrets = [{ ...fresh, lastUsedAt: 9 }];
  const firstUse = { secret: fresh, secrets, now: 9, from: FROM };

  it('is written with the secrets of its key, its last use and the event', async () => {
    await store.put({ ...toApiKey(key), name: 'kept' });
    const first = { ...firstUse, event: event() };
    expect(await tokens.putTokenOfFirstUse(token(), key, first)).toBe(true);
    expect(await store.get(ofToken)).toBeDefined();
    expect(await store.partition('EVENTS#etl')).toEqual([toEvent(event())]);
    const used = { lastUsedAt: 9, lastUsedAddress: '192.0.2.1', lastUsedClient: 'curl/8' };
    expect(await store.get(ofKey)).toEqual({
      ...toApiKey(apiKey({ secrets, name: 'kept', ...used })),
      'lastUsedAt#n': 9,
    });
  });

  it('does not depend on recorded uses of the other secret', async () => {
    const inUse = { ...old, lastUsedAt: 8 };
    await store.put({ ...toApiKey(apiKey({ secrets: [inUse, fresh] })), 'lastUsedAt#o': 8 });
    expect(await tokens.putTokenOfFirstUse(token(), key, firstUse)).toBe(true);
    expect(await store.partition('EVENTS#etl')).toEqual([]);
  });

  it.each<[string, Parameters<typeof apiKey>[0] | undefined]>([
    ['a later revision', { revision: 1 }],
    ['another life', { generation: OTHER }],
    ['other secrets', { secrets: [] }],
    [
      'an earlier first use',
      {
        secrets: [
          { ...old, lastUsedAt: 3 },
          { ...fresh, lastUsedAt: 3 },
        ],
      },
    ],
    ['no item', undefined],
  ])('is not written when the key now has %s', async (_, change) => {
    if (change) await store.put(toApiKey(apiKey({ secrets: key.secrets, ...change })));
    const before = await store.partition(pk);
    expect(await tokens.putTokenOfFirstUse(token(), key, firstUse)).toBe(false);
    expect(await store.partition(pk)).toEqual(before);
  });
});

describe('the use of an API key', () => {
  const key = apiKey({
    secrets: [
      { hash: 'a', createdAt: 1 },
      { hash: 'b', createdAt: 2 },
    ],
  });
  const used = { lastUsedAt: 9, lastUsedAddress: '192.0.2.1', lastUsedClient: 'curl/8' };

  it('is recorded on the key and on the secret', async () => {
    await store.put(toApiKey(key));
    await tokens.noteExchange(key, { hash: 'b', createdAt: 2 }, 8, 9, FROM);
    expect(await store.get(ofKey)).toEqual({ ...toApiKey(key), ...used, 'lastUsedAt#b': 9 });
  });

  it('is not recorded on another secret in the same position, or on a deleted key', async () => {
    const changed = apiKey({
      secrets: [
        { hash: 'x', createdAt: 1 },
        { hash: 'y', createdAt: 2 },
      ],
    });
    await store.put(toApiKey(changed));
    const note = () => tokens.noteExchange(key, { hash: 'b', createdAt: 2 }, 8, 9, FROM);
    await note();
    expect(await store.get(ofKey)).toEqual(toApiKey(changed));
    await store.remove(ofKey);
    await note();
    expect(await store.get(ofKey)).toBeUndefined();
  });

  it('is not recorded when a later one exists', async () => {
    const later = { ...toApiKey(key), ...used, 'lastUsedAt#b': 9 };
    await store.put(later);
    await tokens.noteExchange(key, { hash: 'b', createdAt: 2 }, 8, 20, FROM);
    expect(await store.get(ofKey)).toEqual(later);
    await tokens.noteExchange(key, { hash: 'b', createdAt: 2 }, 9, 20, FROM);
    expect(await store.get(ofKey)).toEqual({ ...later, 'lastUsedAt#b': 20, lastUsedAt: 20 });
  });

  it('is recorded on the key when no secret was used, and does not re-create a deleted key', async () => {
    const note = () => tokens.noteSubject(key, 8, 9, FROM);
    await note();
    expect(await store.get(ofKey)).toBeUndefined();
    await store.put(toApiKey(key));
    await note();
    expect(await store.get(ofKey)).toEqual({ ...toApiKey(key), ...used });
    await tokens.noteSubject(key, 8, 20, FROM);
    expect(await store.get(ofKey)).toMatchObject({ lastUsedAt: 9 });
    await tokens.noteSubject(key, 9, 20, FROM);
    expect(await store.get(ofKey)).toMatchObject({ lastUsedAt: 20 });
  });
});

it('a token for a single-use subject token is written together with it, and never a second time', async () => {
  expect(await tokens.putTokenOfSubject(token(), { hash: 's', previousHash: 'p', until: 99 })).toBe(true);
  for (const used of [
    { pk: 'SUBJECT#s', sk: 'SUBJECT', expiresAt: 99 },
    { pk, sk: 'SUBJECT#p', generation: GENERATION, expiresAt: 99 },
  ]) {
    expect(await store.get(used)).toEqual(used);
  }
  expect(await store.get(ofToken)).toBeDefined();
  const again = token({ hash: 'u'.repeat(43), issuedAt: MADE_AT });
  for (const used of [
    { hash: 's', previousHash: 'q' },
    { hash: 'r', previousHash: 'p' },
  ]) {
    expect(await tokens.putTokenOfSubject(again, { ...used, until: 100 })).toBe(false);
  }
  expect(await store.partition(pk)).toHaveLength(2);
});
