import { beforeEach, describe, expect, it } from 'vitest';
import { newUlid } from '../../functions/domain/credentials.ts';
import type { ServiceEvent } from '../../functions/domain/events.ts';
import type { ApiKey, IdempotencyRecord, SecretHash } from '../../functions/domain/records.ts';
import {
  allApiKeys,
  beginRevision,
  createApiKey as create,
  deleteApiKey,
  disableMalformedKey,
  editApiKey,
  listApiKeys,
  MAX_KEYS,
  markApiKey,
  readApiKey,
  readKeyOfTokens,
  readLeakedKey,
  removeActiveDays,
  revokeTokens,
  rotateApiKey as rotate,
} from '../../functions/table/keys.ts';
import {
  fromMalformedKey,
  NO_GENERATION,
  personKey,
  toApiKey,
  toDeployment,
} from '../../functions/table/schema.ts';
import {
  apiKey,
  deployment,
  event,
  GENERATION,
  KEY_ULID,
  MADE_AT,
  record,
  seconds,
} from '../support/records.ts';
import { startStore } from '../support/store.ts';

const eve = { issuer: 'https://login.test', sub: 'eve', at: seconds(MADE_AT / 1000) };
const store = await startStore('DEPLOYMENT#etl', 'EVENTS#etl', personKey(eve).pk);
const { table } = store;

const etl = deployment();
const key = apiKey();
const OTHER = newUlid(0);
const ofEtl = { pk: 'DEPLOYMENT#etl', sk: 'DEPLOYMENT' };
const ofKey = { pk: 'DEPLOYMENT#etl', sk: `KEY#${KEY_ULID}` };
const ofRecord = { pk: 'DEPLOYMENT#etl', sk: `IDEM#${GENERATION}#${'i'.repeat(43)}` };
const keyCount = async () => (await store.get(ofEtl))?.keyCount;
const events = async () => (await store.partition('EVENTS#etl')).length;
/** These calls act for an IAM principal, so the transactions do not check whether a person's access has ended. */
const createApiKey = (of: typeof table, one: ApiKey, its: ServiceEvent, made?: IdempotencyRecord) =>
  create(of, one, its, { record: made, signIn: undefined });
const rotateApiKey = (
  of: typeof table,
  next: ApiKey,
  read: ApiKey,
  its: ServiceEvent,
  made?: IdempotencyRecord,
) => rotate(of, next, read, its, { record: made, signIn: undefined });
/** Stores a key and its Deployment directly. */
const standing = (
  change: Parameters<typeof apiKey>[0] = {},
  ofDeployment: Parameters<typeof deployment>[0] = {},
) => store.put(toDeployment(deployment({ keyCount: 1, ...ofDeployment })), toApiKey(apiKey(change)));

describe('DynamoDB stores an API key as one item', () => {
  it('stores a new API key with its event, and increments the key count', async () => {
    await store.put(toDeployment(etl));
    expect(await createApiKey(table, key, event())).toBe('created');
    expect(await store.get(ofKey)).toEqual({ ...ofKey, ...toApiKey(key) });
    expect(await readApiKey(table, etl, KEY_ULID)).toEqual(key);
    expect(await keyCount()).toBe(1);
    expect(await events()).toBe(1);
    expect(store.sent.at(-1)).toMatchObject({ operation: 'GetItem', input: { ConsistentRead: true } });
  });

  it('reads an API key with all its attributes', async () => {
    const whole = apiKey({
      description: 'of the nightly build',
      secrets: [
        { hash: 'a', createdAt: 1, retiresAt: 2, retiresOnFirstUse: true, lastUsedAt: 3 },
        { hash: 'b', createdAt: 4 },
      ],
      enabled: false,
      leak: { reportedAt: 5, wasEnabled: true },
      validUntil: MADE_AT + 1,
      lastUsedAt: 6,
      lastUsedAddress: '192.0.2.1',
      lastUsedClient: 'curl/8',
      activeSince: 7,
      notice: { type: 'idle', of: 8 },
      trust: [{ issuer: 'i', audience: 'a', claims: { sub: 'x', ref: { prefix: 'y/' } }, singleUse: true }],
      networks: ['10.0.0.0/8'],
    });
    await store.put(toApiKey(whole));
    expect(await readApiKey(table, etl, KEY_ULID)).toEqual(whole);
  });

  it('returns the later of two recorded uses of a secret', async () => {
    const [secret] = key.secrets;
    const read = async (inSecrets: number | undefined, outside: unknown) => {
      const secrets = [{ ...secret, lastUsedAt: inSecrets } as never];
      await store.put({ ...toApiKey(apiKey({ secrets })), 'lastUsedAt#aaaaaaaa': outside });
      return (await readApiKey(table, etl, KEY_ULID))?.secrets?.[0]?.lastUsedAt;
    };
    expect(await read(3, undefined)).toBe(3);
    expect(await read(undefined, 4)).toBe(4);
    expect(await read(3, 4)).toBe(4);
    expect(await read(5, 4)).toBe(5);
    expect(await read(undefined, 'x')).toBeUndefined();
  });

  it('treats an API key from a different generation as missing', async () => {
    await standing({ generation: OTHER });
    expect(await readApiKey(table, etl, KEY_ULID)).toBeUndefined();
    expect(await readApiKey(table, etl, OTHER)).toBeUndefined();
  });

  it('does not create an API key if the Deployment is missing or was registered again', async () => {
    expect(await createApiKey(table, key, event())).toBe('gone');
    await store.put(toDeployment(deployment({ generation: OTHER })));
    expect(await createApiKey(table, key, event())).toBe('gone');
    expect(await store.partition('DEPLOYMENT#etl')).toHaveLength(1);
    expect(await events()).toBe(0);
  });

  it('does not create an API key when the Deployment has 1,000 keys', async () => {
    expect(MAX_KEYS).toBe(1000);
    await store.put(toDeployment(deployment({ keyCount: 999 })));
    expect(await createApiKey(table, key, event())).toBe('created');
    expect(await createApiKey(table, apiKey({ ulid: newUlid(1) }), event({ id: newUlid(1) }))).toBe('full');
    expect(await keyCount()).toBe(1000);
  });

  it('does not create an API key in a Deployment whose item is damaged', async () => {
    await store.put({ ...toDeployment(etl), generation: undefined });
    expect(await createApiKey(table, key, event())).toBe('gone');
  });

  it('creating an API key never replaces an existing key', async () => {
    await standing();
    expect(await createApiKey(table, apiKey({ name: 'thief' }), event())).toBe('gone');
    expect(await store.get(ofKey)).toMatchObject({ name: 'ci' });
    expect(await keyCount()).toBe(1);
  });

  it('creates only one API key for an Idempotency-Key until the Idempotency-Key expires', async () => {
    await store.put(toDeployment(etl));
    const make = (ms: number) => {
      const other = apiKey({ ulid: newUlid(ms) });
      return createApiKey(table, other, event({ id: newUlid(ms), createdAt: ms }), record());
    };
    expect(await make(MADE_AT)).toBe('created');
    expect(await store.get(ofRecord)).toMatchObject({ bodyHash: 'b'.repeat(43) });
    expect(await make(MADE_AT + 86_399_999)).toBe('repeated');
    expect(await keyCount()).toBe(1);
    expect(await make(MADE_AT + 86_400_000)).toBe('created');
    expect(await keyCount()).toBe(2);
  });

  it('recognises a repeated call to create an API key, even if the Deployment is full or deleted', async () => {
    await store.put({ ...ofRecord, expiresAt: MADE_AT });
    expect(await createApiKey(table, key, event(), record())).toBe('repeated');
    await store.put(toDeployment(deployment({ keyCount: 1000 })));
    expect(await createApiKey(table, key, event(), record())).toBe('repeated');
    expect(await createApiKey(table, key, event())).toBe('full');
  });

  it('creates and changes no API key for a person whose access was ended, and reports that as the reason', async () => {
    await standing();
    await store.put({ ...personKey(eve), endedAt: 1, blocked: true });
    const other = apiKey({ ulid: OTHER });
    const edited = apiKey({ revision: 1 });
    const before = await store.partition('DEPLOYMENT#etl');
    for (const made of [undefined, record()]) {
      const creation = { record: made, signIn: eve };
      expect(await create(table, other, event(), creation)).toBe('ended');
      expect(await rotate(table, edited, key, event(), creation)).toBe('ended');
    }
    expect(await editApiKey(table, edited, event(), { signIn: eve })).toBe('ended');
    expect(await store.partition('DEPLOYMENT#etl')).toEqual(before);
    expect(await events()).toBe(0);
  });

  it('deletes an API key with an event, and decrements the key count', async () => {
    await standing();
    expect(await deleteApiKey(table, etl, KEY_ULID, event())).toBe(true);
    expect(await store.get(ofKey)).toBeUndefined();
    expect(await keyCount()).toBe(0);
    expect(await events()).toBe(1);
  });

  it.each([0, -1, 'x'])(
    '#65: deletes an API key even when the key count is %s, and leaves the count unchanged',
    async (count) => {
      await store.put({ ...toDeployment(etl), keyCount: count }, toApiKey(apiKey()));
      expect(await deleteApiKey(table, etl, KEY_ULID, event())).toBe(true);
      expect(await store.get(ofKey)).toBeUndefined();
      expect(await keyCount()).toBe(count);
      expect(await events()).toBe(1);
    },
  );

  it('deleting an API key does not change the key count of a different generation', async () => {
    await standing({}, { generation: OTHER });
    expect(await deleteApiKey(table, etl, KEY_ULID, event())).toBe(true);
    expect(await store.get(ofKey)).toBeUndefined();
    expect(await keyCount()).toBe(1);
  });

  it('deleting an API key twice changes the key count and writes an event only once', async () => {
    await store.put(toDeployment(deployment({ keyCount: 1 })));
    expect(await deleteApiKey(table, etl, KEY_ULID, event())).toBe(false);
    expect(store.sent).toHaveLength(1);
    expect(await keyCount()).toBe(1);
    expect(await events()).toBe(0);
  });
});

describe("An edit is written to the API key's item", () => {
  const edited = apiKey({
    name: 'new',
    description: 'd',
    scopes: [],
    enabled: false,
    validUntil: MADE_AT + 5,
    networks: ['10.0.0.0/8'],
    activeSince: 3,
    epoch: 1,
    revision: 1,
  });

  it("an edit does not overwrite an API key's last use, creator or secrets", async () => {
    await standing();
    await store.put({ ...toApiKey(key), lastUsedAt: 9, lastUsedAddress: 'a', lastUsedClient: 'c' });
    expect(await editApiKey(table, { ...edited, createdBy: 'eve', secrets: [] }, event())).toBe('written');
    expect(await readApiKey(table, etl, KEY_ULID)).toEqual({
      ...edited,
      lastUsedAt: 9,
      lastUsedAddress: 'a',
      lastUsedClient: 'c',
    });
    expect(await events()).toBe(1);
  });

  it('an edit removes attributes that the API key no longer has', async () => {
    await standing(edited);
    expect(await editApiKey(table, apiKey({ revision: 2, epoch: 1 }), event())).toBe('written');
    expect(await store.get(ofKey)).toEqual(toApiKey(apiKey({ revision: 2, epoch: 1 })));
  });

  it.each<[string, Parameters<typeof apiKey>[0]]>([
    ['a later revision', { revision: 1 }],
    ['another generation', { generation: OTHER }],
  ])('an edit does not change an API key that now has %s', async (_, change) => {
    await standing(change);
    expect(await editApiKey(table, edited, event())).toBe('changed');
    expect(await store.get(ofKey)).toEqual(toApiKey(apiKey(change)));
    expect(await events()).toBe(0);
  });

  it('an edit writes nothing if another write of its transaction is rejected', async () => {
    await standing();
    const more = [{ Put: { Item: { ...ofEtl }, ConditionExpression: 'attribute_not_exists(pk)' } }];
    expect(await editApiKey(table, edited, event(), { more })).toBe('changed');
    expect(await store.get(ofKey)).toEqual(toApiKey(key));
    const next = [{ Put: { Item: { ...ofRecord }, ConditionExpression: 'attribute_not_exists(pk)' } }];
    expect(await editApiKey(table, edited, event(), { more: next })).toBe('written');
    expect(await store.get(ofRecord)).toEqual(ofRecord);
  });

  it('an edit does not recreate a deleted API key', async () => {
    expect(await editApiKey(table, edited, event())).toBe('changed');
    expect(await store.get(ofKey)).toBeUndefined();
  });
});

describe('Calls write single attributes of an API key', () => {
  it('starts a new revision of an API key, once for each revision', async () => {
    await standing({ revision: 4 });
    expect(await beginRevision(table, apiKey({ revision: 4 }))).toBe(true);
    expect(await store.get(ofKey)).toEqual(toApiKey(apiKey({ revision: 5 })));
    expect(await beginRevision(table, apiKey({ revision: 4 }))).toBe(false);
    expect(await beginRevision(table, apiKey({ revision: 5, generation: OTHER }))).toBe(false);
    expect(await store.get(ofKey)).toEqual(toApiKey(apiKey({ revision: 5 })));
  });

  it('removes active days of an API key that still exists', async () => {
    await standing({ activeDays: new Set([1, 2, 3]) });
    await removeActiveDays(table, key, [1, 3, 9]);
    expect(await store.get(ofKey)).toEqual(toApiKey(apiKey({ activeDays: new Set([2]) })));
    await removeActiveDays(table, key, [2]);
    expect(await store.get(ofKey)).toEqual(toApiKey(key));
    await store.remove(ofKey);
    await removeActiveDays(table, key, [2]);
    expect(await store.get(ofKey)).toBeUndefined();
  });

  const malformed = { ...toApiKey(key), scopes: 7 };
  it.each<[string, object | undefined, object | undefined]>([
    ['its epoch and revision increase', toApiKey(key), toApiKey(apiKey({ epoch: 1, revision: 1 }))],
    ['another generation is kept', toApiKey(apiKey({ generation: OTHER })), undefined],
    ['a malformed key gets a higher epoch', malformed, { ...malformed, epoch: MADE_AT, revision: MADE_AT }],
    ['a deleted key is not created again', undefined, undefined],
  ])('revoking the tokens of an API key changes nothing else: %s', async (_, stored, expected) => {
    if (stored) await store.put({ ...stored });
    const read = stored === malformed ? fromMalformedKey(malformed) : key;
    expect(await revokeTokens(table, etl, read ?? key, event())).toBe(expected !== undefined);
    expect(await store.get(ofKey)).toEqual(expected ?? stored);
    expect(await events()).toBe(expected ? 1 : 0);
  });

  it.each([undefined, { reportedAt: 5, wasEnabled: false }])(
    'disables a malformed API key and revokes its tokens, with the leak report %j',
    async (leak) => {
      const read = fromMalformedKey(malformed) as NonNullable<ReturnType<typeof fromMalformedKey>>;
      expect(await disableMalformedKey(table, read, leak, event())).toBe(false);
      await store.put({ ...malformed, leak: 'x' });
      expect(await disableMalformedKey(table, read, leak, event())).toBe(true);
      const changed = { enabled: false, epoch: MADE_AT, revision: MADE_AT, leak: leak ?? 'x' };
      expect(await store.get(ofKey)).toEqual({ ...malformed, ...changed });
      expect(await events()).toBe(1);
    },
  );
});

describe('An API key is read with what a call needs besides the key', () => {
  const malformed = { ...toApiKey(key), name: 7 };

  it('returns the fields that a check reads, even of a malformed API key', async () => {
    const { scopes, enabled, epoch, generation } = key;
    const checked = { scopes, enabled, epoch, generation };
    expect(await readKeyOfTokens(table, etl, KEY_ULID)).toBeUndefined();
    await standing();
    expect(await readKeyOfTokens(table, etl, KEY_ULID)).toEqual({ key, checked });
    await store.put(malformed);
    expect(await readKeyOfTokens(table, etl, KEY_ULID)).toEqual({
      key: fromMalformedKey(malformed),
      checked,
    });
    await store.put({ ...malformed, enabled: 'x' });
    expect(await readKeyOfTokens(table, etl, KEY_ULID)).toEqual({
      key: fromMalformedKey({ ...malformed, enabled: 'x' }),
      checked: undefined,
    });
    await standing({ generation: OTHER });
    expect(await readKeyOfTokens(table, etl, KEY_ULID)).toBeUndefined();
  });

  const ofDeployment = toDeployment(etl);
  it.each<[string, object | undefined, object | undefined, object | undefined]>([
    ['both are well-formed', ofDeployment, toApiKey(key), { generation: GENERATION, key }],
    ['the Deployment is missing', undefined, toApiKey(key), undefined],
    ['the key is missing', ofDeployment, undefined, undefined],
    ['the key has another generation', ofDeployment, toApiKey(apiKey({ generation: OTHER })), undefined],
    [
      'the Deployment is malformed',
      { ...ofDeployment, name: 7 },
      toApiKey(key),
      { generation: GENERATION, key },
    ],
    [
      'the generation of the Deployment is malformed',
      { ...ofDeployment, generation: 7 },
      toApiKey(key),
      { generation: GENERATION, key },
    ],
    [
      'both generations are malformed',
      { ...ofDeployment, generation: 7 },
      { ...malformed, generation: 7 },
      { generation: NO_GENERATION, key: fromMalformedKey(malformed) },
    ],
  ])('returns a leaked API key with its generation if %s', async (_, deployed, stored, expected) => {
    for (const one of [deployed, stored]) if (one) await store.put({ ...one });
    expect(await readLeakedKey(table, 'etl', KEY_ULID)).toEqual(expected);
    const isMalformed = (one: Record<string, unknown> | undefined) =>
      one?.name === 7 || one?.generation === 7;
    expect(store.malformed).toEqual(
      deployed && stored
        ? [deployed, stored].filter(isMalformed as never).map((one) => (one === deployed ? ofEtl : ofKey))
        : [],
    );
    expect(store.sent.map(({ operation }) => operation)).toEqual(['BatchGetItem']);
  });
});

describe("A leak report is written to the API key's item", () => {
  it('a leak report does not overwrite a use that was recorded in the meantime', async () => {
    const used = [{ ...key.secrets[0], lastUsedAt: 1 } as never];
    await standing({ secrets: used });
    const leaked = apiKey({
      enabled: false,
      epoch: 1,
      leak: { reportedAt: 4, wasEnabled: true },
      revision: 1,
    });
    expect(await editApiKey(table, leaked, event())).toBe('written');
    expect(await store.get(ofKey)).toEqual(toApiKey({ ...leaked, secrets: used }));
    expect(await events()).toBe(1);
  });
});

describe("A rotation is written to the API key's item", () => {
  const secrets = [{ hash: 'n', createdAt: 2 }];
  const next = apiKey({ secrets, enabled: false, epoch: 1, activeSince: 3, revision: 1 });
  const [secret] = key.secrets as [SecretHash];
  const used = { ...secret, lastUsedAt: 1 };

  it("a rotation writes the API key's new secrets, an event and a record in one transaction", async () => {
    await standing({ name: 'edited' });
    expect(await rotateApiKey(table, next, key, event(), record())).toBe('written');
    expect(await store.get(ofKey)).toEqual(toApiKey({ ...next, name: 'edited' }));
    expect(await store.get(ofRecord)).toBeDefined();
    expect(await events()).toBe(1);
  });

  it('a rotation clears the leaked status of a key', async () => {
    await standing({ ...next, leak: { reportedAt: 4, wasEnabled: true } });
    const rotated = apiKey({ revision: 2, epoch: 2 });
    expect(await rotateApiKey(table, rotated, next, event())).toBe('written');
    expect(await store.get(ofKey)).toEqual(toApiKey(rotated));
  });

  it('a rotation deletes the recorded use of each secret that it removes', async () => {
    const other = { hash: 'other', createdAt: 1 };
    const read = apiKey({ secrets: [{ ...other, lastUsedAt: 5 }, used] });
    const uses = { 'lastUsedAt#other': 5, 'lastUsedAt#aaaaaaaa': 6 };
    await store.put({ ...toApiKey(read), ...uses });
    const kept = apiKey({ secrets: [used, ...secrets], revision: 1 });
    expect(await rotateApiKey(table, kept, read, event())).toBe('written');
    expect(await store.get(ofKey)).toEqual({ ...toApiKey(kept), 'lastUsedAt#aaaaaaaa': 6 });
    expect((await readApiKey(table, etl, KEY_ULID))?.secrets).toEqual([
      { ...used, lastUsedAt: 6 },
      ...secrets,
    ]);
  });

  it.each<[string, Parameters<typeof apiKey>[0]]>([
    ['a later revision', { revision: 1 }],
    ['another generation', { generation: OTHER }],
  ])('a rotation does not change an API key that now has %s', async (_, change) => {
    await standing(change);
    expect(await rotateApiKey(table, next, key, event(), record())).toBe('changed');
    expect(await store.get(ofKey)).toEqual(toApiKey(apiKey(change)));
    expect(await store.get(ofRecord)).toBeUndefined();
    expect(await events()).toBe(0);
  });

  it('a rotation that removes the old secret succeeds even if the old secret is used at the same time', async () => {
    for (const change of [{ secrets: [used] }, { secrets: [] }, { 'lastUsedAt#aaaaaaaa': 7 }]) {
      await store.clear('EVENTS#etl');
      await store.put({ ...toApiKey(key), ...change });
      expect(await rotateApiKey(table, next, key, event())).toBe('written');
      expect(await store.get(ofKey)).toEqual(toApiKey(next));
    }
  });

  it.each<[string, SecretHash[], SecretHash[]]>([
    ['its only secret', [secret], [used]],
    [
      'the newer secret',
      [used, { hash: 'b', createdAt: 1 }],
      [used, { hash: 'b', createdAt: 1, lastUsedAt: 1 }],
    ],
    [
      'the newer secret, which retired the older one',
      [used, { hash: 'b', createdAt: 1 }],
      [{ hash: 'b', createdAt: 1, lastUsedAt: 1 }],
    ],
  ])(
    'a rotation that keeps an old secret writes nothing after the first use of %s',
    async (_, read, standingSecrets) => {
      await standing({ secrets: standingSecrets });
      const kept = apiKey({ secrets: [secret, ...secrets], revision: 1 });
      expect(await rotateApiKey(table, kept, apiKey({ secrets: read }), event())).toBe('changed');
      expect(await store.get(ofKey)).toEqual(toApiKey(apiKey({ secrets: standingSecrets })));
      expect(await events()).toBe(0);
    },
  );

  it('a rotation that keeps an old secret succeeds if none of the secrets was used', async () => {
    const read = apiKey({ secrets: [secret, { hash: 'b', createdAt: 1 }] });
    await store.put(toApiKey(read));
    const kept = apiKey({ secrets: [secret, ...secrets], revision: 1 });
    expect(await rotateApiKey(table, kept, read, event())).toBe('written');
    expect(await store.get(ofKey)).toEqual(toApiKey(kept));
  });

  it('a rotation succeeds even if the secret that it keeps is used again at the same time', async () => {
    await store.put({
      ...toApiKey(apiKey({ secrets: [{ ...used, lastUsedAt: 8 }] })),
      'lastUsedAt#aaaaaaaa': 9,
    });
    const kept = apiKey({ secrets: [used, ...secrets], revision: 1 });
    expect(await rotateApiKey(table, kept, apiKey({ secrets: [used] }), event())).toBe('written');
    expect((await readApiKey(table, etl, KEY_ULID))?.secrets?.[0]?.lastUsedAt).toBe(9);
  });

  it('an API key is rotated only once for an Idempotency-Key', async () => {
    await standing();
    await store.put({ ...ofRecord, expiresAt: MADE_AT });
    expect(await rotateApiKey(table, next, key, event(), record())).toBe('repeated');
    expect(await store.get(ofKey)).toEqual(toApiKey(key));
  });
});

describe('A notice is recorded on the API key', () => {
  const notice = { type: 'expiring', of: 5 };

  it('records a notice on the API key and writes an event', async () => {
    await standing();
    expect(await markApiKey(table, key, { notice }, event())).toBe(true);
    expect(await store.get(ofKey)).toEqual({ ...toApiKey(key), notice });
    expect(await events()).toBe(1);
  });

  it.each<[string, Parameters<typeof apiKey>[0]]>([
    ['a later revision', { revision: 1 }],
    ['another generation', { generation: OTHER }],
  ])('does not record a notice on an API key that now has %s', async (_, change) => {
    await standing(change);
    expect(await markApiKey(table, key, { notice }, event())).toBe(false);
    expect(await store.get(ofKey)).not.toHaveProperty('notice');
    expect(await events()).toBe(0);
  });
});

describe('The keys of a Deployment are listed in pages', () => {
  const ulids = Array.from({ length: 5 }, (_, n) => newUlid(n + 1));
  beforeEach(async () => {
    const keys = ulids.map((ulid, n) => apiKey({ ulid, generation: n === 1 ? OTHER : GENERATION }));
    await store.put(toDeployment(etl), ...keys.map(toApiKey), {
      pk: 'DEPLOYMENT#etl',
      sk: 'TOKEN#x',
      generation: GENERATION,
    });
  });
  const listed = async (after: string | undefined, limit: number) => {
    const { items, next } = await listApiKeys(table, etl, { after, limit });
    if (next !== undefined) expect(next).toBe(items.at(-1)?.ulid);
    return [items.map(({ ulid }) => ulids.indexOf(ulid)), next !== undefined];
  };

  it('lists the API keys of the current generation, oldest first, with strongly consistent reads', async () => {
    expect(await listed(undefined, 100)).toEqual([[0, 2, 3, 4], false]);
    expect(await listed(undefined, 1)).toEqual([[0], true]);
    expect(await listed(ulids[0], 2)).toEqual([[2, 3], true]);
    expect(await listed(ulids[2], 2)).toEqual([[3, 4], false]);
    expect(await listed(ulids[4], 2)).toEqual([[], false]);
    for (const { input } of store.sent) expect(input).toMatchObject({ ConsistentRead: true });
    expect(store.sent[0]?.input.Limit).toBe(101);
    store.sent.length = 0;
    expect(await listed(ulids[2], 1)).toEqual([[3], true]);
    expect(store.sent).toHaveLength(1);
  });

  it('returns all API keys of the current generation, no matter how many pages they fill', async () => {
    const later = Array.from({ length: 101 }, (_, n) => apiKey({ ulid: newUlid(n + 10) }));
    await store.put(...later.map(toApiKey));
    const found: (string | undefined)[] = [];
    for await (const { ulid } of allApiKeys(table, etl)) found.push(ulid);
    expect(found).toEqual([...[0, 2, 3, 4].map((n) => ulids[n]), ...later.map(({ ulid }) => ulid)]);
  });

  it('lists the newest API keys first if that order is requested', async () => {
    const newest = { order: 'newest' as const, after: ulids[4], limit: 2 };
    const { items, next } = await listApiKeys(table, etl, newest);
    expect([items.map(({ ulid }) => ulid), next]).toEqual([[ulids[3], ulids[2]], ulids[2]]);
  });

  it('lists API keys with two queries, even while many keys of an earlier generation await the purge', async () => {
    const earlier = Array.from({ length: 300 }, (_, n) => apiKey({ ulid: newUlid(n), generation: OTHER }));
    await store.put(...earlier.map(toApiKey));
    expect(await listed(undefined, 1)).toEqual([[0], true]);
    expect(store.sent.map(({ operation, input }) => [operation, input.Limit])).toEqual([
      ['Query', 2],
      ['Query', undefined],
    ]);
  });

  it('#65: lists and reports malformed API keys that may belong to the current generation', async () => {
    const sk = (n: number) => `KEY#${ulids[n]}`;
    await store.put(
      { ...ofKey, sk: sk(2), generation: GENERATION },
      { ...ofKey, sk: sk(3), generation: 7 },
      { ...ofKey, sk: sk(4), generation: OTHER },
      { ...ofKey, sk: 'KEY#x', generation: GENERATION },
    );
    expect(await listed(undefined, 100)).toEqual([[0, 2, 3], false]);
    expect(store.malformed.map((one) => one.sk)).toEqual([sk(2), sk(3), sk(4), 'KEY#x']);
  });
});
