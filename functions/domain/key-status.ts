import { isWithin } from './networks.ts';
import type { ApiKey, Deployment, Token } from './records.ts';

const DAY = 24 * 60 * 60 * 1000;
/** How long before its expiry the service notifies people about a key, in milliseconds: 7 days. */
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

/** @param now epoch milliseconds */
export function hasExpired({ validUntil }: Pick<ApiKey, 'validUntil'>, now: number): boolean {
  return validUntil !== undefined && validUntil <= now;
}

/** Whether the key can be used from this address. A key without networks can be used from any. */
export function isAllowedFrom({ networks }: Pick<ApiKey, 'networks'>, address: string | undefined): boolean {
  return !networks || isWithin(address, networks);
}

/** What people see of a key, in the order in which the reasons count. A key stays listed whatever its status is. */
export type KeyStatus = 'active' | 'leaked' | 'disabled' | 'expired' | 'idle';

/** Returns the status that people see: whether the key can be used, and if not, why. @param now epoch milliseconds */
export function statusOf(key: ApiKey, now: number, maxIdleDays: number | undefined): KeyStatus {
  if (key.leak) return 'leaked';
  if (!key.enabled) return 'disabled';
  if (hasExpired(key, now)) return 'expired';
  return isIdle(key, now, maxIdleDays) ? 'idle' : 'active';
}

/**
 * Whether the key has been unused for too long. Then it gets no new tokens; those that it has stay valid.
 * @param now epoch milliseconds
 * @param maxIdleDays undefined when no time is too long
 */
export function isIdle(key: ApiKey, now: number, maxIdleDays: number | undefined): boolean {
  return maxIdleDays !== undefined && now - activeAt(key) >= maxIdleDays * DAY;
}

/** When the key was last used, created, or reactivated, in epoch milliseconds. */
function activeAt({ createdAt, activeSince = 0, lastUsedAt = 0 }: ApiKey): number {
  return Math.max(createdAt, activeSince, lastUsedAt);
}

/**
 * The notice that people get about a key that time has changed, and the moment that it is about. They get one notice
 * for each moment.
 * @param now epoch milliseconds
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
