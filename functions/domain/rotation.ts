import { conflict } from './errors.ts';
import { DAY_MILLIS, DAY_SECONDS, type EpochMillis } from './expiry.ts';
import type { ApiKey, SecretHash } from './records.ts';

/** How long the old secret is accepted after a rotation by default, in seconds: 7 days. */
export const RETIRE_AFTER = 7 * DAY_SECONDS;
/** Maximum time for which a rotation can keep the old secret, in seconds: 90 days. */
export const MAX_RETIRE_AFTER = 90 * DAY_SECONDS;

/** Reports whether a value is an allowed number of seconds for which a rotation keeps the old secret. */
export function isRetireAfter(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 0 && Number(value) <= MAX_RETIRE_AFTER;
}

/**
 * When a rotation retires the old secret: after the given number of seconds; at the first use of the new secret, but
 * after 7 days at the latest; or immediately, while also revoking all tokens issued so far.
 */
export type RetireOld = number | 'on_first_use' | 'now';

/**
 * Returns those of a key's secrets that are currently accepted, oldest first. There are never more than two.
 * @param now epoch milliseconds
 */
export function activeSecrets({ secrets }: Pick<ApiKey, 'secrets'>, now: EpochMillis): SecretHash[] {
  return secrets.filter(({ retiresAt }) => retiresAt === undefined || now < retiresAt);
}

/**
 * Returns the key with a new secret.
 * @param hash hash of the new secret
 * @param now epoch milliseconds
 * @param setBy `sub` of the person, or ARN of the principal, to whom the secret is returned
 * @throws ServiceError 409 if the key has no secret, or if the key leaked and `retireOld` is not "now"
 */
export function rotated(
  key: ApiKey,
  hash: string,
  retireOld: RetireOld,
  now: EpochMillis,
  setBy?: string,
): ApiKey {
  if (key.secrets.length === 0) throw conflict('This key has no secret: it trusts an issuer.');
  const fresh: SecretHash = { hash, createdAt: now, ...(setBy !== undefined && { setBy }) };
  const next = { ...key, revision: key.revision + 1, activeSince: now };
  if (retireOld === 'now') {
    const enabled = isWanted(key);
    const isEnabledNow = enabled && !key.enabled && setBy !== undefined;
    const lastEnabled = isEnabledNow && { lastEnabled: { at: now, by: setBy } };
    return { ...next, secrets: [fresh], epoch: key.epoch + 1, enabled, leak: undefined, ...lastEnabled };
  }
  if (key.leak) throw conflict('This key leaked. Rotate it with retireOld "now".');
  const kept = keptSecret(activeSecrets(key, now));
  const old = kept && retiring(kept, retireOld, now);
  return { ...next, secrets: old ? [old, fresh] : [fresh] };
}

/**
 * Reports whether people want the key to be enabled. A leak disables the key until a rotation, which re-enables the key
 * only if people want that.
 */
export function isWanted({ enabled, leak }: Pick<ApiKey, 'enabled' | 'leak'>): boolean {
  return leak ? leak.wasEnabled : enabled;
}

/** Returns the key after a person disabled it. Such a key stays disabled even when a rotation ends a leak. */
export function disabled(key: ApiKey): ApiKey {
  return { ...key, enabled: false, leak: key.leak && { ...key.leak, wasEnabled: false } };
}

/**
 * Returns the old secret that a rotation keeps. If there are two secrets and the newer one has never been used, the
 * response that contained it was probably lost. In that case, the rotation removes the newer secret, so that the secret
 * in use keeps working.
 */
function keptSecret([first, second]: SecretHash[]): SecretHash | undefined {
  return second?.lastUsedAt === undefined ? first : second;
}

/** Returns the secret with the time at which it retires. If the secret already retires earlier, that time stays. */
function retiring(secret: SecretHash, retireOld: Exclude<RetireOld, 'now'>, now: EpochMillis): SecretHash {
  const isOnFirstUse = retireOld === 'on_first_use';
  const latest = now + (isOnFirstUse ? RETIRE_AFTER : retireOld) * 1000;
  return {
    ...secret,
    retiresAt: Math.min(secret.retiresAt ?? latest, latest),
    retiresOnFirstUse: isOnFirstUse || undefined,
  };
}

/**
 * Reports whether this is the first use of a secret while the key has another secret. The service records such a use in
 * the same transaction as the new token, because the use can retire the other secret, and because the next rotation
 * keeps a secret that is in use.
 */
export function isFirstUse({ secrets }: Pick<ApiKey, 'secrets'>, { lastUsedAt }: SecretHash): boolean {
  return lastUsedAt === undefined && secrets.length > 1;
}

/**
 * Returns the time from which a use of an old secret is reported, in epoch milliseconds: one day before the secret
 * retires, or the time of the rotation if that is later. Returns Infinity for a secret that does not retire.
 */
export function retiringSince(
  { secrets }: Pick<ApiKey, 'secrets'>,
  { retiresAt = Number.POSITIVE_INFINITY }: SecretHash,
): EpochMillis {
  return Math.max(retiresAt - DAY_MILLIS, ...secrets.map(({ createdAt }) => createdAt));
}

/**
 * Returns a key's secrets after one of them was used for the first time.
 * @param used hash of the used secret
 * @param now epoch milliseconds
 */
export function afterUse(key: Pick<ApiKey, 'secrets'>, used: string, now: EpochMillis): SecretHash[] {
  const active = activeSecrets(key, now);
  const isNewest = active.at(-1)?.hash === used;
  return active
    .filter(({ hash, retiresOnFirstUse }) => hash === used || !retiresOnFirstUse || !isNewest)
    .map((secret) => (secret.hash === used ? { ...secret, lastUsedAt: now } : secret));
}
