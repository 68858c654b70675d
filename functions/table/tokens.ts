import type { ServiceEvent } from '../domain/events.ts';
import type { Credential } from '../domain/identifiers.ts';
import { readTogether, type Table, transact } from './client.ts';
import {
  apiKeyKey,
  checkedKeys,
  deploymentKey,
  fromApiKey,
  fromDeployment,
  type KeyRecords,
  parse,
} from './schema.ts';

/** One strongly consistent read of a key with its Deployment. */
export async function readKey(table: Table, deploymentId: string, ulid: string): Promise<KeyRecords> {
  const keys = { deployment: deploymentKey(deploymentId), key: apiKeyKey(deploymentId, ulid) };
  const found = await readTogether(table, Object.values(keys));
  return {
    deployment: parse(table, found(keys.deployment), fromDeployment),
    key: parse(table, found(keys.key), fromApiKey),
  };
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
  await transact(table, [{ Delete: { TableName, Key, ConditionExpression: 'attribute_exists(pk)' } }], event);
}
