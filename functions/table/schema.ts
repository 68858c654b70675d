/**
 * The table, whole: keys, the shape of each item, to and from it. One partition a Deployment, no index.
 * Items are parsed when read: `from…` gives undefined for an item of a wrong shape, and a reader treats that as
 * absent, so a damaged item lets nobody in.
 */

import { typedActor } from '../domain/actors.ts';
import type { CheckedRecords } from '../domain/check.ts';
import type { ServiceEvent } from '../domain/events.ts';
import { type Credential, isDeploymentId, isUlid } from '../domain/identifiers.ts';
import type { LastUse } from '../domain/last-use.ts';
import type {
  Actor,
  ApiKey,
  CheckedKey,
  Deployment,
  Grant,
  IdempotencyRecord,
  Leak,
  MalformedKey,
  RejectedCall,
  RejectedCalls,
  SecretHash,
  Token,
} from '../domain/records.ts';
import type { TrustRule } from '../domain/trust.ts';
import { PARTITION, SORT } from './key-prefixes.ts';

export { PARTITION, SORT };

/** An item as the document client gives and takes it. */
export type Item = Record<string, unknown>;
export interface ItemKey {
  pk: string;
  sk: string;
}

// Every partition and sort key of the table is made here.
export const deploymentKey = (id: string): ItemKey => ({ pk: PARTITION.deployment(id), sk: SORT.deployment });
export const directoryKey = (id: string): ItemKey => ({ pk: PARTITION.directory, sk: id });
export const apiKeyKey = (deploymentId: string, ulid: string): ItemKey => ({
  pk: PARTITION.deployment(deploymentId),
  sk: SORT.key + ulid,
});
/** Prefix of the sort keys of all tokens of one key. */
export const tokensOf = (ulid: string) => `${SORT.token}${ulid}#`;
export const tokenKey = (deploymentId: string, ulid: string, hash: string): ItemKey => ({
  pk: PARTITION.deployment(deploymentId),
  sk: tokensOf(ulid) + hash,
});
/** Prefix of the sort key of one temporary token. */
export const grantOf = (ulid: string) => `${SORT.grant}${ulid}#`;
export const grantKey = (deploymentId: string, ulid: string, hash: string): ItemKey => ({
  pk: PARTITION.deployment(deploymentId),
  sk: grantOf(ulid) + hash,
});
export const ulidOfGrant = ({ sk }: ItemKey): string => sk.split('#')[1] ?? '';
export const idempotencyKey = (deploymentId: string, generation: string, hash: string): ItemKey => ({
  pk: PARTITION.deployment(deploymentId),
  sk: `${SORT.idempotency}${generation}#${hash}`,
});
/** A used subject token. It belongs to no Deployment, so that it is accepted once per stack and no purge removes it. */
export const subjectKey = (hash: string): ItemKey => ({ pk: PARTITION.subject(hash), sk: 'SUBJECT' });
/** Where the previous release remembers a used subject token. Delete it with `putTokenOfSubject`'s second record. */
export const previousSubjectKey = (deploymentId: string, hash: string): ItemKey => ({
  pk: PARTITION.deployment(deploymentId),
  sk: PARTITION.subject(hash),
});
export const purgeMarkerKey = (deploymentId: string, generation: string): ItemKey => ({
  pk: PARTITION.purges,
  sk: `${deploymentId}#${generation}`,
});
export const registrationKey = (id: string): ItemKey => ({ pk: PARTITION.sources, sk: id });
export const passKey = (name: string): ItemKey => ({ pk: PARTITION.passes, sk: name });

/** @param hour such as `2030-01-01T12`, in UTC */
export const rejectedCallsKey = (callerHash: string, hour: string): ItemKey => ({
  pk: PARTITION.rejectedCalls,
  sk: `${callerHash}#${hour}`,
});
/** The attributes about one Deployment. No Deployment ID contains `#`, so none can name another attribute. */
export const rejectedCallsAttributes = (deploymentId: string) => ({
  count: `count#${deploymentId}`,
  last: `last#${deploymentId}`,
});

/** What is remembered of a restore from a backup, in the table that it was made into. */
export const restoreKey = (restoreId: string): ItemKey => ({ pk: 'RESTORES', sk: restoreId });

/** What the attributes of an item must be. */
const is = {
  text: (value: unknown): value is string => typeof value === 'string',
  flag: (value: unknown): value is boolean => typeof value === 'boolean',
  /** A count, an epoch, a moment in epoch milliseconds: whole, not negative, and no later than a Date can be. */
  whole: (value: unknown): value is number =>
    Number.isInteger(value) && (value as number) >= 0 && (value as number) <= 8.64e15,
  /** A moment in epoch seconds. */
  seconds: (value: unknown): value is number => is.whole(value) && value <= 8.64e12,
  texts: (value: unknown): value is string[] => Array.isArray(value) && value.every(is.text),
  ulid: (value: unknown): value is string => is.text(value) && isUlid(value),
};

/**
 * The attribute of a key that holds when one of its secrets was last used. It is outside `secrets` because the holder
 * of a secret can write it at any time: whatever changes the secrets must not depend on it. `secrets` holds only a
 * secret's first use while the key has another one, and what earlier versions recorded.
 */
export const lastUseOf = (hash: string) => `lastUsedAt#${hash.slice(0, 8)}`;

function secretsOf(item: Item): SecretHash[] {
  return required(item.secrets, isSecrets).map((secret) => {
    const recorded = item[lastUseOf(secret.hash)];
    if (!is.whole(recorded)) return secret;
    return { ...secret, lastUsedAt: Math.max(recorded, secret.lastUsedAt ?? 0) };
  });
}

// What the check does not read stands by itself: a bundle holds an object whole.
const isSecrets = (value: unknown): value is SecretHash[] => Array.isArray(value) && value.every(isSecret);

/** A map. The AWS SDK reads sets and binary values as objects of other classes. */
const isFields = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype;

/** No key is stored with an empty list, which would reject every call. */
const isNetworks = (value: unknown): value is string[] => is.texts(value) && value.length > 0;

function isActor(value: unknown): value is Omit<Actor, 'type'> & { type?: Actor['type'] } {
  const { principal, type, address, requestId } = (value ?? {}) as Partial<Record<keyof Actor, unknown>>;
  // Also a type of a later version, which a rollback may leave; an earlier one wrote none.
  const isTyped = type === undefined || is.text(type);
  return is.text(principal) && isTyped && is.text(address) && is.text(requestId);
}

const isTrust = (value: unknown): value is TrustRule[] => Array.isArray(value) && value.every(isTrustRule);

function isTrustRule(value: unknown): boolean {
  const { issuer, audience, claims, singleUse } = (value ?? {}) as Partial<Record<keyof TrustRule, unknown>>;
  return (
    is.text(issuer) &&
    (audience === undefined || is.text(audience)) &&
    (singleUse === undefined || is.flag(singleUse)) &&
    isFields(claims) &&
    // A rule without claims, or with an empty prefix, would accept every token of its issuer. No key is stored so.
    Object.keys(claims).length > 0 &&
    Object.values(claims).every(
      (rule) => is.text(rule) || (isFields(rule) && is.text(rule.prefix) && rule.prefix !== ''),
    )
  );
}

const isNotice = (value: unknown): value is NonNullable<ApiKey['notice']> =>
  isFields(value) && is.text(value.type) && is.whole(value.of);

const isTextSet = (value: unknown): value is Set<string> => value instanceof Set && [...value].every(is.text);

const isRejectedCall = (value: unknown): value is RejectedCall =>
  isFields(value) &&
  is.whole(value.at) &&
  is.whole(value.status) &&
  [value.call, value.code, value.address, value.requestId].every(is.text);

const isLeak = (value: unknown): value is Leak =>
  is.whole((value as Leak | null)?.reportedAt) && is.flag((value as Leak).wasEnabled);

/** Only calls that created something are recorded, and each was answered with a JSON object. */
function isAnswer(value: unknown): value is IdempotencyRecord['answer'] {
  const { status, body, location } = (value ?? {}) as Partial<IdempotencyRecord['answer']>;
  const isSuccess = status === 200 || status === 201;
  return isSuccess && is.text(body) && isJsonObject(body) && (location === undefined || is.text(location));
}

function isJsonObject(text: string): boolean {
  try {
    return isFields(JSON.parse(text));
  } catch {
    return false;
  }
}

function isSecret(value: Partial<Record<keyof SecretHash, unknown>> | null): boolean {
  return (
    is.text(value?.hash) &&
    is.whole(value.createdAt) &&
    (value.retiresAt === undefined || is.whole(value.retiresAt)) &&
    (value.retiresOnFirstUse === undefined || is.flag(value.retiresOnFirstUse)) &&
    (value.lastUsedAt === undefined || is.whole(value.lastUsedAt))
  );
}

/** The value when it has the shape, undefined when it is absent; anything else is an error of the item. */
function optional<T>(value: unknown, has: (value: unknown) => value is T): T | undefined {
  if (value === undefined) return undefined;
  if (!has(value)) throw new WrongShape();
  return value;
}

function required<T>(value: unknown, has: (value: unknown) => value is T): T {
  if (!has(value)) throw new WrongShape();
  return value;
}

class WrongShape extends Error {}

/** Run a parser; an item of a wrong shape is undefined, as an absent one is. */
function parsed<T>(item: Item | undefined, parse: (item: Item) => T): T | undefined {
  if (!item) return undefined;
  try {
    return parse(item);
  } catch (error) {
    if (error instanceof WrongShape) return undefined;
    throw error;
  }
}

/** Told of each item of a wrong shape, by its keys alone; the reader goes on as if it were absent. */
export type OnMalformed = (key: ItemKey) => void;

/** Parse an item that was read; one of a wrong shape is reported and then as good as absent. */
export function parse<T>(
  { onMalformed }: { onMalformed: OnMalformed },
  item: Item | undefined,
  from: (item: Item | undefined) => T | undefined,
): T | undefined {
  const record = from(item);
  if (item && record === undefined) onMalformed({ pk: String(item.pk), sk: String(item.sk) });
  return record;
}

/** A key and the Deployment that it belongs to, each absent when the item is absent or malformed. */
export interface KeyRecords {
  deployment: Deployment | undefined;
  key: ApiKey | undefined;
}

/** The keys of what a check reads for one presented token. */
export interface CheckedKeys {
  deployment: ItemKey;
  /** Only for tokens of a key. */
  key?: ItemKey;
  /** The token or temporary token itself. */
  presented: ItemKey;
}

export function checkedKeys({ kind, deploymentId, ulid }: Credential, hash: string): CheckedKeys {
  const deployment = deploymentKey(deploymentId);
  return kind === 'temporary'
    ? { deployment, presented: grantKey(deploymentId, ulid, hash) }
    : { deployment, key: apiKeyKey(deploymentId, ulid), presented: tokenKey(deploymentId, ulid, hash) };
}

/** What a check reads of each item; a key's secret hashes never leave the table for it. Reserved words have a `#`. */
export const CHECKED_ATTRIBUTES = {
  ProjectionExpression:
    'pk,sk,generation,epoch,enabled,validUntil,scopes,#scope,#sub,issuedAt,expiresAt,lastUsedAt,networks',
  ExpressionAttributeNames: { '#scope': 'scope', '#sub': 'sub' },
};

/** The part of an update that records a use. */
export const LAST_USE = 'lastUsedAt = :at, lastUsedAddress = :address, lastUsedClient = :client';

/** The records of a check, from the items that were read under its keys. */
export function fromChecked(
  reader: { onMalformed: OnMalformed },
  { deployment, key, presented }: CheckedKeys,
  found: (key: ItemKey) => Item | undefined,
): CheckedRecords {
  const item = found(presented);
  return {
    deployment: parse(reader, found(deployment), fromCheckedDeployment),
    ...(key
      ? { key: parse(reader, found(key), fromCheckedKey), token: parse(reader, item, fromCheckedToken) }
      : { grant: parse(reader, item, fromCheckedGrant) }),
  };
}

export function toDeployment(deployment: Deployment): Item {
  const { id, name, groups, generation, keyCount, revision, createdAt } = deployment;
  return { ...deploymentKey(id), name, groups, generation, keyCount, revision, createdAt };
}

/** The directory entry: what a listing shows, and the generation that guards it. */
export function toDirectoryEntry({ id, name, groups, generation, createdAt }: Deployment): Item {
  return { ...directoryKey(id), name, groups, generation, createdAt };
}

export function fromDeployment(item: Item | undefined): Deployment | undefined {
  return parsed(item, (it) => ({
    id: idOf(it, PARTITION.deployment('')),
    name: required(it.name, is.text),
    groups: required(it.groups, is.texts),
    generation: required(it.generation, is.ulid),
    keyCount: required(it.keyCount, is.whole),
    revision: optional(it.revision, is.whole),
    createdAt: required(it.createdAt, is.whole),
  }));
}

/** A Deployment as the directory lists it: without the number of keys. */
export function fromDirectoryEntry(item: Item | undefined): Omit<Deployment, 'keyCount'> | undefined {
  return parsed(item, (it) => ({
    id: required(it.sk, (value): value is string => is.text(value) && isDeploymentId(value)),
    name: required(it.name, is.text),
    groups: required(it.groups, is.texts),
    generation: required(it.generation, is.ulid),
    createdAt: required(it.createdAt, is.whole),
  }));
}

/** The life that a check compares with. */
function fromCheckedDeployment(item: Item | undefined): { generation: string } | undefined {
  return parsed(item, (it) => ({ generation: required(it.generation, is.ulid) }));
}

export function toApiKey({ deploymentId, ulid, ...attributes }: ApiKey): Item {
  return { ...apiKeyKey(deploymentId, ulid), ...attributes };
}

export function fromApiKey(item: Item | undefined): ApiKey | undefined {
  const key = parsed(item, (it) => ({
    ...checkedKey(it),
    deploymentId: idOf(it, PARTITION.deployment('')),
    ulid: required(required(it.sk, is.text).slice(SORT.key.length), is.ulid),
    name: required(it.name, is.text),
    description: optional(it.description, is.text),
    secrets: secretsOf(it),
    leak: optional(it.leak, isLeak),
    revision: required(it.revision, is.whole),
    createdAt: required(it.createdAt, is.whole),
    createdBy: required(it.createdBy, is.text),
    activeSince: optional(it.activeSince, is.whole),
    notice: optional(it.notice, isNotice),
    unboundReportedAt: optional(it.unboundReportedAt, is.whole),
    trust: optional(it.trust, isTrust),
    lastUsedAddress: optional(it.lastUsedAddress, is.text),
    lastUsedClient: optional(it.lastUsedClient, is.text),
  }));
  const hasCredential = key && (key.secrets.length > 0 || key.trust);
  const isEnabledLeak = key?.enabled && key.leak;
  return hasCredential && !isEnabledLeak ? key : undefined;
}

/** What can be read of a key whose item `fromApiKey` does not take. Each attribute is judged by itself. */
export function fromMalformedKey(item: Item): MalformedKey | undefined {
  const isInPlace = isUlid(String(item.sk).slice(SORT.key.length));
  if (!isInPlace) return undefined;
  const readable = <T>(value: unknown, has: (value: unknown) => value is T) =>
    has(value) ? value : undefined;
  const hasTrust = item.trust !== undefined;
  const isSomeSecrets = (value: unknown): value is SecretHash[] => isSecrets(value) && value.length > 0;
  return {
    malformed: true,
    deploymentId: String(item.pk).slice(PARTITION.deployment('').length),
    ulid: String(item.sk).slice(SORT.key.length),
    name: readable(item.name, is.text),
    description: readable(item.description, is.text),
    scopes: readable(item.scopes, is.texts),
    secrets: readable(item.secrets, hasTrust ? isSecrets : isSomeSecrets),
    enabled: readable(item.enabled, is.flag),
    leak: readable(item.leak, isLeak),
    createdBy: readable(item.createdBy, is.text),
  };
}

function fromCheckedKey(item: Item | undefined): CheckedKey | undefined {
  return parsed(item, checkedKey);
}

function checkedKey(item: Item): CheckedKey {
  return {
    scopes: required(item.scopes, is.texts),
    enabled: required(item.enabled, is.flag),
    validUntil: optional(item.validUntil, is.whole),
    epoch: required(item.epoch, is.whole),
    generation: required(item.generation, is.ulid),
    lastUsedAt: optional(item.lastUsedAt, is.whole),
    networks: optional(item.networks, isNetworks),
  };
}

export function toToken({ deploymentId, ulid, hash, scopes, ...attributes }: Token): Item {
  return { ...tokenKey(deploymentId, ulid, hash), ...attributes, ...(scopes && { scope: scopes.join(' ') }) };
}

function fromCheckedToken(
  item: Item | undefined,
): Pick<Token, 'generation' | 'epoch' | 'scopes' | 'issuedAt' | 'expiresAt'> | undefined {
  return parsed(item, (it) => ({
    generation: required(it.generation, is.ulid),
    epoch: required(it.epoch, is.whole),
    scopes: scopesOf(it),
    issuedAt: required(it.issuedAt, is.seconds),
    expiresAt: required(it.expiresAt, is.seconds),
  }));
}

function fromCheckedGrant(
  item: Item | undefined,
): Pick<Grant, 'generation' | 'sub' | 'scopes' | 'issuedAt' | 'expiresAt'> | undefined {
  return parsed(item, (it) => ({
    generation: required(it.generation, is.ulid),
    sub: required(it.sub, is.text),
    scopes: scopesOf(it) ?? [],
    issuedAt: required(it.issuedAt, is.seconds),
    expiresAt: required(it.expiresAt, is.seconds),
  }));
}

/** When and from where a token was used last, as far as that was recorded: a check does not read it. */
export function fromLastUse(item: Item | undefined): LastUse | undefined {
  if (item?.lastUsedAt === undefined) return undefined;
  return parsed(item, (it) => ({
    at: required(it.lastUsedAt, is.whole),
    address: optional(it.lastUsedAddress, is.text) ?? '',
    client: optional(it.lastUsedClient, is.text) ?? '',
  }));
}

export function toGrant({ deploymentId, ulid, hash, scopes, ...attributes }: Grant): Item {
  return { ...grantKey(deploymentId, ulid, hash), ...attributes, scope: scopes.join(' ') };
}

export function fromGrant(item: Item | undefined): Grant | undefined {
  const checked = fromCheckedGrant(item);
  const [, ulid, hash] = String(item?.sk).split('#');
  return (
    checked &&
    parsed(item, (it) => ({
      ...checked,
      deploymentId: idOf(it, PARTITION.deployment('')),
      ulid: required(ulid, is.ulid),
      hash: required(hash, is.text),
    }))
  );
}

/** Scopes are stored as their OAuth string; the empty string is no scope at all. */
function scopesOf(item: Item): string[] | undefined {
  return optional(item.scope, is.text)
    ?.split(' ')
    .filter((word) => word !== '');
}

export function toIdempotencyRecord({ deploymentId, hash, ...attributes }: IdempotencyRecord): Item {
  return { ...idempotencyKey(deploymentId, attributes.generation, hash), ...attributes };
}

/** What a retry is judged by and answered with. */
export function fromIdempotencyRecord(
  item: Item | undefined,
): Pick<IdempotencyRecord, 'bodyHash' | 'answer' | 'expiresAt'> | undefined {
  return parsed(item, (it) => ({
    bodyHash: required(it.bodyHash, is.text),
    answer: required(it.answer, isAnswer),
    expiresAt: required(it.expiresAt, is.seconds),
  }));
}

export const eventKey = (deploymentId: string, id: string): ItemKey => ({
  pk: PARTITION.events(deploymentId),
  sk: id,
});

export function toEvent({ id, deploymentId, ...attributes }: ServiceEvent): Item {
  return { ...eventKey(deploymentId, id), ...attributes };
}

export function fromEvent(item: Item | undefined): ServiceEvent | undefined {
  return parsed(item, (it) => ({
    id: required(it.sk, is.ulid),
    // Also one of an earlier version, which a rollback may leave: no code branches on it.
    type: required(it.type, is.text) as ServiceEvent['type'],
    deploymentId: idOf(it, PARTITION.events('')),
    generation: required(it.generation, is.text),
    actor: typedActor(required(it.actor, isActor), required(it.type, is.text)),
    createdAt: required(it.createdAt, is.whole),
    data: required(it.data, isFields) as ServiceEvent['data'],
    expiresAt: required(it.expiresAt, is.seconds),
  }));
}

export function fromRejectedCalls(item: Item | undefined): RejectedCalls | undefined {
  return parsed(item, (it) => {
    const [, hour] = required(it.sk, is.text).split('#');
    const ids = [...(optional(it.deployments, isTextSet) ?? [])];
    return {
      caller: {
        principal: required(it.principal, is.text),
        type: required(it.principalType, is.text) as Actor['type'],
      },
      hour: required(hour, is.text),
      callCount: required(it.callCount, is.whole),
      deployments: ids.map((deploymentId) => {
        const { count, last } = rejectedCallsAttributes(deploymentId);
        return {
          deploymentId,
          count: required(it[count], is.whole),
          last: required(it[last], isRejectedCall),
        };
      }),
    };
  });
}

/** What was last heard of a Deployment from a table of somebody else's, and done. */
export interface Registration {
  id: string;
  /** The last change that was applied: its sequence number in 40 digits. */
  lastChange: string;
  /** The life of the Deployment that is the source's, or was. */
  generation: string;
  /** Whether the source has it. */
  isPresent: boolean;
  /** The key of its row, in DynamoDB's own form. */
  row: Record<string, unknown>;
}

/** @param expiresAt epoch seconds: until when a deletion is remembered */
export function toRegistration({ id, ...attributes }: Registration, expiresAt: number | undefined): Item {
  return { ...registrationKey(id), ...attributes, expiresAt };
}

/** A registration whose item is malformed: enough to follow the next change, and to replace the item. */
export interface MalformedRegistration {
  /** Undefined where it can't be read, as the next one. */
  lastChange: string | undefined;
  generation: string | undefined;
  /** True where it can't be read: the source had the Deployment, and whoever deletes its row ends it. */
  isPresent: boolean;
  /** What the item holds, undefined where that is of another type. */
  stored: { [name in 'lastChange' | 'generation' | 'isPresent']: Registration[name] | undefined };
}

export function fromMalformedRegistration(item: Item): MalformedRegistration {
  const { lastChange, generation, isPresent } = item;
  return {
    lastChange: isSequence(lastChange) ? lastChange : undefined,
    generation: is.ulid(generation) ? generation : undefined,
    isPresent: is.flag(isPresent) ? isPresent : true,
    stored: {
      lastChange: is.text(lastChange) ? lastChange : undefined,
      generation: is.text(generation) ? generation : undefined,
      isPresent: is.flag(isPresent) ? isPresent : undefined,
    },
  };
}

/** Text that is no sequence number would come after every change, and none would be followed. */
const isSequence = (value: unknown): value is string => is.text(value) && /^\d{40}$/.test(value);

export function fromRegistration(item: Item | undefined): Registration | undefined {
  return parsed(item, (it) => ({
    id: required(it.sk, (value): value is string => is.text(value) && isDeploymentId(value)),
    lastChange: required(it.lastChange, isSequence),
    generation: required(it.generation, is.ulid),
    isPresent: required(it.isPresent, is.flag),
    row: required(it.row, isFields),
  }));
}

/**
 * Does the purge of this life take the item? Also one whose generation is no ULID: no read of it can ever be
 * of a living Deployment.
 */
export function isOfLife(item: Item, generation: string): boolean {
  return item.generation === generation || !is.ulid(item.generation);
}

/** Whether an attribute names a generation. */
export const isGeneration = (value: unknown): value is string => is.ulid(value);

/** Stands for the life of an item that names none: no Deployment has it, and its purge takes all such items. */
export const NO_LIFE = '0'.repeat(26);

/** The life that a purge marker stands for. */
export function lifeOfMarker(item: Item): { deploymentId: string; generation: string } | undefined {
  const [deploymentId, generation, ...rest] = String(item.sk).split('#');
  const isMarker = deploymentId && generation && isDeploymentId(deploymentId) && isUlid(generation);
  return isMarker && rest.length === 0 ? { deploymentId, generation } : undefined;
}

/** How far a pass has come. Where it continues is a key of the table that it reads. */
export function fromPass(
  item: Item | undefined,
): { startedAt: number; after: Record<string, unknown> | undefined } | undefined {
  return parsed(item, (it) => ({
    startedAt: required(it.startedAt, is.whole),
    after: optional(it.after, isFields),
  }));
}

/** When a Deployment was deleted, as its purge marker says. */
export function fromMarker(item: Item | undefined): { createdAt: number } | undefined {
  const isMarker = item && lifeOfMarker(item);
  return isMarker && parsed(item, (it) => ({ createdAt: required(it.createdAt, is.whole) }));
}

function idOf(item: Item, prefix: string): string {
  const pk = required(item.pk, is.text);
  return required(
    pk.slice(prefix.length),
    (value): value is string => pk.startsWith(prefix) && is.text(value) && isDeploymentId(value),
  );
}
