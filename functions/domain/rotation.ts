import { conflict } from './errors.ts';
import type { ApiKey, SecretHash } from './records.ts';

const DAY = 24 * 60 * 60;

/** How long the old secret is accepted after a rotation by default, in seconds: 7 days. */
export const RETIRE_AFTER = 7 * DAY;
/** The longest time for which a rotation can keep the old secret, in seconds: 90 days. */
export const MAX_RETIRE_AFTER = 90 * DAY;

/**
 * When a rotation retires the old secret: after this many seconds; at the first use of the new secret, but after 7 days
 * at the latest; or immediately, together with all tokens issued so far.
 */
export type RetireOld = number | 'on_first_use' | 'now';

/**
 * Returns the secrets of a key that are accepted now, oldest first. There are never more than two.
 * @param now epoch milliseconds
 */
export function livingSecrets({ secrets }: Pick<ApiKey, 'secrets'>, now: number): SecretHash[] {
  return secrets.filter(({ retiresAt }) => retiresAt === undefined || now < retiresAt);
}

/**
 * Returns the key with a new secret.
 * @param hash of the new secret
 * @param now epoch milliseconds
 * @throws ServiceError 409 when the key has no secret, or leaked and `retireOld` is not "now"
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
 * Reports whether people want the key to be enabled. A leak disables the key until a rotation, which enables it again
 * only if it is wanted.
 */
export function isWanted({ enabled, leak }: Pick<ApiKey, 'enabled' | 'leak'>): boolean {
  return leak ? leak.wasEnabled : enabled;
}

/** Returns the key as disabled by a person. It stays disabled even when a rotation ends a leak. */
export function disabled(key: ApiKey): ApiKey {
  return { ...key, enabled: false, leak: key.leak && { ...key.leak, wasEnabled: false } };
}

/**
 * Returns the old secret that a rotation keeps. If no one has used the newer of two, the answer with it was probably
 * lost. It is then dropped, so that the secret in use keeps working.
 */
function keptSecret([first, second]: SecretHash[]): SecretHash | undefined {
  return second?.lastUsedAt === undefined ? first : second;
}

/** Returns the secret with its retirement set. A rotation never extends an earlier retirement. */
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
 * Reports whether this is the first use of a secret while the key has another. Such a use is written in one transaction
 * with its token: it can retire the other secret, and the next rotation keeps a secret that is in use.
 */
export function isFirstUse({ secrets }: Pick<ApiKey, 'secrets'>, { lastUsedAt }: SecretHash): boolean {
  return lastUsedAt === undefined && secrets.length > 1;
}

/**
 * Returns the secrets of a key after the first use of one of them.
 * @param used hash of the secret that was used
 * @param now epoch milliseconds
 */
export function afterUse(key: Pick<ApiKey, 'secrets'>, used: string, now: number): SecretHash[] {
  const living = livingSecrets(key, now);
  const isNewest = living.at(-1)?.hash === used;
  return living
    .filter(({ hash, retiresOnFirstUse }) => hash === used || !retiresOnFirstUse || !isNewest)
    .map((secret) => (secret.hash === used ? { ...secret, lastUsedAt: now } : secret));
}
