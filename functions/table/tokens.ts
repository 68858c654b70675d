import { DeleteCommand } from '@aws-sdk/lib-dynamodb';
import type { CheckedRecords } from '../domain/check.ts';
import type { ServiceEvent } from '../domain/events.ts';
import type { Credential } from '../domain/identifiers.ts';
import { ask, readTogether, type Table, transact } from './client.ts';
import { checkedKeys, fromChecked } from './schema.ts';

/** One strongly consistent read of all that a token stands on, and whether its own item is there, even malformed. */
export async function readLeakedToken(
  table: Table,
  credential: Credential,
  hash: string,
): Promise<{ records: CheckedRecords; isThere: boolean }> {
  const keys = checkedKeys(credential, hash);
  const found = await readTogether(table, Object.values(keys));
  return { records: fromChecked(table, keys, found), isThere: found(keys.presented) !== undefined };
}

/**
 * Revoke a token or temporary token that leaked; nothing when it is gone already.
 * @param event undefined when the token is not valid now: then no event is written
 */
export async function deleteLeakedToken(
  table: Table,
  credential: Credential,
  hash: string,
  event: ServiceEvent | undefined,
): Promise<void> {
  const { client, tableName: TableName } = table;
  const Key = checkedKeys(credential, hash).presented;
  if (!event) return void (await ask(client.send(new DeleteCommand({ TableName, Key }))));
  await transact(table, [{ Delete: { TableName, Key, ConditionExpression: 'attribute_exists(pk)' } }], event);
}
