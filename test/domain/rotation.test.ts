import { describe, expect, it } from 'vitest';
import type { SecretHash } from '../../functions/domain/records.ts';
import {
  afterUse,
  disabled,
  isFirstUse,
  isWanted,
  livingSecrets,
  MAX_RETIRE_AFTER,
  RETIRE_AFTER,
  type RetireOld,
  rotated,
} from '../../functions/domain/rotation.ts';
import { apiKey } from '../support/records.ts';

const NOW = 1_800_000_000_000;
const DAY = 24 * 60 * 60 * 1000;
const secret = (hash: string, change: Partial<SecretHash> = {}): SecretHash => ({
  hash,
  createdAt: NOW - DAY,
  ...change,
});
const fresh = { hash: 'new', createdAt: NOW };

it('an old secret is kept for 7 days unless the rotation says otherwise, and for 90 at most', () => {
  expect([RETIRE_AFTER, MAX_RETIRE_AFTER]).toEqual([604_800, 7_776_000]);
});

it('a secret is accepted until the moment of its retirement', () => {
  const secrets = [secret('a', { retiresAt: NOW }), secret('b', { retiresAt: NOW + 1 }), secret('c')];
  expect(livingSecrets({ secrets }, NOW).map(({ hash }) => hash)).toEqual(['b', 'c']);
});

describe('a rotation', () => {
  const secretsAfter = (secrets: SecretHash[], retireOld: RetireOld) =>
    rotated(apiKey({ secrets }), 'new', retireOld, NOW);

  it('is a change of the key, keeps its epoch, and takes it into use again', () => {
    const key = apiKey({ revision: 4, epoch: 2 });
    expect(rotated(key, 'new', 60, NOW)).toEqual({
      ...key,
      revision: 5,
      activeSince: NOW,
      secrets: [{ ...key.secrets[0], retiresAt: NOW + 60_000 }, fresh],
    });
  });

  it.each<[string, SecretHash[], RetireOld, SecretHash[]]>([
    [
      'keeps the old secret for so many seconds',
      [secret('a')],
      60,
      [secret('a', { retiresAt: NOW + 60_000 }), fresh],
    ],
    ['of no seconds retires it at once', [secret('a')], 0, [secret('a', { retiresAt: NOW }), fresh]],
    [
      'on first use keeps it for seven days at most',
      [secret('a')],
      'on_first_use',
      [secret('a', { retiresAt: NOW + 7 * DAY, retiresOnFirstUse: true }), fresh],
    ],
    [
      'lets no secret live longer than an earlier one has said',
      [secret('a', { retiresAt: NOW + 1000 })],
      60,
      [secret('a', { retiresAt: NOW + 1000 }), fresh],
    ],
    [
      'may shorten what an earlier one has said',
      [secret('a', { retiresAt: NOW + 90_000 })],
      60,
      [secret('a', { retiresAt: NOW + 60_000 }), fresh],
    ],
    [
      'for so many seconds takes back that the first use retires',
      [secret('a', { retiresAt: NOW + 1000, retiresOnFirstUse: true })],
      60,
      [secret('a', { retiresAt: NOW + 1000 }), fresh],
    ],
    [
      'lets a newer secret that nobody has used give way',
      [secret('a', { retiresAt: NOW + 1000 }), secret('b')],
      60,
      [secret('a', { retiresAt: NOW + 1000 }), fresh],
    ],
    [
      'keeps the newer secret when it has been used',
      [secret('a', { retiresAt: NOW + 1000 }), secret('b', { lastUsedAt: NOW - 1 })],
      60,
      [secret('b', { lastUsedAt: NOW - 1, retiresAt: NOW + 60_000 }), fresh],
    ],
    [
      'forgets retired secrets',
      [secret('a', { retiresAt: NOW }), secret('b')],
      60,
      [secret('b', { retiresAt: NOW + 60_000 }), fresh],
    ],
    ['after all have retired has the new one alone', [secret('a', { retiresAt: NOW })], 60, [fresh]],
  ])('%s', (_, secrets, retireOld, expected) => {
    expect(secretsAfter(secrets, retireOld).secrets).toEqual(expected);
  });

  it('now leaves the new secret alone, begins a new epoch, and leaves the key enabled or disabled', () => {
    for (const enabled of [true, false]) {
      const key = apiKey({ secrets: [secret('a'), secret('b')], epoch: 2, enabled });
      expect(rotated(key, 'new', 'now', NOW)).toEqual({
        ...key,
        secrets: [fresh],
        epoch: 3,
        revision: 1,
        activeSince: NOW,
        leak: undefined,
      });
    }
  });

  it('now ends a leak, and enables the key if it was enabled before', () => {
    for (const wasEnabled of [true, false]) {
      const key = apiKey({ enabled: false, leak: { reportedAt: NOW - 1, wasEnabled } });
      expect(rotated(key, 'new', 'now', NOW)).toMatchObject({ enabled: wasEnabled, leak: undefined });
    }
  });

  it('of another kind of a leaked key is a 409, and so is any of a key without a secret', () => {
    const leaked = apiKey({ leak: { reportedAt: NOW - 1, wasEnabled: true } });
    for (const retireOld of [60, 'on_first_use'] as const) {
      expect(() => rotated(leaked, 'new', retireOld, NOW)).toThrow(
        expect.objectContaining({ status: 409, message: 'This key leaked. Rotate it with retireOld "now".' }),
      );
    }
    for (const retireOld of [60, 'now'] as const) {
      expect(() => secretsAfter([], retireOld)).toThrow(
        expect.objectContaining({ status: 409, message: 'This key has no secret: it trusts an issuer.' }),
      );
    }
  });
});

it('a key is wanted while it is enabled, also while only a leak disables it', () => {
  const leak = (wasEnabled: boolean) => ({ reportedAt: NOW, wasEnabled });
  expect([isWanted(apiKey()), isWanted(apiKey({ enabled: false }))]).toEqual([true, false]);
  expect([true, false].map((was) => isWanted(apiKey({ enabled: false, leak: leak(was) })))).toEqual([
    true,
    false,
  ]);
});

it('a key that somebody disables is not enabled by the rotation that ends its leak', () => {
  expect(disabled(apiKey())).toEqual(apiKey({ enabled: false }));
  const leaked = disabled(apiKey({ enabled: false, leak: { reportedAt: NOW, wasEnabled: true } }));
  expect(leaked).toEqual(apiKey({ enabled: false, leak: { reportedAt: NOW, wasEnabled: false } }));
  expect(rotated(leaked, 'new', 'now', NOW)).toMatchObject({ enabled: false, leak: undefined });
});

describe('the first use of a secret', () => {
  it('is one while no use is recorded and the key has another secret, also one that has retired', () => {
    const [old, retired] = [secret('a'), secret('a', { retiresAt: NOW })];
    for (const other of [old, retired]) {
      expect(isFirstUse({ secrets: [other, secret('b')] }, secret('b'))).toBe(true);
      const used = secret('b', { lastUsedAt: NOW });
      expect(isFirstUse({ secrets: [other, used] }, used)).toBe(false);
    }
    expect(isFirstUse({ secrets: [old] }, old)).toBe(false);
  });
});

describe('the use of a secret', () => {
  it('is noted on it alone', () => {
    const secrets = [secret('a', { retiresAt: NOW + DAY }), secret('b')];
    expect(afterUse({ secrets }, 'b', NOW)).toEqual([secrets[0], secret('b', { lastUsedAt: NOW })]);
    expect(afterUse({ secrets }, 'a', NOW)).toEqual([
      secret('a', { retiresAt: NOW + DAY, lastUsedAt: NOW }),
      secrets[1],
    ]);
  });

  it('retires the one that was to go on the first use, when it is the newest that is used', () => {
    const old = secret('a', { retiresAt: NOW + DAY, retiresOnFirstUse: true });
    expect(afterUse({ secrets: [old, secret('b')] }, 'b', NOW)).toEqual([secret('b', { lastUsedAt: NOW })]);
    expect(afterUse({ secrets: [old, secret('b')] }, 'a', NOW)).toEqual([
      { ...old, lastUsedAt: NOW },
      secret('b'),
    ]);
  });

  it('of an older one retires no newer one, and no secret retires itself', () => {
    const waiting = secret('b', { retiresOnFirstUse: true });
    expect(afterUse({ secrets: [secret('a'), waiting] }, 'a', NOW)).toEqual([
      secret('a', { lastUsedAt: NOW }),
      waiting,
    ]);
    expect(afterUse({ secrets: [waiting] }, 'b', NOW)).toEqual([{ ...waiting, lastUsedAt: NOW }]);
  });

  it('of the newest retires all that were to go, however many there are', () => {
    const old = secret('a', { retiresOnFirstUse: true });
    expect(afterUse({ secrets: [old, secret('b'), secret('c')] }, 'c', NOW)).toEqual([
      secret('b'),
      secret('c', { lastUsedAt: NOW }),
    ]);
  });

  it('drops what has retired, and needs no secret to be there', () => {
    expect(afterUse({ secrets: [secret('a', { retiresAt: NOW }), secret('b')] }, 'b', NOW)).toEqual([
      secret('b', { lastUsedAt: NOW }),
    ]);
    expect(afterUse({ secrets: [] }, 'b', NOW)).toEqual([]);
  });
});
