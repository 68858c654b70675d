import { randomBytes } from 'node:crypto';
import { decodeTime, encodeTime, ulid } from 'ulid';
import type { EpochMillis } from './expiry.ts';
import { base62, type CredentialKind, formatCredential, RANDOM_LENGTH } from './identifiers.ts';

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

/** Generates a secret or token with 256 random bits. The caller must return it only once, and store only its hash. */
export function mintCredential(kind: CredentialKind, deploymentId: string, ofUlid: string): string {
  const random = base62(BigInt(`0x${randomBytes(32).toString('hex')}`), RANDOM_LENGTH);
  return formatCredential({ kind, deploymentId, ulid: ofUlid }, random);
}
