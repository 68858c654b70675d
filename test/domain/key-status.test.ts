import { describe, expect, it } from 'vitest';
import { isIdle, noticeOf, statusOf } from '../../functions/domain/key-status.ts';
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
  ])('returns %s for a key with %j', (status, change) => {
    expect(statusOf(of(change), NOW, undefined)).toBe(status);
  });

  it('returns idle after maxIdleDays without a use, when the stack sets it', () => {
    expect(statusOf(of({}), NOW, 30)).toBe('idle');
    expect(statusOf(of({}), NOW - 1, 30)).toBe('active');
    expect(statusOf(of({}), NOW, undefined)).toBe('active');
    expect(statusOf(of({ validUntil: NOW }), NOW, 30)).toBe('expired');
  });
});

it('isIdle counts from the latest of creation, last use and reactivation', () => {
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
