import { describe, expect, it } from 'vitest';
import { newUlid } from '../../functions/domain/credentials.ts';
import { recordUse } from '../../functions/table/checks.ts';
import { toApiKey, toDeployment, toEvent, toTemporaryToken, toToken } from '../../functions/table/schema.ts';
import * as tokens from '../../functions/table/tokens.ts';
import {
  apiKey,
  deployment,
  event,
  GENERATION,
  KEY_ULID,
  MADE_AT,
  seconds,
  temporaryToken,
  token,
} from '../support/records.ts';
import { startStore } from '../support/store.ts';

const store = await startStore('DEPLOYMENT#etl', 'EVENTS#etl');
const table = store.httpsTable;

const pk = 'DEPLOYMENT#etl';
const ofKey = { pk, sk: `KEY#${KEY_ULID}` };
const ofToken = { pk, sk: `TOKEN#${KEY_ULID}#${'t'.repeat(43)}` };
const ofTemporaryToken = { pk, sk: `GRANT#${KEY_ULID}#${'g'.repeat(43)}` };
const FROM = { address: '192.0.2.1', client: 'curl/8' };
const OTHER = newUlid(0);

describe('readKey', () => {
  it('readKey returns the key with its Deployment in one strongly consistent read', async () => {
    await store.put(toDeployment(deployment()), toApiKey(apiKey()));
    expect(await tokens.readKey(table, 'etl', KEY_ULID)).toEqual({ deployment: deployment(), key: apiKey() });
    const Keys = [{ pk, sk: 'DEPLOYMENT' }, ofKey];
    const input = { RequestItems: { keys: { ConsistentRead: true, Keys } } };
    expect(store.sent).toEqual([{ operation: 'BatchGetItem', input }]);
  });

  it('readKey omits a key or Deployment that is missing or malformed', async () => {
    expect(await tokens.readKey(table, 'etl', KEY_ULID)).toEqual({ deployment: undefined, key: undefined });
    await store.put(toApiKey(apiKey()), { pk, sk: 'DEPLOYMENT', generation: GENERATION });
    expect(await tokens.readKey(table, 'etl', KEY_ULID)).toEqual({ deployment: undefined, key: apiKey() });
    expect(store.malformed).toEqual([{ pk, sk: 'DEPLOYMENT' }]);
    await store.put({ ...toApiKey(apiKey()), enabled: 'yes' }, toDeployment(deployment()));
    expect(await tokens.readKey(table, 'etl', KEY_ULID)).toEqual({
      deployment: deployment(),
      key: undefined,
    });
    expect(store.malformed).toEqual([{ pk, sk: 'DEPLOYMENT' }, ofKey]);
  });
});

describe('readToken', () => {
  const of = (kind: 'token' | 'temporary') => ({ kind, deploymentId: 'etl', ulid: KEY_ULID });

  it('readToken returns the token, its key and its Deployment in one strongly consistent read', async () => {
    const used = { lastUsedAt: 7, lastUsedAddress: '192.0.2.1', lastUsedClient: 'curl/8' };
    await store.put({ ...toToken(token()), ...used }, toApiKey(apiKey()), toDeployment(deployment()));
    const { generation, epoch, issuedAt, expiresAt } = token();
    expect(await tokens.readToken(table, of('token'), 't'.repeat(43))).toEqual({
      records: {
        deployment: { generation },
        key: { scopes: ['code:deploy'], enabled: true, epoch: 0, generation },
        token: { generation, epoch, issuedAt, expiresAt },
      },
      lastUse: { at: 7, address: '192.0.2.1', client: 'curl/8' },
      isThere: true,
    });
    expect(store.sent).toMatchObject([
      { operation: 'BatchGetItem', input: { RequestItems: { keys: { ConsistentRead: true } } } },
    ]);
  });

  it('readToken returns a temporary token without a last use, and undefined for a missing token', async () => {
    expect(await tokens.readToken(table, of('temporary'), 'g'.repeat(43))).toEqual({
      records: {},
      isThere: false,
    });
    await store.put(toTemporaryToken(temporaryToken()));
    const { generation, sub, scopes, issuedAt, expiresAt } = temporaryToken();
    expect(await tokens.readToken(table, of('temporary'), 'g'.repeat(43))).toEqual({
      records: { temporaryToken: { generation, sub, scopes, issuedAt, expiresAt } },
      isThere: true,
    });
  });

  it('readToken omits and reports malformed items', async () => {
    await store.put({ ...toToken(token()), epoch: 'x' });
    expect(await tokens.readToken(table, of('token'), 't'.repeat(43))).toEqual({
      records: {},
      isThere: true,
    });
    expect(store.malformed).toEqual([ofToken]);
  });
});

describe('readTokenOfKey', () => {
  const id = 't'.repeat(12);
  const malformed = { malformed: true, deploymentId: 'etl', ulid: KEY_ULID, hash: 't'.repeat(43) };

  it.each<[string, object | undefined, object | undefined]>([
    ['a token', toToken(token()), token()],
    ['a token of another generation', toToken(token({ generation: OTHER })), undefined],
    ['a malformed token', { ...toToken(token()), epoch: 'x' }, malformed],
    ['a malformed token without a generation', { ...toToken(token()), generation: 7 }, malformed],
    [
      'a malformed token of another generation',
      { ...toToken(token({ generation: OTHER })), epoch: 'x' },
      undefined,
    ],
    ['no token', undefined, undefined],
    ['a token with another ID', toToken(token({ hash: 'T'.repeat(43) })), undefined],
    ['a token of another key', toToken(token({ ulid: OTHER })), undefined],
  ])(
    'readTokenOfKey returns a token of the given generation, even if it is malformed: %s',
    async (_, item, expected) => {
      if (item) await store.put({ ...item });
      expect(await tokens.readTokenOfKey(table, deployment(), KEY_ULID, id)).toEqual(expected);
      expect(store.sent).toMatchObject([{ operation: 'Query', input: { ConsistentRead: true } }]);
    },
  );
});

describe('DynamoDB stores a token as one item', () => {
  it('writes a token in one request, with its narrowed scope as a string', async () => {
    await tokens.putToken(table, () => token());
    const { deploymentId: _, ulid: __, hash: ___, ...rest } = token();
    expect(await store.get(ofToken)).toEqual({ ...ofToken, ...rest });
    await tokens.putToken(table, () => token({ scopes: ['a', 'b:c'] }));
    expect(await store.get(ofToken)).toEqual({ ...ofToken, ...rest, scope: 'a b:c' });
    await tokens.putToken(table, () => token({ scopes: [] }));
    expect(await store.get(ofToken)).toMatchObject({ scope: '' });
    expect(store.sent).toHaveLength(3);
  });

  it('deletes a token in one request, even if the token is already gone', async () => {
    await tokens.putToken(table, () => token());
    await tokens.deleteToken(table, token());
    expect(await store.get(ofToken)).toBeUndefined();
    await tokens.deleteToken(table, token());
    expect(store.sent.map(({ operation }) => operation)).toEqual(['PutItem', 'DeleteItem', 'DeleteItem']);
  });

  it('deletes a leaked token of any kind with an event, and writes no event if the token is already gone', async () => {
    await store.put(toToken(token()), toTemporaryToken(temporaryToken()));
    const of = (kind: 'token' | 'temporary') => ({ kind, deploymentId: 'etl', ulid: KEY_ULID });
    await tokens.deleteLeakedToken(table, of('token'), 't'.repeat(43), event({ id: newUlid(1) }));
    expect(await store.get(ofToken)).toBeUndefined();
    await tokens.deleteLeakedToken(table, of('temporary'), 'g'.repeat(43), event({ id: newUlid(2) }));
    expect(await store.get(ofTemporaryToken)).toBeUndefined();
    expect(await store.partition('EVENTS#etl')).toHaveLength(2);
    await tokens.deleteLeakedToken(table, of('token'), 't'.repeat(43), event({ id: newUlid(3) }));
    expect(await store.partition('EVENTS#etl')).toHaveLength(2);
  });

  it('deletes a leaked token that is no longer valid without an event', async () => {
    await store.put(toToken(token()), toTemporaryToken(temporaryToken()));
    const leaked = { kind: 'token' as const, deploymentId: 'etl', ulid: KEY_ULID };
    for (let n = 0; n < 2; n++) {
      await tokens.deleteLeakedToken(table, leaked, 't'.repeat(43), undefined);
      expect(await store.partition(pk)).toEqual([toTemporaryToken(temporaryToken())]);
    }
    expect(store.sent.map(({ operation }) => operation)).toEqual(['DeleteItem', 'DeleteItem']);
    expect(await store.partition('EVENTS#etl')).toEqual([]);
  });
});

describe('The first token of a new secret is written with the key', () => {
  const old = { hash: 'o', createdAt: 1, retiresOnFirstUse: true };
  const fresh = { hash: 'n', createdAt: 2 };
  const key = apiKey({ secrets: [old, fresh] });
  const secrets = [{ ...fresh, lastUsedAt: 9 }];
  const firstUse = { secret: fresh, secrets, now: 9, from: FROM };

  it('writes the first token of a new secret and the changed key in one transaction', async () => {
    await store.put({ ...toApiKey(key), name: 'kept' });
    const first = { ...firstUse, event: event() };
    expect(await tokens.putTokenOfFirstUse(table, token(), key, first)).toBe(true);
    expect(await store.get(ofToken)).toBeDefined();
    expect(await store.partition('EVENTS#etl')).toEqual([toEvent(event())]);
    const used = {
      lastUsedAt: 9,
      lastUsedAddress: '192.0.2.1',
      lastUsedClient: 'curl/8',
      activeDays: new Set([0]),
    };
    expect(await store.get(ofKey)).toEqual({
      ...toApiKey(apiKey({ secrets, name: 'kept', ...used })),
      'lastUsedAt#n': 9,
    });
  });

  it('writes the first token of a new secret even if the old secret is used at the same time', async () => {
    const inUse = { ...old, lastUsedAt: 8 };
    await store.put({ ...toApiKey(apiKey({ secrets: [inUse, fresh] })), 'lastUsedAt#o': 8 });
    expect(await tokens.putTokenOfFirstUse(table, token(), key, firstUse)).toBe(true);
    expect(await store.partition('EVENTS#etl')).toEqual([]);
  });

  it.each<[string, Parameters<typeof apiKey>[0] | undefined]>([
    ['a later revision', { revision: 1 }],
    ['another generation', { generation: OTHER }],
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
  ])('does not write the first token of a new secret when the key now has %s', async (_, change) => {
    if (change) await store.put(toApiKey(apiKey({ secrets: key.secrets, ...change })));
    const before = await store.partition(pk);
    expect(await tokens.putTokenOfFirstUse(table, token(), key, firstUse)).toBe(false);
    expect(await store.partition(pk)).toEqual(before);
  });
});

describe('Using an API key records the use', () => {
  const key = apiKey({
    secrets: [
      { hash: 'a', createdAt: 1 },
      { hash: 'b', createdAt: 2 },
    ],
  });
  const used = {
    lastUsedAt: 9,
    lastUsedAddress: '192.0.2.1',
    lastUsedClient: 'curl/8',
    activeDays: new Set([0]),
  };

  it('records a use on the API key and on its secret', async () => {
    await store.put(toApiKey(key));
    await tokens.recordSecretUse(table, key, { hash: 'b', createdAt: 2 }, { before: 8, now: 9, from: FROM });
    expect(await store.get(ofKey)).toEqual({ ...toApiKey(key), ...used, 'lastUsedAt#b': 9 });
  });

  it('records a use of an API key and its event in one transaction, unless a later use is already recorded', async () => {
    await store.put({ ...toApiKey(key), 'lastUsedAt#b': 8 });
    const secret = { hash: 'b', createdAt: 2 };
    const note = (before: number, id: number) =>
      tokens.recordSecretUse(table, key, secret, {
        before,
        now: 9,
        from: FROM,
        event: event({ id: newUlid(id) }),
      });
    await note(7, 1);
    expect(await store.get(ofKey)).toEqual({ ...toApiKey(key), 'lastUsedAt#b': 8 });
    expect(await store.partition('EVENTS#etl')).toEqual([]);
    await note(8, 2);
    expect(await store.get(ofKey)).toEqual({ ...toApiKey(key), ...used, 'lastUsedAt#b': 9 });
    expect(await store.partition('EVENTS#etl')).toEqual([
      toEvent(event({ id: expect.any(String) as never })),
    ]);
  });

  it('does not record a use of a secret that was replaced, or of an API key that was deleted', async () => {
    const changed = apiKey({
      secrets: [
        { hash: 'x', createdAt: 1 },
        { hash: 'y', createdAt: 2 },
      ],
    });
    await store.put(toApiKey(changed));
    const note = () =>
      tokens.recordSecretUse(table, key, { hash: 'b', createdAt: 2 }, { before: 8, now: 9, from: FROM });
    await note();
    expect(await store.get(ofKey)).toEqual(toApiKey(changed));
    await store.remove(ofKey);
    await note();
    expect(await store.get(ofKey)).toBeUndefined();
  });

  it('does not record a use of an API key if a later use has already been recorded', async () => {
    const later = { ...toApiKey(key), ...used, 'lastUsedAt#b': 9 };
    await store.put(later);
    await tokens.recordSecretUse(table, key, { hash: 'b', createdAt: 2 }, { before: 8, now: 20, from: FROM });
    expect(await store.get(ofKey)).toEqual(later);
    await tokens.recordSecretUse(table, key, { hash: 'b', createdAt: 2 }, { before: 9, now: 20, from: FROM });
    expect(await store.get(ofKey)).toEqual({ ...later, 'lastUsedAt#b': 20, lastUsedAt: 20 });
  });

  it('records a use only on the API key if no secret was used', async () => {
    const note = () => recordUse(table, key, 8, 9, FROM);
    await note();
    expect(await store.get(ofKey)).toBeUndefined();
    await store.put(toApiKey(key));
    await note();
    expect(await store.get(ofKey)).toEqual({ ...toApiKey(key), ...used });
    await recordUse(table, key, 8, 20, FROM);
    expect(await store.get(ofKey)).toMatchObject({ lastUsedAt: 9 });
    await recordUse(table, key, 9, 20, FROM);
    expect(await store.get(ofKey)).toMatchObject({ lastUsedAt: 20 });
  });
});

it('a single-use subject token can be exchanged for an access token only once', async () => {
  expect(
    await tokens.putTokenOfSubject(table, token(), { hash: 's', previousHash: 'p', until: seconds(99) }),
  ).toBe(true);
  for (const used of [
    { pk: 'SUBJECT#s', sk: 'SUBJECT', expiresAt: 99 },
    { pk, sk: 'SUBJECT#p', generation: GENERATION, expiresAt: 99 },
  ]) {
    expect(await store.get(used)).toEqual(used);
  }
  expect(await store.get(ofToken)).toBeDefined();
  const again = token({ hash: 'u'.repeat(43), issuedAt: seconds(MADE_AT / 1000) });
  for (const used of [
    { hash: 's', previousHash: 'q' },
    { hash: 'r', previousHash: 'p' },
  ]) {
    expect(await tokens.putTokenOfSubject(table, again, { ...used, until: seconds(100) })).toBe(false);
  }
  expect(await store.partition(pk)).toHaveLength(2);
});
