import type { TokenRecords } from '../domain/check.ts';
import { type Credential, TOKEN_ID, tokenIdOf } from '../domain/credentials.ts';
import type { ServiceEvent } from '../domain/events.ts';
import type { EpochMillis } from '../domain/expiry.ts';
import type { LastUse, UseOrigin } from '../domain/last-use.ts';
import type { ApiKey, Generation, SecretHash, Token } from '../domain/records.ts';
import type { UsedSubject } from '../domain/subject-token.ts';
import { keyUse } from './checks.ts';
import { deploymentPartition } from './item-keys.ts';
import {
  deleteItem,
  inPartition,
  listPage,
  putItem,
  queryPages,
  readTogether,
  type Table,
  transact,
  updateItem,
} from './retried-calls.ts';
import {
  ADD_DAY,
  apiKeyKey,
  checkedKeys,
  deploymentKey,
  fromApiKey,
  fromChecked,
  fromDeployment,
  fromIssue,
  fromLastUse,
  fromToken,
  type Item,
  isOfGeneration,
  type KeyRecords,
  LAST_USE,
  lastUseOf,
  parse,
  previousSubjectKey,
  subjectKey,
  toEvent,
  tokenKey,
  tokensOf,
  toToken,
} from './schema.ts';

/** Reads a key and its Deployment in one strongly consistent read. */
export async function readKey(table: Table, deploymentId: string, ulid: string): Promise<KeyRecords> {
  const keys = { deployment: deploymentKey(deploymentId), key: apiKeyKey(deploymentId, ulid) };
  const found = await readTogether(table, Object.values(keys));
  return {
    deployment: parse(table, found(keys.deployment), fromDeployment),
    key: parse(table, found(keys.key), fromApiKey),
  };
}

/**
 * Reads the records that a check needs, the source of the exchange that issued the token, and the token's last use, in
 * one strongly consistent read.
 * @returns `isThere`: whether the token's own item exists, malformed or not
 */
export async function readToken(
  table: Table,
  credential: Credential,
  hash: string,
): Promise<{
  records: TokenRecords;
  issuedFrom: Partial<UseOrigin> | undefined;
  lastUse: LastUse | undefined;
  isThere: boolean;
}> {
  const keys = checkedKeys(credential, hash);
  const found = await readTogether(table, Object.values(keys));
  const item = found(keys.presented);
  return {
    records: fromChecked(table, keys, found),
    issuedFrom: fromIssue(item),
    lastUse: fromLastUse(item),
    isThere: item !== undefined,
  };
}

/**
 * Writes a token. Its sort key ends in the hash of 256 random bits, so no other item can have the same key.
 * @param newToken function that creates a new token for each attempt. Give the caller only the last one: if an earlier
 *   attempt takes effect late, perhaps after a revocation, it writes a token that was never given to anyone.
 */
export async function putToken(table: Table, newToken: () => Token): Promise<void> {
  await putItem(table, () => ({ Item: toToken(newToken()) }));
}

/** The first use of a secret while its key has another secret. */
export interface FirstUse {
  /** The secret as it was read. */
  secret: SecretHash;
  /** All secrets of the key after this use. */
  secrets: SecretHash[];
  /**
   * Event that says that this use retires another secret, or that the used secret retires soon; undefined if neither
   * applies.
   */
  event?: ServiceEvent | undefined;
  /** Current time in epoch milliseconds. */
  now: EpochMillis;
  from: UseOrigin;
}

/**
 * Writes a token, and records that the secret exchanged for it was used for the first time while the key has another
 * secret.
 * @returns false, without writing a token, if the key was changed or the secret was used since the key was read
 */
export async function putTokenOfFirstUse(
  table: Table,
  token: Token,
  key: ApiKey,
  { secret, secrets, event, now, from }: FirstUse,
): Promise<boolean> {
  const path = pathOf(secret, key);
  const isUnused = `${path}.#hash = :hash AND attribute_not_exists(${path}.lastUsedAt)`;
  const rejected = await transact(table, [
    { Put: { Item: toToken(token) } },
    {
      Update: {
        Key: apiKeyKey(key.deploymentId, key.ulid),
        UpdateExpression: `SET secrets = :secrets, #lastUse = :at, ${LAST_USE} ${ADD_DAY}`,
        // The revision is unchanged only if the key was neither rotated nor edited.
        ConditionExpression: `generation = :generation AND revision = :revision AND ${isUnused}`,
        ExpressionAttributeNames: { '#hash': 'hash', '#lastUse': lastUseOf(secret.hash) },
        ExpressionAttributeValues: {
          ':secrets': secrets,
          ':hash': secret.hash,
          ':generation': key.generation,
          ':revision': key.revision,
          ...keyUse(now, from),
        },
      },
    },
    ...(event ? [{ Put: { Item: toEvent(event) } }] : []),
  ]);
  return !rejected;
}

/**
 * Writes a token for a subject token that is accepted only once.
 * @returns false, without writing a token, if the subject token was used before
 */
export async function putTokenOfSubject(
  table: Table,
  token: Token,
  { hash, previousHash, until: expiresAt }: UsedSubject,
): Promise<boolean> {
  const used = { ...subjectKey(hash), expiresAt };
  // This code is needed for one release only. The previous release remembers the hash of the whole JWT, and still
  // serves calls while this release is being deployed. In the next release, delete `usedBefore`, `previousSubjectKey`
  // and `previousHash`.
  const { deploymentId, generation } = token;
  const usedBefore = { ...previousSubjectKey(deploymentId, previousHash), generation, expiresAt };
  const isNew = 'attribute_not_exists(pk)';
  const rejected = await transact(table, [
    { Put: { Item: toToken(token) } },
    { Put: { Item: used, ConditionExpression: isNew } },
    { Put: { Item: usedBefore, ConditionExpression: isNew } },
  ]);
  return !rejected;
}

/**
 * Records a use of a key with one of its secrets, unless a use after `before` is recorded, the key's secrets have
 * changed, or the key was deleted.
 * @param before epoch milliseconds
 * @param now epoch milliseconds
 * @param event event about this use; written only if the use is recorded
 */
export async function recordSecretUse(
  table: Table,
  key: ApiKey,
  secret: SecretHash,
  {
    before,
    now,
    from,
    event,
  }: { before: EpochMillis; now: EpochMillis; from: UseOrigin; event?: ServiceEvent | undefined },
): Promise<void> {
  const isDue = '(attribute_not_exists(#lastUse) OR #lastUse <= :before)';
  const update = {
    Key: apiKeyKey(key.deploymentId, key.ulid),
    UpdateExpression: `SET #lastUse = :at, ${LAST_USE} ${ADD_DAY}`,
    ConditionExpression: `${pathOf(secret, key)}.#hash = :hash AND ${isDue}`,
    ExpressionAttributeNames: { '#hash': 'hash', '#lastUse': lastUseOf(secret.hash) },
    ExpressionAttributeValues: { ':hash': secret.hash, ':before': before, ...keyUse(now, from) },
  };
  if (event) await transact(table, [{ Update: update }], event);
  else await updateItem(table, update);
}

/** The path of a secret in its key's item. */
function pathOf({ hash }: SecretHash, { secrets }: ApiKey): string {
  return `secrets[${secrets.findIndex((secret) => secret.hash === hash)}]`;
}

/**
 * Deletes a token, which may already have been deleted. A pending extension then fails, because there is no item to
 * update.
 */
export async function deleteToken(
  table: Table,
  { deploymentId, ulid, hash }: Pick<Token, 'deploymentId' | 'ulid' | 'hash'>,
): Promise<void> {
  await deleteItem(table, { Key: tokenKey(deploymentId, ulid, hash) });
}

/** A token with its last recorded use. */
export interface UsedToken {
  token: Token;
  lastUse: LastUse | undefined;
}

/** Maximum number of queries for one page: one query of the page's size, and one query of 1 MB. */
const MAX_QUERIES = 2;

/**
 * Lists a key's tokens in the order of their IDs. The number of tokens is unlimited, so a page can be short or empty
 * and still have a `next` position.
 * @param entryOf function that converts a token to an entry in the list, or returns undefined to omit the token
 * @param after ID of the token to start after
 * @param limit maximum number of tokens to return
 * @returns `next`: the ID after which the next page starts; undefined on the last page
 */
export async function listTokens<T>(
  table: Table,
  { deploymentId, ulid }: Pick<ApiKey, 'deploymentId' | 'ulid'>,
  {
    entryOf,
    after,
    limit,
  }: { entryOf: (one: UsedToken) => T | undefined; after: string | undefined; limit: number },
): Promise<{ items: T[]; next: string | undefined }> {
  const ofKey = inPartition(deploymentPartition(deploymentId), tokensOf(ulid));
  const { items, next } = await listPage(table, ofKey, {
    entryOf: (item) => {
      const token = parse(table, item, fromToken);
      return token && entryOf({ token, lastUse: fromLastUse(item) });
    },
    limit,
    maxQueries: MAX_QUERIES,
    start: after === undefined ? undefined : tokenKey(deploymentId, ulid, lastHashOf(after)),
  });
  return { items, next: next && tokenIdOf(next.sk.slice(tokensOf(ulid).length)) };
}

/**
 * Returns text that sorts after every hash that begins with this ID, because no hash contains `~`. If someone has
 * written an item by hand and its sort key is too short to contain an ID, returns the end of that sort key.
 */
const lastHashOf = (id: string) => (TOKEN_ID.test(id) ? `${id}~` : id);

/** The readable fields of a token whose item is malformed. These fields are enough to delete the token. */
export type MalformedToken = Pick<Token, 'deploymentId' | 'ulid' | 'hash'> & { malformed: true };

/**
 * Reads a token of a key.
 * @param id the token's ID: the complete hash prefix, not shortened
 */
export async function readTokenOfKey(
  table: Table,
  { id: deploymentId, generation }: Generation,
  ulid: string,
  id: string,
): Promise<Token | MalformedToken | undefined> {
  const withId = inPartition(deploymentPartition(deploymentId), tokensOf(ulid) + id);
  for await (const { items } of queryPages(table, withId)) {
    for (const item of items) {
      // Check the ID again, because not every engine that emulates DynamoDB respects case in begins_with, and a wrong
      // match would revoke a different token.
      if (!String(item.sk).startsWith(tokensOf(ulid) + id)) continue;
      const token = parse(table, item, fromToken);
      if (token?.generation === generation) return token;
      if (!token && isOfGeneration(item, generation)) return malformedToken(item, deploymentId, ulid);
    }
  }
  return undefined;
}

const malformedToken = ({ sk }: Item, deploymentId: string, ulid: string): MalformedToken => ({
  malformed: true,
  deploymentId,
  ulid,
  hash: String(sk).slice(tokensOf(ulid).length),
});

/**
 * Revokes a token. A pending extension then fails, because there is no item to update.
 * @returns false if the token is already deleted
 */
export async function revokeToken(
  table: Table,
  { deploymentId, ulid, hash }: Pick<Token, 'deploymentId' | 'ulid' | 'hash'>,
  event: ServiceEvent,
): Promise<boolean> {
  const Key = tokenKey(deploymentId, ulid, hash);
  return !(await transact(table, [{ Delete: { Key, ConditionExpression: 'attribute_exists(pk)' } }], event));
}

/**
 * Revokes a leaked access token or temporary token, which may already have been deleted.
 * @param event undefined if the token is no longer valid; the function then writes no event
 */
export async function deleteLeakedToken(
  table: Table,
  credential: Credential,
  hash: string,
  event: ServiceEvent | undefined,
): Promise<void> {
  const Key = checkedKeys(credential, hash).presented;
  if (!event) return void (await deleteItem(table, { Key }));
  await transact(table, [{ Delete: { Key, ConditionExpression: 'attribute_exists(pk)' } }], event);
}
