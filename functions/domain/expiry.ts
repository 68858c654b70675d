declare const unit: unique symbol;

/**
 * A time in epoch seconds, like the table's TTL attribute and the times in a JWT. A plain number does not have this
 * type, so that only a function that converts or validates a time can return one.
 */
export type EpochSeconds = number & { readonly [unit]: 'seconds' };

/**
 * A time in epoch milliseconds, like the result of `Date.now()`. A plain number has this type too, but a time in epoch
 * seconds does not.
 */
export type EpochMillis = number & { readonly [unit]?: 'milliseconds' };

/** One day, in milliseconds. */
export const DAY_MILLIS = 86_400_000;
/** One day, in seconds. */
export const DAY_SECONDS = 86_400;

/** Returns the current time. */
export type Clock = () => EpochMillis;

/** Converts a time to epoch seconds, rounded down. */
export function toSeconds(at: EpochMillis): EpochSeconds {
  return Math.floor(at / 1000) as EpochSeconds;
}

/** Converts a time to epoch milliseconds. */
export function toMillis(at: EpochSeconds): EpochMillis {
  return at * 1000;
}

/**
 * Returns the time at which something expires, rounded up, because nothing must expire early.
 * @param lifetime seconds
 */
export function expiryAfter(now: EpochMillis, lifetime: number): EpochSeconds {
  return Math.ceil(now / 1000 + lifetime) as EpochSeconds;
}

/**
 * Returns a time in RFC 3339 format, in UTC.
 */
export function isoTime(at: EpochSeconds): string {
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
 */
export function isUnexpired(expiresAt: EpochSeconds, now: EpochMillis): boolean {
  return now < expiresAt * 1000;
}

/**
 * Returns the `expiresAt` of a token issued now, rounded up, because a token must never expire early.
 */
export function expiryOfIssue(now: EpochMillis, lifetimes: Lifetimes): EpochSeconds {
  return capped(expiryAfter(now, lifetimes.tokenLifetime), toSeconds(now), lifetimes);
}

/** How long a temporary token is valid, in seconds: 24 hours, regardless of use and of the stack's settings (G4). */
export const TEMPORARY_TOKEN_LIFETIME = 86_400;

/** Returns the `expiresAt` of a temporary token issued now. */
export function expiryOfTemporaryToken(now: EpochMillis): EpochSeconds {
  return expiryAfter(now, TEMPORARY_TOKEN_LIFETIME);
}

/** How long the service remembers an Idempotency-Key, in seconds: 24 hours. */
export const IDEMPOTENCY_LIFETIME = 86_400;

/**
 * Returns the new `expiresAt` for a token that is used now, or undefined if no extension is due. An extension adds
 * slideInterval to tokenLifetime. The next extension is due only when `expiresAt` is less than tokenLifetime away, so a
 * burst of uses costs one write.
 */
export function expiryOfExtension(
  token: { issuedAt: EpochSeconds; expiresAt: EpochSeconds },
  now: EpochMillis,
  lifetimes: Lifetimes,
): EpochSeconds | undefined {
  const promise = now / 1000 + lifetimes.tokenLifetime;
  const extended = capped(
    Math.ceil(promise + lifetimes.slideInterval) as EpochSeconds,
    token.issuedAt,
    lifetimes,
  );
  const isDue = token.expiresAt < promise;
  return isDue && extended > token.expiresAt ? extended : undefined;
}

/**
 * Limits `expiresAt` to the stack's current maxTokenLifetime, so that a lower setting also applies to existing tokens.
 */
export function capped(
  expiresAt: EpochSeconds,
  issuedAt: EpochSeconds,
  { maxTokenLifetime }: Lifetimes,
): EpochSeconds {
  if (maxTokenLifetime === undefined) return expiresAt;
  return Math.min(expiresAt, issuedAt + maxTokenLifetime) as EpochSeconds;
}
