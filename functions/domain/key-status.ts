import type { EpochMillis } from './expiry.ts';
import { isWithin } from './networks.ts';
import type { ApiKey, Deployment, Token } from './records.ts';

/** Milliseconds. */
const DAY = 86_400_000;
/** How long before a key's expiry the service notifies people, in milliseconds: 7 days. */
const NOTICE = 604_800_000;

/** Why a key cannot be used. */
export type KeyRejection =
  /** The Deployment was deleted, or it was registered again after the key was created or the token was issued. */
  | 'generation'
  /**
   * All tokens of the key were revoked: someone disabled the key, revoked its tokens, extended the key after it had
   * expired, rotated it with `retireOld` "now", or reported a leak.
   */
  | 'revoked'
  /** The key is disabled. A leaked key is disabled until someone rotates it. */
  | 'disabled'
  /** The key has expired. */
  | 'expired'
  /** The key has not been used for too long. */
  | 'idle'
  /** The call comes from outside the key's allowed IP ranges. */
  | 'network';

/** The fields of a key that decide whether it can be used. */
type UsableKey = Pick<ApiKey, 'generation' | 'enabled' | 'epoch' | 'validUntil' | 'networks'>;

/** A use of a key: with its secret, with a subject token, or with an access token that was issued for it. */
export interface KeyUse {
  /** The key's Deployment; undefined if it was deleted. */
  deployment: Pick<Deployment, 'generation'> | undefined;
  /** The presented access token; undefined if the client presented a secret or a subject token. */
  token?: Pick<Token, 'generation' | 'epoch'>;
  /** Current time in epoch milliseconds. */
  now: EpochMillis;
  /** Whether the key has been unused for too long: the result of `isIdle`. */
  isIdle: boolean;
  /** Source address of the call as API Gateway saw it; `anywhere` to ignore the allowed IP ranges. */
  from: { address?: string | undefined } | 'anywhere';
}

/**
 * Returns the first reason why a key cannot be used; undefined if the key can be used. Only this function decides
 * whether a key can be used.
 */
export function keyRejection(
  key: UsableKey,
  use: KeyUse & { isIdle: false },
): Exclude<KeyRejection, 'idle'> | undefined;
export function keyRejection(key: UsableKey, use: KeyUse): KeyRejection | undefined;
export function keyRejection(
  key: UsableKey,
  { deployment, token = key, now, isIdle, from }: KeyUse,
): KeyRejection | undefined {
  const generation = deployment?.generation;
  if (key.generation !== generation || token.generation !== generation) return 'generation';
  // Disabling a key also changes its epoch, so both reasons apply. "Disabled" is the more specific reason.
  if (!key.enabled) return 'disabled';
  if (token.epoch !== key.epoch) return 'revoked';
  if (hasExpired(key, now)) return 'expired';
  if (isIdle) return 'idle';
  return from === 'anywhere' || isAllowedFrom(key, from.address) ? undefined : 'network';
}

/**
 * Reports whether the key has expired.
 * @param now epoch milliseconds
 */
export function hasExpired({ validUntil }: Pick<ApiKey, 'validUntil'>, now: EpochMillis): boolean {
  return validUntil !== undefined && validUntil <= now;
}

/**
 * Reports whether the key can be used from this address. A key without allowed IP ranges can be used from any address.
 */
export function isAllowedFrom({ networks }: Pick<ApiKey, 'networks'>, address: string | undefined): boolean {
  return !networks || isWithin(address, networks);
}

/**
 * The status of a key, as people see it. If several statuses apply, the first of these is shown: leaked, disabled,
 * expired, idle. Keys are listed regardless of their status.
 */
export type KeyStatus = 'active' | 'leaked' | 'disabled' | 'expired' | 'idle';

/**
 * Returns the status of a key, as people see it.
 * @param now epoch milliseconds
 */
export function statusOf(key: ApiKey, now: EpochMillis, maxIdleDays: number | undefined): KeyStatus {
  if (key.leak) return 'leaked';
  if (!key.enabled) return 'disabled';
  if (hasExpired(key, now)) return 'expired';
  return isIdle(key, now, maxIdleDays) ? 'idle' : 'active';
}

/**
 * Reports whether the key has been unused for too long. An idle key cannot get new tokens; its existing tokens stay
 * valid.
 * @param now epoch milliseconds
 * @param maxIdleDays undefined if keys never become idle
 */
export function isIdle(key: ApiKey, now: EpochMillis, maxIdleDays: number | undefined): boolean {
  return maxIdleDays !== undefined && now - activeAt(key) >= maxIdleDays * DAY;
}

/** Returns when the key was last used, created or reactivated, whichever is latest, in epoch milliseconds. */
function activeAt({ createdAt, activeSince = 0, lastUsedAt = 0 }: ApiKey): EpochMillis {
  return Math.max(createdAt, activeSince, lastUsedAt);
}

/**
 * Returns the notice about a key that expires soon, has expired or is idle, and the time to which the notice refers.
 * People get one notice for each such time.
 * @param now epoch milliseconds
 * @returns undefined if there is nothing to notify people about
 */
export function noticeOf(
  key: ApiKey,
  now: EpochMillis,
  maxIdleDays: number | undefined,
): { type: 'expired' | 'idle' | 'expiring'; of: EpochMillis } | undefined {
  const { validUntil } = key;
  const status = statusOf(key, now, maxIdleDays);
  if (status === 'idle') return { type: status, of: activeAt(key) };
  if (validUntil === undefined || (status !== 'expired' && status !== 'active')) return undefined;
  if (status === 'expired') return { type: status, of: validUntil };
  return validUntil - now <= NOTICE ? { type: 'expiring', of: validUntil } : undefined;
}
