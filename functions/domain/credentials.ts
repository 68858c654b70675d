import { hash, randomBytes, timingSafeEqual } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { decodeTime, encodeTime, ulid } from 'ulid';
import type { EpochMillis } from './expiry.ts';

/** A Deployment's ID, chosen by the platform. At most 64 characters. */
export const DEPLOYMENT_ID = '[A-Za-z0-9][A-Za-z0-9_-]{0,63}';
export const ULID = '[0-7][0-9A-HJKMNP-TV-Z]{25}';
const BASE62 = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

/** Length of the random part of a credential, in characters. 62^43 is just over 2^256. */
export const RANDOM_LENGTH = 43;
/** Length of the checksum, in characters. */
const CHECK_LENGTH = 6;

// Few bundles need this pattern, and esbuild leaves it out of the other bundles only if the expression is marked as
// pure.
const deploymentIdPattern = /* @__PURE__ */ new RegExp(`^${DEPLOYMENT_ID}$`);
const ulidPattern = new RegExp(`^${ULID}$`);
const keyIdPattern = new RegExp(`^dk_(?<deploymentId>${DEPLOYMENT_ID})_(?<ulid>${ULID})$`);
// The three parts to the right of the Deployment ID have fixed lengths and do not contain `_`, so a Deployment ID can
// contain `_`.
const credentialPattern = new RegExp(
  `^(?<prefix>dks|dkt|dkx)_(?<deploymentId>${DEPLOYMENT_ID})_(?<ulid>${ULID})_[0-9A-Za-z]{${RANDOM_LENGTH + CHECK_LENGTH}}$`,
);

const KINDS = { dks: 'secret', dkt: 'token', dkx: 'temporary' } as const;
const PREFIXES = { secret: 'dks', token: 'dkt', temporary: 'dkx' } as const;

/**
 * Kinds of credential. `secret`: a key's client_secret. `token`: an access token of a key. `temporary`: a person's
 * temporary token.
 */
export type CredentialKind = keyof typeof PREFIXES;

/** The parts of a well-formed secret or token, which is not necessarily valid. */
export interface Credential {
  kind: CredentialKind;
  deploymentId: string;
  /** ULID of the key (for a secret or an access token) or of the temporary token. */
  ulid: string;
}

/** Reports whether text is a Deployment ID: `^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$`. */
export function isDeploymentId(text: string): boolean {
  return deploymentIdPattern.test(text);
}

/** Reports whether text is an upper-case ULID that fits in 128 bits. */
export function isUlid(text: string): boolean {
  return ulidPattern.test(text);
}

/**
 * Returns a new ULID for the given time.
 * @param now epoch milliseconds
 */
export function newUlid(now: EpochMillis): string {
  return ulid(now);
}

/** Returns the time of a ULID, in epoch milliseconds. */
export function timeOfUlid(text: string): EpochMillis {
  return decodeTime(text);
}

/**
 * Returns the prefix that all ULIDs from the given millisecond share. ULIDs from earlier times sort before this prefix.
 * @param at epoch milliseconds
 */
export function ulidPrefix(at: EpochMillis): string {
  return encodeTime(Math.max(at, 0));
}

/** Returns a key's public ID, the OAuth client_id: `dk_<deploymentId>_<ULID>`. */
export function formatKeyId(deploymentId: string, ulid: string): string {
  return `dk_${deploymentId}_${ulid}`;
}

/**
 * Returns the ID that logs use for a presented credential: the ID of its key, or `dkx_<deploymentId>_<ULID>` for a
 * temporary token.
 */
export function publicId({ kind, deploymentId, ulid }: Credential): string {
  return `${kind === 'temporary' ? 'dkx' : 'dk'}_${deploymentId}_${ulid}`;
}

/** Returns the parts of a key ID, or undefined if the text is not a key ID. */
export function parseKeyId(text: string): { deploymentId: string; ulid: string } | undefined {
  const { deploymentId, ulid } = keyIdPattern.exec(text)?.groups ?? {};
  return deploymentId && ulid ? { deploymentId, ulid } : undefined;
}

/**
 * Builds a secret or token from its prefix, Deployment ID, ULID, random part and check.
 * @param random exactly 43 base62 characters
 */
export function formatCredential({ kind, deploymentId, ulid }: Credential, random: string): string {
  const body = `${PREFIXES[kind]}_${deploymentId}_${ulid}_${random}`;
  return body + checkOf(body);
}

/** Generates a secret or token with 256 random bits. The caller must return it only once, and store only its hash. */
export function mintCredential(kind: CredentialKind, deploymentId: string, ofUlid: string): string {
  const random = base62(BigInt(`0x${randomBytes(32).toString('hex')}`), RANDOM_LENGTH);
  return formatCredential({ kind, deploymentId, ulid: ofUlid }, random);
}

/**
 * Returns the parts of a secret or token, or undefined when its prefix, length, alphabet or check is wrong. The check
 * detects typing errors and helps secret scanners. It does not prove that a credential is genuine, because anyone can
 * compute it.
 */
export function parseCredential(text: string): Credential | undefined {
  const { prefix, deploymentId, ulid } = credentialPattern.exec(text)?.groups ?? {};
  if (!prefix || !deploymentId || !ulid) return undefined;
  if (checkOf(text.slice(0, -CHECK_LENGTH)) !== text.slice(-CHECK_LENGTH)) return undefined;
  return { kind: KINDS[prefix as keyof typeof KINDS], deploymentId, ulid };
}

/** Reports whether text has the format of an access token of this key. */
export function isTokenOf(keyId: string, text: string): boolean {
  const [key, credential] = [parseKeyId(keyId), parseCredential(text)];
  const isOfKey = credential?.ulid === key?.ulid && credential?.deploymentId === key?.deploymentId;
  return credential?.kind === 'token' && isOfKey;
}

/**
 * Formats a whole number in base62, most significant digit first, left-padded with `0`.
 * @param value not negative
 */
export function base62(value: bigint, length: number): string {
  let digits = '';
  for (let rest = value; rest > 0n; rest /= 62n) digits = BASE62[Number(rest % 62n)] + digits;
  return digits.padStart(length, '0');
}

/** Returns the CRC-32 (as in zlib) of the ASCII bytes, as six base62 characters. */
function checkOf(body: string): string {
  return base62(BigInt(crc32(body)), CHECK_LENGTH);
}

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
