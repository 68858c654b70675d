import { describe, expect, it } from 'vitest';
import {
  expiryAfterRotation,
  expiryWithinPolicy,
  type KeyPolicy,
  newKeyWithinPolicy,
  policyViolations,
} from '../../functions/domain/key-policy.ts';
import type { ApiKey } from '../../functions/domain/records.ts';
import { apiKey, MADE_AT } from '../support/records.ts';

const DAY = 24 * 60 * 60 * 1000;
const POLICY = { maxKeyDays: 90 };
const LATEST = MADE_AT + 90 * DAY;
const TRUST = [{ issuer: 'https://gitlab.com', claims: { project_id: '1' } }];
const rotatedAt = (createdAt: number, change: Partial<ApiKey> = {}) =>
  apiKey({ secrets: [{ hash: 'b'.repeat(43), createdAt }], ...change });

describe('newKeyWithinPolicy', () => {
  it('gives a new key the latest expiry that the policy allows if the caller requests no expiry', () => {
    expect(newKeyWithinPolicy(apiKey(), POLICY, MADE_AT).validUntil).toBe(LATEST);
    expect(newKeyWithinPolicy(apiKey(), {}, MADE_AT).validUntil).toBeUndefined();
  });

  it("accepts a key expiry at the policy's limit, and rejects one that is a millisecond later", () => {
    expect(newKeyWithinPolicy(apiKey({ validUntil: LATEST }), POLICY, MADE_AT).validUntil).toBe(LATEST);
    expect(() => newKeyWithinPolicy(apiKey({ validUntil: LATEST + 1 }), POLICY, MADE_AT)).toThrow(
      expect.objectContaining({
        status: 409,
        code: 'policy',
        message: 'expiresAt must be 2027-04-15T08:00:00.000Z or earlier, or null for that time.',
      }),
    );
  });

  it('rejects new keys with a secret, but not keys with trust rules, when the policy forbids secrets', () => {
    const policy = { keysWithSecrets: false };
    expect(() => newKeyWithinPolicy(apiKey(), policy, MADE_AT)).toThrow(
      expect.objectContaining({
        status: 409,
        code: 'policy',
        message: 'This service allows no keys with a secret. Create the key with trust rules.',
      }),
    );
    const key = apiKey({ secrets: [], trust: TRUST });
    expect(newKeyWithinPolicy(key, policy, MADE_AT)).toStrictEqual({ ...key, validUntil: undefined });
  });
});

describe('expiryWithinPolicy', () => {
  it("counts a key's maximum lifetime from its last rotation", () => {
    const key = rotatedAt(MADE_AT + 30 * DAY);
    expect(expiryWithinPolicy(key, undefined, POLICY, MADE_AT)).toBe(LATEST + 30 * DAY);
  });

  it("rejects every new expiry for a key that has reached the policy's maximum lifetime", () => {
    expect(() => expiryWithinPolicy(apiKey(), undefined, POLICY, LATEST)).toThrow(
      'This key has reached the limit of 90 days. Rotate it first.',
    );
    expect(() => expiryWithinPolicy(apiKey({ secrets: [], trust: TRUST }), LATEST, POLICY, LATEST)).toThrow(
      'This key has reached the limit of 90 days. Create another key.',
    );
  });

  it('accepts any expiry for a key when the policy sets no limit', () => {
    expect(expiryWithinPolicy(apiKey(), LATEST * 2, {}, MADE_AT)).toBe(LATEST * 2);
    expect(expiryWithinPolicy(apiKey(), undefined, {}, MADE_AT)).toBeUndefined();
  });
});

describe('expiryAfterRotation', () => {
  const AT = MADE_AT + 30 * DAY;
  const expiryAfter = (validUntil: number | undefined, policy: KeyPolicy = POLICY, now = AT) =>
    expiryAfterRotation(apiKey({ validUntil }), rotatedAt(now, { validUntil }), policy, now);

  it("a rotation moves a missing expiry, or an expiry at the policy's limit, to the new limit", () => {
    for (const validUntil of [LATEST, AT + 91 * DAY, undefined])
      expect(expiryAfter(validUntil)).toBe(AT + 90 * DAY);
  });

  it("a rotation keeps an expiry that is earlier than the policy's limit", () => {
    expect(expiryAfter(LATEST - 1)).toBe(LATEST - 1);
  });

  it('a rotation does not extend an expired key', () => {
    expect(expiryAfter(LATEST, POLICY, LATEST)).toBe(LATEST);
  });

  it("a rotation does not change a key's expiry when the policy sets no limit", () => {
    expect(expiryAfter(LATEST, {})).toBe(LATEST);
    expect(expiryAfter(undefined, {})).toBeUndefined();
  });
});

describe('policyViolations', () => {
  it.each([
    ['nothing', {}, []],
    ['the expiry', { validUntil: LATEST + 1 }, ['expiry_too_late']],
    ['nothing', { validUntil: LATEST }, []],
  ])('reports the policy violation %s for a key with %j', (_, change, expected) => {
    const policy = 'validUntil' in change ? POLICY : {};
    expect(policyViolations(apiKey(change), policy)).toStrictEqual(expected);
  });

  it('reports a missing expiry and a forbidden secret as policy violations', () => {
    expect(policyViolations(apiKey(), { ...POLICY, keysWithSecrets: false })).toStrictEqual([
      'no_expiry',
      'secret',
    ]);
    expect(policyViolations(apiKey({ secrets: [], trust: TRUST }), { keysWithSecrets: false })).toStrictEqual(
      [],
    );
  });
});
