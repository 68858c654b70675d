import { describe, expect, it } from 'vitest';
import type { SecretHash } from '../../functions/domain/records.ts';
import {
  activeSecrets,
  afterUse,
  disabled,
  isFirstUse,
  isRetireAfter,
  isWanted,
  MAX_RETIRE_AFTER,
  RETIRE_AFTER,
  type RetireOld,
  retiringSince,
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
const LEAKED = { enabled: false, leak: { reportedAt: NOW - 1, wasEnabled: true } };
const EARLIER = { at: NOW - DAY, by: 'ada' };

it('an old secret stays valid for 7 days by default and for at most 90 days', () => {
  expect([RETIRE_AFTER, MAX_RETIRE_AFTER]).toEqual([604_800, 7_776_000]);
});

it('a rotation accepts a whole number of seconds from 0 to 90 days', () => {
  const accepted = [0, 1, 7_776_000];
  const rejected = [-1, 0.5, 7_776_001, Number.NaN, '60', 'on_first_use', null, undefined];
  expect([...accepted, ...rejected].filter(isRetireAfter)).toEqual(accepted);
});

it('an old secret is accepted until it retires', () => {
  const secrets = [secret('a', { retiresAt: NOW }), secret('b', { retiresAt: NOW + 1 }), secret('c')];
  expect(activeSecrets({ secrets }, NOW).map(({ hash }) => hash)).toEqual(['b', 'c']);
});

it('retiringSince returns one day before a secret retires, or the last rotation if that is later', () => {
  const at = (retiresAt: number | undefined) => {
    const old = secret('old', { retiresAt });
    return retiringSince({ secrets: [old, fresh] }, old);
  };
  expect([NOW + 3 * DAY, NOW + DAY, NOW + 1000, undefined].map(at)).toStrictEqual([
    NOW + 2 * DAY,
    NOW,
    NOW,
    Number.POSITIVE_INFINITY,
  ]);
});

describe('rotated', () => {
  const secretsAfter = (secrets: SecretHash[], retireOld: RetireOld) =>
    rotated(apiKey({ secrets }), 'new', retireOld, NOW);

  it("a rotation increments the key's revision, keeps its epoch and restarts its idle period", () => {
    const key = apiKey({ revision: 4, epoch: 2 });
    expect(rotated(key, 'new', 60, NOW)).toEqual({
      ...key,
      revision: 5,
      activeSince: NOW,
      secrets: [{ ...key.secrets[0], retiresAt: NOW + 60_000 }, fresh],
    });
  });

  it('a rotation records who received the new secret, if that is known', () => {
    const newest = (setBy?: string) => rotated(apiKey(), 'new', 60, NOW, setBy).secrets.at(-1);
    expect(newest('eve')).toStrictEqual({ ...fresh, setBy: 'eve' });
    expect(newest()).toStrictEqual(fresh);
  });

  it.each<[string, SecretHash[], RetireOld, SecretHash[]]>([
    [
      'keeps the old secret for the given number of seconds',
      [secret('a')],
      60,
      [secret('a', { retiresAt: NOW + 60_000 }), fresh],
    ],
    [
      'retires the old secret immediately when the number of seconds is 0',
      [secret('a')],
      0,
      [secret('a', { retiresAt: NOW }), fresh],
    ],
    [
      'keeps the old secret for at most seven days with on_first_use',
      [secret('a')],
      'on_first_use',
      [secret('a', { retiresAt: NOW + 7 * DAY, retiresOnFirstUse: true }), fresh],
    ],
    [
      'never extends the retirement that an earlier rotation set',
      [secret('a', { retiresAt: NOW + 1000 })],
      60,
      [secret('a', { retiresAt: NOW + 1000 }), fresh],
    ],
    [
      'can bring forward the retirement that an earlier rotation set',
      [secret('a', { retiresAt: NOW + 90_000 })],
      60,
      [secret('a', { retiresAt: NOW + 60_000 }), fresh],
    ],
    [
      'replaces retirement on first use when a later rotation gives a number of seconds',
      [secret('a', { retiresAt: NOW + 1000, retiresOnFirstUse: true })],
      60,
      [secret('a', { retiresAt: NOW + 1000 }), fresh],
    ],
    [
      'replaces a newer secret that was never used',
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
      'removes retired secrets',
      [secret('a', { retiresAt: NOW }), secret('b')],
      60,
      [secret('b', { retiresAt: NOW + 60_000 }), fresh],
    ],
    [
      'keeps only the new secret when all others have retired',
      [secret('a', { retiresAt: NOW })],
      60,
      [fresh],
    ],
  ])('%s', (_, secrets, retireOld, expected) => {
    expect(secretsAfter(secrets, retireOld).secrets).toEqual(expected);
  });

  it('an immediate rotation keeps only the new secret, starts a new epoch, and does not enable the key', () => {
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

  it('an immediate rotation clears the mark of a leak, and re-enables a key that was enabled before the leak', () => {
    for (const wasEnabled of [true, false]) {
      const key = apiKey({ enabled: false, leak: { reportedAt: NOW - 1, wasEnabled } });
      expect(rotated(key, 'new', 'now', NOW)).toMatchObject({ enabled: wasEnabled, leak: undefined });
    }
  });

  it.each<[string, Partial<Parameters<typeof rotated>[0]>, string | undefined, object | undefined]>([
    ['a rotation that enables a leaked key', LEAKED, 'eve', { at: NOW, by: 'eve' }],
    ['a rotation by nobody in particular', LEAKED, undefined, EARLIER],
    ['a rotation of an enabled key', {}, 'eve', EARLIER],
    ['a rotation of a disabled key', { enabled: false }, 'eve', EARLIER],
    [
      'a rotation of a leaked key that was disabled',
      { enabled: false, leak: { reportedAt: NOW - 1, wasEnabled: false } },
      'eve',
      EARLIER,
    ],
  ])('%s determines who last enabled the key', (_, change, setBy, expected) => {
    const key = apiKey({ secrets: [secret('a')], lastEnabled: EARLIER, ...change });
    expect(rotated(key, 'new', 'now', NOW, setBy).lastEnabled).toEqual(expected);
  });

  it('a key without a secret cannot be rotated, and a leaked key can only be rotated immediately', () => {
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

it('isWanted returns true for an enabled key and for a key that is disabled only because of a leak', () => {
  const leak = (wasEnabled: boolean) => ({ reportedAt: NOW, wasEnabled });
  expect([isWanted(apiKey()), isWanted(apiKey({ enabled: false }))]).toEqual([true, false]);
  expect([true, false].map((was) => isWanted(apiKey({ enabled: false, leak: leak(was) })))).toEqual([
    true,
    false,
  ]);
});

it('a rotation that clears a leak does not enable a key that a person disabled', () => {
  expect(disabled(apiKey())).toEqual(apiKey({ enabled: false }));
  const leaked = disabled(apiKey({ enabled: false, leak: { reportedAt: NOW, wasEnabled: true } }));
  expect(leaked).toEqual(apiKey({ enabled: false, leak: { reportedAt: NOW, wasEnabled: false } }));
  expect(rotated(leaked, 'new', 'now', NOW)).toMatchObject({ enabled: false, leak: undefined });
});

describe('isFirstUse', () => {
  it('isFirstUse returns true for an unused secret if the key also has an older secret', () => {
    const [old, retired] = [secret('a'), secret('a', { retiresAt: NOW })];
    for (const other of [old, retired]) {
      expect(isFirstUse({ secrets: [other, secret('b')] }, secret('b'))).toBe(true);
      const used = secret('b', { lastUsedAt: NOW });
      expect(isFirstUse({ secrets: [other, used] }, used)).toBe(false);
    }
    expect(isFirstUse({ secrets: [old] }, old)).toBe(false);
  });
});

describe('afterUse', () => {
  it('the first use of a secret is recorded on that secret only', () => {
    const secrets = [secret('a', { retiresAt: NOW + DAY }), secret('b')];
    expect(afterUse({ secrets }, 'b', NOW)).toEqual([secrets[0], secret('b', { lastUsedAt: NOW })]);
    expect(afterUse({ secrets }, 'a', NOW)).toEqual([
      secret('a', { retiresAt: NOW + DAY, lastUsedAt: NOW }),
      secrets[1],
    ]);
  });

  it('the first use of the newest secret retires an old secret with retireOld "on_first_use"', () => {
    const old = secret('a', { retiresAt: NOW + DAY, retiresOnFirstUse: true });
    expect(afterUse({ secrets: [old, secret('b')] }, 'b', NOW)).toEqual([secret('b', { lastUsedAt: NOW })]);
    expect(afterUse({ secrets: [old, secret('b')] }, 'a', NOW)).toEqual([
      { ...old, lastUsedAt: NOW },
      secret('b'),
    ]);
  });

  it('the first use of an older secret retires no secret', () => {
    const waiting = secret('b', { retiresOnFirstUse: true });
    expect(afterUse({ secrets: [secret('a'), waiting] }, 'a', NOW)).toEqual([
      secret('a', { lastUsedAt: NOW }),
      waiting,
    ]);
    expect(afterUse({ secrets: [waiting] }, 'b', NOW)).toEqual([{ ...waiting, lastUsedAt: NOW }]);
  });

  it('the first use of the newest secret retires all old secrets with retireOld "on_first_use"', () => {
    const old = secret('a', { retiresOnFirstUse: true });
    expect(afterUse({ secrets: [old, secret('b'), secret('c')] }, 'c', NOW)).toEqual([
      secret('b'),
      secret('c', { lastUsedAt: NOW }),
    ]);
  });

  it('recording a use removes retired secrets, and accepts a key without secrets', () => {
    expect(afterUse({ secrets: [secret('a', { retiresAt: NOW }), secret('b')] }, 'b', NOW)).toEqual([
      secret('b', { lastUsedAt: NOW }),
    ]);
    expect(afterUse({ secrets: [] }, 'b', NOW)).toEqual([]);
  });
});
