import type { ServiceEvent } from './events.ts';
import type { ApiKey, Deployment, SecretHash } from './records.ts';
import { disabled, isWanted, livingSecrets } from './rotation.ts';

/** Why a person must look at a key that came back from a backup. */
export type Doubt =
  | 'its new secret is lost'
  | 'its old secret was retired, because its new one may have been used'
  | 'its bounds are not known'
  | 'it is disabled today, and no event says why'
  | 'it was created since';

/** A key as a backup had it, after what has happened to it since. */
export interface Replayed {
  /** Undefined: it was deleted. */
  key: ApiKey | undefined;
  doubts: ReadonlySet<Doubt>;
}

/** What is known of a key since its backup. */
export interface Since {
  /** Events of the key, oldest first, without those that are ignored. */
  events: readonly ServiceEvent[];
  /** Events of the key by principals whose changes are the damage: they are not applied again. */
  ignored: readonly ServiceEvent[];
  /** The key as the service has it today. Undefined: it is gone, or all that is left is the backup. */
  today: ApiKey | undefined;
  /** The moment of the backup, epoch milliseconds. */
  point: number;
}

/** Fields whose new value an event contains, or that decide nothing. Expiry, networks and trust rules are not among them. */
const KNOWN_FIELDS = new Set(['name', 'description', 'scopes', 'enabled']);

/**
 * Applies to a key of a backup what has happened to it since. The key as it is today makes the result stricter, and never
 * looser: an event can be missing, and nothing else says which secrets are gone. An event names the fields that
 * have changed, and of most of them not the new value: a key whose bounds are not known is disabled. Applied again
 * to a key that has it already, an event changes nothing.
 */
export function replayKey(before: ApiKey, { events, ignored, today, point }: Since): Replayed {
  if (events.some(({ type }) => type === 'api_key.deleted')) return { key: undefined, doubts: new Set() };
  const doubts = new Set<Doubt>();
  const ignoredRotations = ignored.filter(({ type }) => type === 'api_key.rotated');
  // After a rotation that is ignored, the secrets of today are part of the damage.
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

/** What the replay of one event depends on beside the key. */
interface Replay {
  /** Whether the key of today says which secrets are retired. */
  areSecretsKnown: boolean;
  ignoredRotations: readonly ServiceEvent[];
  /** Replaying a rotation adds to them. */
  doubts: Set<Doubt>;
}

/** The key after one event, but for the fields whose new value the event contains. */
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

/** The key after a rotation. A backup that has the new secret was made after the rotation: it stays as it is. */
function afterRotation(key: ApiKey, { createdAt, data }: ServiceEvent, replay: Replay): ApiKey {
  const { areSecretsKnown, doubts } = replay;
  if (key.secrets.some((secret) => secret.createdAt === createdAt)) return key;
  // After an earlier rotation nobody knows which of the two secrets this one has kept.
  const isAnotherLost = doubts.has('its new secret is lost');
  const kept = isAnotherLost ? [] : keptForCertain(key, createdAt);
  doubts.add('its new secret is lost');
  return rotatedSince(key, createdAt, data.retireOld, areSecretsKnown ? key.secrets : kept);
}

/** The key after a rotation, which ends a leak when it retires the old secrets at once. */
function endedLeak(key: ApiKey, { createdAt, data }: ServiceEvent): ApiKey {
  const isEnded = data.retireOld === 'now' && key.leak && key.leak.reportedAt <= createdAt;
  return isEnded && key.leak ? { ...key, enabled: key.leak.wasEnabled, leak: undefined } : key;
}

/** The key after the first use of a secret retired the others. It is not applied for a secret of an ignored rotation. */
function afterRetirement(key: ApiKey, { createdAt, data }: ServiceEvent, replay: Replay): ApiKey {
  const secretCreatedAt = Date.parse(String(data.secretCreatedAt));
  const isIgnored = replay.ignoredRotations.some((rotation) => rotation.createdAt === secretCreatedAt);
  return isIgnored ? key : { ...key, secrets: afterFirstUse(key.secrets, secretCreatedAt, createdAt) };
}

/** The names of the fields that an event says have changed. */
function fieldsOf({ changed }: ServiceEvent['data']): readonly string[] {
  return Array.isArray(changed) ? changed : [];
}

function leaked(key: ApiKey, reportedAt: number): ApiKey {
  return { ...key, enabled: false, leak: { reportedAt, wasEnabled: isWanted(key) } };
}

/** The key as somebody has enabled it: a leaked one stays disabled until it is rotated. */
function enabled(key: ApiKey): ApiKey {
  return key.leak ? { ...key, leak: { ...key.leak, wasEnabled: true } } : { ...key, enabled: true };
}

/** The secret, which retires then at the latest, whether its successor is used or not. @param at epoch milliseconds */
function retired(secret: SecretHash, at: number): SecretHash {
  return { ...secret, retiresAt: Math.min(secret.retiresAt ?? at, at), retiresOnFirstUse: undefined };
}

/**
 * The secrets that a rotation can only have kept. Of two, it keeps the newer one if that was used: where no use is
 * recorded, nobody knows, since a use leaves an event only where it retires a secret.
 * @param at the time of the rotation, epoch milliseconds
 */
function keptForCertain(key: ApiKey, at: number): SecretHash[] {
  const [first, second, ...more] = livingSecrets(key, at);
  if (!first || more.length > 0) return [];
  if (!second) return [first];
  return second.lastUsedAt === undefined ? [] : [second];
}

/**
 * The secret that came with the rotation is known to nobody but its holder. The kept ones retire when the rotation
 * said; where that was at the first use of the new one, which may have been at once, they have retired.
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
 * The secrets after the first use of one of them.
 * @param createdAt of the secret that was used, epoch milliseconds
 * @param usedAt epoch milliseconds
 */
function afterFirstUse(secrets: readonly SecretHash[], createdAt: number, usedAt: number): SecretHash[] {
  return secrets.map((secret) => {
    if (secret.createdAt === createdAt)
      return { ...secret, lastUsedAt: Math.max(secret.lastUsedAt ?? 0, usedAt) };
    return secret.retiresOnFirstUse && secret.createdAt < createdAt ? retired(secret, usedAt) : secret;
  });
}

/** Whether a secret of the backup waits for the first use of its successor. */
function isPending({ retiresOnFirstUse, retiresAt }: SecretHash, point: number): boolean {
  return retiresOnFirstUse === true && (retiresAt === undefined || retiresAt > point);
}

/** A secret that the key lacks today has retired. It stays in the list: a key without secrets cannot be rotated. */
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

/** A key counts as idle after the restore when it did so before. */
function withActivity(key: ApiKey, today: ApiKey): ApiKey {
  const isUsedSince = (today.lastUsedAt ?? 0) > (key.lastUsedAt ?? 0);
  const { lastUsedAt, lastUsedAddress, lastUsedClient } = isUsedSince ? today : key;
  const activeSince = Math.min(key.activeSince ?? 0, today.activeSince ?? 0) || undefined;
  return { ...key, lastUsedAt, lastUsedAddress, lastUsedClient, activeSince };
}

/** Today's key is disabled, leaked or bound otherwise than the events say: then the key is disabled, and reported. */
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

/** The same text for values that are equal: the table does not keep the order of fields. */
function canonical(value: unknown): string | undefined {
  return JSON.stringify(value, (_, part) =>
    part !== null && typeof part === 'object' && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort())
      : part,
  );
}

/**
 * The same for a Deployment.
 * @param events of this life of it, oldest first
 * @returns undefined when this life was ended
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
