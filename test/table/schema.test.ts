import { describe, expect, it, vi } from 'vitest';
import {
  CHECKED_ATTRIBUTES,
  checkedKeys,
  directoryKey,
  fromApiKey,
  fromChecked,
  fromDeployment,
  fromDirectoryEntry,
  fromEvent,
  fromGrant,
  fromIdempotencyRecord,
  fromLastUse,
  type Item,
  isOfLife,
  lifeOfMarker,
  parse,
  previousSubjectKey,
  purgeMarkerKey,
  subjectKey,
  toApiKey,
  toDeployment,
  toDirectoryEntry,
  toEvent,
  toGrant,
  toIdempotencyRecord,
  toToken,
} from '../../functions/table/schema.ts';
import {
  apiKey,
  deployment,
  event,
  GENERATION,
  grant,
  KEY_ULID,
  MADE_AT,
  record,
  token,
} from '../support/records.ts';

const pk = 'DEPLOYMENT#etl';

/** Values of the wrong type for each of: text, boolean, whole number, list of texts, ULID. */
const NOT = {
  text: [7, true, null, undefined, ['x'], { x: 1 }],
  flag: ['true', 1, 0, null, undefined],
  whole: [-1, 0.5, '7', Number.NaN, 8.64e15 + 1, 1e40, true, null, undefined],
  seconds: [-1, 0.5, '7', 8.64e12 + 1, null, undefined],
  texts: ['x', ['x', 7], { 0: 'x' }, null, undefined],
  ulid: ['x', '8ZZZZZZZZZZZZZZZZZZZZZZZZZ', 7, null, undefined],
};
const orAbsent = (values: unknown[]) => values.filter((value) => value !== undefined);

/** For each attribute, the values that make an item malformed. */
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

describe('the keys of items', () => {
  it('have the form of their kind of item', () => {
    expect(toDeployment(deployment())).toMatchObject({ pk, sk: 'DEPLOYMENT' });
    expect(toApiKey(apiKey())).toMatchObject({ pk, sk: `KEY#${KEY_ULID}` });
    expect(toToken(token())).toMatchObject({ pk, sk: `TOKEN#${KEY_ULID}#${'t'.repeat(43)}` });
    expect(toGrant(grant())).toMatchObject({ pk, sk: `GRANT#${KEY_ULID}#${'g'.repeat(43)}` });
    expect(toIdempotencyRecord(record())).toMatchObject({ pk, sk: `IDEM#${GENERATION}#${'i'.repeat(43)}` });
    expect(toEvent(event())).toMatchObject({ pk: 'EVENTS#etl', sk: event().id });
    expect(directoryKey('etl')).toEqual({ pk: 'DEPLOYMENTS', sk: 'etl' });
    expect(subjectKey('h')).toEqual({ pk: 'SUBJECT#h', sk: 'SUBJECT' });
    expect(previousSubjectKey('etl', 'h')).toEqual({ pk, sk: 'SUBJECT#h' });
    expect(purgeMarkerKey('etl', GENERATION)).toEqual({ pk: 'PURGES', sk: `etl#${GENERATION}` });
  });

  it('are the same in the reads of a check', () => {
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

describe('the parser of items', () => {
  it('reads a Deployment, and no malformed one', () => {
    each(toDeployment(deployment()), fromDeployment, {
      pk: [...NOT.text, 'DEPLOYMENT#', 'DEPLOYMENT#a#b', 'EVENTS#another', 'etl'],
      name: NOT.text,
      groups: NOT.texts,
      generation: NOT.ulid,
      keyCount: NOT.whole,
      createdAt: NOT.whole,
    });
    expect(fromDeployment(toDeployment(deployment({ keyCount: 0, createdAt: 0 })))).toMatchObject({
      keyCount: 0,
    });
  });

  it('reads a directory entry, and no malformed one', () => {
    each(toDirectoryEntry(deployment()), fromDirectoryEntry, {
      sk: [...NOT.text, '', 'a#b'],
      name: NOT.text,
      groups: NOT.texts,
      generation: NOT.ulid,
      createdAt: NOT.whole,
    });
  });

  it('reads an API key, and no malformed one', () => {
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
      scopes: NOT.texts,
      enabled: NOT.flag,
      validUntil: orAbsent(NOT.whole),
      epoch: NOT.whole,
      generation: NOT.ulid,
      lastUsedAt: orAbsent(NOT.whole),
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
        // Neither a secret nor a trust rule.
        [],
        { 0: secret },
        [secret, null],
        [secret, 'x'],
        ...change(secret, 'hash', NOT.text),
        ...change(secret, 'createdAt', NOT.whole),
        ...change(secret, 'retiresAt', orAbsent(NOT.whole)),
        ...change(secret, 'retiresOnFirstUse', orAbsent(NOT.flag)),
        ...change(secret, 'lastUsedAt', orAbsent(NOT.whole)),
      ],
      leak: [
        null,
        'x',
        {},
        ...NOT.whole.map((reportedAt) => ({ reportedAt, wasEnabled: true })),
        ...NOT.flag.map((wasEnabled) => ({ reportedAt: 1, wasEnabled })),
        // A leaked key that is enabled.
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
        // Rules that would accept every token of the issuer.
        ...change(rule, 'claims', [{}, new Set(), new Uint8Array(), { sub: { prefix: '' } }]),
        ...change(rule, 'singleUse', orAbsent(NOT.flag)),
      ],
    });
  });

  it('reads a temporary token, and no malformed one', () => {
    each(toGrant(grant()), fromGrant, {
      pk: [...NOT.text, 'DEPLOYMENT#', 'EVENTS#another'],
      sk: [...NOT.text, 'GRANT#x#h', `GRANT#${KEY_ULID}`, 'x'],
      generation: NOT.ulid,
      sub: NOT.text,
      scope: orAbsent(NOT.text),
      issuedAt: NOT.seconds,
      expiresAt: NOT.seconds,
    });
    const { scope: _, ...bare } = toGrant(grant());
    expect(fromGrant(bare)).toEqual(grant({ scopes: [] }));
  });

  it('reads the record of an Idempotency-Key, and no malformed one', () => {
    const answer = { status: 201, body: '{}' };
    each(toIdempotencyRecord(record()), fromIdempotencyRecord, {
      bodyHash: NOT.text,
      expiresAt: NOT.seconds,
      answer: [
        null,
        undefined,
        'x',
        ...NOT.whole.map((status) => ({ ...answer, status })),
        ...NOT.text.map((body) => ({ ...answer, body })),
        ...orAbsent(NOT.text).map((location) => ({ ...answer, location })),
      ],
    });
    expect(fromIdempotencyRecord({ ...toIdempotencyRecord(record()), answer })).toMatchObject({ answer });
  });

  it('reads an event, and no malformed one', () => {
    const { actor } = event();
    each(toEvent(event()), fromEvent, {
      pk: [...NOT.text, 'EVENTS#', 'DEPLOYMENT#etl', 'OTHERS-etl'],
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

  it('#57: gives an event of an earlier version the type of its actor', () => {
    const { actor } = event();
    const { type: _, ...untyped } = { ...actor, principal: 'purge' };
    const read = (change: object) =>
      fromEvent({ ...toEvent(event()), actor: { ...untyped, ...change } })?.actor;
    expect(read({})).toEqual({ ...untyped, type: 'person' });
    expect(read({ address: '' })).toEqual({ ...untyped, address: '', type: 'system' });
    expect(read({ type: 'of-a-later-version' })).toEqual({ ...untyped, type: 'of-a-later-version' });
  });

  it('reports a malformed item only by its keys, and does not report a missing one', () => {
    const onMalformed = vi.fn();
    const key = { pk, sk: 'DEPLOYMENT' };
    expect(parse({ onMalformed }, toDeployment(deployment()), fromDeployment)).toEqual(deployment());
    expect(parse({ onMalformed }, undefined, fromDeployment)).toBeUndefined();
    expect(onMalformed).not.toHaveBeenCalled();
    expect(parse({ onMalformed }, { ...key, name: 'secret' }, fromDeployment)).toBeUndefined();
    expect(onMalformed.mock.calls).toEqual([[key]]);
  });

  it('reads the last use of a token, parts of which may be unknown', () => {
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

  it('throws an unexpected error', () => {
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

describe('the attributes that a check reads', () => {
  const onMalformed = vi.fn();
  const of = (kind: 'token' | 'temporary', ...items: Item[]) => {
    const hash = (kind === 'token' ? 't' : 'g').repeat(43);
    const keys = checkedKeys({ kind, deploymentId: 'etl', ulid: KEY_ULID }, hash);
    return fromChecked({ onMalformed }, keys, (key) =>
      items.find((it) => it.pk === key.pk && it.sk === key.sk),
    );
  };
  const attributes = Object.keys(toToken(token({ scopes: [] })));

  it('include everything that it needs, and no hash of a secret', () => {
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
      'issuedAt',
      'expiresAt',
      'lastUsedAt',
      'networks',
    ]);
    for (const name of attributes) expect(read).toContain(name);
  });

  it('are, for a token, those of the token, its key and its Deployment', () => {
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

  it('are, for a temporary token, those of the token and its Deployment', () => {
    expect(of('temporary', toGrant(grant()), toDeployment(deployment()), toApiKey(apiKey()))).toEqual({
      deployment: { generation: GENERATION },
      grant: {
        generation: GENERATION,
        sub: 'ada',
        scopes: ['code:deploy'],
        issuedAt: MADE_AT / 1000,
        expiresAt: MADE_AT / 1000 + 86_400,
      },
    });
  });

  it('are omitted and reported when they are malformed', () => {
    const items = {
      token: toToken(token()),
      key: toApiKey(apiKey()),
      deployment: toDeployment(deployment()),
    };
    const wrong: Record<keyof typeof items, Wrong> = {
      deployment: { generation: NOT.ulid },
      key: {
        scopes: NOT.texts,
        enabled: NOT.flag,
        validUntil: orAbsent(NOT.whole),
        epoch: NOT.whole,
        generation: NOT.ulid,
        lastUsedAt: orAbsent(NOT.whole),
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

describe('a purge', () => {
  it('deletes items of its generation and those without a valid one', () => {
    expect(isOfLife({ generation: GENERATION }, GENERATION)).toBe(true);
    expect(isOfLife({ generation: KEY_ULID }, GENERATION)).toBe(false);
    for (const generation of NOT.ulid) expect(isOfLife({ generation }, GENERATION)).toBe(true);
  });

  it('reads the generation from its marker', () => {
    expect(lifeOfMarker({ sk: `a_b-c#${GENERATION}` })).toEqual({
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
      expect(lifeOfMarker({ sk })).toBeUndefined();
  });
});
