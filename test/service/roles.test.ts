import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { DynamoDBDocumentClient, PutCommand, QueryCommand, UpdateCommand } from '@aws-sdk/lib-dynamodb';
import { describe, expect, it, onTestFinished } from 'vitest';
import { runStack } from '../support/stack.ts';

const stack = await runStack();
const token = await stack.newToken('etl');
const DEPLOYMENT = 'DEPLOYMENT#etl';
const keyItem = (await stack.partition(DEPLOYMENT)).find(({ sk }) => String(sk).startsWith('KEY#'));
const sk = String(keyItem?.sk);

/**
 * A client that calls the table with the credentials of a function's role, as an attacker who controls the function
 * would.
 */
function clientOf(functionName: string): DynamoDBDocumentClient {
  const client = new DynamoDBClient({
    endpoint: stack.awsEndpoint,
    region: 'us-east-1',
    credentials: stack.credentialOfFunction(functionName),
    maxAttempts: 1,
  });
  onTestFinished(() => client.destroy());
  return DynamoDBDocumentClient.from(client);
}

const update = (pk: string, sortKey: string, name: string, value: unknown) =>
  new UpdateCommand({
    TableName: stack.table.name,
    Key: { pk, sk: sortKey },
    UpdateExpression: 'SET #name = :value',
    ExpressionAttributeNames: { '#name': name },
    ExpressionAttributeValues: { ':value': value },
  });
const DENIED = { name: 'AccessDeniedException' };

describe("A function's role limits the damage if the function is compromised", () => {
  it.each(['authorize', 'whoami'])(
    "a compromised %s function can write a key's last use, but nothing that affects access",
    async (name) => {
      const client = clientOf(name);
      await client.send(update(DEPLOYMENT, sk, 'lastUsedAt', 1));
      for (const [attribute, value] of Object.entries({
        secrets: [],
        scopes: ['code:deploy'],
        enabled: true,
        epoch: 0,
        generation: '01ARZ3NDEKTSV4RRFFQ69G5FAV',
        networks: [],
        trust: [],
      })) {
        await expect(client.send(update(DEPLOYMENT, sk, attribute, value)), attribute).rejects.toMatchObject(
          DENIED,
        );
      }
      expect(await stack.use(token)).toBe(200);
    },
  );

  it.each([
    [
      'authorize',
      [
        'DEPLOYMENTS',
        'EVENTS#etl',
        'PURGES',
        'SOURCES',
        'DELETIONS',
        'RECONCILIATION',
        'SUBJECT#x',
        'RESTORES',
      ],
    ],
    ['issue-token', ['DEPLOYMENTS', 'EVENTS#etl', 'PURGES', 'REJECTED_CALLS', 'RESTORES']],
    ['manage-temporary-tokens', [DEPLOYMENT, 'DEPLOYMENTS', 'EVENTS#etl', 'PURGES']],
    ['list-events', [DEPLOYMENT, 'DEPLOYMENTS', 'EVENTS#etl', 'PURGES']],
    ['purge', [DEPLOYMENT, 'DEPLOYMENTS', 'EVENTS#etl', 'SOURCES']],
  ])('a compromised %s function cannot update anything in unrelated partitions', async (name, partitions) => {
    const client = clientOf(name);
    for (const pk of partitions) {
      await expect(client.send(update(pk, 'x', 'expiresAt', 1)), pk).rejects.toMatchObject(DENIED);
    }
  });

  it('a compromised list-events function can list events, but cannot list keys or the directory', async () => {
    const client = clientOf('list-events');
    const query = (pk: string) =>
      new QueryCommand({
        TableName: stack.table.name,
        KeyConditionExpression: 'pk = :pk',
        ExpressionAttributeValues: { ':pk': pk },
      });
    await client.send(query('EVENTS#etl'));
    for (const pk of [DEPLOYMENT, 'DEPLOYMENTS', 'PURGES']) {
      await expect(client.send(query(pk)), pk).rejects.toMatchObject(DENIED);
    }
  });

  it('a compromised purge function cannot create an item that gives access', async () => {
    const put = new PutCommand({ TableName: stack.table.name, Item: { pk: DEPLOYMENT, sk: 'KEY#x' } });
    await expect(clientOf('purge').send(put)).rejects.toMatchObject(DENIED);
  });
});
