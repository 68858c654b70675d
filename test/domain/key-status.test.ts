import { describe, expect, it } from 'vitest';
import { isIdle, noticeOf, statusOf } from '../../functions/domain/key-status.ts';
import { apiKey } from '../support/records.ts';

const NOW = 1_800_000_000_000;
const DAY = 24 * 60 * 60 * 1000;
const leak = { reportedAt: NOW - 1, wasEnabled: true };
const of = (change: Parameters<typeof apiKey>[0]) => apiKey({ createdAt: NOW - 30 * DAY, ...change });

describe('the status of a key', () => {
  it.each([
    ['active', {}],
    ['active', { validUntil: NOW + 1 }],
    ['expired', { validUntil: NOW }],
    ['disabled', { enabled: false }],
    ['disabled', { enabled: false, validUntil: NOW }],
    ['leaked', { leak }],
    ['leaked', { leak, enabled: false, validUntil: NOW }],
  ])('is %s: %j', (status, change) => {
    expect(statusOf(of(change), NOW, undefined)).toBe(status);
  });

  it('is idle after so many days without a use, where the stack has a number of days', () => {
    expect(statusOf(of({}), NOW, 30)).toBe('idle');
    expect(statusOf(of({}), NOW - 1, 30)).toBe('active');
    expect(statusOf(of({}), NOW, undefined)).toBe('active');
    expect(statusOf(of({ validUntil: NOW }), NOW, 30)).toBe('expired');
  });
});

it('idle days begin with the last of: it was made, it was used, it was taken into use again', () => {
  expect(isIdle(of({}), NOW, 30)).toBe(true);
  for (const change of [{ lastUsedAt: NOW - 30 * DAY + 1 }, { activeSince: NOW - 30 * DAY + 1 }]) {
    expect(isIdle(of(change), NOW, 30)).toBe(false);
    expect(isIdle(of(change), NOW + 1, 30)).toBe(true);
  }
  expect(isIdle(of({ lastUsedAt: NOW - 40 * DAY }), NOW - 1, 30)).toBe(false);
});

describe('people are told', () => {
  it.each([
    ['of nothing about an active key', {}, undefined, undefined],
    [
      'seven days before it expires',
      { validUntil: NOW + 7 * DAY },
      undefined,
      { type: 'expiring', of: NOW + 7 * DAY },
    ],
    ['not sooner', { validUntil: NOW + 7 * DAY + 1 }, undefined, undefined],
    ['when it has expired', { validUntil: NOW }, undefined, { type: 'expired', of: NOW }],
    [
      'when it is idle, and since when',
      { lastUsedAt: NOW - 20 * DAY },
      20,
      { type: 'idle', of: NOW - 20 * DAY },
    ],
    ['that it has expired before that it is idle', { validUntil: NOW }, 20, { type: 'expired', of: NOW }],
    [
      'that it is idle before that it expires',
      { validUntil: NOW + DAY },
      20,
      { type: 'idle', of: NOW - 30 * DAY },
    ],
    ['of nothing about a disabled key', { enabled: false, validUntil: NOW + DAY }, 20, undefined],
    ['of nothing about a leaked key', { leak, validUntil: NOW - DAY }, 20, undefined],
  ])('%s', (_, change, maxIdleDays, notice) => {
    expect(noticeOf(of(change), NOW, maxIdleDays)).toEqual(notice);
  });
});
