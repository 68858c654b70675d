import { createHash, timingSafeEqual } from 'node:crypto';

/**
 * The only form in which a secret or token is stored: SHA-256, base64url (43 characters). No salt and no slow
 * hash: the input holds 256 random bits.
 */
export function hashOf(credential: string): string {
  return createHash('sha256').update(credential).digest('base64url');
}

/** Compares two hashes in constant time. Hashes of another length than SHA-256's are never equal. */
export function sameHash(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a, 'base64url'), Buffer.from(b, 'base64url')];
  return left.length === 32 && right.length === 32 && timingSafeEqual(left, right);
}

/** A hash that nothing has, so that an unknown ID costs the same compare as a wrong secret. */
export const HASH_OF_NOTHING = Buffer.alloc(32).toString('base64url');
