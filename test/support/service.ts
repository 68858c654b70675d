import { DeleteCommand, PutCommand, UpdateCommand } from '@aws-sdk/lib-dynamodb';
import type { LocalStack } from '../../local/local-stack.ts';
import type { CfnTemplate } from '../../local/template.ts';
import { itemsOf } from './engine.ts';
import {
  type Call,
  type CreatedKey,
  call,
  createKey,
  exchangeForToken,
  type Reply,
  registerDeployment,
} from './stack.ts';

/** Makes a management call as one of the development issuer's two people. */
export async function callAs(
  stack: LocalStack,
  person: 'admin' | 'member',
  method: string,
  path: string,
  options: Call = {},
): Promise<Reply> {
  return call(stack, method, path, { token: await stack.signIn(person), ...options });
}

/** A key of a Deployment that has no other keys. */
export interface KeyOfDeployment extends CreatedKey {
  readonly deploymentId: string;
  /** Path of the key in the API. */
  readonly path: string;
}

/** Creates a Deployment with a key. */
export async function newKey(
  stack: LocalStack,
  deploymentId: string,
  body: object = {},
): Promise<KeyOfDeployment> {
  await registerDeployment(stack, deploymentId);
  const key = await createKey(stack, deploymentId, { name: 'ci', ...body });
  return { ...key, deploymentId, path: `/deployments/${deploymentId}/api-keys/${key.id}` };
}

/** Creates a Deployment with a key, and returns a token from that key. */
export const newToken = async (stack: LocalStack, deploymentId: string): Promise<string> =>
  exchangeForToken(stack, await newKey(stack, deploymentId));

/** Returns all items in a partition of the first table, with strongly consistent reads. */
export const partition = ({ table }: LocalStack, pk: string): Promise<Record<string, unknown>[]> =>
  itemsOf(table.client, table.name, pk);

/** Returns the purge markers of a Deployment. */
export async function markers(stack: LocalStack, deploymentId: string): Promise<Record<string, unknown>[]> {
  return (await partition(stack, 'PURGES')).filter(({ sk }) => String(sk).startsWith(`${deploymentId}#`));
}

/** Writes an item directly to the table. */
export async function putItem(stack: LocalStack, item: Record<string, unknown>): Promise<void> {
  await stack.table.client.send(new PutCommand({ TableName: stack.table.name, Item: item }));
}

/** Removes an item directly from the table. */
export async function removeItem(stack: LocalStack, pk: string, sk: string): Promise<void> {
  await stack.table.client.send(new DeleteCommand({ TableName: stack.table.name, Key: { pk, sk } }));
}

/** Sets an attribute of an item directly in the table. */
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

/** Requests an access token with a key and returns the response, regardless of its status. */
export function exchange(stack: LocalStack, key: CreatedKey): Promise<Reply> {
  return call(stack, 'POST', '/oauth/token', {
    basic: [key.id, key.secret],
    form: { grant_type: 'client_credentials' },
  });
}

/** Returns how many calls of an operation a function made to the table. */
export function callsOf(stack: LocalStack, functionName: string, operation: string): number {
  return stack.calls(functionName)[operation] ?? 0;
}

/** Returns a function that changes a template so that a function's role can no longer update items. */
export const withoutUpdate =
  (construct: string) =>
  ({ Resources }: CfnTemplate): void => {
    for (const { Type, Metadata, Properties } of Object.values(Resources)) {
      const isOfFunction = String(Metadata?.['aws:cdk:path']).includes(`/${construct}/`);
      if (Type !== 'AWS::IAM::Policy' || !isOfFunction) continue;
      const policy = Properties?.PolicyDocument as { Statement: { Action: string | string[] }[] } | undefined;
      for (const statement of policy?.Statement ?? []) {
        statement.Action = [statement.Action].flat().filter((action) => action !== 'dynamodb:UpdateItem');
      }
    }
  };

/** Returns the log lines of a function, or of all functions, that are JSON objects. */
export const logLines = (stack: LocalStack, functionName?: string) =>
  stack.logs
    .text(functionName)
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line));
