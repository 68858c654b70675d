import { GetCommand, PutCommand } from '@aws-sdk/lib-dynamodb';
import { expect, it, vi } from 'vitest';
import { startLocalStack } from '../../local/local-stack.ts';
import { Fixture, readsStream } from '../support/fixture.ts';
import { temporaryFolder } from '../support/temporary.ts';

const dataDirectory = temporaryFolder('local-data');

const { synthesise } = new Fixture()
  .function(
    'Watch',
    'exports.handler = async ({ Records }) => Records.forEach((r) => console.log(r.dynamodb.Keys.sk.S));',
    {
      statements: [readsStream],
    },
  )
  .stream('Watch');

/**
 * Starts a stack with the stored data and writes an item. Returns the existing items and the records that the function
 * received.
 */
async function run(sk: string, options: { fresh?: boolean } = {}) {
  const stack = await startLocalStack({ synthesise, dataDirectory, ...options });
  try {
    const { client, name } = stack.table;
    await client.send(new PutCommand({ TableName: name, Item: { pk: 'a', sk } }));
    await stack.waitForDelivery();
    const isThere = async (it: string) => {
      const { Item } = await client.send(new GetCommand({ TableName: name, Key: { pk: 'a', sk: it } }));
      return Item !== undefined;
    };
    return { seen: stack.logs.text('watch').split('\n').filter(Boolean), hasFirst: await isThere('first') };
  } finally {
    await stack.stop();
  }
}

it('a stack with a data directory keeps its items after a restart and delivers no record twice', async () => {
  // Only the embedded engine stores data in the data directory.
  vi.stubEnv('DYNAMODB_ENDPOINT', '');
  expect(await run('first', { fresh: true })).toEqual({ seen: ['first'], hasFirst: true });
  expect(await run('second')).toEqual({ seen: ['second'], hasFirst: true });
  expect(await run('third', { fresh: true })).toEqual({ seen: ['third'], hasFirst: false });
});
