import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import { CHECKED_ATTRIBUTES } from '../../functions/table/checks.ts';
import {
  checkedKeys,
  directoryKey,
  fromAccessRecord,
  fromApiKey,
  fromChecked,
  fromDeployment,
  fromDirectoryEntry,
  fromEvent,
  fromHeldKey,
  fromIdempotencyRecord,
  fromIssue,
  fromJobMark,
  fromLastUse,
  fromMalformedKey,
  fromPersonId,
  fromRejectedCalls,
  fromRestoreRecord,
  fromTemporaryToken,
  fromToken,
  generationOfMarker,
  groupEntryKeys,
  type Item,
  isOfGeneration,
  isRowKey,
  parse,
  previousSubjectKey,
  purgeMarkerKey,
  subjectKey,
  toAccessRecord,
  toApiKey,
  toDeployment,
  toDirectoryEntry,
  toEvent,
  toHeldKey,
  toIdempotencyRecord,
  toTemporaryToken,
  toToken,
} from '../../functions/table/schema.ts';
import {
  apiKey,
  deployment,
  event,
  GENERATION,
  KEY_ULID,
  MADE_AT,
  record,
  rejectedCall,
  temporaryToken,
  token,
} from '../support/records.ts';

const pk = 'DEPLOYMENT#etl';

/** Values that are invalid for each type: string, boolean, integer, time in seconds, list of strings and ULID. */
const NOT = {
  text: [7, true, null, undefined, ['x'], { x: 1 }],
  flag: ['true', 1, 0, null, undefined],
  whole: [-1, 0.5, '7', Number.NaN, 8.64e15 + 1, 1e40, true, null, undefined],
  seconds: [-1, 0.5, '7', 8.64e12 + 1, null, undefined],
  texts: ['x', ['x', 7], { 0: 'x' }, null, undefined],
  ulid: ['x', '8ZZZZZZZZZZZZZZZZZZZZZZZZZ', 7, null, undefined],
};
const orAbsent = (values: unknown[]) => values.filter((value) => value !== undefined);
/** Malformed values for attributes of a key that a check reads. */
const NOT_CHECKED_KEY = {
  scopes: NOT.texts,
  enabled: NOT.flag,
  validUntil: orAbsent(NOT.whole),
  epoch: NOT.whole,
  generation: NOT.ulid,
  lastUsedAt: orAbsent(NOT.whole),
};

/** Invalid values of each attribute. Each of these values makes the whole item malformed. */
type Wrong = Record<string, unknown[]>;
function each(item: Item, from: (item: Item | undefined) => unknown, wrong: Wrong) {
  for (const [name, values] of Object.entries(wrong)) {
    for (const value of values) {
      const label = `${name}: ${JSON.stringify(value)}`;
      expect(from({ ...item, [name]: value }), label).toBeUndefined();
    }
  }
  expect(from(item)).toBeDefined();
  expect(from(undefined)).toBeUndefined();
}

describe("The partition and sort keys of an item depend on the item's kind", () => {
  it("an item's partition and sort keys have the format for its kind", () => {
    expect(toDeployment(deployment())).toMatchObject({ pk, sk: 'DEPLOYMENT' });
    expect(toApiKey(apiKey())).toMatchObject({ pk, sk: `KEY#${KEY_ULID}` });
    expect(toToken(token())).toMatchObject({ pk, sk: `TOKEN#${KEY_ULID}#${'t'.repeat(43)}` });
    expect(toTemporaryToken(temporaryToken())).toMatchObject({
      pk,
      sk: `GRANT#${KEY_ULID}#${'g'.repeat(43)}`,
    });
    expect(toIdempotencyRecord(record())).toMatchObject({ pk, sk: `IDEM#${GENERATION}#${'i'.repeat(43)}` });
    expect(toEvent(event())).toMatchObject({ pk: 'EVENTS#etl', sk: event().id });
    expect(directoryKey('etl')).toEqual({ pk: 'DEPLOYMENTS', sk: 'etl' });
    expect(subjectKey('h')).toEqual({ pk: 'SUBJECT#h', sk: 'SUBJECT' });
    expect(previousSubjectKey('etl', 'h')).toEqual({ pk, sk: 'SUBJECT#h' });
    expect(purgeMarkerKey('etl', GENERATION)).toEqual({ pk: 'PURGES', sk: `etl#${GENERATION}` });
  });

  it('a check reads each item by its partition and sort keys', () => {
    const of = { deploymentId: 'etl', ulid: KEY_ULID };
    expect(checkedKeys({ kind: 'token', ...of }, 'h')).toEqual({
      deployment: { pk, sk: 'DEPLOYMENT' },
      key: { pk, sk: `KEY#${KEY_ULID}` },
      presented: { pk, sk: `TOKEN#${KEY_ULID}#h` },
    });
    expect(checkedKeys({ kind: 'temporary', ...of }, 'h')).toEqual({
      deployment: { pk, sk: 'DEPLOYMENT' },
      presented: { pk, sk: `GRANT#${KEY_ULID}#h` },
    });
  });
});

describe('Each kind of item is parsed strictly', () => {
  it("parses a Deployment's item, and rejects a malformed one", () => {
    each(toDeployment(deployment()), fromDeployment, {
      pk: [...NOT.text, 'DEPLOYMENT#', 'DEPLOYMENT#a#b', 'EVENTS#another', 'etl'],
      name: NOT.text,
      groups: NOT.texts,
      generation: NOT.ulid,
      keyCount: NOT.whole,
      createdAt: NOT.whole,
    });
    // 8.64e15 is the latest time of a Date.
    for (const change of [{ keyCount: 0, createdAt: 0 }, { createdAt: 8.64e15 }])
      expect(fromDeployment(toDeployment(deployment(change)))).toEqual(deployment(change));
  });

  it('parses a directory entry, and rejects a malformed one', () => {
    each(toDirectoryEntry(deployment()), fromDirectoryEntry, {
      sk: [...NOT.text, '', 'a#b'],
      name: NOT.text,
      groups: NOT.texts,
      generation: NOT.ulid,
      createdAt: NOT.whole,
    });
  });

  it('parses an API key, and rejects a malformed one', () => {
    const secret = { hash: 'a', createdAt: 1 };
    const rule = { issuer: 'i', claims: { sub: 'x' } };
    expect(fromApiKey(toApiKey(apiKey({ secrets: [secret], trust: [rule] })))).toMatchObject({
      trust: [rule],
    });
    const change = (of: object, name: string, values: unknown[]) =>
      values.map((value) => [{ ...of, [name]: value }]);
    each(toApiKey(apiKey()), fromApiKey, {
      pk: [...NOT.text, 'DEPLOYMENT#', 'EVENTS#another'],
      sk: [...NOT.text, 'KEY#', 'KEY#x', KEY_ULID],
      name: NOT.text,
      description: orAbsent(NOT.text),
      ...NOT_CHECKED_KEY,
      networks: [...orAbsent(NOT.texts), []],
      revision: NOT.whole,
      createdAt: NOT.whole,
      createdBy: NOT.text,
      activeSince: orAbsent(NOT.whole),
      lastUsedAddress: orAbsent(NOT.text),
      lastUsedClient: orAbsent(NOT.text),
      secrets: [
        undefined,
        null,
        'x',
        // A key with neither a secret nor a trust rule is malformed.
        [],
        { 0: secret },
        [secret, null],
        [secret, 'x'],
        ...change(secret, 'hash', NOT.text),
        ...change(secret, 'createdAt', NOT.whole),
        ...change(secret, 'retiresAt', orAbsent(NOT.whole)),
        ...change(secret, 'retiresOnFirstUse', orAbsent(NOT.flag)),
        ...change(secret, 'lastUsedAt', orAbsent(NOT.whole)),
        ...change(secret, 'setBy', orAbsent(NOT.text)),
      ],
      leak: [
        null,
        'x',
        {},
        ...NOT.whole.map((reportedAt) => ({ reportedAt, wasEnabled: true })),
        ...NOT.flag.map((wasEnabled) => ({ reportedAt: 1, wasEnabled })),
        // A leaked key must not be enabled.
        { reportedAt: 1, wasEnabled: true },
      ],
      notice: [
        null,
        'x',
        [],
        ...NOT.text.map((type) => ({ type, of: 1 })),
        ...NOT.whole.map((of) => ({ type: 'idle', of })),
      ],
      trust: [
        null,
        'x',
        { 0: rule },
        [null],
        [rule, 'x'],
        ...change(rule, 'issuer', NOT.text),
        ...change(rule, 'audience', orAbsent(NOT.text)),
        ...change(rule, 'claims', [null, undefined, 'x', ['x']]),
        ...change(rule, 'claims', [
          { sub: 7 },
          { sub: null },
          { sub: {} },
          { sub: ['x'] },
          { sub: { prefix: 7 } },
        ]),
        ...change(rule, 'claims', [{ a: 'x', b: 7 }]),
        // These trust rules would accept every token of the issuer.
        ...change(rule, 'claims', [{}, new Set(), new Uint8Array(), { sub: { prefix: '' } }]),
        ...change(rule, 'singleUse', orAbsent(NOT.flag)),
      ],
    });
  });

  it('parses an access token only if the hash in its sort key has exactly 43 base64url characters', () => {
    const item = toToken(token());
    const withHash = (hash: string) => fromToken({ ...item, sk: `TOKEN#${KEY_ULID}#${hash}` });
    const base64url = fc.constantFrom(...'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_');
    const hashes = (minLength: number, maxLength = minLength) =>
      fc.string({ unit: base64url, minLength, maxLength });
    fc.assert(
      fc.property(hashes(43), (hash) => {
        expect(withHash(hash)).toEqual({ ...token(), hash });
      }),
    );
    fc.assert(
      fc.property(fc.oneof(hashes(0, 42), hashes(44, 128)), (hash) => {
        expect(withHash(hash)).toBeUndefined();
      }),
    );
    // A generated length rarely equals one of the two neighbours of 43.
    for (const length of [0, 42, 44, 86]) expect(withHash('t'.repeat(length)), `${length}`).toBeUndefined();
    const foreign = fc.string({ minLength: 1, maxLength: 1 }).filter((text) => !/[A-Za-z0-9_#-]/.test(text));
    fc.assert(
      fc.property(hashes(42), fc.nat(42), foreign, (rest, at, character) => {
        expect(withHash(rest.slice(0, at) + character + rest.slice(at))).toBeUndefined();
      }),
    );
  });

  it('parses a temporary token, and rejects a malformed one', () => {
    each(toTemporaryToken(temporaryToken()), fromTemporaryToken, {
      pk: [...NOT.text, 'DEPLOYMENT#', 'EVENTS#another'],
      sk: [...NOT.text, 'GRANT#x#h', `GRANT#${KEY_ULID}`, 'x'],
      generation: NOT.ulid,
      sub: NOT.text,
      signedInAt: orAbsent(NOT.seconds),
      scope: orAbsent(NOT.text),
      issuedAt: NOT.seconds,
      expiresAt: NOT.seconds,
    });
    const { scope: _, ...bare } = toTemporaryToken(temporaryToken());
    expect(fromTemporaryToken(bare)).toEqual(temporaryToken({ scopes: [] }));
  });

  it("parses an Idempotency-Key's record, and rejects a malformed one", () => {
    const answer = { status: 201, body: '{}' };
    each(toIdempotencyRecord(record()), fromIdempotencyRecord, {
      bodyHash: NOT.text,
      expiresAt: NOT.seconds,
      answer: [
        null,
        undefined,
        'x',
        ...NOT.whole.map((status) => ({ ...answer, status })),
        ...[...NOT.text, 'x', '[]'].map((body) => ({ ...answer, body })),
        ...orAbsent(NOT.text).map((location) => ({ ...answer, location })),
      ],
    });
    for (const status of [200, 201])
      expect(
        fromIdempotencyRecord({ ...toIdempotencyRecord(record()), answer: { ...answer, status } }),
      ).toMatchObject({ answer: { ...answer, status } });
  });

  it('parses the record of a person whose access has ended, and rejects a malformed one', () => {
    const job = { id: KEY_ULID, keys: 'report', found: 0, disabled: 0 } as const;
    const record = { issuer: 'https://login.test', sub: 'ada', endedAt: 5, blocked: false, revision: 0, job };
    each(toAccessRecord(record), fromAccessRecord, {
      issuer: NOT.text,
      sub: NOT.text,
      endedAt: NOT.whole,
      blocked: NOT.flag,
      revision: NOT.whole,
      job: [
        null,
        undefined,
        'x',
        ...NOT.ulid.map((id) => ({ ...job, id })),
        ...NOT.text.map((keys) => ({ ...job, keys })),
        { ...job, keys: 'delete' },
        ...orAbsent(NOT.text).map((after) => ({ ...job, after })),
        ...NOT.whole.map((found) => ({ ...job, found })),
        ...NOT.whole.map((count) => ({ ...job, disabled: count })),
        ...orAbsent(NOT.whole).map((finishedAt) => ({ ...job, finishedAt })),
      ],
    });
    const mark = { pk: 'PEOPLE', sk: 'JOB#x', issuer: 'https://login.test', sub: 'ada', jobId: KEY_ULID };
    each(mark, fromJobMark, { issuer: NOT.text, sub: NOT.text, jobId: NOT.ulid });
    each(mark, fromPersonId, { issuer: NOT.text, sub: NOT.text });
  });

  it("parses the record of a key that the job to end a person's access found, and rejects a malformed one", () => {
    const held = {
      keyId: 'dk_etl_x',
      jobId: KEY_ULID,
      name: 'ci',
      reasons: ['created' as const],
      disabled: true,
    };
    each(toHeldKey({ issuer: 'https://login.test', sub: 'ada' }, held), fromHeldKey, {
      keyId: NOT.text,
      jobId: NOT.ulid,
      name: NOT.text,
      reasons: [...NOT.texts, ['admired'], ['created', 'admired']],
      disabled: NOT.flag,
    });
    const all = { ...held, reasons: ['created' as const, 'secret' as const, 'trust' as const] };
    expect(fromHeldKey(toHeldKey({ issuer: 'https://login.test', sub: 'ada' }, all))).toEqual(all);
  });

  it('parses the counts of rejected calls, and rejects malformed ones', () => {
    const last = rejectedCall();
    const change = (name: string, values: unknown[]) => values.map((value) => ({ ...last, [name]: value }));
    const item = {
      ...{ sk: 'hash#2030-01-01T12', principal: 'eve', principalType: 'person', callCount: 3 },
      ...{ deployments: new Set(['etl']), 'count#etl': 2, 'last#etl': last },
      // These counts are of a malformed ID, which must not be accepted in the set of IDs.
      ...{ 'count#7': 1, 'last#7': last },
    };
    each(item, fromRejectedCalls, {
      sk: [...NOT.text, 'hash'],
      principal: NOT.text,
      principalType: NOT.text,
      callCount: NOT.whole,
      deployments: [null, 'etl', ['etl'], new Set([7]), new Set(['etl', 7])],
      'count#etl': NOT.whole,
      'last#etl': [
        ...[null, undefined, 'x', [last]],
        ...['at', 'status'].flatMap((name) => change(name, NOT.whole)),
        ...['call', 'code', 'address', 'requestId'].flatMap((name) => change(name, NOT.text)),
      ],
    });
    const { deployments: _, ...bare } = item;
    expect(fromRejectedCalls(bare)?.deployments).toEqual([]);
  });

  it('parses the record of a restore, and rejects a malformed one', () => {
    const options = { point: 1, ignored: ['eve'], disablesAll: false, archive: '/archive' };
    const change = (name: string, values: unknown[]) =>
      values.map((value) => ({ ...options, [name]: value }));
    const item = { startedAt: 1, finishedAt: 2, options };
    each(item, fromRestoreRecord, {
      startedAt: NOT.whole,
      finishedAt: orAbsent(NOT.whole),
      options: [
        ...[null, 'x', [options]],
        ...change('point', NOT.whole),
        ...change('ignored', NOT.texts),
        ...change('disablesAll', NOT.flag),
        ...change('archive', orAbsent(NOT.text)),
      ],
    });
    expect(fromRestoreRecord(item)).toEqual(item);
  });

  it('accepts one or two key attributes as the key of a row', () => {
    const [text, number, bytes] = [{ S: 'a' }, { N: '1' }, { B: new Uint8Array([1]) }];
    for (const row of [{ a: text }, { a: number }, { a: bytes }, { a: text, b: number }])
      expect(isRowKey(row), JSON.stringify(row)).toBe(true);
    const wrong = [{ BOOL: true }, { S: 7 }, { N: 1 }, { B: 'AQ==' }, { S: 'a', N: '1' }, {}, 'a', null];
    const rows = [
      ...[undefined, null, 7, 'a', {}, [text], { a: text, b: number, c: bytes }],
      ...wrong.flatMap((value) => [{ a: value }, { a: text, b: value }, { a: value, b: text }]),
    ];
    for (const row of rows) expect(isRowKey(row), JSON.stringify(row)).toBe(false);
  });

  it('returns the readable attributes of a malformed API key', () => {
    const { deploymentId, ulid, name, scopes, secrets, enabled, createdBy } = apiKey();
    const id = { malformed: true, deploymentId, ulid };
    const more = { description: 'd', leak: { reportedAt: 1, wasEnabled: true }, trustSetBy: 'eve' };
    const item = toApiKey(apiKey(more));
    const readable = { ...id, name, scopes, secrets, enabled, createdBy, ...more };
    expect(fromMalformedKey(item)).toEqual(readable);
    const damaged = Object.fromEntries(Object.keys(item).map((attribute) => [attribute, 7]));
    expect(fromMalformedKey({ ...damaged, pk, sk: item.sk })).toEqual(id);
    expect(fromMalformedKey({ ...item, sk: 'KEY#x' })).toBeUndefined();
    // Without a trust rule, a key must have a secret.
    expect(fromMalformedKey({ ...item, secrets: [] })).toEqual({ ...readable, secrets: undefined });
    expect(fromMalformedKey({ ...item, secrets: [7] })).toEqual({ ...readable, secrets: undefined });
    expect(fromMalformedKey({ ...item, secrets: [7], trust: 7 })).toEqual({
      ...readable,
      secrets: undefined,
    });
    expect(fromMalformedKey({ ...item, secrets: [], trust: 7 })).toEqual({ ...readable, secrets: [] });
  });

  it('a Deployment has one entry in each of its groups, except for groups of more than 500 characters', () => {
    const groups = ['b', 'a', 'b', 'x'.repeat(500), 'y'.repeat(501)];
    expect(groupEntryKeys({ id: 'etl', groups })).toEqual(
      ['b', 'a', 'x'.repeat(500)].map((group) => ({ pk: `GROUP#${group}`, sk: 'etl' })),
    );
  });

  it.each([
    [
      { issuedAddress: 'a', issuedClient: 'c' },
      { address: 'a', client: 'c' },
    ],
    [{ issuedAddress: 'a', issuedClient: 7 }, { address: 'a' }],
    [{ issuedClient: 'c' }, { client: 'c' }],
    [{ issuedAddress: 7 }, undefined],
    [undefined, undefined],
  ])(
    'parses the source of the exchange that issued a token, if parts of it are well-formed: %j',
    (item, source) => {
      expect(fromIssue(item)).toEqual(source);
    },
  );

  it('parses an event about people, which belongs to no Deployment', () => {
    const item = toEvent({ ...event(), deploymentId: '', generation: '' });
    expect(item.pk).toBe('EVENTS#');
    expect(fromEvent(item)).toMatchObject({ deploymentId: '', generation: '' });
  });

  it('parses an event, and rejects a malformed one', () => {
    const { actor } = event();
    each(toEvent(event()), fromEvent, {
      pk: [...NOT.text, 'EVENTS#a b', 'DEPLOYMENT#etl', 'OTHERS-etl'],
      sk: NOT.ulid,
      type: NOT.text,
      generation: NOT.text,
      actor: [
        null,
        undefined,
        'x',
        ...NOT.text.map((principal) => ({ ...actor, principal })),
        ...NOT.text.filter((type) => type !== undefined).map((type) => ({ ...actor, type })),
        ...NOT.text.map((address) => ({ ...actor, address })),
        ...NOT.text.map((requestId) => ({ ...actor, requestId })),
      ],
      createdAt: NOT.whole,
      data: [null, undefined, 'x', []],
      expiresAt: NOT.seconds,
    });
  });

  it('#57: adds the actor type to an event that an earlier version stored', () => {
    const { actor } = event();
    const { type: _, ...untyped } = { ...actor, principal: 'purge' };
    const read = (change: object) =>
      fromEvent({ ...toEvent(event()), actor: { ...untyped, ...change } })?.actor;
    expect(read({})).toEqual({ ...untyped, type: 'person' });
    expect(read({ address: '' })).toEqual({ ...untyped, address: '', type: 'system' });
    expect(read({ type: 'of-a-later-version' })).toEqual({ ...untyped, type: 'of-a-later-version' });
  });

  it('reports a malformed item by its keys only, and does not report a missing item', () => {
    const onMalformed = vi.fn();
    const key = { pk, sk: 'DEPLOYMENT' };
    expect(parse({ onMalformed }, toDeployment(deployment()), fromDeployment)).toEqual(deployment());
    expect(parse({ onMalformed }, undefined, fromDeployment)).toBeUndefined();
    expect(onMalformed).not.toHaveBeenCalled();
    expect(parse({ onMalformed }, { ...key, name: 'secret' }, fromDeployment)).toBeUndefined();
    expect(onMalformed.mock.calls).toEqual([[key]]);
  });

  it("parses a token's last use even if parts of it are missing", () => {
    const item = { lastUsedAt: 0, lastUsedAddress: 'a', lastUsedClient: 'c' };
    expect(fromLastUse(item)).toEqual({ at: 0, address: 'a', client: 'c' });
    expect(fromLastUse({ lastUsedAt: 5 })).toEqual({ at: 5, address: '', client: '' });
    for (const none of [undefined, {}]) expect(fromLastUse(none)).toBeUndefined();
    each(item, fromLastUse, {
      lastUsedAt: NOT.whole,
      lastUsedAddress: orAbsent(NOT.text),
      lastUsedClient: orAbsent(NOT.text),
    });
  });

  it('the item parser rethrows an unexpected error', () => {
    const broken = new Proxy(
      {},
      {
        get: () => {
          throw new RangeError('broken');
        },
      },
    );
    expect(() => fromDeployment(broken)).toThrow('broken');
  });
});

describe('A check reads only the attributes that it needs', () => {
  const onMalformed = vi.fn();
  const of = (kind: 'token' | 'temporary', ...items: Item[]) => {
    const hash = (kind === 'token' ? 't' : 'g').repeat(43);
    const keys = checkedKeys({ kind, deploymentId: 'etl', ulid: KEY_ULID }, hash);
    return fromChecked({ onMalformed }, keys, (key) =>
      items.find((it) => it.pk === key.pk && it.sk === key.sk),
    );
  };
  const attributes = Object.keys(toToken(token({ scopes: [] })));

  it('the attributes that a check reads do not include the hash of a secret', () => {
    const { ProjectionExpression, ExpressionAttributeNames: names } = CHECKED_ATTRIBUTES;
    const read = ProjectionExpression.split(',').map((name) => names[name as keyof typeof names] ?? name);
    expect(read).toEqual([
      'pk',
      'sk',
      'generation',
      'epoch',
      'enabled',
      'validUntil',
      'scopes',
      'scope',
      'sub',
      'signedInAt',
      'issuedAt',
      'expiresAt',
      'lastUsedAt',
      'networks',
    ]);
    for (const name of attributes) expect(read).toContain(name);
  });

  it('a check parses a token, its key and its Deployment', () => {
    const scoped = toToken(token({ scopes: ['a', 'b:c'] }));
    expect(
      of('token', scoped, toApiKey(apiKey({ validUntil: 5, networks: ['n'] })), toDeployment(deployment())),
    ).toEqual({
      deployment: { generation: GENERATION },
      key: {
        scopes: ['code:deploy'],
        enabled: true,
        validUntil: 5,
        epoch: 0,
        generation: GENERATION,
        networks: ['n'],
      },
      token: {
        generation: GENERATION,
        epoch: 0,
        scopes: ['a', 'b:c'],
        issuedAt: MADE_AT / 1000,
        expiresAt: MADE_AT / 1000 + 86_400,
      },
    });
    expect(of('token', toToken(token({ scopes: [] }))).token?.scopes).toEqual([]);
    expect(of('token', toToken(token())).token?.scopes).toBeUndefined();
  });

  it('a check parses a temporary token and its Deployment', () => {
    expect(
      of('temporary', toTemporaryToken(temporaryToken()), toDeployment(deployment()), toApiKey(apiKey())),
    ).toEqual({
      deployment: { generation: GENERATION },
      temporaryToken: {
        generation: GENERATION,
        sub: 'ada',
        scopes: ['code:deploy'],
        issuedAt: MADE_AT / 1000,
        expiresAt: MADE_AT / 1000 + 86_400,
      },
    });
  });

  it('a check omits and reports malformed items', () => {
    const items = {
      token: toToken(token()),
      key: toApiKey(apiKey()),
      deployment: toDeployment(deployment()),
    };
    const wrong: Record<keyof typeof items, Wrong> = {
      deployment: { generation: NOT.ulid },
      key: {
        ...NOT_CHECKED_KEY,
        networks: orAbsent(NOT.texts),
      },
      token: {
        generation: NOT.ulid,
        epoch: NOT.whole,
        scope: orAbsent(NOT.text),
        issuedAt: NOT.seconds,
        expiresAt: NOT.seconds,
      },
    };
    for (const [name, ofItem] of Object.entries(wrong)) {
      const one = name as keyof typeof items;
      each(items[one], (item) => of('token', item ?? {})[one], ofItem);
    }
    expect(onMalformed).toHaveBeenCalledWith({ pk, sk: 'DEPLOYMENT' });
  });
});

describe('A purge deletes the items of one generation', () => {
  it('a purge covers items of its generation and items without a valid generation', () => {
    expect(isOfGeneration({ generation: GENERATION }, GENERATION)).toBe(true);
    expect(isOfGeneration({ generation: KEY_ULID }, GENERATION)).toBe(false);
    for (const generation of NOT.ulid) expect(isOfGeneration({ generation }, GENERATION)).toBe(true);
  });

  it('reads the Deployment ID and generation of a purge from its marker', () => {
    expect(generationOfMarker({ sk: `a_b-c#${GENERATION}` })).toEqual({
      deploymentId: 'a_b-c',
      generation: GENERATION,
    });
    for (const sk of [
      'etl',
      `#${GENERATION}`,
      'etl#',
      'etl#x',
      `a b#${GENERATION}`,
      `etl#${GENERATION}#`,
      7,
      undefined,
    ])
      expect(generationOfMarker({ sk })).toBeUndefined();
  });
});
