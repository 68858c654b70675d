import { DeleteCommand, PutCommand, QueryCommand, UpdateCommand } from '@aws-sdk/lib-dynamodb';
import type { LocalStack } from '../../local/local-stack.ts';
import { type Call, type CreatedKey, call, makeDeployment, makeKey, type Reply, swap } from './stack.ts';

/** Makes a management call as one of the two people of the development issuer. */
export async function callAs(
  stack: LocalStack,
  person: 'admin' | 'member',
  method: string,
  path: string,
  options: Call = {},
): Promise<Reply> {
  return call(stack, method, path, { token: await stack.signIn(person), ...options });
}

/** A token of a new key of a new Deployment. */
export async function newToken(stack: LocalStack, deploymentId: string): Promise<string> {
  await makeDeployment(stack, deploymentId);
  return swap(stack, await makeKey(stack, deploymentId));
}

/** All items of one partition of the first table, strongly consistent. */
export async function partition(stack: LocalStack, pk: string): Promise<Record<string, unknown>[]> {
  const { Items } = await stack.table.client.send(
    new QueryCommand({
      TableName: stack.table.name,
      KeyConditionExpression: 'pk = :pk',
      ExpressionAttributeValues: { ':pk': pk },
      ConsistentRead: true,
    }),
  );
  return Items ?? [];
}

/** The purge markers of a Deployment. */
export async function markers(stack: LocalStack, deploymentId: string): Promise<Record<string, unknown>[]> {
  return (await partition(stack, 'PURGES')).filter(({ sk }) => String(sk).startsWith(`${deploymentId}#`));
}

/** Writes an item by hand, past all rules. */
export async function putItem(stack: LocalStack, item: Record<string, unknown>): Promise<void> {
  await stack.table.client.send(new PutCommand({ TableName: stack.table.name, Item: item }));
}

/** Removes an item by hand. */
export async function removeItem(stack: LocalStack, pk: string, sk: string): Promise<void> {
  await stack.table.client.send(new DeleteCommand({ TableName: stack.table.name, Key: { pk, sk } }));
}

/** Sets one attribute of an item by hand. */
export async function setAttribute(
  stack: LocalStack,
  [pk, sk]: [string, string],
  name: string,
  value: unknown,
): Promise<void> {
  await stack.table.client.send(
    new UpdateCommand({
      TableName: stack.table.name,
      Key: { pk, sk },
      UpdateExpression: 'SET #name = :value',
      ExpressionAttributeNames: { '#name': name },
      ExpressionAttributeValues: { ':value': value },
    }),
  );
}

/** Asks for an access token with a key, whatever the answer. */
export function exchange(stack: LocalStack, key: CreatedKey): Promise<Reply> {
  return call(stack, 'POST', '/oauth/token', {
    basic: [key.id, key.secret],
    form: { grant_type: 'client_credentials' },
  });
}

/** How many calls of one operation a function has made to the table. */
export function callsOf(stack: LocalStack, functionName: string, operation: string): number {
  return stack.calls(functionName)[operation] ?? 0;
}
