/** Returns the current time in epoch milliseconds. */
export type Clock = () => number;

/**
 * Returns a time in RFC 3339 format, in UTC.
 * @param at epoch seconds
 */
export function isoTime(at: number): string {
  return new Date(at * 1000).toISOString();
}

/** How long tokens are valid. All values are whole seconds. */
export interface Lifetimes {
  /** How long a token is valid after it is issued and after each use. */
  tokenLifetime: number;
  /**
   * How long a token can stay valid beyond tokenLifetime after its last use. This tolerance lets a burst of uses cost
   * only one write. With 0, a token expires exactly tokenLifetime after its last use.
   */
  slideInterval: number;
  /** Maximum time for which a token is valid after it is issued, however often it is used; undefined means no limit. */
  maxTokenLifetime?: number | undefined;
}

/**
 * Reports whether a token has not expired. Every read must check this, because DynamoDB's TTL can delete items days
 * late.
 * @param expiresAt epoch seconds
 * @param now epoch milliseconds
 */
export function isUnexpired(expiresAt: number, now: number): boolean {
  return now < expiresAt * 1000;
}

/**
 * Returns the `expiresAt` of a token issued now, rounded up, because a token must never expire early.
 * @param now epoch milliseconds
 * @returns epoch seconds
 */
export function expiryOfIssue(now: number, lifetimes: Lifetimes): number {
  return capped(Math.ceil(now / 1000 + lifetimes.tokenLifetime), Math.floor(now / 1000), lifetimes);
}

/** How long a temporary token is valid, in seconds: 24 hours, regardless of use and of the stack's settings (G4). */
export const TEMPORARY_TOKEN_LIFETIME = 86_400;

/**
 * Returns the `expiresAt` of a temporary token issued now.
 * @param now epoch milliseconds
 * @returns epoch seconds
 */
export function expiryOfTemporaryToken(now: number): number {
  return Math.ceil(now / 1000) + TEMPORARY_TOKEN_LIFETIME;
}

/** How long the service remembers an Idempotency-Key, in seconds: 24 hours. */
export const IDEMPOTENCY_LIFETIME = 86_400;

/**
 * Returns the new `expiresAt` for a token that is used now, or undefined if no extension is due. An extension adds
 * slideInterval to tokenLifetime. The next extension is due only when `expiresAt` is less than tokenLifetime away, so a
 * burst of uses costs one write.
 * @param now epoch milliseconds
 * @returns epoch seconds
 */
export function expiryOfExtension(
  token: { issuedAt: number; expiresAt: number },
  now: number,
  lifetimes: Lifetimes,
): number | undefined {
  const promise = now / 1000 + lifetimes.tokenLifetime;
  const extended = capped(Math.ceil(promise + lifetimes.slideInterval), token.issuedAt, lifetimes);
  const isDue = token.expiresAt < promise;
  return isDue && extended > token.expiresAt ? extended : undefined;
}

/**
 * Limits `expiresAt` to the stack's current maxTokenLifetime, so that a lower setting also applies to existing tokens.
 * @param issuedAt epoch seconds
 * @returns epoch seconds
 */
export function capped(expiresAt: number, issuedAt: number, { maxTokenLifetime }: Lifetimes): number {
  return maxTokenLifetime === undefined ? expiresAt : Math.min(expiresAt, issuedAt + maxTokenLifetime);
}
