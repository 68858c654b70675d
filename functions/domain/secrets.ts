import { hash, timingSafeEqual } from 'node:crypto';
import { CHECK_LENGTH, parseCredential, parseKeyId, RANDOM_LENGTH, ULID } from './identifiers.ts';

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

/** Matches the start of a credential. */
const BEGIN = /dk[stx]_/g;
/** The maximum number of characters before the `_` that precedes the ULID: `dks_` and a Deployment ID. */
const MAX_BEGIN = 4 + 64;

/**
 * Returns each secret and token in the text once. Any substring that has the right format and a valid check counts as a
 * credential, regardless of the text around it.
 *
 * The end of a credential has a fixed format and length, so no two ends overlap and the search takes linear time. An
 * end can have several possible starts, because a Deployment ID can look like the start of a credential.
 */
export function findCredentials(text: string): string[] {
  const ends = new RegExp(`_${ULID}_[0-9A-Za-z]{${RANDOM_LENGTH + CHECK_LENGTH}}`, 'g');
  const found = new Set<string>();
  for (const { 0: end, index } of text.matchAll(ends)) {
    const before = text.slice(Math.max(0, index - MAX_BEGIN), index);
    for (const { index: begin } of before.matchAll(BEGIN)) {
      const candidate = before.slice(begin) + end;
      if (parseCredential(candidate)) found.add(candidate);
    }
  }
  return [...found];
}

/**
 * Matches any text after the ULID of a credential, even if the credential was mistyped or cut off. Does not match if
 * nothing follows the ULID, because a key ID ends in a ULID.
 */
const RANDOM = new RegExp(`(${ULID}_)(?!${ULID}(?![\\w-]))[^\\s"'\\\\&]+`, 'gi');
/** Matches a credential whose ULID was mistyped. */
const MALFORMED = /(dk[stx]_)[^\s"'\\&]+/gi;
/** Length of the shortest text that contains a secret part: a ULID, `_` and one more character. */
const SHORTEST = 28;
/** Matches text that is one character longer than a ULID. */
const LONGER_THAN_ULID = /[0-9A-Za-z]{27}/;

/**
 * Removes the secret part of credentials from text. Unlike `findCredentials`, this function also finds credentials that
 * are mistyped, cut off, or in a different case. Removes everything up to the next space, quote, backslash or `&`.
 * Returns a key ID unchanged, whatever its Deployment ID looks like.
 */
export function redactCredentials(text: string): string {
  if (text.length < SHORTEST || parseKeyId(text)) return text;
  return text
    .replace(RANDOM, '$1…')
    .replace(MALFORMED, (run, prefix) => (LONGER_THAN_ULID.test(run) ? `${prefix}…` : run));
}
