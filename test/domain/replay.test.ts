import { describe, expect, it } from 'vitest';
import { newUlid, ulidPrefix } from '../../functions/domain/credentials.ts';
import type { EventType, ServiceEvent } from '../../functions/domain/events.ts';
import type { AccessRecord, ApiKey, SecretHash } from '../../functions/domain/records.ts';
import {
  isUnderstood,
  replayDeployment,
  replayKey,
  replayPerson,
  type Since,
} from '../../functions/domain/replay.ts';
import { apiKey, deployment, event, KEY_ULID, MADE_AT } from '../support/records.ts';

const LATER = MADE_AT + 1000;
const since = (type: EventType, data: ServiceEvent['data'] = {}, createdAt = LATER) =>
  event({ type, data, createdAt });
const key = apiKey();
const [secret] = key.secrets;
const replayed = (before: typeof key, ...events: ServiceEvent[]) => {
  return replayedWith(before, { events });
};
const replayedWith = (before: typeof key, since: Partial<Since>) => {
  const nothing = { events: [], ignored: [], today: undefined, point: MADE_AT };
  const { key: after, doubts } = replayKey(before, { ...nothing, ...since });
  return { key: after, doubts: [...doubts] };
};

describe('Replaying events onto a key from a backup applies changes made after the backup', () => {
  it('a restore does not change a key for which no events were recorded after the backup', () => {
    expect(replayed(key)).toEqual({ key, doubts: [] });
    expect(replayed(key, since('api_key.created'), since('api_key.idle'))).toEqual({ key, doubts: [] });
  });

  it('a restore removes a key that was deleted after the backup, and reports nothing as uncertain', () => {
    const events = [
      since('api_key.edited', { changed: ['networks'] }),
      since('api_key.deleted'),
      since('api_key.enabled'),
    ];
    expect(replayed(key, ...events)).toEqual({ key: undefined, doubts: [] });
  });

  it('a restore disables a key that leaked after the backup, and records whether the key was enabled', () => {
    for (const enabled of [true, false]) {
      expect(replayed(apiKey({ enabled }), since('api_key.leaked'))).toEqual({
        key: apiKey({ enabled: false, leak: { reportedAt: LATER, wasEnabled: enabled } }),
        doubts: [],
      });
    }
    const leaked = apiKey({ enabled: false, leak: { reportedAt: MADE_AT, wasEnabled: true } });
    expect(replayed(leaked, since('api_key.leaked'))).toEqual({ key: leaked, doubts: [] });
  });

  it('a restore enables a key that was disabled and enabled again after the backup', () => {
    const disabled = since('api_key.disabled');
    expect(replayed(key, disabled)).toEqual({ key: apiKey({ enabled: false }), doubts: [] });
    expect(replayed(key, disabled, since('api_key.enabled', {}, LATER + 1))).toEqual({
      key: apiKey({ enabled: true, activeSince: LATER + 1 }),
      doubts: [],
    });
  });

  it('a restore applies the new name and scopes from an edit after the backup', () => {
    const data = { name: 'new', scopes: ['a'] };
    const edited = (changed: ServiceEvent['data'][string], rest: ServiceEvent['data'] = data) =>
      replayed(key, since('api_key.edited', { ...rest, changed })).key;
    expect(edited(['name', 'scopes'])).toEqual(apiKey(data));
    expect(edited(['name'])).toEqual(apiKey({ name: 'new' }));
    expect(edited(['scopes'])).toEqual(apiKey({ scopes: ['a'] }));
    for (const field of ['description', 'enabled']) expect(edited([field])).toEqual(key);
    expect(edited('name scopes expiresAt networks')).toEqual(key);
    expect(edited(['name', 'scopes'], {})).toEqual(key);
    expect(edited(['name', 'scopes'], { name: 7, scopes: 'a' })).toEqual(key);
    expect(replayed(key, since('api_key.edited', data)).key).toEqual(key);
  });

  it.each(['expiresAt', 'networks'])(
    'a restore disables a key whose %s changed after the backup, because the event omits the new value',
    (field) => {
      const edited = since('api_key.edited', { changed: [field] });
      const expected = { key: apiKey({ enabled: false }), doubts: ['its bounds are not known'] };
      expect(replayed(key, edited)).toEqual(expected);
      const enabled = since('api_key.enabled', {}, LATER);
      expect(replayed(key, edited, enabled)).toEqual({
        key: apiKey({ enabled: false, activeSince: LATER }),
        doubts: ['its bounds are not known'],
      });
    },
  );
});

describe('Replaying a rotation onto a key from a backup retires the old secret', () => {
  const doubts = ['its new secret is lost'];
  const rotatedSince = (retireOld: string | number, before = key) =>
    replayed(before, since('api_key.rotated', { retireOld }));

  it('a restore keeps the old secret for as long as the replayed rotation specified', () => {
    expect(rotatedSince(60)).toEqual({
      key: apiKey({ activeSince: LATER, secrets: [{ ...secret, retiresAt: LATER + 60_000 } as never] }),
      doubts,
    });
  });

  it.each(['now', 'on_first_use'])(
    'a restore discards the old secret when the replayed rotation had retireOld "%s"',
    (retireOld) => {
      expect(rotatedSince(retireOld)).toEqual({
        key: apiKey({ activeSince: LATER, secrets: [{ ...secret, retiresAt: LATER } as never] }),
        doubts,
      });
    },
  );

  it('a replayed rotation never postpones the retirement that an earlier rotation set', () => {
    const retiring = apiKey({ secrets: [{ ...secret, retiresAt: LATER + 5 } as never] });
    expect(rotatedSince(60, retiring).key?.secrets).toEqual([{ ...secret, retiresAt: LATER + 5 }]);
    const longer = apiKey({ secrets: [{ ...secret, retiresAt: LATER + 90_000 } as never] });
    expect(rotatedSince(60, longer).key?.secrets).toEqual([{ ...secret, retiresAt: LATER + 60_000 }]);
  });

  it('a restore does not change a key that already has the secret from the replayed rotation', () => {
    const known = apiKey({ secrets: [secret as never, { hash: 'n', createdAt: LATER }] });
    expect(rotatedSince(0, known)).toEqual({ key: known, doubts: [] });
  });

  it('replaying an immediate rotation clears the leak and enables a key that was enabled before the leak', () => {
    for (const wasEnabled of [true, false]) {
      const leaked = apiKey({ enabled: false, leak: { reportedAt: 1, wasEnabled } });
      expect(rotatedSince('now', leaked).key).toMatchObject({ enabled: wasEnabled, leak: undefined });
      expect(rotatedSince(60, leaked).key).toMatchObject({ enabled: false, leak: leaked.leak });
    }
    expect(rotatedSince('now', apiKey({ enabled: false })).key).toMatchObject({ enabled: false });
  });
});

describe('Replaying events onto a key from a backup retires secrets that may be outdated', () => {
  const old = { hash: 'o'.repeat(43), createdAt: MADE_AT };
  const next = { hash: 'n'.repeat(43), createdAt: MADE_AT + 1 };
  const waiting = apiKey({ secrets: [{ ...old, retiresAt: LATER + 9, retiresOnFirstUse: true }, next] });
  const firstUse = since('api_key.secret_retired', { secretCreatedAt: new Date(MADE_AT + 1).toISOString() });
  const mayHaveBeenUsed = 'its old secret was retired, because its new one may have been used';

  it('#45: a restore retires the old secret when an event shows that the new secret was used', () => {
    const secrets = [
      { ...old, retiresAt: LATER },
      { ...next, lastUsedAt: LATER },
    ];
    expect(replayed(waiting, firstUse)).toEqual({ key: apiKey({ secrets }), doubts: [] });
    const other = since('api_key.secret_retired', { secretCreatedAt: new Date(MADE_AT).toISOString() });
    expect(replayed(waiting, other).key?.secrets[1]).toEqual(next);
  });

  it.each<[string, Partial<SecretHash>, Partial<SecretHash>]>([
    ['keeps an older secret that retires at a fixed time', { retiresAt: LATER + 9 }, {}],
    ['records the use on a secret that itself retires on first use', {}, { retiresOnFirstUse: true }],
  ])('the first use of a secret %s', (_, ofOld, ofNext) => {
    const before = apiKey({
      secrets: [
        { ...old, ...ofOld },
        { ...next, ...ofNext },
      ],
    });
    const secrets = [before.secrets[0], { ...before.secrets[1], lastUsedAt: LATER } as never];
    expect(replayedWith(before, { events: [firstUse], today: before }).key).toEqual({ ...before, secrets });
  });

  it('the first use of an older secret retires no newer secret', () => {
    const before = apiKey({ secrets: [old, { ...next, retiresOnFirstUse: true }] });
    const secretCreatedAt = new Date(MADE_AT).toISOString();
    const events = [since('api_key.secret_retired', { secretCreatedAt })];
    const secrets = [{ ...old, lastUsedAt: LATER }, before.secrets[1] as never];
    expect(replayedWith(before, { events, today: before }).key).toEqual({ ...before, secrets });
  });

  it.each([
    ['retires an old secret that has no retirement time', undefined, MADE_AT, [mayHaveBeenUsed]],
    ['keeps the earlier retirement of an old secret', MADE_AT - 1, MADE_AT - 1, []],
    ['keeps the retirement of an old secret at the time of the backup', MADE_AT, MADE_AT, []],
  ])('a restore %s if the new secret may have been used', (_, retiresAt, expected, doubts) => {
    const before = apiKey({ secrets: [{ ...old, retiresAt, retiresOnFirstUse: true }, next] });
    const result = replayed(before);
    expect(result.key?.secrets.map((it) => it.retiresAt)).toEqual([expected, undefined]);
    expect(result.doubts).toEqual(doubts);
  });

  it('#45: a restore retires the old secret, and reports it, when the new secret may have been used', () => {
    const secrets = [{ ...old, retiresAt: MADE_AT }, next];
    expect(replayed(waiting)).toEqual({ key: apiKey({ secrets }), doubts: [mayHaveBeenUsed] });
  });

  it('#45: a restore ignores the first use of a secret if it also ignores the rotation that created the secret', () => {
    const [rotation, use] = [since('api_key.rotated', {}, MADE_AT + 5), LATER];
    const secretCreatedAt = new Date(MADE_AT + 5).toISOString();
    const events = [since('api_key.secret_retired', { secretCreatedAt }, use)];
    const { doubts } = replayedWith(waiting, { events, ignored: [rotation] });
    expect(doubts).toEqual([mayHaveBeenUsed]);
  });

  it('a restore applies the first use of a secret if it ignores only the rotation that created another secret', () => {
    const ignored = [since('api_key.rotated', {}, MADE_AT + 5)];
    const result = replayedWith(waiting, { events: [firstUse], ignored });
    expect(result).toEqual(replayed(waiting, firstUse));
  });

  it('a restore compares the secrets with the current ones unless it ignores a rotation', () => {
    const today = apiKey({ secrets: [{ hash: 'm'.repeat(43), createdAt: LATER }] });
    const ignoring = (type: EventType, ofToday: ApiKey) =>
      replayedWith(waiting, { today: ofToday, ignored: [since(type)] });
    expect(ignoring('api_key.leaked', waiting)).toEqual({ key: waiting, doubts: [] });
    expect(ignoring('api_key.rotated', today)).toEqual({
      key: apiKey({ secrets: [{ ...old, retiresAt: MADE_AT }, next] }),
      doubts: [mayHaveBeenUsed],
    });
  });

  it('#45: a restore retires secrets that the current key no longer has, and keeps the others', () => {
    const today = apiKey({
      secrets: [{ ...next, retiresAt: LATER + 5, lastUsedAt: LATER }],
      lastUsedAt: LATER,
      lastUsedAddress: '192.0.2.1',
      activeDays: new Set([3, 4]),
    });
    expect(replayedWith({ ...waiting, activeDays: new Set([2, 3]) }, { today })).toEqual({
      key: apiKey({
        secrets: [{ ...old, retiresAt: MADE_AT, retiresOnFirstUse: undefined } as never, ...today.secrets],
        lastUsedAt: LATER,
        lastUsedAddress: '192.0.2.1',
        activeDays: new Set([2, 3, 4]),
      }),
      doubts: [],
    });
    expect(replayedWith(waiting, { today: waiting })).toEqual({ key: waiting, doubts: [] });
  });

  it('#45: a restore does not copy a new secret from the current key, but reports the secret as lost', () => {
    expect(replayedWith(apiKey({ secrets: [old] }), { today: apiKey({ secrets: [old, next] }) })).toEqual({
      key: apiKey({ secrets: [old] }),
      doubts: ['its new secret is lost'],
    });
  });

  it('#45: a replayed rotation keeps one of two secrets, and retires both if it is unclear which one was kept', () => {
    const rotation = since('api_key.rotated', { retireOld: 60 });
    const endsOf = (secrets: object[], change: Partial<Since> = {}) =>
      replayedWith(apiKey({ secrets: secrets as never }), { events: [rotation], ...change }).key?.secrets.map(
        ({ retiresAt }) => retiresAt,
      );
    expect(endsOf([old, next])).toEqual([LATER, LATER]);
    expect(endsOf([old, { ...next, lastUsedAt: MADE_AT + 2 }])).toEqual([LATER, LATER + 60_000]);
    expect(endsOf([{ ...old, retiresAt: LATER - 1 }, next])).toEqual([LATER - 1, LATER + 60_000]);
    const third = { hash: 'm', createdAt: MADE_AT + 2 };
    expect(endsOf([old, { ...next, lastUsedAt: LATER - 1 }, third])).toEqual([LATER, LATER, LATER]);
    const again = since('api_key.rotated', { retireOld: 60 }, LATER + 1000);
    expect(endsOf([old], { events: [rotation, again] })).toEqual([LATER + 1000]);
    const today = apiKey({ secrets: [{ ...old, retiresAt: LATER + 60_000 }] });
    expect(endsOf([old, next], { today })).toEqual([LATER + 60_000, MADE_AT]);
  });
});

describe('A restore compares the key from the backup with the current key', () => {
  const disabledToday = 'it is disabled today, and no event says why';
  const unknownBounds = 'its bounds are not known';
  const changed = (...fields: string[]) => [since('api_key.edited', { changed: fields })];

  it('#45: a restore disables and reports a currently disabled key unless an ignored event explains why', () => {
    const today = apiKey({ enabled: false });
    expect(replayedWith(key, { today })).toEqual({ key: today, doubts: [disabledToday] });
    expect(replayedWith(key, { today, ignored: changed('enabled') })).toEqual({ key, doubts: [] });
    expect(replayedWith(today, { today: key })).toEqual({ key: today, doubts: [] });
  });

  it('#45: a restore marks a key as leaked if the current key is marked as leaked, and reports the key', () => {
    for (const wasEnabled of [true, false]) {
      const today = apiKey({ enabled: false, leak: { reportedAt: LATER, wasEnabled } });
      expect(replayedWith(key, { today })).toEqual({ key: today, doubts: [disabledToday] });
    }
    const leaked = apiKey({ enabled: false, leak: { reportedAt: MADE_AT, wasEnabled: true } });
    const today = apiKey({ enabled: false, leak: { reportedAt: LATER, wasEnabled: true } });
    expect(replayedWith(leaked, { today })).toEqual({ key: leaked, doubts: [] });
  });

  it.each([
    ['scopes', { scopes: [] }],
    ['expiresAt', { validUntil: LATER }],
    ['networks', { networks: ['192.0.2.0/24'] }],
    ['trust', { trust: [{ issuer: 'a', claims: { b: 'c', d: 'e' } }] }],
  ] as const)(
    '#45: a restore disables and reports a key whose %s changed, unless an ignored event explains the change',
    (field, change) => {
      const today = apiKey(change as never);
      expect(replayedWith(key, { today })).toEqual({
        key: apiKey({ enabled: false }),
        doubts: [unknownBounds],
      });
      expect(replayedWith(key, { today, ignored: changed(field) })).toEqual({ key, doubts: [] });
      expect(replayedWith(key, { today, ignored: changed('name') }).doubts).toEqual([unknownBounds]);
    },
  );

  it('a restore ignores the order of the claims in trust rules', () => {
    const trusts = apiKey({ trust: [{ issuer: 'a', claims: { b: 'c', d: 'e' } }] });
    const today = apiKey({ trust: [{ claims: { d: 'e', b: 'c' }, issuer: 'a' }] });
    expect(replayedWith(trusts, { today })).toEqual({ key: trusts, doubts: [] });
  });

  it('a restored key starts its idle period at the same time as the current key', () => {
    const enabled = [since('api_key.enabled')];
    const before = apiKey({ activeSince: MADE_AT, lastUsedAt: MADE_AT });
    expect(replayedWith(before, { events: enabled, today: before }).key).toEqual(before);
    const today = apiKey({ activeSince: LATER, lastUsedAt: LATER });
    expect(replayedWith(before, { events: enabled, today }).key).toEqual(today);
  });

  it.each([
    ['the current key', MADE_AT + 1, '192.0.2.2'],
    ['the backup if the current key has none', undefined, '192.0.2.1'],
    ['the backup if both have the same time', MADE_AT, '192.0.2.1'],
  ])('a restored key has the last use of %s', (_, lastUsedAt, expected) => {
    const before = apiKey({ lastUsedAt: MADE_AT, lastUsedAddress: '192.0.2.1' });
    const today = apiKey({ lastUsedAt, lastUsedAddress: '192.0.2.2' });
    expect(replayedWith(before, { today }).key).toMatchObject({
      lastUsedAt: lastUsedAt ?? MADE_AT,
      lastUsedAddress: expected,
    });
  });

  it('#55: a later rotation does not enable a leaked key that was also disabled for another reason', () => {
    const leaked = apiKey({ enabled: false, leak: { reportedAt: MADE_AT, wasEnabled: true } });
    const ended = apiKey({ enabled: false, leak: { reportedAt: MADE_AT, wasEnabled: false } });
    expect(replayed(leaked, since('api_key.disabled')).key).toEqual(ended);
    expect(replayed(leaked, ...changed('networks')).key).toEqual(ended);
    expect(replayedWith(leaked, { today: ended }).key).toEqual(ended);
  });

  it('#45: a restore keeps a leaked key disabled if a person enabled it after an ignored rotation', () => {
    const leaked = apiKey({ enabled: false, leak: { reportedAt: MADE_AT, wasEnabled: false } });
    expect(replayed(leaked, since('api_key.enabled')).key).toEqual({
      ...leaked,
      leak: { reportedAt: MADE_AT, wasEnabled: true },
      activeSince: LATER,
    });
  });

  it('a restore enables a key that leaked and was rotated shortly before the backup', () => {
    const rotation = since('api_key.rotated', { retireOld: 'now' }, MADE_AT);
    expect(replayed(key, since('api_key.leaked', {}, MADE_AT - 1), rotation)).toEqual({ key, doubts: [] });
    const leaked = apiKey({ enabled: false, leak: { reportedAt: LATER, wasEnabled: true } });
    expect(replayed(leaked, rotation)).toEqual({ key: leaked, doubts: [] });
  });

  it('an immediate rotation ends a leak that was reported in the same millisecond', () => {
    const leaked = apiKey({ enabled: false, leak: { reportedAt: LATER, wasEnabled: true } });
    const rotation = since('api_key.rotated', { retireOld: 'now' });
    expect(replayed(leaked, rotation).key).toMatchObject({ enabled: true, leak: undefined });
  });
});

describe('Replaying events onto a Deployment from a backup applies changes made after the backup', () => {
  const etl = deployment();

  it('a restore applies the latest name and groups to a Deployment', () => {
    const data = { name: 'new', groups: ['a'] };
    expect(replayDeployment(etl, [])).toEqual(etl);
    expect(replayDeployment(etl, [since('deployment.edited', data)])).toEqual(deployment(data));
    expect(replayDeployment(etl, [since('deployment.edited', { name: 7, groups: 'a' })])).toEqual(etl);
    expect(replayDeployment(etl, [since('deployment.registered', data)])).toEqual(etl);
  });

  it('a restore removes a Deployment that was deleted after the backup', () => {
    const events = [since('deployment.deleted'), since('deployment.edited', { name: 'new' })];
    expect(replayDeployment(etl, events)).toBeUndefined();
  });
});

describe('Replaying events onto the record of a person updates the end of their access', () => {
  const NOW = LATER + 60_000;
  const ada = { issuer: 'https://issuer.example', sub: 'ada' };
  const record = (change: Partial<AccessRecord> = {}): AccessRecord => ({
    ...ada,
    endedAt: MADE_AT,
    blocked: true,
    revision: 3,
    job: { id: KEY_ULID, keys: 'disable', after: 'etl', found: 2, disabled: 1, finishedAt: MADE_AT },
    ...change,
  });
  const ended = (data: ServiceEvent['data'] = {}) =>
    since('person.access_ended', { ...ada, blocked: false, keys: 'report', ...data });
  const restored = since('person.access_restored', ada);
  const found = since('person.keys_found', { ...ada, blocked: false, keys: 'disable' });
  const expected = (endedAt: number, blocked: boolean, keys: string, revision = NOW + 1) => ({
    ...ada,
    endedAt,
    blocked,
    revision,
    job: { id: expect.stringMatching(`^${ulidPrefix(NOW)}.{16}$`), keys, found: 0, disabled: 0 },
  });

  it.each<[string, AccessRecord | undefined, ServiceEvent[], unknown]>([
    ['starts the job again if there are no events', record(), [], expected(MADE_AT, true, 'disable')],
    ['creates the record of an end of access', undefined, [ended()], expected(LATER, false, 'report')],
    [
      'creates the record of a block whose job disables keys',
      undefined,
      [ended({ blocked: true, keys: 'disable' })],
      expected(LATER, true, 'disable'),
    ],
    [
      'takes the block from the latest end of access, and still disables the keys',
      record(),
      [ended()],
      expected(LATER, false, 'disable'),
    ],
    [
      'never moves the end of access to an earlier time',
      record({ endedAt: LATER + 1 }),
      [ended()],
      expected(LATER + 1, false, 'disable'),
    ],
    ['lifts the block of a restored person', record(), [restored], expected(MADE_AT, false, 'disable')],
    [
      'blocks a person whose access ended again after it was restored',
      record(),
      [restored, ended({ blocked: true })],
      expected(LATER, true, 'disable'),
    ],
    ['ignores other events about the person', record(), [found], expected(MADE_AT, true, 'disable')],
    [
      'ignores events about other people',
      undefined,
      [ended({ sub: 'eve' }), ended({ issuer: 'x' })],
      undefined,
    ],
    ['creates no record for a person whose access never ended', undefined, [restored, found], undefined],
    [
      'increases a revision that is later than the clock',
      record({ blocked: false, revision: NOW + 5 }),
      [],
      expected(MADE_AT, false, 'disable', NOW + 6),
    ],
  ])('a restore %s', (_, before, events, after) => {
    expect(replayPerson(ada, before, events, NOW)).toStrictEqual(after);
  });
});

describe('isUnderstood', () => {
  const keyId = `dk_etl_${KEY_ULID}`;
  const edited = (data: object) => ({ type: 'api_key.edited', data: { keyId, ...data } });

  it.each<[string, object]>([
    ['a key', { data: { keyId } }],
    ['a key and its changed fields', edited({ changed: ['name', 'scopes'] })],
    ['a Deployment', { type: 'deployment.deleted' }],
    ['a person', { type: 'person.erased', generation: '' }],
    ['a token', { type: 'token.revoked' }],
    ['a key, with an ID that is not a ULID', { id: 'x', data: { keyId } }],
  ])('accepts a complete event about %s', (_, change) => {
    expect(isUnderstood(event({ id: newUlid(MADE_AT), ...change }))).toBe(true);
  });

  it.each<[string, object]>([
    ['a type without a period', { type: 'person' }],
    ['a type with an unknown character at its start', { type: '!person.erased' }],
    ['a type with an unknown character at its end', { type: 'person.erased!' }],
    ['a time that differs from the time of its ID', { createdAt: MADE_AT + 1, data: { keyId } }],
    ['a Deployment without a generation', { type: 'deployment.deleted', generation: '' }],
    ['a key without an ID', {}],
    ['a key with a malformed ID', { data: { keyId: 'dk_etl' } }],
    ['a key with a list as its ID', { data: { keyId: [keyId] } }],
    ['a key of another Deployment', { data: { keyId: `dk_web_${KEY_ULID}` } }],
    ['an edit without its fields', edited({})],
    ['an edit of no field', edited({ changed: [] })],
    ['an edit with text in place of a list of fields', edited({ changed: 'name' })],
    ['an edit of a field that is not text', edited({ changed: ['name', 7] })],
    ['an edit with the fields of a key of another Deployment', edited({ keyId: 'x', changed: ['name'] })],
    ['a disabled key without the fields', { type: 'api_key.disabled', data: { keyId } }],
    ['an enabled key without the fields', { type: 'api_key.enabled', data: { keyId } }],
  ])('rejects an event about %s', (_, change) => {
    expect(isUnderstood(event({ id: newUlid(MADE_AT), ...change }))).toBe(false);
  });
});
