import { UpdateCommand } from '@aws-sdk/lib-dynamodb';
import type { ServiceEvent } from '../domain/events.ts';
import type {
  ApiKey,
  Generation,
  IdempotencyRecord,
  Leak,
  MalformedKey,
  SecretHash,
} from '../domain/records.ts';
import {
  assign,
  below,
  isWritten,
  listingPages,
  readItem,
  readTogether,
  type Table,
  transact,
  updateIf,
} from './client.ts';
import { isRepeated, recordWrites } from './idempotency.ts';
import {
  apiKeyKey,
  deploymentKey,
  fromApiKey,
  fromDeployment,
  fromMalformedKey,
  type Item,
  isGeneration,
  isOfLife,
  lastUseOf,
  NO_LIFE,
  PARTITION,
  parse,
  SORT,
  toApiKey,
} from './schema.ts';

/** Most keys that a Deployment may have. */
export const MAX_KEYS = 1000;

/** Returns a key of this generation of the Deployment, even a malformed one: the calls that disable or delete it need it. */
export async function readApiKey(
  table: Table,
  { id, generation }: Generation,
  ulid: string,
): Promise<ApiKey | MalformedKey | undefined> {
  return ofGeneration(generation, table, await readItem(table, apiKeyKey(id, ulid)));
}

/**
 * Returns a key and the generation of its Deployment, for a leak report. Either item may be malformed.
 * @returns undefined when there is no such Deployment, or no such key of its generation
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
  // Where the Deployment names none, the key may be of its generation.
  const generation = [deployment.generation, item.generation].find(isGeneration) ?? NO_LIFE;
  const key = ofGeneration(generation, table, item);
  return key && { generation, key };
}

/** Returns the item as a key of that generation. A malformed item without a generation may belong to it. */
function ofGeneration(
  generation: string,
  table: Table,
  item: Item | undefined,
): ApiKey | MalformedKey | undefined {
  const key = parse(table, item, fromApiKey);
  if (!item || !isOfLife(item, generation)) return undefined;
  return key ?? fromMalformedKey(item);
}

/**
 * The keys of this life of the Deployment, also malformed ones, oldest first.
 * @param after ULID to begin after
 * @param limit most to return
 */
export async function listApiKeys(
  table: Table,
  { id, generation }: Generation,
  { after, limit }: { after: string | undefined; limit: number },
): Promise<{ items: (ApiKey | MalformedKey)[]; hasMore: boolean }> {
  const keys = below(PARTITION.deployment(id), SORT.key);
  const start = after === undefined ? undefined : apiKeyKey(id, after);
  const listed: (ApiKey | MalformedKey)[] = [];
  for await (const { items } of listingPages(table, keys, limit + 1, start)) {
    for (const item of items) {
      const key = ofGeneration(generation, table, item);
      if (key) listed.push(key);
    }
    if (listed.length > limit) break;
  }
  return { items: listed.slice(0, limit), hasMore: listed.length > limit };
}

/**
 * @param record of the call's Idempotency-Key
 * @returns `full` at the Deployment's limit of keys, `gone` when that life of it is over, `repeated` when a call with
 *   the same Idempotency-Key came first
 */
export async function createApiKey(
  table: Table,
  key: ApiKey,
  event: ServiceEvent,
  record?: IdempotencyRecord,
): Promise<'created' | 'full' | 'gone' | 'repeated'> {
  const { tableName: TableName } = table;
  const isThisLife = 'generation = :generation';
  const hasRoom = 'keyCount < :most';
  const refused = await transact(
    table,
    [
      {
        Update: {
          TableName,
          Key: deploymentKey(key.deploymentId),
          UpdateExpression: 'SET keyCount = keyCount + :one',
          ConditionExpression: `${isThisLife} AND ${hasRoom}`,
          ExpressionAttributeValues: { ':generation': key.generation, ':most': MAX_KEYS, ':one': 1 },
          ReturnValuesOnConditionCheckFailure: 'ALL_OLD',
        },
      },
      { Put: { TableName, Item: toApiKey(key), ConditionExpression: 'attribute_not_exists(pk)' } },
      ...recordWrites(table, record, event.createdAt),
    ],
    event,
  );
  if (!refused) return 'created';
  if (isRepeated(refused, record)) return 'repeated';
  const [deployment] = refused;
  const isStillThisLife = deployment?.failed && deployment.item?.generation?.S === key.generation;
  return isStillThisLife ? 'full' : 'gone';
}

/**
 * Writes an edit of a key, or a report that it leaked. Its secrets stay as they are.
 * @param key the key after it; its `revision` is one more than the one that was read
 * @returns false when the key was edited, rotated or deleted since it was read
 */
export async function editApiKey(table: Table, key: ApiKey, event: ServiceEvent): Promise<boolean> {
  const { tableName: TableName } = table;
  const { name, description, scopes, enabled, leak, validUntil, networks, trust } = key;
  const { activeSince, epoch, revision } = key;
  const changes = assign({
    name,
    description,
    scopes,
    enabled,
    leak,
    validUntil,
    networks,
    trust,
    activeSince,
    epoch,
    revision,
  });
  const refused = await transact(
    table,
    [
      {
        // A Put of the whole item would lose a lastUsedAt that is written beside a use.
        Update: {
          TableName,
          Key: apiKeyKey(key.deploymentId, key.ulid),
          ...updateIf(changes, isRevision(key.generation, key.revision - 1)),
        },
      },
    ],
    event,
  );
  return !refused;
}

/** The condition that a key has the generation and the revision that were read. */
function isRevision(generation: string, revision: number) {
  return {
    ConditionExpression: 'generation = :generation AND revision = :read',
    ExpressionAttributeValues: { ':generation': generation, ':read': revision },
  };
}

/**
 * Begins a new revision of a key without changing anything else. An earlier write of the key that timed out then has no
 * effect when it reaches the table.
 * @param key as it was read
 * @returns false when the key was edited, rotated or deleted since it was read
 */
export function beginRevision({ client, tableName }: Table, key: ApiKey): Promise<boolean> {
  const { deploymentId, ulid, generation, revision } = key;
  const update = new UpdateCommand({
    TableName: tableName,
    Key: apiKeyKey(deploymentId, ulid),
    ...updateIf(assign({ revision: revision + 1 }), isRevision(generation, revision)),
  });
  return isWritten(client.send(update));
}

/**
 * Writes a key after a rotation.
 * @param next the key after it; its `revision` is one more than that of `read`
 * @param read the key as it was read
 * @param record of the call's Idempotency-Key
 * @returns `changed` when the key was edited, rotated or deleted since it was read, or when one of the secrets on which
 *   the rotation depends was used for the first time; `repeated` when a call with the same Idempotency-Key came first
 */
export async function rotateApiKey(
  table: Table,
  next: ApiKey,
  read: ApiKey,
  event: ServiceEvent,
  record?: IdempotencyRecord,
): Promise<'written' | 'changed' | 'repeated'> {
  const { tableName: TableName } = table;
  const { secrets, enabled, epoch, leak, activeSince, revision } = next;
  const isKept = ({ hash }: SecretHash) => secrets.some((secret) => secret.hash === hash);
  const dropped = read.secrets.filter((secret) => !isKept(secret));
  const changes = assign(
    { secrets, enabled, epoch, leak, activeSince, revision },
    dropped.map(({ hash }) => lastUseOf(hash)),
  );
  // A rotation that keeps no secret depends on nothing that the holder of one can write.
  const unused = read.secrets.some(isKept)
    ? read.secrets.flatMap(({ hash, lastUsedAt }, n) => (lastUsedAt === undefined ? [{ hash, n }] : []))
    : [];
  const areUnused = unused.map(
    ({ n }) => ` AND secrets[${n}].#hash = :hash${n} AND attribute_not_exists(secrets[${n}].lastUsedAt)`,
  );
  const refused = await transact(
    table,
    [
      {
        Update: {
          TableName,
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
      ...recordWrites(table, record, event.createdAt),
    ],
    event,
  );
  if (!refused) return 'written';
  return isRepeated(refused, record) ? 'repeated' : 'changed';
}

/**
 * Record what the sweep has reported about a key, with the event that reports it.
 * @returns false when somebody has edited or deleted it since it was read
 */
export async function markApiKey(
  table: Table,
  key: ApiKey,
  reported: Pick<ApiKey, 'notice'> | Pick<ApiKey, 'unboundReportedAt'>,
  event: ServiceEvent,
): Promise<boolean> {
  const { tableName: TableName } = table;
  const changes = assign(reported);
  const refused = await transact(
    table,
    [
      {
        Update: {
          TableName,
          Key: apiKeyKey(key.deploymentId, key.ulid),
          ...updateIf(changes, isRevision(key.generation, key.revision)),
        },
      },
    ],
    event,
  );
  return !refused;
}

/**
 * Deletes a key, also a malformed one, and one of a malformed Deployment: the only condition is that it is there.
 * @returns false when the key is gone already
 */
export async function deleteApiKey(
  table: Table,
  { id, generation }: Generation,
  ulid: string,
  event: ServiceEvent,
): Promise<boolean> {
  const { tableName: TableName } = table;
  const remove = {
    Delete: { TableName, Key: apiKeyKey(id, ulid), ConditionExpression: 'attribute_exists(pk)' },
  };
  const count = {
    Update: {
      TableName,
      Key: deploymentKey(id),
      UpdateExpression: 'SET keyCount = keyCount - :one',
      ConditionExpression: 'generation = :generation AND keyCount BETWEEN :one AND :most',
      ExpressionAttributeValues: { ':generation': generation, ':one': 1, ':most': Number.MAX_SAFE_INTEGER },
    },
  };
  const refused = await transact(table, [remove, count], event);
  if (!refused) return true;
  if (refused[0]?.failed) return false;
  // What the Deployment's item holds must not keep a key alive. A negative number of keys would be malformed.
  return !(await transact(table, [remove], event));
}

/**
 * Disables a key whose item is malformed, for good: its tokens stay revoked, and edits that are under way fail, also
 * when somebody repairs the item. The only condition is that the item exists.
 * @param leak undefined: what the item has of a leak stays
 * @returns false when the key is gone already
 */
export async function disableMalformedKey(
  table: Table,
  { deploymentId, ulid }: MalformedKey,
  leak: Leak | undefined,
  event: ServiceEvent,
): Promise<boolean> {
  const { tableName: TableName } = table;
  // The moment is higher than any epoch or revision that was counted, and what stands in the item may be malformed.
  const changes = assign({
    enabled: false,
    epoch: event.createdAt,
    revision: event.createdAt,
    ...(leak && { leak }),
  });
  const Key = apiKeyKey(deploymentId, ulid);
  const update = { Update: { TableName, Key, ...changes, ConditionExpression: 'attribute_exists(pk)' } };
  const refused = await transact(table, [update], event);
  return !refused;
}
