import type { ServiceEvent } from '../domain/events.ts';
import type {
  ApiKey,
  CheckedKey,
  Generation,
  IdempotencyRecord,
  Leak,
  MalformedKey,
  SecretHash,
  SignIn,
} from '../domain/records.ts';
import { isRepeated, recordWrites } from './idempotency.ts';
import { deploymentPartition, KEY_PREFIX } from './item-keys.ts';
import { accessCheck, isRejectedPerson } from './people.ts';
import {
  inPartition,
  isUpdated,
  listPage,
  readItem,
  readTogether,
  setAttributes,
  type Table,
  transact,
  updateItem,
  type Write,
  withCondition,
} from './retried-calls.ts';
import {
  apiKeyKey,
  deploymentKey,
  fromApiKey,
  fromCheckedKey,
  fromDeployment,
  fromMalformedKey,
  type Item,
  isGeneration,
  isOfGeneration,
  lastUseOf,
  NO_GENERATION,
  parse,
  toApiKey,
} from './schema.ts';

/** Maximum number of keys per Deployment. */
export const MAX_KEYS = 1000;

/**
 * Returns a key of this generation of the Deployment. Also returns a malformed key, so that calls can disable or delete
 * such a key.
 */
export async function readApiKey(
  table: Table,
  { id, generation }: Generation,
  ulid: string,
): Promise<ApiKey | MalformedKey | undefined> {
  return ofGeneration(generation, table, await readItem(table, apiKeyKey(id, ulid)));
}

/**
 * Returns a key, and the fields that a check reads. These fields can be well-formed even if the key is malformed.
 * @returns undefined if this generation has no such key
 */
export async function readKeyOfTokens(
  table: Table,
  { id, generation }: Generation,
  ulid: string,
): Promise<{ key: ApiKey | MalformedKey; checked: CheckedKey | undefined } | undefined> {
  const item = await readItem(table, apiKeyKey(id, ulid));
  const key = ofGeneration(generation, table, item);
  return key && { key, checked: fromCheckedKey(item) };
}

/**
 * Returns a key and the generation of its Deployment, for a leak report. The items of both can be malformed.
 * @returns undefined if there is no such Deployment, or its generation has no such key
 */
export async function readLeakedKey(
  table: Table,
  deploymentId: string,
  ulid: string,
): Promise<{ generation: string; key: ApiKey | MalformedKey } | undefined> {
  const keys = { deployment: deploymentKey(deploymentId), key: apiKeyKey(deploymentId, ulid) };
  const found = await readTogether(table, Object.values(keys));
  const [deployment, item] = [found(keys.deployment), found(keys.key)];
  if (!deployment || !item) return undefined;
  parse(table, deployment, fromDeployment);
  // If the Deployment's generation is malformed, the key might belong to it.
  const generation = [deployment.generation, item.generation].find(isGeneration) ?? NO_GENERATION;
  const key = ofGeneration(generation, table, item);
  return key && { generation, key };
}

/**
 * Returns the item as a key of the given generation. A malformed item without a generation is included, because it
 * might belong to the given generation.
 */
function ofGeneration(
  generation: string,
  table: Table,
  item: Item | undefined,
): ApiKey | MalformedKey | undefined {
  const key = parse(table, item, fromApiKey);
  if (!item || !isOfGeneration(item, generation)) return undefined;
  return key ?? fromMalformedKey(item);
}

/**
 * Lists the keys of one generation of a Deployment, including malformed keys.
 * @param order by creation
 * @param after ULID of the key to start after
 * @param limit maximum number of keys to return
 * @returns `next`: the ULID after which the next page starts; undefined on the last page
 */
export async function listApiKeys(
  table: Table,
  { id, generation }: Generation,
  {
    order = 'oldest',
    after,
    limit,
  }: { order?: 'oldest' | 'newest'; after: string | undefined; limit: number },
): Promise<{ items: (ApiKey | MalformedKey)[]; next: string | undefined }> {
  const keys = { ...inPartition(deploymentPartition(id), KEY_PREFIX), ScanIndexForward: order === 'oldest' };
  const { items, next } = await listPage(table, keys, {
    start: after === undefined ? undefined : apiKeyKey(id, after),
    limit,
    entryOf: (item) => ofGeneration(generation, table, item),
  });
  return { items, next: next?.sk.slice(KEY_PREFIX.length) };
}

/** Lists all keys of one generation of a Deployment, including malformed keys. */
export async function* allApiKeys(
  table: Table,
  deployment: Generation,
): AsyncGenerator<ApiKey | MalformedKey> {
  let after: string | undefined;
  do {
    const { items, next } = await listApiKeys(table, deployment, { after, limit: 100 });
    yield* items;
    after = next;
  } while (after !== undefined);
}

/** Additional writes and checks for the transaction in which a call creates something. */
export interface Creation {
  /** Record of the call's Idempotency-Key. */
  record?: IdempotencyRecord | undefined;
  /** The caller's sign-in; undefined for an IAM principal. */
  signIn: SignIn | undefined;
}

/**
 * Creates a key.
 * @returns `full` if the Deployment has the maximum number of keys, `gone` if that generation of the Deployment is
 *   deleted, `repeated` if an earlier call used the same Idempotency-Key, `ended` if the caller's access was ended
 */
export async function createApiKey(
  table: Table,
  key: ApiKey,
  event: ServiceEvent,
  { record, signIn }: Creation,
): Promise<'created' | 'full' | 'gone' | 'repeated' | 'ended'> {
  const isThisGeneration = 'generation = :generation';
  const hasRoom = 'keyCount < :most';
  const rejected = await transact(
    table,
    [
      {
        Update: {
          Key: deploymentKey(key.deploymentId),
          UpdateExpression: 'SET keyCount = keyCount + :one',
          ConditionExpression: `${isThisGeneration} AND ${hasRoom}`,
          ExpressionAttributeValues: { ':generation': key.generation, ':most': MAX_KEYS, ':one': 1 },
          ReturnValuesOnConditionCheckFailure: 'ALL_OLD',
        },
      },
      { Put: { Item: toApiKey(key), ConditionExpression: 'attribute_not_exists(pk)' } },
      ...accessCheck(signIn),
      ...recordWrites(record, event.createdAt),
    ],
    event,
  );
  if (!rejected) return 'created';
  if (isRepeated(rejected, record)) return 'repeated';
  if (isRejectedPerson(signIn, rejected, 2)) return 'ended';
  const [deployment] = rejected;
  const isStillThere = deployment?.failed && deployment.item?.generation === key.generation;
  return isStillThere ? 'full' : 'gone';
}

/**
 * Writes an edited key, or a report that the key leaked. The key's secrets do not change.
 * @param key the key after the change; its `revision` is one more than the revision that was read
 * @param signIn sign-in to check in the transaction; undefined for an IAM principal or a job
 * @param more further writes in the same transaction
 * @returns `changed` if the key was edited, rotated or deleted since it was read; `ended` if the person's access was
 * ended
 */
export async function editApiKey(
  table: Table,
  key: ApiKey,
  event: ServiceEvent,
  { signIn, more = [] }: { signIn?: SignIn | undefined; more?: Write[] } = {},
): Promise<'written' | 'changed' | 'ended'> {
  const { name, description, scopes, enabled, leak, validUntil, networks, trust } = key;
  const { activeSince, lastEnabled, trustSetBy, epoch, revision } = key;
  const changes = setAttributes({
    name,
    description,
    scopes,
    enabled,
    leak,
    validUntil,
    networks,
    trust,
    activeSince,
    lastEnabled,
    trustSetBy,
    epoch,
    revision,
  });
  const rejected = await transact(
    table,
    [
      {
        // A Put of the whole item could overwrite a use that another call records at the same time.
        Update: {
          Key: apiKeyKey(key.deploymentId, key.ulid),
          ...withCondition(changes, isRevision(key.generation, key.revision - 1)),
        },
      },
      ...accessCheck(signIn),
      ...more,
    ],
    event,
  );
  if (!rejected) return 'written';
  return isRejectedPerson(signIn, rejected, 1) ? 'ended' : 'changed';
}

/** The condition that a key has the generation and the revision that were read. */
function isRevision(generation: string, revision: number) {
  return {
    ConditionExpression: 'generation = :generation AND revision = :read',
    ExpressionAttributeValues: { ':generation': generation, ':read': revision },
  };
}

/**
 * Starts a new revision of a key and changes nothing else. An earlier write to the key that timed out then has no
 * effect when it reaches the table.
 * @param key the key as read
 * @returns false if the key was edited, rotated or deleted since it was read
 */
export function beginRevision(table: Table, key: ApiKey): Promise<boolean> {
  const { deploymentId, ulid, generation, revision } = key;
  const update = withCondition(setAttributes({ revision: revision + 1 }), isRevision(generation, revision));
  return isUpdated(table, { Key: apiKeyKey(deploymentId, ulid), ...update });
}

/**
 * Writes a key after a rotation.
 * @param next the key after the rotation; its `revision` is one more than that of `read`
 * @param read the key as read
 * @returns `changed` if the key was edited, rotated or deleted since it was read, or if a secret on which the rotation
 *   depends was used for the first time since then; `repeated` if an earlier call used the same Idempotency-Key
 */
export async function rotateApiKey(
  table: Table,
  next: ApiKey,
  read: ApiKey,
  event: ServiceEvent,
  { record, signIn }: Creation,
): Promise<'written' | 'changed' | 'repeated' | 'ended'> {
  const { secrets, enabled, epoch, leak, activeSince, lastEnabled, validUntil, revision } = next;
  const isKept = ({ hash }: SecretHash) => secrets.some((secret) => secret.hash === hash);
  const dropped = read.secrets.filter((secret) => !isKept(secret));
  const changes = setAttributes(
    { secrets, enabled, epoch, leak, activeSince, lastEnabled, validUntil, revision },
    dropped.map(({ hash }) => lastUseOf(hash)),
  );
  // A rotation that keeps no secret does not depend on anything that the holder of a secret can write.
  const unused = read.secrets.some(isKept)
    ? read.secrets.flatMap(({ hash, lastUsedAt }, n) => (lastUsedAt === undefined ? [{ hash, n }] : []))
    : [];
  const areUnused = unused.map(
    ({ n }) => ` AND secrets[${n}].#hash = :hash${n} AND attribute_not_exists(secrets[${n}].lastUsedAt)`,
  );
  const rejected = await transact(
    table,
    [
      {
        Update: {
          Key: apiKeyKey(next.deploymentId, next.ulid),
          ...changes,
          ConditionExpression: `generation = :generation AND revision = :read${areUnused.join('')}`,
          ExpressionAttributeNames: {
            ...changes.ExpressionAttributeNames,
            ...(unused.length > 0 && { '#hash': 'hash' }),
          },
          ExpressionAttributeValues: {
            ...changes.ExpressionAttributeValues,
            ...Object.fromEntries(unused.map(({ hash, n }) => [`:hash${n}`, hash])),
            ':generation': next.generation,
            ':read': read.revision,
          },
        },
      },
      ...accessCheck(signIn),
      ...recordWrites(record, event.createdAt),
    ],
    event,
  );
  if (!rejected) return 'written';
  if (isRepeated(rejected, record)) return 'repeated';
  return isRejectedPerson(signIn, rejected, 1) ? 'ended' : 'changed';
}

/**
 * Records in the key's item that the sweep has reported something about the key, and writes the event for that report.
 * @returns false if the key was edited or deleted since it was read
 */
export async function markApiKey(
  table: Table,
  key: ApiKey,
  reported: Pick<ApiKey, 'notice'> | Pick<ApiKey, 'unboundReportedAt'> | Pick<ApiKey, 'reportedViolations'>,
  event: ServiceEvent,
): Promise<boolean> {
  const changes = setAttributes(reported);
  const rejected = await transact(
    table,
    [
      {
        Update: {
          Key: apiKeyKey(key.deploymentId, key.ulid),
          ...withCondition(changes, isRevision(key.generation, key.revision)),
        },
      },
    ],
    event,
  );
  return !rejected;
}

/** Removes active days from a key that still exists. @param days days since 1970 in UTC; at least one */
export async function removeActiveDays(
  table: Table,
  { deploymentId, ulid }: Pick<ApiKey, 'deploymentId' | 'ulid'>,
  days: readonly number[],
): Promise<void> {
  await updateItem(table, {
    Key: apiKeyKey(deploymentId, ulid),
    UpdateExpression: 'DELETE activeDays :days',
    ConditionExpression: 'attribute_exists(pk)',
    ExpressionAttributeValues: { ':days': new Set(days) },
  });
}

/**
 * Deletes a key. The key or its Deployment can be malformed; the only condition is that the key exists.
 * @returns false if the key is already deleted
 */
export async function deleteApiKey(
  table: Table,
  { id, generation }: Generation,
  ulid: string,
  event: ServiceEvent,
): Promise<boolean> {
  const remove = {
    Delete: { Key: apiKeyKey(id, ulid), ConditionExpression: 'attribute_exists(pk)' },
  };
  const count = {
    Update: {
      Key: deploymentKey(id),
      UpdateExpression: 'SET keyCount = keyCount - :one',
      ConditionExpression: 'generation = :generation AND keyCount BETWEEN :one AND :most',
      ExpressionAttributeValues: { ':generation': generation, ':one': 1, ':most': Number.MAX_SAFE_INTEGER },
    },
  };
  const rejected = await transact(table, [remove, count], event);
  if (!rejected) return true;
  if (rejected[0]?.failed) return false;
  // A malformed Deployment must not prevent the deletion of its keys. In this case, the Deployment's key count does not
  // change, because the count must not become negative.
  return !(await transact(table, [remove], event));
}

/**
 * Revokes all tokens of a key. The key's secrets stay valid. The update does not depend on anything that another call
 * or the holder of a credential can change. It starts a new revision, so that an edit that has read the earlier epoch
 * cannot restore that epoch.
 * @returns false if the key is already deleted
 */
export async function revokeTokens(
  table: Table,
  { generation }: Generation,
  key: ApiKey | MalformedKey,
  event: ServiceEvent,
): Promise<boolean> {
  if ('malformed' in key) return isMalformedKeyChanged(table, key, {}, event);
  const Update = {
    Key: apiKeyKey(key.deploymentId, key.ulid),
    UpdateExpression: 'SET epoch = epoch + :one, revision = revision + :one',
    ConditionExpression: 'generation = :generation',
    ExpressionAttributeValues: { ':generation': generation, ':one': 1 },
  };
  return !(await transact(table, [{ Update }], event));
}

/**
 * Permanently disables a key whose item is malformed. Even if someone repairs the item, the key's tokens stay revoked
 * and pending edits fail.
 * @param leak undefined to keep the item's existing leak report
 * @returns false if the key is already deleted
 */
export function disableMalformedKey(
  table: Table,
  key: MalformedKey,
  leak: Leak | undefined,
  event: ServiceEvent,
): Promise<boolean> {
  return isMalformedKeyChanged(table, key, { enabled: false, ...(leak && { leak }) }, event);
}

/** Changes a malformed key and revokes its tokens. The only condition of the write is that the item exists. */
async function isMalformedKeyChanged(
  table: Table,
  { deploymentId, ulid }: MalformedKey,
  changes: Partial<Pick<ApiKey, 'enabled' | 'leak'>>,
  event: ServiceEvent,
): Promise<boolean> {
  // The stored epoch and revision can be malformed. The current time in milliseconds is higher than any real count.
  const next = setAttributes({ ...changes, epoch: event.createdAt, revision: event.createdAt });
  const Key = apiKeyKey(deploymentId, ulid);
  const update = { Update: { Key, ...next, ConditionExpression: 'attribute_exists(pk)' } };
  const rejected = await transact(table, [update], event);
  return !rejected;
}
