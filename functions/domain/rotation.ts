import { conflict } from './errors.ts';
import type { ApiKey, SecretHash } from './records.ts';

const DAY = 24 * 60 * 60;

/** How long the old secret of a key is accepted after a rotation that says nothing else, in seconds: 7 days. */
export const RETIRE_AFTER = 7 * DAY;
/** The longest that a rotation may ask for, in seconds: 90 days. */
export const MAX_RETIRE_AFTER = 90 * DAY;

/**
 * When a rotation retires the old secret: after so many seconds; when the new one is first used, after 7 days at
 * the latest; or now, together with every token that was got before.
 */
export type RetireOld = number | 'on_first_use' | 'now';

/**
 * The secrets of a key that are accepted at this moment, oldest first: never more than two.
 * @param now epoch milliseconds
 */
export function livingSecrets({ secrets }: Pick<ApiKey, 'secrets'>, now: number): SecretHash[] {
  return secrets.filter(({ retiresAt }) => retiresAt === undefined || now < retiresAt);
}

/**
 * The key with a new secret.
 * @param hash of the new secret
 * @param now epoch milliseconds
 * @throws ServiceError 409 for a key that has no secret, or must not keep the one that it has
 */
export function rotated(key: ApiKey, hash: string, retireOld: RetireOld, now: number): ApiKey {
  if (key.secrets.length === 0) throw conflict('This key has no secret: it trusts an issuer.');
  const fresh: SecretHash = { hash, createdAt: now };
  const next = { ...key, revision: key.revision + 1, activeSince: now };
  if (retireOld === 'now') {
    return { ...next, secrets: [fresh], epoch: key.epoch + 1, enabled: isWanted(key), leak: undefined };
  }
  if (key.leak) throw conflict('This key leaked. Rotate it with retireOld "now".');
  const kept = keptSecret(livingSecrets(key, now));
  const old = kept && retiring(kept, retireOld, now);
  return { ...next, secrets: old ? [old, fresh] : [fresh] };
}

/**
 * Whether people want the key to be enabled: a leak disables a key that is wanted, until a rotation ends the leak.
 */
export function isWanted({ enabled, leak }: Pick<ApiKey, 'enabled' | 'leak'>): boolean {
  return leak ? leak.wasEnabled : enabled;
}

/** The key as somebody has disabled it: it stays disabled when a rotation ends a leak. */
export function disabled(key: ApiKey): ApiKey {
  return { ...key, enabled: false, leak: key.leak && { ...key.leak, wasEnabled: false } };
}

/**
 * Which secret stays beside the new one. A newer one that nobody has used is the lost answer of an earlier
 * rotation: it gives way, so that the one in use goes on.
 */
function keptSecret([first, second]: SecretHash[]): SecretHash | undefined {
  return second?.lastUsedAt === undefined ? first : second;
}

/** No rotation lets a secret live longer than an earlier one has said. */
function retiring(secret: SecretHash, retireOld: Exclude<RetireOld, 'now'>, now: number): SecretHash {
  const isOnFirstUse = retireOld === 'on_first_use';
  const latest = now + (isOnFirstUse ? RETIRE_AFTER : retireOld) * 1000;
  return {
    ...secret,
    retiresAt: Math.min(secret.retiresAt ?? latest, latest),
    retiresOnFirstUse: isOnFirstUse || undefined,
  };
}

/**
 * Whether this use of a secret is its first while the key has another. It is written in one transaction with its token,
 * because the next rotation keeps a secret that is in use, and because it can retire the other one.
 */
export function isFirstUse({ secrets }: Pick<ApiKey, 'secrets'>, { lastUsedAt }: SecretHash): boolean {
  return lastUsedAt === undefined && secrets.length > 1;
}

/**
 * The secrets of a key after the first use of one of them.
 * @param used its hash
 * @param now epoch milliseconds
 */
export function afterUse(key: Pick<ApiKey, 'secrets'>, used: string, now: number): SecretHash[] {
  const living = livingSecrets(key, now);
  const isNewest = living.at(-1)?.hash === used;
  return living
    .filter(({ hash, retiresOnFirstUse }) => hash === used || !retiresOnFirstUse || !isNewest)
    .map((secret) => (secret.hash === used ? { ...secret, lastUsedAt: now } : secret));
}
