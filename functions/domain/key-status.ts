import { isWithin } from './networks.ts';
import type { ApiKey, Deployment, Token } from './records.ts';

const DAY = 24 * 60 * 60 * 1000;
/** How long before a key expires the service notifies people, in milliseconds: 7 days. */
const NOTICE = 7 * DAY;

/** Why a key cannot be used. */
export type KeyRejection =
  /**
   * The key, or the presented token, belongs to another generation of the Deployment, or the Deployment is deleted; or
   * the token was issued before the key was last disabled, enabled, extended, or rotated with `retireOld` "now".
   */
  | 'revoked'
  /** The key is disabled. A leaked key is disabled until somebody rotates it. */
  | 'disabled'
  /** The key has expired. */
  | 'expired'
  /** Nobody has used the key for too long. */
  | 'idle'
  /** The call does not come from the key's allowed IP ranges. */
  | 'network';

/** The part of a key that decides whether it can be used. */
type UsableKey = Pick<ApiKey, 'generation' | 'enabled' | 'epoch' | 'validUntil' | 'networks'>;

/** How a key is used: by its secret, by a subject token, or by an access token that was issued for it. */
export interface KeyUse {
  /** The key's Deployment; undefined when it is deleted. */
  deployment: Pick<Deployment, 'generation'> | undefined;
  /** The presented access token; undefined when a secret or a subject token is presented. */
  token?: Pick<Token, 'generation' | 'epoch'>;
  /** Epoch milliseconds. */
  now: number;
  /** Whether the key has been unused for too long, as `isIdle` returns it. */
  isIdle: boolean;
  /** Where the call comes from, as API Gateway saw it; `anywhere` when allowed IP ranges do not matter. */
  from: { address?: string | undefined } | 'anywhere';
}

/** Returns the first reason why a key cannot be used, or undefined when it can. Nothing else decides this. */
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
  if (key.generation !== generation || token.generation !== generation) return 'revoked';
  // A disabled key has a new epoch as well. This reason says more.
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
export function hasExpired({ validUntil }: Pick<ApiKey, 'validUntil'>, now: number): boolean {
  return validUntil !== undefined && validUntil <= now;
}

/**
 * Reports whether the key can be used from this address. A key without allowed IP ranges can be used from any address.
 */
export function isAllowedFrom({ networks }: Pick<ApiKey, 'networks'>, address: string | undefined): boolean {
  return !networks || isWithin(address, networks);
}

/**
 * The status of a key that people see. When several apply, the order is leaked, disabled, expired, idle. A key is
 * listed whatever its status.
 */
export type KeyStatus = 'active' | 'leaked' | 'disabled' | 'expired' | 'idle';

/**
 * Returns the status that people see.
 * @param now epoch milliseconds
 */
export function statusOf(key: ApiKey, now: number, maxIdleDays: number | undefined): KeyStatus {
  if (key.leak) return 'leaked';
  if (!key.enabled) return 'disabled';
  if (hasExpired(key, now)) return 'expired';
  return isIdle(key, now, maxIdleDays) ? 'idle' : 'active';
}

/**
 * Reports whether the key has been unused for too long. An idle key gets no new tokens; its existing tokens stay valid.
 * @param now epoch milliseconds
 * @param maxIdleDays undefined when keys never become idle
 */
export function isIdle(key: ApiKey, now: number, maxIdleDays: number | undefined): boolean {
  return maxIdleDays !== undefined && now - activeAt(key) >= maxIdleDays * DAY;
}

/** Returns when the key was last used, created or reactivated, in epoch milliseconds. */
function activeAt({ createdAt, activeSince = 0, lastUsedAt = 0 }: ApiKey): number {
  return Math.max(createdAt, activeSince, lastUsedAt);
}

/**
 * Returns the notice that people get about a key that expires soon, has expired or is idle, and the time that it is
 * about. People get one notice for each such time.
 * @param now epoch milliseconds
 * @returns undefined when there is nothing to notify people about
 */
export function noticeOf(
  key: ApiKey,
  now: number,
  maxIdleDays: number | undefined,
): { type: 'expired' | 'idle' | 'expiring'; of: number } | undefined {
  const { validUntil } = key;
  const status = statusOf(key, now, maxIdleDays);
  if (status === 'idle') return { type: status, of: activeAt(key) };
  if (validUntil === undefined || (status !== 'expired' && status !== 'active')) return undefined;
  if (status === 'expired') return { type: status, of: validUntil };
  return validUntil - now <= NOTICE ? { type: 'expiring', of: validUntil } : undefined;
}
