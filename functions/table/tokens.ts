import { DeleteCommand, PutCommand, UpdateCommand } from '@aws-sdk/lib-dynamodb';
import type { ServiceEvent } from '../domain/events.ts';
import type { Credential } from '../domain/identifiers.ts';
import type { UseOrigin } from '../domain/last-use.ts';
import type { ApiKey, Deployment, SecretHash, Token } from '../domain/records.ts';
import { ask, readTogether, type Table, transact } from './client.ts';
import {
  apiKeyKey,
  checkedKeys,
  deploymentKey,
  fromApiKey,
  fromDeployment,
  LAST_USE,
  parse,
  subjectKey,
  toEvent,
  tokenKey,
  toToken,
} from './schema.ts';

/** A key and the Deployment that it belongs to, each absent when the item is absent or malformed. */
export interface KeyRecords {
  deployment: Deployment | undefined;
  key: ApiKey | undefined;
}

/** One strongly consistent read of a key with its Deployment. */
export async function readKey(table: Table, deploymentId: string, ulid: string): Promise<KeyRecords> {
  const keys = { deployment: deploymentKey(deploymentId), key: apiKeyKey(deploymentId, ulid) };
  const found = await readTogether(table, Object.values(keys));
  return {
    deployment: parse(table, found(keys.deployment), fromDeployment),
    key: parse(table, found(keys.key), fromApiKey),
  };
}

/** One write. The sort key ends in the hash of 256 random bits, so nothing can be in its place. */
export async function putToken({ client, tableName }: Table, token: Token): Promise<void> {
  await ask(client.send(new PutCommand({ TableName: tableName, Item: toToken(token) })));
}

/**
 * The first exchange of a new secret while an older one lives: the token and the key's secrets are one write, since
 * the rotation stands on it.
 * @param secrets as they shall be
 * @returns false when the key was changed since it was read: then there is no token
 */
export async function putTokenOfFirstUse(
  table: Table,
  token: Token,
  key: ApiKey,
  secrets: SecretHash[],
): Promise<boolean> {
  const { tableName: TableName } = table;
  const refused = await transact(table, [
    { Put: { TableName, Item: toToken(token) } },
    {
      Update: {
        TableName,
        Key: apiKeyKey(key.deploymentId, key.ulid),
        UpdateExpression: 'SET secrets = :secrets',
        ConditionExpression: 'generation = :generation AND revision = :revision AND secrets = :read',
        ExpressionAttributeValues: {
          ':secrets': secrets,
          ':read': key.secrets,
          ':generation': key.generation,
          ':revision': key.revision,
        },
      },
    },
  ]);
  return !refused;
}

/**
 * Record that a key was used by one of its secrets.
 * @param now epoch milliseconds
 * @throws ConditionalCheckFailedException where the key's secrets have changed, or it is gone
 */
export async function noteExchange(
  { client, tableName }: Table,
  { deploymentId, ulid, secrets }: ApiKey,
  { hash }: SecretHash,
  now: number,
  { address, client: program }: UseOrigin,
): Promise<void> {
  const at = `secrets[${secrets.findIndex((secret) => secret.hash === hash)}]`;
  await ask(
    client.send(
      new UpdateCommand({
        TableName: tableName,
        Key: apiKeyKey(deploymentId, ulid),
        UpdateExpression: `SET ${at}.lastUsedAt = :at, ${LAST_USE}`,
        ConditionExpression: `${at}.#hash = :hash`,
        ExpressionAttributeNames: { '#hash': 'hash' },
        ExpressionAttributeValues: { ':hash': hash, ':at': now, ':address': address, ':client': program },
      }),
    ),
  );
}

/** One write; also when the token is gone already. A slide on its way finds nothing to update. */
export async function deleteToken(
  { client, tableName }: Table,
  { deploymentId, ulid, hash }: Pick<Token, 'deploymentId' | 'ulid' | 'hash'>,
): Promise<void> {
  await ask(
    client.send(new DeleteCommand({ TableName: tableName, Key: tokenKey(deploymentId, ulid, hash) })),
  );
}

/** Revoke a token or temporary token that leaked; nothing when it is gone already. */
export async function deleteLeakedToken(
  table: Table,
  credential: Credential,
  hash: string,
  event: ServiceEvent,
): Promise<void> {
  const { tableName: TableName } = table;
  const Key = checkedKeys(credential, hash).presented;
  await transact(table, [
    { Delete: { TableName, Key, ConditionExpression: 'attribute_exists(pk)' } },
    { Put: { TableName, Item: toEvent(event) } },
  ]);
}

/**
 * A token for a subject token that may not come again.
 * @param until epoch seconds: when the subject token has expired for certain
 * @returns false when it has come before: then there is no token
 */
export async function putTokenOfSubject(
  table: Table,
  token: Token,
  subjectHash: string,
  until: number,
): Promise<boolean> {
  const { tableName: TableName } = table;
  const Item = {
    ...subjectKey(token.deploymentId, subjectHash),
    generation: token.generation,
    expiresAt: until,
  };
  const refused = await transact(table, [
    { Put: { TableName, Item: toToken(token) } },
    { Put: { TableName, Item, ConditionExpression: 'attribute_not_exists(pk)' } },
  ]);
  return !refused;
}

/** Record that a key was used without a secret. */
export async function noteSubject(
  { client, tableName }: Table,
  { deploymentId, ulid }: ApiKey,
  now: number,
  { address, client: program }: UseOrigin,
): Promise<void> {
  await ask(
    client.send(
      new UpdateCommand({
        TableName: tableName,
        Key: apiKeyKey(deploymentId, ulid),
        UpdateExpression: `SET ${LAST_USE}`,
        ConditionExpression: 'attribute_exists(pk)',
        ExpressionAttributeValues: { ':at': now, ':address': address, ':client': program },
      }),
    ),
  );
}
