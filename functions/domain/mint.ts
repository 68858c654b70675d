import { randomBytes } from 'node:crypto';
import { decodeTime, encodeTime, ulid } from 'ulid';
import { base62, type CredentialKind, formatCredential, RANDOM_LENGTH } from './identifiers.ts';

/**
 * Returns a new ULID of the given time.
 * @param now epoch milliseconds
 */
export function newUlid(now: number): string {
  return ulid(now);
}

/** Returns the time of a ULID, in epoch milliseconds. */
export function timeOfUlid(text: string): number {
  return decodeTime(text);
}

/**
 * Returns the prefix of all ULIDs of the given millisecond. ULIDs of earlier times sort before it.
 * @param at epoch milliseconds
 */
export function ulidPrefix(at: number): string {
  return encodeTime(Math.max(at, 0));
}

/** Generates a secret or token with 256 random bits. The caller returns it once and stores only its hash. */
export function mintCredential(kind: CredentialKind, deploymentId: string, ofUlid: string): string {
  const random = base62(BigInt(`0x${randomBytes(32).toString('hex')}`), RANDOM_LENGTH);
  return formatCredential({ kind, deploymentId, ulid: ofUlid }, random);
}
