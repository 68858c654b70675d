import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type KeyRejection, type KeyUse, keyRejection } from '../../functions/domain/check.ts';
import { noticeOf } from '../../functions/domain/key-notices.ts';
import { isIdle, statusOf } from '../../functions/domain/key-status.ts';
import { apiKey } from '../support/records.ts';

const NOW = 1_800_000_000_000;
const DAY = 24 * 60 * 60 * 1000;
const leak = { reportedAt: NOW - 1, wasEnabled: true };
const of = (change: Parameters<typeof apiKey>[0]) => apiKey({ createdAt: NOW - 30 * DAY, ...change });

describe('statusOf', () => {
  it.each([
    ['active', {}],
    ['active', { validUntil: NOW + 1 }],
    ['expired', { validUntil: NOW }],
    ['disabled', { enabled: false }],
    ['disabled', { enabled: false, validUntil: NOW }],
    ['leaked', { leak }],
    ['leaked', { leak, enabled: false, validUntil: NOW }],
  ])('returns the status %s for a key with %j', (status, change) => {
    expect(statusOf(of(change), NOW, undefined)).toBe(status);
  });

  it('returns the status idle for a key that has not been used for maxIdleDays', () => {
    expect(statusOf(of({}), NOW, 30)).toBe('idle');
    expect(statusOf(of({}), NOW - 1, 30)).toBe('active');
    expect(statusOf(of({}), NOW, undefined)).toBe('active');
    expect(statusOf(of({ validUntil: NOW }), NOW, 30)).toBe('expired');
  });
});

it("isIdle counts from the key's creation, last use or reactivation, whichever is latest", () => {
  expect(isIdle(of({}), NOW, 30)).toBe(true);
  for (const change of [{ lastUsedAt: NOW - 30 * DAY + 1 }, { activeSince: NOW - 30 * DAY + 1 }]) {
    expect(isIdle(of(change), NOW, 30)).toBe(false);
    expect(isIdle(of(change), NOW + 1, 30)).toBe(true);
  }
  expect(isIdle(of({ lastUsedAt: NOW - 40 * DAY }), NOW - 1, 30)).toBe(false);
});

describe('noticeOf', () => {
  it.each([
    ['sends no notice about an active key', {}, undefined, undefined],
    [
      'sends a notice seven days before a key expires',
      { validUntil: NOW + 7 * DAY },
      undefined,
      { type: 'expiring', of: NOW + 7 * DAY },
    ],
    [
      'sends no notice more than seven days before a key expires',
      { validUntil: NOW + 7 * DAY + 1 },
      undefined,
      undefined,
    ],
    ['sends a notice when a key has expired', { validUntil: NOW }, undefined, { type: 'expired', of: NOW }],
    [
      'sends a notice when a key is idle, with the time since when',
      { lastUsedAt: NOW - 20 * DAY },
      20,
      { type: 'idle', of: NOW - 20 * DAY },
    ],
    [
      'reports that a key has expired rather than that it is idle',
      { validUntil: NOW },
      20,
      { type: 'expired', of: NOW },
    ],
    [
      'reports that a key is idle rather than that it expires soon',
      { validUntil: NOW + DAY },
      20,
      { type: 'idle', of: NOW - 30 * DAY },
    ],
    ['sends no notice about a disabled key', { enabled: false, validUntil: NOW + DAY }, 20, undefined],
    ['sends no notice about a leaked key', { leak, validUntil: NOW - DAY }, 20, undefined],
  ])('%s', (_, change, maxIdleDays, notice) => {
    expect(noticeOf(of(change), NOW, maxIdleDays)).toEqual(notice);
  });
});

describe('keyRejection', () => {
  const GENERATION = apiKey().generation;
  const OTHER = '01BX5ZZKBKACTAV9WEVGEMMVS0';
  // This is a third generation, because two equal wrong generations could cancel each other out.
  const THIRD = '01BX5ZZKBKACTAV9WEVGEMMVS1';
  const key = apiKey({ epoch: 3, networks: ['192.0.2.0/24'], validUntil: NOW + 1 });
  const use: KeyUse = {
    deployment: { generation: GENERATION },
    now: NOW,
    isIdle: false,
    from: { address: '192.0.2.7' },
  };
  const token = { generation: GENERATION, epoch: 3 };
  /** Each reason to reject a key, with a key and a use that cause it, in order of precedence. */
  const FAULTS: [KeyRejection, Partial<typeof key>, Partial<KeyUse>][] = [
    ['generation', { generation: OTHER }, {}],
    ['generation', {}, { deployment: undefined }],
    ['generation', {}, { deployment: { generation: THIRD }, token: { ...token, generation: THIRD } }],
    ['generation', {}, { token: { ...token, generation: OTHER } }],
    ['disabled', { enabled: false }, {}],
    ['revoked', {}, { token: { ...token, epoch: 2 } }],
    ['expired', { validUntil: NOW }, {}],
    ['idle', {}, { isIdle: true }],
    ['network', { networks: ['198.51.100.0/24'] }, {}],
    ['network', { networks: [] }, {}],
    ['network', {}, { from: {} }],
  ];

  it('accepts any valid use of an active key, with or without a token', () => {
    expect(keyRejection(key, use)).toBeUndefined();
    expect(keyRejection(key, { ...use, token })).toBeUndefined();
    expect(keyRejection({ ...key, validUntil: undefined }, use)).toBeUndefined();
    expect(keyRejection({ ...key, networks: undefined }, { ...use, from: {} })).toBeUndefined();
    expect(keyRejection(key, { ...use, from: 'anywhere' })).toBeUndefined();
  });

  it.each(FAULTS)(
    'returns the reason %s for rejecting a key with %j that is used with %j',
    (reason, keyFault, useFault) => {
      expect(keyRejection({ ...key, ...keyFault }, { ...use, ...useFault })).toBe(reason);
    },
  );

  it('rejects a key that has any number of faults, and reports one of the reasons that apply', () => {
    const several = fc.subarray(FAULTS, { minLength: 1 });
    fc.assert(
      fc.property(several, (faults) => {
        const faultyKey = Object.assign({}, key, ...faults.map(([, keyFault]) => keyFault));
        const faultyUse = Object.assign({}, use, ...faults.map(([, , useFault]) => useFault));
        const reason = keyRejection(faultyKey, faultyUse);
        expect(faults.map(([it]) => it)).toContain(reason);
      }),
    );
  });

  it('reports a disabled key as disabled, although its tokens also belong to an earlier epoch', () => {
    const older = { ...token, epoch: 2 };
    expect(keyRejection({ ...key, enabled: false }, { ...use, token: older })).toBe('disabled');
    expect(keyRejection({ ...key, validUntil: NOW }, { ...use, token: older })).toBe('revoked');
  });
});
