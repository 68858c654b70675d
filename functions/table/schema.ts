/**
 * The schema of the whole table: the keys and attributes of each item, and its conversion to and from records. There is
 * one partition per Deployment and no index. `from…` returns undefined for a malformed item. Readers treat such an item
 * as absent, so that it gives no one access.
 */

import type { CheckedTemporaryToken, TokenRecords } from '../domain/check.ts';
import { type Credential, hashOf, isDeploymentId, isUlid } from '../domain/credentials.ts';
import type { Deletions } from '../domain/deletion-limit.ts';
import type { ServiceEvent } from '../domain/events.ts';
import type { EpochMillis, EpochSeconds } from '../domain/expiry.ts';
import type { LastUse, UseOrigin } from '../domain/last-use.ts';
import { OF_PEOPLE, typedActor } from '../domain/people.ts';
import type {
  AccessJob,
  AccessRecord,
  Actor,
  ApiKey,
  CheckedKey,
  Deployment,
  HeldKey,
  IdempotencyRecord,
  Leak,
  MalformedKey,
  PersonId,
  RejectedCall,
  RejectedCalls,
  SecretHash,
  TemporaryToken,
  Token,
} from '../domain/records.ts';
import type { TrustRule } from '../domain/trust.ts';
import {
  DELETIONS_PARTITION,
  DEPLOYMENT_SORT_KEY,
  DIRECTORY_PARTITION,
  deploymentPartition,
  eventsPartition,
  groupPartition,
  IDEMPOTENCY_PREFIX,
  KEY_PREFIX,
  PASSES_PARTITION,
  PEOPLE_PARTITION,
  PURGES_PARTITION,
  personPartition,
  REJECTED_CALLS_PARTITION,
  RESTORES_PARTITION,
  SOURCES_PARTITION,
  subjectPartition,
  TEMPORARY_TOKEN_PREFIX,
  TOKEN_PREFIX,
} from './item-keys.ts';

/** An item with plain values. */
export type Item = Record<string, unknown>;
export interface ItemKey {
  pk: string;
  sk: string;
}

/** Checks of an attribute's type. */
export const is = {
  text: (value: unknown): value is string => typeof value === 'string',
  flag: (value: unknown): value is boolean => typeof value === 'boolean',
  /**
   * Reports whether a value is a count, an epoch, or a time in epoch milliseconds: a whole number that is not negative
   * and within the range of a Date.
   */
  whole: (value: unknown): value is number =>
    Number.isInteger(value) && (value as number) >= 0 && (value as number) <= 8.64e15,
  /** Reports whether a value is a time in epoch seconds. */
  seconds: (value: unknown): value is EpochSeconds => is.whole(value) && value <= 8.64e12,
  texts: (value: unknown): value is string[] => Array.isArray(value) && value.every(is.text),
  ulid: (value: unknown): value is string => is.text(value) && isUlid(value),
};

// All primary keys in the table.
export const deploymentKey = (id: string): ItemKey => ({
  pk: deploymentPartition(id),
  sk: DEPLOYMENT_SORT_KEY,
});
export const directoryKey = (id: string): ItemKey => ({ pk: DIRECTORY_PARTITION, sk: id });
export const groupEntryKey = (group: string, id: string): ItemKey => ({ pk: groupPartition(group), sk: id });
export const apiKeyKey = (deploymentId: string, ulid: string): ItemKey => ({
  pk: deploymentPartition(deploymentId),
  sk: KEY_PREFIX + ulid,
});
/** Prefix of the sort keys for all of one key's tokens. */
export const tokensOf = (ulid: string) => `${TOKEN_PREFIX}${ulid}#`;
export const tokenKey = (deploymentId: string, ulid: string, hash: string): ItemKey => ({
  pk: deploymentPartition(deploymentId),
  sk: tokensOf(ulid) + hash,
});
/** Prefix of a temporary token's sort key. */
export const temporaryTokensOf = (ulid: string) => `${TEMPORARY_TOKEN_PREFIX}${ulid}#`;
export const temporaryTokenKey = (deploymentId: string, ulid: string, hash: string): ItemKey => ({
  pk: deploymentPartition(deploymentId),
  sk: temporaryTokensOf(ulid) + hash,
});
export const ulidOfTemporaryToken = ({ sk }: ItemKey): string => sk.split('#')[1] ?? '';
export const idempotencyKey = (deploymentId: string, generation: string, hash: string): ItemKey => ({
  pk: deploymentPartition(deploymentId),
  sk: `${IDEMPOTENCY_PREFIX}${generation}#${hash}`,
});
/**
 * Key of a used subject token. The item does not belong to a Deployment, so that the token is accepted only once in the
 * whole stack, and no purge removes the item.
 */
export const subjectKey = (hash: string): ItemKey => ({ pk: subjectPartition(hash), sk: 'SUBJECT' });
/**
 * Key of the item in which the previous release remembers a used subject token. Delete this function together with the
 * second record in `putTokenOfSubject`.
 */
export const previousSubjectKey = (deploymentId: string, hash: string): ItemKey => ({
  pk: deploymentPartition(deploymentId),
  sk: subjectPartition(hash),
});
/** Key of the person's record. Neither the issuer nor the `sub` can contain NUL. */
export const personKey = ({ issuer, sub }: PersonId): ItemKey => ({
  pk: personPartition(hashOf(`${issuer}\0${sub}`)),
  sk: 'PERSON',
});
/** Returns the key of a person's record from their entry in the list of people. */
export const recordKeyOf = (entry: Item): ItemKey => ({ pk: String(entry.sk), sk: 'PERSON' });
/** Key of the item for an API key that the job has found, in the partition of the API key's holder. */
export const heldKeyKey = (person: PersonId, keyId: string): ItemKey => ({
  pk: personKey(person).pk,
  sk: KEY_PREFIX + keyId,
});
/** Key of the person's entry in the list of people. */
export const peopleEntryKey = (person: PersonId): ItemKey => ({
  pk: PEOPLE_PARTITION,
  sk: personKey(person).pk,
});
/** Key of the item that marks a person's job as unfinished. */
export const accessJobKey = (person: PersonId): ItemKey => ({
  pk: PEOPLE_PARTITION,
  sk: `JOB#${personKey(person).pk}`,
});
export const purgeMarkerKey = (deploymentId: string, generation: string): ItemKey => ({
  pk: PURGES_PARTITION,
  sk: `${deploymentId}#${generation}`,
});
export const registrationKey = (id: string): ItemKey => ({ pk: SOURCES_PARTITION, sk: id });
export const passKey = (name: string): ItemKey => ({ pk: PASSES_PARTITION, sk: name });
/**
 * Key of the item that counts the deletions of a followed table. The item is not in the partition `SOURCES`, where each
 * sort key is a Deployment's ID.
 */
export const deletionsKey = (): ItemKey => ({ pk: DELETIONS_PARTITION, sk: 'DELETIONS' });

/**
 * Key of the item that counts a caller's rejected calls in one hour.
 * @param hour hour in UTC, such as `2030-01-01T12`
 */
export const rejectedCallsKey = (callerHash: string, hour: string): ItemKey => ({
  pk: REJECTED_CALLS_PARTITION,
  sk: `${callerHash}#${hour}`,
});
/**
 * Names of the attributes for one Deployment. A Deployment ID cannot contain `#`, so no ID can produce the name of a
 * different attribute.
 */
export const rejectedCallsAttributes = (deploymentId: string) => ({
  count: `count#${deploymentId}`,
  last: `last#${deploymentId}`,
});

/** The progress of a restore, stored in the target table. */
export const restoreKey = (restoreId: string): ItemKey => ({ pk: RESTORES_PARTITION, sk: restoreId });

/**
 * The attribute of a key that records when one of the key's secrets was last used. It is separate from `secrets`
 * because the holder of a secret can change this time at any moment, and a change to the secrets must not depend on it.
 * `secrets` records the use of a secret in two cases only: the first use while the key has another secret, and uses
 * that earlier versions recorded.
 */
export const lastUseOf = (hash: string) => `lastUsedAt#${hash.slice(0, 8)}`;

function secretsOf(item: Item): SecretHash[] {
  return required(item.secrets, isSecrets).map((secret) => {
    const recorded = item[lastUseOf(secret.hash)];
    if (!is.whole(recorded)) return secret;
    return { ...secret, lastUsedAt: Math.max(recorded, secret.lastUsedAt ?? 0) };
  });
}

// The type checks of attributes that only some functions read. They are not part of `is`, so that the authorizer's
// bundle does not contain them.
const isSecrets = (value: unknown): value is SecretHash[] => Array.isArray(value) && value.every(isSecret);

/** Reports whether a value is a map. Sets and binary values are not. */
const isFields = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype;

/** Rejects an empty list of IP ranges, because it would reject every call. The service never stores an empty list. */
const isNetworks = (value: unknown): value is string[] => is.texts(value) && value.length > 0;

function isActor(value: unknown): value is Omit<Actor, 'type'> & { type?: Actor['type'] } {
  const { principal, name, type, address, requestId } = (value ?? {}) as Partial<
    Record<keyof Actor, unknown>
  >;
  // A later version might have written a different type before a rollback, and earlier versions wrote no type.
  const isTyped = type === undefined || is.text(type);
  const isNamed = name === undefined || is.text(name);
  return is.text(principal) && isNamed && isTyped && is.text(address) && is.text(requestId);
}

const isTrust = (value: unknown): value is TrustRule[] => Array.isArray(value) && value.every(isTrustRule);

function isTrustRule(value: unknown): boolean {
  const { issuer, audience, claims, singleUse } = (value ?? {}) as Partial<Record<keyof TrustRule, unknown>>;
  return (
    is.text(issuer) &&
    (audience === undefined || is.text(audience)) &&
    (singleUse === undefined || is.flag(singleUse)) &&
    isFields(claims) &&
    // A rule without claims, or with an empty prefix, would accept every token of its issuer. The API rejects such rules.
    Object.keys(claims).length > 0 &&
    Object.values(claims).every(
      (rule) => is.text(rule) || (isFields(rule) && is.text(rule.prefix) && rule.prefix !== ''),
    )
  );
}

const isEnabling = (value: unknown): value is NonNullable<ApiKey['lastEnabled']> =>
  isFields(value) && is.whole(value.at) && is.text(value.by);

const isNotice = (value: unknown): value is NonNullable<ApiKey['notice']> =>
  isFields(value) && is.text(value.type) && is.whole(value.of);

const isTextSet = (value: unknown): value is Set<string> => value instanceof Set && [...value].every(is.text);

const isDays = (value: unknown): value is Set<number> => value instanceof Set && [...value].every(is.whole);

const isRejectedCall = (value: unknown): value is RejectedCall =>
  isFields(value) &&
  is.whole(value.at) &&
  is.whole(value.status) &&
  [value.call, value.code, value.address, value.requestId].every(is.text);

const isLeak = (value: unknown): value is Leak =>
  is.whole((value as Leak | null)?.reportedAt) && is.flag((value as Leak).wasEnabled);

/** Parses the response to a call that created something, which is always a JSON object. */
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
    (value.lastUsedAt === undefined || is.whole(value.lastUsedAt)) &&
    (value.setBy === undefined || is.text(value.setBy))
  );
}

/** Returns the value, or undefined if it is absent. @throws Malformed if it has another type */
function optional<T>(value: unknown, has: (value: unknown) => value is T): T | undefined {
  return value === undefined ? undefined : required(value, has);
}

/** Returns the value. @throws Malformed if the value is absent or has another type */
function required<T>(value: unknown, has: (value: unknown) => value is T): T {
  if (!has(value)) throw new Malformed();
  return value;
}

class Malformed extends Error {}

/** Runs a parser. @returns undefined if the item is absent or malformed */
function parsed<T>(item: Item | undefined, parse: (item: Item) => T): T | undefined {
  if (!item) return undefined;
  try {
    return parse(item);
  } catch (error) {
    if (error instanceof Malformed) return undefined;
    throw error;
  }
}

/** Called with the key of each malformed item. The reader then treats the item as absent. */
export type OnMalformed = (key: ItemKey) => void;

/** Parses an item, and reports it if it is malformed. @returns undefined if the item is absent or malformed */
export function parse<T>(
  { onMalformed }: { onMalformed: OnMalformed },
  item: Item | undefined,
  from: (item: Item | undefined) => T | undefined,
): T | undefined {
  const record = from(item);
  if (item && record === undefined) onMalformed({ pk: String(item.pk), sk: String(item.sk) });
  return record;
}

/** A key and its Deployment. Each of them is undefined if its item is absent or malformed. */
export interface KeyRecords {
  deployment: Deployment | undefined;
  key: ApiKey | undefined;
}

/** Keys of the items that a check reads for a token. */
export interface CheckedKeys {
  deployment: ItemKey;
  /** Key of the item for the token's API key; undefined for a temporary token. */
  key?: ItemKey;
  /** Key of the presented access token or temporary token. */
  presented: ItemKey;
}

export function checkedKeys({ kind, deploymentId, ulid }: Credential, hash: string): CheckedKeys {
  const deployment = deploymentKey(deploymentId);
  return kind === 'temporary'
    ? { deployment, presented: temporaryTokenKey(deploymentId, ulid, hash) }
    : { deployment, key: apiKeyKey(deploymentId, ulid), presented: tokenKey(deploymentId, ulid, hash) };
}

/** The part of an update expression that records a use. */
export const LAST_USE = 'lastUsedAt=:at,lastUsedAddress=:ip,lastUsedClient=:agent';
/** The part of an update expression that records on which day a key was used. It follows `SET`. */
export const ADD_DAY = 'ADD activeDays :day';

/** Converts the items that a check read to its records. */
export function fromChecked(
  reader: { onMalformed: OnMalformed },
  { deployment, key, presented }: CheckedKeys,
  found: (key: ItemKey) => Item | undefined,
): TokenRecords {
  const item = found(presented);
  return {
    deployment: parse(reader, found(deployment), fromCheckedDeployment),
    ...(key
      ? { key: parse(reader, found(key), fromCheckedKey), token: parse(reader, item, fromCheckedToken) }
      : { temporaryToken: parse(reader, item, fromCheckedTemporaryToken) }),
  };
}

export function toDeployment(deployment: Deployment): Item {
  const { id, name, groups, generation, keyCount, revision, createdAt } = deployment;
  return { ...deploymentKey(id), name, groups, generation, keyCount, revision, createdAt };
}

/**
 * Creates the directory entry. It contains the fields that a listing shows, and the generation, which is the condition
 * for deleting the entry.
 */
export function toDirectoryEntry({ id, name, groups, generation, createdAt }: Deployment): Item {
  return { ...directoryKey(id), name, groups, generation, createdAt };
}

/** Maximum number of characters in a group that has entries. DynamoDB limits a partition key to 2,048 bytes. */
const MAX_GROUP_LENGTH = 500;

/** Reports whether Deployments have entries in a group. Only groups from earlier versions can be too long. */
export const hasEntries = (group: string): boolean => group.length <= MAX_GROUP_LENGTH;

/** Returns the keys of a Deployment's entries, one for each group. */
export function groupEntryKeys({ id, groups }: { id: string; groups: readonly string[] }): ItemKey[] {
  return [...new Set(groups)].filter(hasEntries).map((group) => groupEntryKey(group, id));
}

/** Returns a Deployment's entries, one for each group. Each has the attributes of the directory entry. */
export function toGroupEntries(deployment: Deployment): Item[] {
  return groupEntryKeys(deployment).map((key) => ({ ...toDirectoryEntry(deployment), ...key }));
}

export function fromDeployment(item: Item | undefined): Deployment | undefined {
  return parsed(item, (it) => ({
    id: idOf(it, deploymentPartition('')),
    name: required(it.name, is.text),
    groups: required(it.groups, is.texts),
    generation: required(it.generation, is.ulid),
    keyCount: required(it.keyCount, is.whole),
    revision: optional(it.revision, is.whole),
    createdAt: required(it.createdAt, is.whole),
  }));
}

/** Returns a Deployment from its entry in the directory or in a group, without the number of keys. */
export function fromDirectoryEntry(item: Item | undefined): Omit<Deployment, 'keyCount'> | undefined {
  return parsed(item, (it) => ({
    id: required(it.sk, (value): value is string => is.text(value) && isDeploymentId(value)),
    name: required(it.name, is.text),
    groups: required(it.groups, is.texts),
    generation: required(it.generation, is.ulid),
    createdAt: required(it.createdAt, is.whole),
  }));
}

/** Returns the generation that a check compares with the generations of the key and the token. */
function fromCheckedDeployment(item: Item | undefined): { generation: string } | undefined {
  return parsed(item, (it) => ({ generation: required(it.generation, is.ulid) }));
}

export function toApiKey({ deploymentId, ulid, ...attributes }: ApiKey): Item {
  return { ...apiKeyKey(deploymentId, ulid), ...attributes };
}

export function fromApiKey(item: Item | undefined): ApiKey | undefined {
  const key = parsed(item, (it) => ({
    ...checkedKey(it),
    deploymentId: idOf(it, deploymentPartition('')),
    ulid: required(required(it.sk, is.text).slice(KEY_PREFIX.length), is.ulid),
    name: required(it.name, is.text),
    description: optional(it.description, is.text),
    secrets: secretsOf(it),
    leak: optional(it.leak, isLeak),
    revision: required(it.revision, is.whole),
    createdAt: required(it.createdAt, is.whole),
    createdBy: required(it.createdBy, is.text),
    createdByName: optional(it.createdByName, is.text),
    activeSince: optional(it.activeSince, is.whole),
    notice: optional(it.notice, isNotice),
    unboundReportedAt: optional(it.unboundReportedAt, is.whole),
    reportedViolations: optional(it.reportedViolations, is.texts),
    trust: optional(it.trust, isTrust),
    trustSetBy: optional(it.trustSetBy, is.text),
    lastEnabled: optional(it.lastEnabled, isEnabling),
    lastUsedAddress: optional(it.lastUsedAddress, is.text),
    lastUsedClient: optional(it.lastUsedClient, is.text),
    activeDays: optional(it.activeDays, isDays),
  }));
  const hasCredential = key && (key.secrets.length > 0 || key.trust);
  const isEnabledLeak = key?.enabled && key.leak;
  return hasCredential && !isEnabledLeak ? key : undefined;
}

/** Returns the readable attributes of a malformed key. Omits malformed attributes. */
export function fromMalformedKey(item: Item): MalformedKey | undefined {
  const isInPlace = isUlid(String(item.sk).slice(KEY_PREFIX.length));
  if (!isInPlace) return undefined;
  const readable = <T>(value: unknown, has: (value: unknown) => value is T) =>
    has(value) ? value : undefined;
  const hasTrust = item.trust !== undefined;
  const isSomeSecrets = (value: unknown): value is SecretHash[] => isSecrets(value) && value.length > 0;
  return {
    malformed: true,
    deploymentId: String(item.pk).slice(deploymentPartition('').length),
    ulid: String(item.sk).slice(KEY_PREFIX.length),
    name: readable(item.name, is.text),
    description: readable(item.description, is.text),
    scopes: readable(item.scopes, is.texts),
    secrets: readable(item.secrets, hasTrust ? isSecrets : isSomeSecrets),
    enabled: readable(item.enabled, is.flag),
    leak: readable(item.leak, isLeak),
    createdBy: readable(item.createdBy, is.text),
    trustSetBy: readable(item.trustSetBy, is.text),
  };
}

export function fromCheckedKey(item: Item | undefined): CheckedKey | undefined {
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

/** The sort key of every token that the service writes ends in a SHA-256 hash. */
const isHash = (value: unknown): value is string => is.text(value) && /^[A-Za-z0-9_-]{43}$/.test(value);

/** Returns the IDs in a token's primary key. @throws Malformed if the partition key, ULID or hash is malformed */
function idsOfToken(item: Item, isTokenHash: (value: unknown) => value is string) {
  const [, ulid, hash] = String(item.sk).split('#');
  return {
    deploymentId: idOf(item, deploymentPartition('')),
    ulid: required(ulid, is.ulid),
    hash: required(hash, isTokenHash),
  };
}

export function fromToken(item: Item | undefined): Token | undefined {
  const checked = fromCheckedToken(item);
  return checked && parsed(item, (it) => ({ ...checked, ...idsOfToken(it, isHash) }));
}

function fromCheckedTemporaryToken(item: Item | undefined): CheckedTemporaryToken | undefined {
  return parsed(item, (it) => ({
    generation: required(it.generation, is.ulid),
    sub: required(it.sub, is.text),
    signedInAt: optional(it.signedInAt, is.seconds),
    scopes: scopesOf(it) ?? [],
    issuedAt: required(it.issuedAt, is.seconds),
    expiresAt: required(it.expiresAt, is.seconds),
  }));
}

/** Returns the time and source of a token's last use, if they were recorded. Checks do not read these attributes. */
export function fromLastUse(item: Item | undefined): LastUse | undefined {
  if (item?.lastUsedAt === undefined) return undefined;
  return parsed(item, (it) => ({
    at: required(it.lastUsedAt, is.whole),
    address: optional(it.lastUsedAddress, is.text) ?? '',
    client: optional(it.lastUsedClient, is.text) ?? '',
  }));
}

/**
 * Returns the well-formed parts of the recorded source of the exchange that issued a token.
 * @returns undefined if nothing was recorded
 */
export function fromIssue(item: Item | undefined): Partial<UseOrigin> | undefined {
  const [address, client] = [item?.issuedAddress, item?.issuedClient].map((it) =>
    is.text(it) ? it : undefined,
  );
  return address === undefined && client === undefined
    ? undefined
    : ({ address, client } as Partial<UseOrigin>);
}

export function toTemporaryToken({ deploymentId, ulid, hash, scopes, ...attributes }: TemporaryToken): Item {
  return { ...temporaryTokenKey(deploymentId, ulid, hash), ...attributes, scope: scopes.join(' ') };
}

export function fromTemporaryToken(item: Item | undefined): TemporaryToken | undefined {
  const checked = fromCheckedTemporaryToken(item);
  return (
    checked &&
    parsed(item, (it) => ({ ...checked, ...idsOfToken(it, is.text), name: optional(it.name, is.text) }))
  );
}

/** Scopes are stored as a single OAuth scope string. The empty string means no scopes. */
function scopesOf(item: Item): string[] | undefined {
  return optional(item.scope, is.text)
    ?.split(' ')
    .filter((word) => word !== '');
}

export function toIdempotencyRecord({ deploymentId, hash, ...attributes }: IdempotencyRecord): Item {
  return { ...idempotencyKey(deploymentId, attributes.generation, hash), ...attributes };
}

/** Returns the hash of an earlier call's body, and the response to that call. */
export function fromIdempotencyRecord(
  item: Item | undefined,
): Pick<IdempotencyRecord, 'bodyHash' | 'answer' | 'expiresAt'> | undefined {
  return parsed(item, (it) => ({
    bodyHash: required(it.bodyHash, is.text),
    answer: required(it.answer, isAnswer),
    expiresAt: required(it.expiresAt, is.seconds),
  }));
}

/**
 * Returns when a person's access was ended. If the record is malformed, every temporary token is
 * rejected.
 * @returns undefined if there is no item
 */
export function fromEnd(
  reader: { onMalformed: OnMalformed },
  item: Item | undefined,
): EpochMillis | undefined {
  return item && (parse(reader, item, endOf) ?? Infinity);
}

const endOf = (item: Item | undefined) =>
  parsed(item, (it) => (required(it.blocked, is.flag) ? Infinity : required(it.endedAt, is.whole)));

const isKeysOfPerson = (value: unknown): value is AccessJob['keys'] =>
  value === 'report' || value === 'disable';

const isAccessJob = (value: unknown): value is AccessJob =>
  isFields(value) &&
  is.ulid(value.id) &&
  isKeysOfPerson(value.keys) &&
  (value.keepsEnabledAfter === undefined || is.whole(value.keepsEnabledAfter)) &&
  (value.after === undefined || is.text(value.after)) &&
  (value.hasSkipped === undefined || is.flag(value.hasSkipped)) &&
  is.whole(value.found) &&
  is.whole(value.disabled) &&
  (value.finishedAt === undefined || is.whole(value.finishedAt));

export function toAccessRecord(record: AccessRecord): Item {
  return { ...personKey(record), ...record };
}

export function fromAccessRecord(item: Item | undefined): AccessRecord | undefined {
  return parsed(item, (it) => ({
    endedAt: required(it.endedAt, is.whole),
    blocked: required(it.blocked, is.flag),
    issuer: required(it.issuer, is.text),
    sub: required(it.sub, is.text),
    revision: required(it.revision, is.whole),
    job: required(it.job, isAccessJob),
  }));
}

/** Returns the person from an entry in the list of people. */
export function fromPersonId(item: Item | undefined): PersonId | undefined {
  return parsed(item, personOf);
}

const personOf = (item: Item): PersonId => ({
  issuer: required(item.issuer, is.text),
  sub: required(item.sub, is.text),
});

/** Returns the person and the job from an unfinished job's marker. */
export function fromJobMark(item: Item | undefined): (PersonId & { jobId: string }) | undefined {
  return parsed(item, (it) => ({ ...personOf(it), jobId: required(it.jobId, is.ulid) }));
}

export function toHeldKey(person: PersonId, key: HeldKey): Item {
  return { ...heldKeyKey(person, key.keyId), ...key };
}

const isReasons = (value: unknown): value is HeldKey['reasons'] =>
  is.texts(value) && value.every((it) => ['created', 'secret', 'trust'].includes(it));

export function fromHeldKey(item: Item | undefined): HeldKey | undefined {
  return parsed(item, (it) => ({
    keyId: required(it.keyId, is.text),
    jobId: required(it.jobId, is.ulid),
    name: required(it.name, is.text),
    reasons: required(it.reasons, isReasons),
    disabled: required(it.disabled, is.flag),
  }));
}

export const eventKey = (deploymentId: string, id: string): ItemKey => ({
  pk: eventsPartition(deploymentId),
  sk: id,
});

export function toEvent({ id, deploymentId, ...attributes }: ServiceEvent): Item {
  return { ...eventKey(deploymentId, id), ...attributes };
}

export function fromEvent(item: Item | undefined): ServiceEvent | undefined {
  return parsed(item, (it) => ({
    id: required(it.sk, is.ulid),
    // Accepts any text, because a different version might have written a type that this version does not know, and no
    // code depends on the type.
    type: required(it.type, is.text) as ServiceEvent['type'],
    deploymentId: it.pk === eventsPartition(OF_PEOPLE.id) ? OF_PEOPLE.id : idOf(it, eventsPartition('')),
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

/** The last change from a followed table that was applied to a Deployment. */
export interface Registration {
  id: string;
  /** The sequence number of the change, padded to 40 digits. */
  lastChange: string;
  /** The generation under which the source registered the Deployment. */
  generation: string;
  /** Whether the source contains the Deployment. */
  isPresent: boolean;
  /** Primary key of the Deployment's row, as DynamoDB attribute values. */
  row: Record<string, unknown>;
}

/** Returns the item of a registration. @param expiresAt time until which a deletion is remembered */
export function toRegistration(
  { id, ...attributes }: Registration,
  expiresAt: EpochSeconds | undefined,
): Item {
  return { ...registrationKey(id), ...attributes, expiresAt };
}

/**
 * A registration whose item is malformed. It has the fields needed to apply the next change and to replace the item.
 */
export interface MalformedRegistration {
  /** The sequence number of the last change; undefined if malformed. The same applies to `generation`. */
  lastChange: string | undefined;
  generation: string | undefined;
  /**
   * Whether the source contains the Deployment. True if the attribute is malformed, so that deleting the row also
   * deletes the Deployment.
   */
  isPresent: boolean;
  /** The attributes of the item. An attribute of the wrong type is undefined. */
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

/**
 * Accepts only sequence numbers with 40 digits. Other text could sort after every sequence number, and no further
 * change would then be applied.
 */
const isSequence = (value: unknown): value is string => is.text(value) && /^\d{40}$/.test(value);

export function fromRegistration(item: Item | undefined): Registration | undefined {
  return parsed(item, (it) => ({
    id: required(it.sk, (value): value is string => is.text(value) && isDeploymentId(value)),
    lastChange: required(it.lastChange, isSequence),
    generation: required(it.generation, is.ulid),
    isPresent: required(it.isPresent, is.flag),
    row: required(it.row, isRowKey),
  }));
}

/**
 * Reports whether a value is the primary key of a row in another table: one or two DynamoDB attribute values of types
 * that a key can have.
 */
export function isRowKey(value: unknown): value is Registration['row'] {
  if (!isFields(value)) return false;
  const attributes = Object.values(value);
  return (attributes.length === 1 || attributes.length === 2) && attributes.every(isKeyAttribute);
}

function isKeyAttribute(value: unknown): boolean {
  if (!isFields(value) || Object.keys(value).length !== 1) return false;
  return is.text(value.S) || is.text(value.N) || value.B instanceof Uint8Array;
}

/**
 * Reports whether the purge of this generation deletes the item. The purge also deletes items with a malformed
 * generation, because such items do not belong to any generation.
 */
export function isOfGeneration(item: Item, generation: string): boolean {
  return item.generation === generation || !is.ulid(item.generation);
}

/** Reports whether an attribute is a valid generation. */
export const isGeneration = (value: unknown): value is string => is.ulid(value);

/**
 * Placeholder generation for an item without a valid generation. No Deployment has this generation, and its purge
 * deletes all such items.
 */
export const NO_GENERATION = /* @__PURE__ */ '0'.repeat(26);

/** Returns the Deployment and generation of a purge marker. */
export function generationOfMarker(item: Item): { deploymentId: string; generation: string } | undefined {
  const [deploymentId, generation, ...rest] = String(item.sk).split('#');
  const isMarker = deploymentId && generation && isDeploymentId(deploymentId) && isUlid(generation);
  return isMarker && rest.length === 0 ? { deploymentId, generation } : undefined;
}

/** Returns the progress of a pass. `after` is a key of the table that the pass reads. */
export function fromPassProgress(
  item: Item | undefined,
): { startedAt: EpochMillis; after: Record<string, unknown> | undefined } | undefined {
  return parsed(item, (it) => ({
    startedAt: required(it.startedAt, is.whole),
    after: optional(it.after, isFields),
  }));
}

/** Returns the deletions that are counted for a followed table, and the item's revision. */
export function fromDeletions(item: Item | undefined): (Deletions & { revision: string }) | undefined {
  return parsed(item, (it) => ({
    hour: { startedAt: required(it.hourStartedAt, is.whole), deleted: required(it.hourDeleted, is.whole) },
    day: { startedAt: required(it.dayStartedAt, is.whole), deleted: required(it.dayDeleted, is.whole) },
    present: required(it.present, is.whole),
    stoppedAt: optional(it.stoppedAt, is.whole),
    revision: required(it.revision, is.ulid),
  }));
}

export function toDeletions({
  hour,
  day,
  present,
  stoppedAt,
  revision,
}: Deletions & { revision: string }): Item {
  return {
    ...deletionsKey(),
    hourStartedAt: hour.startedAt,
    hourDeleted: hour.deleted,
    dayStartedAt: day.startedAt,
    dayDeleted: day.deleted,
    present,
    stoppedAt,
    revision,
  };
}

/** The progress of a restore, stored in the target table. */
export interface RestoreRecord {
  /** When the restore started. */
  startedAt: EpochMillis;
  /** When the restore finished. */
  finishedAt?: EpochMillis | undefined;
  /** Options of the restore; undefined for a restore by an earlier version. */
  options?: RestoreOptions | undefined;
}

/** The options that decide what a restore does with a backup. */
export interface RestoreOptions {
  /** Time of the backup. */
  point: EpochMillis;
  /** Actors whose changes the restore does not reapply, sorted. */
  ignored: string[];
  disablesAll: boolean;
  /** Path to the event archive, as given; undefined if no path was given. */
  archive?: string | undefined;
}

const isRestoreOptions = (value: unknown): value is RestoreOptions =>
  isFields(value) &&
  is.whole(value.point) &&
  is.texts(value.ignored) &&
  is.flag(value.disablesAll) &&
  (value.archive === undefined || is.text(value.archive));

export function fromRestoreRecord(item: Item | undefined): RestoreRecord | undefined {
  return parsed(item, (it) => ({
    startedAt: required(it.startedAt, is.whole),
    finishedAt: optional(it.finishedAt, is.whole),
    options: optional(it.options, isRestoreOptions),
  }));
}

/** Returns when a Deployment was deleted. */
export function fromMarker(item: Item | undefined): { createdAt: EpochMillis } | undefined {
  const isMarker = item && generationOfMarker(item);
  return isMarker && parsed(item, (it) => ({ createdAt: required(it.createdAt, is.whole) }));
}

function idOf(item: Item, prefix: string): string {
  const pk = required(item.pk, is.text);
  return required(
    pk.slice(prefix.length),
    (value): value is string => pk.startsWith(prefix) && is.text(value) && isDeploymentId(value),
  );
}
