import type { ServiceEvent } from './events.ts';
import type { ApiKey, Deployment, SecretHash } from './records.ts';
import { disabled, isWanted, livingSecrets } from './rotation.ts';

/** Why a person must review a key that was restored from a backup. */
export type Doubt =
  | 'its new secret is lost'
  | 'its old secret was retired, because its new one may have been used'
  | 'its bounds are not known'
  | 'it is disabled today, and no event says why'
  | 'it was created since';

/** A key of a backup, with later changes applied. */
export interface Replayed {
  /** Undefined if the key was deleted. */
  key: ApiKey | undefined;
  doubts: ReadonlySet<Doubt>;
}

/** What is known about a key since the backup. */
export interface Since {
  /** Events of the key, oldest first, without the ignored ones. */
  events: readonly ServiceEvent[];
  /** Events of the key caused by principals whose changes are the damage. They are not applied. */
  ignored: readonly ServiceEvent[];
  /** The key as the service has it today; undefined if it is gone, or if the backup is all that is left. */
  today: ApiKey | undefined;
  /** Time of the backup, in epoch milliseconds. */
  point: number;
}

/**
 * Fields that need no review: an event contains their new value, or they decide nothing. Not among them: expiry,
 * allowed IP ranges and trust rules.
 */
const KNOWN_FIELDS = new Set(['name', 'description', 'scopes', 'enabled']);

/**
 * Applies to a key from a backup the changes that were made after the backup.
 *
 * Events can be missing, and only today's key shows which secrets are gone. Today's key therefore makes the result
 * stricter, but never less strict. An event names the changed fields, but has the new value of few of them. If a key's
 * bounds (expiry, allowed IP ranges, trust rules or scopes) are not known, the result is disabled. Applying an event
 * again changes nothing.
 */
export function replayKey(before: ApiKey, { events, ignored, today, point }: Since): Replayed {
  if (events.some(({ type }) => type === 'api_key.deleted')) return { key: undefined, doubts: new Set() };
  const doubts = new Set<Doubt>();
  const ignoredRotations = ignored.filter(({ type }) => type === 'api_key.rotated');
  // After an ignored rotation, today's secrets are part of the damage.
  const areSecretsKnown = today !== undefined && ignoredRotations.length === 0;
  let key = before;
  for (const event of events) {
    key = withKnownFields(afterEvent(key, event, { areSecretsKnown, ignoredRotations, doubts }), event);
    if (fieldsOf(event.data).some((field) => !KNOWN_FIELDS.has(field)))
      doubts.add('its bounds are not known');
  }
  if (areSecretsKnown) {
    if (today.secrets.some(({ hash }) => !before.secrets.some((secret) => secret.hash === hash))) {
      doubts.add('its new secret is lost');
    }
    key = { ...key, secrets: key.secrets.map((secret) => asToday(secret, today, point)) };
  } else if (key.secrets.some((secret) => isPending(secret, point))) {
    doubts.add('its old secret was retired, because its new one may have been used');
    key = { ...key, secrets: key.secrets.map((it) => (isPending(it, point) ? retired(it, point) : it)) };
  }
  if (today) key = asStrictAsToday(withActivity(key, today), today, ignored, doubts);
  return { key: doubts.has('its bounds are not known') ? disabled(key) : key, doubts };
}

/** What the replay of one event depends on, besides the key. */
interface Replay {
  /** Whether today's key shows which secrets are retired. */
  areSecretsKnown: boolean;
  ignoredRotations: readonly ServiceEvent[];
  /** Replaying a rotation adds to these. */
  doubts: Set<Doubt>;
}

/** Returns the key after one event, without the fields whose new value the event contains. */
function afterEvent(key: ApiKey, event: ServiceEvent, replay: Replay): ApiKey {
  switch (event.type) {
    case 'api_key.leaked':
      return key.leak ? key : leaked(key, event.createdAt);
    case 'api_key.rotated':
      return endedLeak(afterRotation(key, event, replay), event);
    case 'api_key.secret_retired':
      return afterRetirement(key, event, replay);
    case 'api_key.disabled':
      return disabled(key);
    case 'api_key.enabled':
      return { ...enabled(key), activeSince: event.createdAt };
    default:
      return key;
  }
}

function withKnownFields(key: ApiKey, { data }: ServiceEvent): ApiKey {
  const changed = fieldsOf(data);
  const { name, scopes } = data;
  return {
    ...key,
    ...(changed.includes('name') && typeof name === 'string' && { name }),
    ...(changed.includes('scopes') && Array.isArray(scopes) && { scopes }),
  };
}

/**
 * Returns the key after a rotation. A backup that has the new secret is from after the rotation, so the key is
 * unchanged.
 */
function afterRotation(key: ApiKey, { createdAt, data }: ServiceEvent, replay: Replay): ApiKey {
  const { areSecretsKnown, doubts } = replay;
  if (key.secrets.some((secret) => secret.createdAt === createdAt)) return key;
  // If an earlier rotation came first, it is unknown which of the two secrets this rotation kept.
  const isAnotherLost = doubts.has('its new secret is lost');
  const kept = isAnotherLost ? [] : keptForCertain(key, createdAt);
  doubts.add('its new secret is lost');
  return rotatedSince(key, createdAt, data.retireOld, areSecretsKnown ? key.secrets : kept);
}

/** Returns the key after a rotation. A rotation that retires the old secrets immediately ends a leak. */
function endedLeak(key: ApiKey, { createdAt, data }: ServiceEvent): ApiKey {
  const isEnded = data.retireOld === 'now' && key.leak && key.leak.reportedAt <= createdAt;
  return isEnded && key.leak ? { ...key, enabled: key.leak.wasEnabled, leak: undefined } : key;
}

/**
 * Returns the key after the first use of a secret retired the others. Ignores the event if the secret came from an
 * ignored rotation.
 */
function afterRetirement(key: ApiKey, { createdAt, data }: ServiceEvent, replay: Replay): ApiKey {
  const secretCreatedAt = Date.parse(String(data.secretCreatedAt));
  const isIgnored = replay.ignoredRotations.some((rotation) => rotation.createdAt === secretCreatedAt);
  return isIgnored ? key : { ...key, secrets: afterFirstUse(key.secrets, secretCreatedAt, createdAt) };
}

/** Returns the names of the fields that changed, according to an event. */
function fieldsOf({ changed }: ServiceEvent['data']): readonly string[] {
  return Array.isArray(changed) ? changed : [];
}

function leaked(key: ApiKey, reportedAt: number): ApiKey {
  return { ...key, enabled: false, leak: { reportedAt, wasEnabled: isWanted(key) } };
}

/** Returns the key as enabled by a person. A leaked key stays disabled until it is rotated. */
function enabled(key: ApiKey): ApiKey {
  return key.leak ? { ...key, leak: { ...key.leak, wasEnabled: true } } : { ...key, enabled: true };
}

/**
 * Returns the secret with its retirement set to `at` at the latest, regardless of its successor's use.
 * @param at epoch milliseconds
 */
function retired(secret: SecretHash, at: number): SecretHash {
  return { ...secret, retiresAt: Math.min(secret.retiresAt ?? at, at), retiresOnFirstUse: undefined };
}

/**
 * Returns the secrets that a rotation certainly kept. Of two secrets, a rotation keeps the newer one if it was used. If
 * no use of it is recorded, this is unknown, because a use causes an event only when it retires a secret.
 * @param at time of the rotation, in epoch milliseconds
 */
function keptForCertain(key: ApiKey, at: number): SecretHash[] {
  const [first, second, ...more] = livingSecrets(key, at);
  if (!first || more.length > 0) return [];
  if (!second) return [first];
  return second.lastUsedAt === undefined ? [] : [second];
}

/**
 * Returns the key after a rotation whose new secret only its holder knows. The kept secrets retire when the rotation
 * says. If that is at the first use of the new secret, they count as retired, because that use may have come at once.
 */
function rotatedSince(
  key: ApiKey,
  createdAt: number,
  retireOld: unknown,
  kept: readonly SecretHash[],
): ApiKey {
  const until = typeof retireOld === 'number' ? createdAt + retireOld * 1000 : createdAt;
  const secrets = key.secrets.map((secret) => retired(secret, kept.includes(secret) ? until : createdAt));
  return { ...key, secrets, activeSince: createdAt };
}

/**
 * Returns the secrets after the first use of one of them.
 * @param createdAt of the used secret, in epoch milliseconds
 * @param usedAt epoch milliseconds
 */
function afterFirstUse(secrets: readonly SecretHash[], createdAt: number, usedAt: number): SecretHash[] {
  return secrets.map((secret) => {
    if (secret.createdAt === createdAt)
      return { ...secret, lastUsedAt: Math.max(secret.lastUsedAt ?? 0, usedAt) };
    return secret.retiresOnFirstUse && secret.createdAt < createdAt ? retired(secret, usedAt) : secret;
  });
}

/** Reports whether, at the backup, a secret was to retire at the first use of its successor. */
function isPending({ retiresOnFirstUse, retiresAt }: SecretHash, point: number): boolean {
  return retiresOnFirstUse === true && (retiresAt === undefined || retiresAt > point);
}

/**
 * Returns the secret as today's key has it. A secret that today's key lacks is retired, but stays in the list: a key
 * without secrets cannot be rotated.
 */
function asToday(secret: SecretHash, { secrets }: ApiKey, point: number): SecretHash {
  const same = secrets.find(({ hash }) => hash === secret.hash);
  if (!same) return retired(secret, point);
  const retiresAt = Math.min(secret.retiresAt ?? Infinity, same.retiresAt ?? Infinity);
  return {
    ...secret,
    retiresAt: retiresAt === Infinity ? undefined : retiresAt,
    lastUsedAt: Math.max(secret.lastUsedAt ?? 0, same.lastUsedAt ?? 0) || undefined,
  };
}

/** Keeps a key idle after the restore if it was idle before. */
function withActivity(key: ApiKey, today: ApiKey): ApiKey {
  const isUsedSince = (today.lastUsedAt ?? 0) > (key.lastUsedAt ?? 0);
  const { lastUsedAt, lastUsedAddress, lastUsedClient } = isUsedSince ? today : key;
  const activeSince = Math.min(key.activeSince ?? 0, today.activeSince ?? 0) || undefined;
  return { ...key, lastUsedAt, lastUsedAddress, lastUsedClient, activeSince };
}

/**
 * Returns a key that is no less strict than today's. If today's key is disabled or leaked and no event says why, the
 * result is disabled too, and the difference is reported; so are bounds that differ from what the events say.
 */
function asStrictAsToday(
  key: ApiKey,
  today: ApiKey,
  ignored: readonly ServiceEvent[],
  doubts: Set<Doubt>,
): ApiKey {
  const explained = new Set(ignored.flatMap(({ data }) => fieldsOf(data)));
  const differs = (field: 'scopes' | 'validUntil' | 'networks' | 'trust', name: string = field) =>
    !explained.has(name) && canonical(key[field]) !== canonical(today[field]);
  if (differs('scopes') || differs('validUntil', 'expiresAt') || differs('networks') || differs('trust')) {
    doubts.add('its bounds are not known');
  }
  const isDisabledToday = isWanted(key) && !isWanted(today) && !explained.has('enabled');
  const leak = key.leak ? undefined : today.leak;
  if (!isDisabledToday && !leak) return key;
  doubts.add('it is disabled today, and no event says why');
  const marked = leak ? leaked(key, leak.reportedAt) : key;
  return isDisabledToday ? disabled(marked) : marked;
}

/** Returns equal text for equal values. The table does not preserve the order of fields. */
function canonical(value: unknown): string | undefined {
  return JSON.stringify(value, (_, part) =>
    part !== null && typeof part === 'object' && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort())
      : part,
  );
}

/**
 * Applies to a Deployment from a backup the changes that were made after the backup.
 * @param events of this generation, oldest first
 * @returns undefined when this generation was deleted
 */
export function replayDeployment(
  before: Deployment,
  events: readonly ServiceEvent[],
): Deployment | undefined {
  let deployment = before;
  for (const { type, data } of events) {
    if (type === 'deployment.deleted') return undefined;
    if (type !== 'deployment.edited') continue;
    if (typeof data.name === 'string') deployment = { ...deployment, name: data.name };
    if (Array.isArray(data.groups)) deployment = { ...deployment, groups: data.groups };
  }
  return deployment;
}
