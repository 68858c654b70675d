import { createHash, timingSafeEqual } from 'node:crypto';

/**
 * Returns the only form in which a secret or token is stored: SHA-256, base64url (43 characters). It needs no salt and
 * no slow hash, because the input holds 256 random bits.
 */
export function hashOf(credential: string): string {
  return createHash('sha256').update(credential).digest('base64url');
}

/** Compares two hashes in constant time. Hashes that are not 32 bytes long are never equal. */
export function sameHash(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a, 'base64url'), Buffer.from(b, 'base64url')];
  return left.length === 32 && right.length === 32 && timingSafeEqual(left, right);
}

/** A hash that no credential has, so that an unknown ID costs the same comparison as a wrong secret. */
export const HASH_OF_NOTHING = Buffer.alloc(32).toString('base64url');
