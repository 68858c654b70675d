import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type EpochMillis,
  type EpochSeconds,
  expiryAfter,
  expiryOfExtension,
  expiryOfIssue,
  expiryOfTemporaryToken,
  IDEMPOTENCY_LIFETIME,
  isoTime,
  isUnexpired,
  type Lifetimes,
  toMillis,
  toSeconds,
} from '../../functions/domain/expiry.ts';
import { is, toRegistration } from '../../functions/table/schema.ts';
import { apiKey, event, GENERATION, record, seconds, temporaryToken, token } from '../support/records.ts';

const NOW = 1_800_000_000_000;
const DAY = 24 * 60 * 60;
const standard: Lifetimes = { tokenLifetime: DAY, slideInterval: 300 };
const REGISTRATION = {
  id: 'etl',
  lastChange: '1'.padStart(40, '0'),
  generation: GENERATION,
  isPresent: false,
  row: { id: { S: 'etl' } },
};
const exact: Lifetimes = { tokenLifetime: DAY, slideInterval: 0 };

const moments = fc.integer({ min: NOW, max: NOW + 1000 * DAY * 1000 });
const lifetimes: fc.Arbitrary<Lifetimes> = fc.record({
  tokenLifetime: fc.integer({ min: 1, max: 30 * DAY }),
  slideInterval: fc.integer({ min: 0, max: DAY }),
});

it('a token is valid before the second of its expiry, and expired from that second on', () => {
  const expiresAt = seconds(NOW / 1000);
  expect(isUnexpired(expiresAt, NOW - 1)).toBe(true);
  expect(isUnexpired(expiresAt, NOW)).toBe(false);
  expect(isUnexpired(expiresAt, NOW + 1)).toBe(false);
});

it('a new token is valid for the configured token lifetime, rounded up to the second', () => {
  expect(expiryOfIssue(NOW, standard)).toBe(NOW / 1000 + DAY);
  expect(expiryOfIssue(NOW + 1, standard)).toBe(NOW / 1000 + DAY + 1);
});

it("a use extends a token only from the second after the token's issue", () => {
  const token = { issuedAt: seconds(NOW / 1000), expiresAt: expiryOfIssue(NOW, standard) };
  expect(expiryOfExtension(token, NOW, standard)).toBeUndefined();
  expect(expiryOfExtension(token, NOW + 1000, standard)).toBe(NOW / 1000 + 1 + DAY + 300);
});

it('several uses within one slide interval extend a token only once', () => {
  const token = { issuedAt: seconds(NOW / 1000), expiresAt: seconds(NOW / 1000 + DAY + 300) };
  expect(expiryOfExtension(token, NOW, standard)).toBeUndefined();
  expect(expiryOfExtension(token, NOW + 300_000, standard)).toBeUndefined();
  expect(expiryOfExtension(token, NOW + 300_001, standard)).toBe(NOW / 1000 + 301 + DAY + 300);
});

it('with a slide interval of 0, each use extends a token to exactly one lifetime later, rounded up', () => {
  const token = { issuedAt: seconds(NOW / 1000), expiresAt: seconds(NOW / 1000 + DAY) };
  expect(expiryOfExtension(token, NOW + 1, exact)).toBe(NOW / 1000 + DAY + 1);
  expect(expiryOfExtension(token, NOW + 1000, exact)).toBe(NOW / 1000 + DAY + 1);
});

it('a used token stays valid for one lifetime, or at most one slide interval and one second longer', () => {
  fc.assert(
    fc.property(lifetimes, moments, fc.nat(100 * DAY * 1000), (rules, issue, later) => {
      const use = issue + later;
      const token = { issuedAt: toSeconds(issue), expiresAt: expiryOfIssue(issue, rules) };
      fc.pre(isUnexpired(token.expiresAt, use));
      const expiresAt = expiryOfExtension(token, use, rules) ?? token.expiresAt;
      expect(expiresAt * 1000).toBeGreaterThanOrEqual(use + rules.tokenLifetime * 1000);
      expect(expiresAt * 1000).toBeLessThan(use + (rules.tokenLifetime + rules.slideInterval + 1) * 1000);
      expect(expiresAt).toBeGreaterThanOrEqual(token.expiresAt);
    }),
  );
});

it('no use extends a token beyond the maximum token lifetime', () => {
  const capped: Lifetimes = { ...standard, maxTokenLifetime: 2 * DAY };
  const issuedAt = seconds(NOW / 1000);
  const near = NOW + 1.5 * DAY * 1000;
  expect(expiryOfExtension({ issuedAt, expiresAt: seconds(near / 1000 + 60) }, near, capped)).toBe(
    issuedAt + 2 * DAY,
  );
  expect(
    expiryOfExtension({ issuedAt, expiresAt: seconds(issuedAt + 2 * DAY) }, near, capped),
  ).toBeUndefined();
  expect(expiryOfIssue(NOW, { ...standard, maxTokenLifetime: 60 })).toBe(issuedAt + 60);
});

it("a temporary token is valid for 24 hours, regardless of the stack's lifetimes (G4)", () => {
  expect(expiryOfTemporaryToken(1_800_000_000_000)).toBe(1_800_086_400);
  expect(expiryOfTemporaryToken(1_800_000_000_001)).toBe(1_800_086_401);
});

it('the service remembers an Idempotency-Key for 24 hours', () => {
  expect(IDEMPOTENCY_LIFETIME).toBe(DAY);
});

describe('The types distinguish times in seconds from times in milliseconds', () => {
  const now: EpochMillis = NOW;
  const expiresAt: EpochSeconds = expiryAfter(now, DAY);

  // The compiler checks these cases: it reports an error if the line after an @ts-expect-error is valid.
  it('a TTL attribute does not accept milliseconds, nor a number whose unit is unknown', () => {
    const milliseconds = NOW + DAY * 1000;
    // @ts-expect-error: milliseconds
    expect(token({ expiresAt: now })).toBeDefined();
    // @ts-expect-error: a plain number
    expect(token({ expiresAt: milliseconds })).toBeDefined();
    // @ts-expect-error: milliseconds
    expect(temporaryToken({ expiresAt: now })).toBeDefined();
    // @ts-expect-error: milliseconds
    expect(record({ expiresAt: now })).toBeDefined();
    // @ts-expect-error: milliseconds
    expect(event({ expiresAt: now })).toBeDefined();
    // @ts-expect-error: milliseconds
    expect(toRegistration(REGISTRATION, now)).toBeDefined();
    expect(token({ expiresAt }).expiresAt).toBe(NOW / 1000 + DAY);
  });

  it('times in milliseconds do not accept a time in seconds', () => {
    // @ts-expect-error: seconds
    expect(apiKey({ validUntil: expiresAt })).toBeDefined();
    // @ts-expect-error: seconds
    expect(isUnexpired(expiresAt, expiresAt)).toBe(true);
    // @ts-expect-error: the arguments are in the wrong order
    expect(isUnexpired(now, expiresAt)).toBe(true);
    expect(apiKey({ validUntil: toMillis(expiresAt) }).validUntil).toBe(NOW + DAY * 1000);
  });

  it('a value from the table has the type of a time in seconds only after it was checked', () => {
    const value: unknown = NOW / 1000;
    // @ts-expect-error: this check does not prove that the value is in seconds
    const unproven: EpochSeconds | undefined = is.whole(value) ? value : undefined;
    const proven: EpochSeconds | undefined = is.seconds(value) ? value : undefined;
    expect([unproven, proven]).toStrictEqual([value, value]);
  });
});

it('isoTime returns a number of epoch seconds as a time in UTC', () => {
  expect(isoTime(1_893_499_200 as EpochSeconds)).toBe('2030-01-01T12:00:00.000Z');
});
