import { isUlid, newUlid, parseKeyId, timeOfUlid } from './credentials.ts';
import type { ServiceEvent } from './events.ts';
import type { EpochMillis } from './expiry.ts';
import type { AccessRecord, ApiKey, Deployment, PersonId, SecretHash } from './records.ts';
import { activeSecrets, disabled, isRetireAfter, isWanted } from './rotation.ts';

/** A reason why a person must review a key that was restored from a backup. */
export type Doubt =
  | 'its new secret is lost'
  | 'its old secret was retired, because its new one may have been used'
  | 'its bounds are not known'
  | 'it is disabled today, and no event says why'
  | 'it was created since'
  | 'an event of its Deployment is malformed, so it may have been revoked';

/** A key from a backup, with later changes applied. */
export interface Replayed {
  /** The key with the later changes applied; undefined if the key was deleted. */
  key: ApiKey | undefined;
  doubts: ReadonlySet<Doubt>;
}

/** Known changes to a key since the backup. */
export interface Since {
  /** Events of the key, oldest first, without the ignored events. */
  events: readonly ServiceEvent[];
  /** Events about the key that were caused by the actors who did the damage. The replay does not apply these events. */
  ignored: readonly ServiceEvent[];
  /** The key as the service currently stores it; undefined if the key was deleted, or if only the backup is left. */
  today: ApiKey | undefined;
  /** Time of the backup, in epoch milliseconds. */
  point: EpochMillis;
}

/**
 * Fields that do not need a review after a change, because the event contains their new value or because they do not
 * affect access. Changes to the expiry, the allowed IP ranges and the trust rules do need a review.
 */
const KNOWN_FIELDS = new Set(['name', 'description', 'scopes', 'enabled']);

/**
 * Applies the changes made after a backup to a key from that backup.
 *
 * Some events can be missing, and only the current key shows which secrets no longer exist. The current key can
 * therefore make the result stricter, but never less strict. An event names all changed fields, but contains new values
 * for only a few of them. If a key's bounds (expiry, allowed IP ranges, trust rules or scopes) are not known, the
 * resulting key is disabled. Applying an event a second time changes nothing.
 */
export function replayKey(before: ApiKey, { events, ignored, today, point }: Since): Replayed {
  if (events.some(({ type }) => type === 'api_key.deleted')) return { key: undefined, doubts: new Set() };
  const doubts = new Set<Doubt>();
  const ignoredRotations = ignored.filter(({ type }) => type === 'api_key.rotated');
  // If the replay ignored a rotation, the current secrets are part of the damage.
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

/** Input for the replay of one event, in addition to the key. */
interface Replay {
  /** Whether the current key shows which secrets are retired. */
  areSecretsKnown: boolean;
  ignoredRotations: readonly ServiceEvent[];
  /** Reasons to review the key. Replaying a rotation can add to them. */
  doubts: Set<Doubt>;
}

/** Returns the key after one event. `withKnownFields` applies the new values that the event contains. */
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
 * Returns the key after a rotation. If the key already has the new secret, the backup was taken after the rotation, and
 * the key does not change.
 */
function afterRotation(key: ApiKey, { createdAt, data }: ServiceEvent, replay: Replay): ApiKey {
  const { areSecretsKnown, doubts } = replay;
  if (key.secrets.some((secret) => secret.createdAt === createdAt)) return key;
  // If there was an earlier rotation, it is unknown which of the two secrets this rotation kept.
  const isAnotherLost = doubts.has('its new secret is lost');
  const kept = isAnotherLost ? undefined : keptForCertain(key, createdAt);
  doubts.add('its new secret is lost');
  return rotatedSince(key, createdAt, data.retireOld, areSecretsKnown ? key.secrets : [kept]);
}

/** Returns the key after a rotation. The rotation ends a leak if it retires the old secrets immediately. */
function endedLeak(key: ApiKey, { createdAt, data }: ServiceEvent): ApiKey {
  const isEnded = data.retireOld === 'now' && key.leak && key.leak.reportedAt <= createdAt;
  return isEnded && key.leak ? { ...key, enabled: key.leak.wasEnabled, leak: undefined } : key;
}

/**
 * Returns the key after the first use of a secret, which retired the key's other secrets. Ignores the event if the
 * secret came from an ignored rotation.
 */
function afterRetirement(key: ApiKey, { createdAt, data }: ServiceEvent, replay: Replay): ApiKey {
  const secretCreatedAt = Date.parse(String(data.secretCreatedAt));
  const isIgnored = replay.ignoredRotations.some((rotation) => rotation.createdAt === secretCreatedAt);
  return isIgnored ? key : { ...key, secrets: afterFirstUse(key.secrets, secretCreatedAt, createdAt) };
}

/**
 * Reports whether an event is complete, which means that it says what happened and to which key. If an event is
 * incomplete, someone has edited its item by hand, and the original event might have been a revocation.
 */
export function isUnderstood({ id, type, deploymentId, generation, createdAt, data }: ServiceEvent): boolean {
  if (!/^[a-z_]+\.[a-z_]+$/.test(type) || (isUlid(id) && timeOfUlid(id) !== createdAt)) return false;
  if (type.startsWith('deployment.')) return isUlid(generation);
  if (!type.startsWith('api_key.')) return true;
  const isOfKey = typeof data.keyId === 'string' && parseKeyId(data.keyId)?.deploymentId === deploymentId;
  return isOfKey && (!NAMES_FIELDS.has(type) || isNames(data.changed));
}

/** Event types that always name at least one changed field. */
const NAMES_FIELDS = new Set<string>(['api_key.edited', 'api_key.disabled', 'api_key.enabled']);

const isNames = (value: unknown): boolean =>
  Array.isArray(value) && value.length > 0 && value.every((it) => typeof it === 'string');

/** Returns the names of the fields that changed according to an event. */
function fieldsOf({ changed }: ServiceEvent['data']): readonly string[] {
  return Array.isArray(changed) ? changed : [];
}

function leaked(key: ApiKey, reportedAt: number): ApiKey {
  return { ...key, enabled: false, leak: { reportedAt, wasEnabled: isWanted(key) } };
}

/** Returns the key after a person enabled it. A leaked key stays disabled until it is rotated. */
function enabled(key: ApiKey): ApiKey {
  return key.leak ? { ...key, leak: { ...key.leak, wasEnabled: true } } : { ...key, enabled: true };
}

/**
 * Returns the secret with a retirement time of `at` or earlier, whether or not its successor is used.
 * @param at epoch milliseconds
 */
function retired(secret: SecretHash, at: EpochMillis): SecretHash {
  return { ...secret, retiresAt: Math.min(secret.retiresAt ?? at, at), retiresOnFirstUse: undefined };
}

/**
 * Returns the secret that a rotation certainly kept. When there are two secrets, a rotation keeps the newer one if it
 * was used. If no event shows a use of the newer secret, it is unknown which one the rotation kept, because a use
 * causes an event only if it retires a secret.
 * @param at time of the rotation, in epoch milliseconds
 * @returns undefined if the rotation kept no secret, or if it is unknown which one it kept
 */
function keptForCertain(key: ApiKey, at: EpochMillis): SecretHash | undefined {
  const [first, second, ...more] = activeSecrets(key, at);
  if (more.length > 0) return undefined;
  if (!second) return first;
  return second.lastUsedAt === undefined ? undefined : second;
}

/**
 * Returns the key after a rotation whose new secret is not in the backup. The old secrets retire at the time that the
 * rotation set. Old secrets that were to retire at the first use of the new secret count as retired, because the new
 * secret may have been used immediately.
 */
function rotatedSince(
  key: ApiKey,
  createdAt: EpochMillis,
  retireOld: unknown,
  kept: readonly (SecretHash | undefined)[],
): ApiKey {
  const until = isRetireAfter(retireOld) ? createdAt + retireOld * 1000 : createdAt;
  const secrets = key.secrets.map((secret) => retired(secret, kept.includes(secret) ? until : createdAt));
  return { ...key, secrets, activeSince: createdAt };
}

/**
 * Returns the secrets after one of them was used for the first time.
 * @param createdAt creation time of the used secret, in epoch milliseconds
 * @param usedAt epoch milliseconds
 */
function afterFirstUse(
  secrets: readonly SecretHash[],
  createdAt: EpochMillis,
  usedAt: EpochMillis,
): SecretHash[] {
  return secrets.map((secret) => {
    if (secret.retiresOnFirstUse && secret.createdAt < createdAt) return retired(secret, usedAt);
    const lastUsedAt = Math.max(secret.lastUsedAt ?? 0, usedAt);
    return secret.createdAt === createdAt ? { ...secret, lastUsedAt } : secret;
  });
}

/**
 * Reports whether, at the time of the backup, a secret was still due to be retired by the first use of its successor.
 */
function isPending({ retiresOnFirstUse, retiresAt }: SecretHash, point: EpochMillis): boolean {
  return retiresOnFirstUse === true && (retiresAt === undefined || retiresAt > point);
}

/**
 * Returns the secret as the current key has it. If the current key no longer has the secret, returns it with a mark
 * that it has retired. A retired secret stays in the list because a key without secrets cannot be rotated.
 */
function asToday(secret: SecretHash, { secrets }: ApiKey, point: EpochMillis): SecretHash {
  const same = secrets.find(({ hash }) => hash === secret.hash);
  if (!same) return retired(secret, point);
  const retiresAt = Math.min(secret.retiresAt ?? Infinity, same.retiresAt ?? Infinity);
  return {
    ...secret,
    retiresAt: retiresAt === Infinity ? undefined : retiresAt,
    lastUsedAt: Math.max(secret.lastUsedAt ?? 0, same.lastUsedAt ?? 0) || undefined,
  };
}

/** Sets the time of the key's last activity, so that a key that was idle before the restore stays idle after it. */
function withActivity(key: ApiKey, today: ApiKey): ApiKey {
  const isUsedSince = (today.lastUsedAt ?? 0) > (key.lastUsedAt ?? 0);
  const { lastUsedAt, lastUsedAddress, lastUsedClient } = isUsedSince ? today : key;
  const activeSince = Math.min(key.activeSince ?? 0, today.activeSince ?? 0) || undefined;
  const activeDays = new Set([...(key.activeDays ?? []), ...(today.activeDays ?? [])]);
  const activity = { lastUsedAt, lastUsedAddress, lastUsedClient, activeSince };
  return { ...key, ...activity, activeDays: activeDays.size > 0 ? activeDays : undefined };
}

/**
 * Returns a key that is no less strict than the current key. If the current key is disabled or leaked and no event says
 * why, the returned key is disabled too, and the function reports the difference. It also reports bounds that differ
 * from the bounds in the events.
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

/** Returns equal text for equal values, because the table does not preserve the order of fields. */
function canonical(value: unknown): string | undefined {
  return JSON.stringify(value, (_, part) =>
    part !== null && typeof part === 'object' && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort())
      : part,
  );
}

/**
 * Applies the changes made after a backup to a Deployment from that backup.
 * @param events events of this generation, oldest first
 * @returns undefined if this generation was deleted
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

/**
 * Updates a person's record with each later event that ended or restored their access.
 * @param record the latest known record; undefined if only the events mention the person
 * @param events about people, oldest first
 * @param now epoch milliseconds
 * @returns the record with a new job, which finds the person's keys again; undefined if the person's access was never
 * ended
 */
export function replayPerson(
  person: PersonId,
  record: AccessRecord | undefined,
  events: readonly ServiceEvent[],
  now: EpochMillis,
): AccessRecord | undefined {
  let endedAt = record?.endedAt;
  let isBlocked = record?.blocked === true;
  let keys = record?.job.keys ?? 'report';
  for (const { type, createdAt, data } of events) {
    if (data.sub !== person.sub || data.issuer !== person.issuer) continue;
    if (type === 'person.access_restored') isBlocked = false;
    if (type !== 'person.access_ended') continue;
    endedAt = Math.max(endedAt ?? 0, createdAt);
    isBlocked = data.blocked === true;
    if (data.keys === 'disable') keys = 'disable';
  }
  if (endedAt === undefined) return undefined;
  const job = { id: newUlid(now), keys, found: 0, disabled: 0 };
  return { ...person, endedAt, blocked: isBlocked, revision: Math.max(record?.revision ?? 0, now) + 1, job };
}
