import { describe, expect, it } from 'vitest';
import { isUseDue, originOf, recordedBefore } from '../../functions/domain/last-use.ts';

describe('originOf', () => {
  const caller = { address: '192.0.2.77', userAgent: 'curl/8.5.0 (linux)' };

  it.each([
    ['all', 'full', { address: '192.0.2.77', client: 'curl/8.5.0' }],
    ['the network', 'truncated', { address: '192.0.2.0/24', client: 'curl/8.5.0' }],
    ['nothing', 'off', { address: '', client: '' }],
  ] as const)("records %s of the caller's address when the setting is %s", (_, mode, kept) => {
    expect(originOf(caller, mode)).toStrictEqual(kept);
  });

  it('records an empty address and client when a request contains neither of them', () => {
    for (const mode of ['full', 'truncated', 'off'] as const)
      expect(originOf({}, mode)).toStrictEqual({ address: '', client: '' });
  });

  it.each([
    ['curl', 'curl'],
    ['curl/8.5.0', 'curl/8.5.0'],
    ['python-requests/2.32 CPython/3.13', 'python-requests/2.32'],
    ['my_tool+x/1.0-rc.1(beta)', 'my_tool+x/1.0-rc.1'],
    [`${'n'.repeat(32)}/${'v'.repeat(32)}`, `${'n'.repeat(32)}/${'v'.repeat(32)}`],
    ['n'.repeat(33), ''],
    [`tool/${'v'.repeat(33)}`, ''],
    [`tool/${'v'.repeat(33)} x`, ''],
    ['tool/', ''],
    ['/1.0', ''],
    [' curl/8.5.0', ''],
    ['a;b', ''],
    ['a/1;b', ''],
  ])(
    'records the first word of the User-Agent if it is a product name with an optional version: %j',
    (userAgent, client) => {
      expect(originOf({ userAgent }, 'full').client).toBe(client);
    },
  );
});

it('isUseDue returns true if no use was recorded, or if the last recorded use is old enough', () => {
  expect(isUseDue(undefined, 700_000)).toBe(true);
  expect(isUseDue(700_000, 700_000)).toBe(true);
  expect(isUseDue(700_001, 700_000)).toBe(false);
});

it('recordedBefore allows one recorded use per slide interval', () => {
  expect(recordedBefore(300, 1_000_000)).toBe(700_000);
  expect(recordedBefore(300, 1_000_999)).toBe(700_999);
});

it.each([0, 1])(
  'recordedBefore allows at most one recorded use a second when slideInterval is %i',
  (slideInterval) => {
    for (const now of [1_000_000, 1_000_001, 1_000_999]) {
      expect(isUseDue(1_000_000, recordedBefore(slideInterval, now))).toBe(false);
    }
    expect(isUseDue(999_999, recordedBefore(0, 1_000_000))).toBe(true);
    expect(isUseDue(1_000_000, recordedBefore(slideInterval, 1_001_000))).toBe(true);
  },
);
