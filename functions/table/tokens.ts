import { DeleteCommand, PutCommand } from '@aws-sdk/lib-dynamodb';
import type { ApiKey, Deployment, Token } from '../domain/records.ts';
import { ask, readTogether, type Table } from './client.ts';
import { apiKeyKey, deploymentKey, fromApiKey, fromDeployment, parse, tokenKey, toToken } from './schema.ts';

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

/** One write; also when the token is gone already. A slide on its way finds nothing to update. */
export async function deleteToken(
  { client, tableName }: Table,
  { deploymentId, ulid, hash }: Pick<Token, 'deploymentId' | 'ulid' | 'hash'>,
): Promise<void> {
  await ask(
    client.send(new DeleteCommand({ TableName: tableName, Key: tokenKey(deploymentId, ulid, hash) })),
  );
}
