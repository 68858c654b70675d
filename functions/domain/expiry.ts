/** The time now, in epoch milliseconds. */
export type Clock = () => number;

/** How long access is valid. All in whole seconds. */
export interface Lifetimes {
  /** From a use, and from the issue, until access ends. */
  tokenLifetime: number;
  /** How much later than that it may end, so that a burst of uses is one write. 0: exact. */
  slideInterval: number;
  /** From the issue until access ends whatever its use; undefined: a token in use never ends by itself. */
  maxTokenLifetime?: number | undefined;
}

/**
 * Expiry is decided here, on read: the table's TTL deletes days late.
 * @param expiresAt epoch seconds
 * @param now epoch milliseconds
 */
export function isLive(expiresAt: number, now: number): boolean {
  return now < expiresAt * 1000;
}

/**
 * The `expiresAt` of a token issued now: rounded up, since access never ends early.
 * @param now epoch milliseconds
 * @returns epoch seconds
 */
export function expiryOfIssue(now: number, lifetimes: Lifetimes): number {
  return capped(Math.ceil(now / 1000 + lifetimes.tokenLifetime), Math.floor(now / 1000), lifetimes);
}

/** How long a temporary token is valid, in seconds: 24 hours, whatever its use and the stack's lifetimes (G4). */
export const GRANT_LIFETIME = 24 * 60 * 60;

/**
 * The `expiresAt` of a temporary token issued now.
 * @param now epoch milliseconds
 * @returns epoch seconds
 */
export function expiryOfGrant(now: number): number {
  return Math.ceil(now / 1000) + GRANT_LIFETIME;
}

/** How long an Idempotency-Key is remembered, in seconds: 24 hours. */
export const IDEMPOTENCY_LIFETIME = 24 * 60 * 60;

/**
 * The `expiresAt` that a use now slides a token to, or undefined when no slide is due. It is put slideInterval
 * beyond the promise, and due only when the promise is no longer covered: that makes a burst one write.
 * @param now epoch milliseconds
 * @returns epoch seconds
 */
export function expiryOfSlide(
  token: { issuedAt: number; expiresAt: number },
  now: number,
  lifetimes: Lifetimes,
): number | undefined {
  const promise = now / 1000 + lifetimes.tokenLifetime;
  const slid = capped(Math.ceil(promise + lifetimes.slideInterval), token.issuedAt, lifetimes);
  const isDue = token.expiresAt < promise;
  return isDue && slid > token.expiresAt ? slid : undefined;
}

/**
 * `expiresAt` under the stack's maxTokenLifetime as it is now, so that a lower one acts on living tokens.
 * @param issuedAt epoch seconds
 * @returns epoch seconds
 */
export function capped(expiresAt: number, issuedAt: number, { maxTokenLifetime }: Lifetimes): number {
  return maxTokenLifetime === undefined ? expiresAt : Math.min(expiresAt, issuedAt + maxTokenLifetime);
}
