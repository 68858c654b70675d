import { hash, timingSafeEqual } from 'node:crypto';

/**
 * Returns the hash of a secret or token, which is the only form in which the service stores it: SHA-256, base64url (43
 * characters). A salt or a slow hash is not needed, because the input contains 256 random bits.
 */
export function hashOf(credential: string): string {
  return hash('sha256', credential, 'base64url');
}

/** Pattern of an access token's ID. */
export const TOKEN_ID = /^[A-Za-z0-9_-]{22}$/;

/**
 * Returns the public ID of an access token: the first 22 characters of its hash, which contain 132 bits. With the ID,
 * the service finds the token without a scan, because the token's sort key ends in the hash. The ID does not reveal the
 * token.
 */
export function tokenIdOf(hash: string): string {
  return hash.slice(0, 22);
}

/** Compares two hashes in constant time. Hashes that are not 32 bytes long are never equal. */
export function sameHash(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a, 'base64url'), Buffer.from(b, 'base64url')];
  return left.length === 32 && right.length === 32 && timingSafeEqual(left, right);
}

/**
 * A hash that does not match any credential. Comparing with this hash makes an unknown ID cost as much as a wrong
 * secret.
 */
export const HASH_OF_NOTHING = /* @__PURE__ */ Buffer.alloc(32).toString('base64url');
