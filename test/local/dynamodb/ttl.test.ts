import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { DeleteCommand, GetCommand, PutCommand, UpdateCommand } from '@aws-sdk/lib-dynamodb';
import { describe, expect, it, onTestFinished } from 'vitest';
import { TimeToLive } from '../../../local/dynamodb/ttl.ts';
import { Fixture, readsStream } from '../../support/fixture.ts';
import { runStack } from '../../support/stack.ts';

const fixture = new Fixture()
  .function(
    'Watch',
    'exports.handler = async ({ Records }) => Records.forEach((r) => console.log(JSON.stringify(r)));',
    {
      statements: [readsStream],
    },
  )
  .stream('Watch', { FilterCriteria: { Filters: [{ Pattern: '{"eventName":["REMOVE"]}' }] } });
const stack = await runStack({ synthesise: fixture.synthesise, ttlLateness: 600 });
const { client, name, sweepExpired } = stack.table;

const NOW = 1_800_000_000;
stack.clock.freeze(NOW * 1000);
const put = (sk: string, expiresAt?: unknown) =>
  client.send(new PutCommand({ TableName: name, Item: { pk: 'a', sk, expiresAt } }));
const isThere = async (sk: string) => {
  const { Item } = await client.send(new GetCommand({ TableName: name, Key: { pk: 'a', sk } }));
  return Item !== undefined;
};
const removed = () => stack.logLines('watch');

describe('The emulator deletes expired items as DynamoDB does', () => {
  it('the emulated TTL deletes expired items, but not items without a valid numeric TTL', async () => {
    await put('past', NOW - 1);
    await put('future', NOW + 1);
    await put('none');
    await put('text', String(NOW - 1));
    await put('milliseconds', (NOW - 1) * 1000);
    await put('six years ago', NOW - 6 * 365 * 86_400);
    expect(await sweepExpired()).toBe(1);
    expect(await isThere('past')).toBe(false);
    for (const sk of ['future', 'none', 'text', 'milliseconds', 'six years ago']) {
      expect(await isThere(sk)).toBe(true);
    }
  });

  it('the emulated TTL marks a deletion in the stream as made by the DynamoDB service', async () => {
    await stack.waitForDelivery();
    expect(removed().map((record) => [record.dynamodb.Keys.sk.S, record.userIdentity])).toEqual([
      ['past', { type: 'Service', principalId: 'dynamodb.amazonaws.com' }],
    ]);
  });

  it('the stream does not mark other deletions as made by the DynamoDB service', async () => {
    stack.logs.clear();
    await put('past', NOW - 1);
    await client.send(new DeleteCommand({ TableName: name, Key: { pk: 'a', sk: 'past' } }));
    await stack.waitForDelivery();
    expect(removed()).toHaveLength(1);
    expect(removed()[0]).not.toHaveProperty('userIdentity');
  });

  it('the emulated TTL can delete items late', async () => {
    await put('late', NOW - 600);
    expect(await sweepExpired(601)).toBe(0);
    expect(await isThere('late')).toBe(true);
    expect(await sweepExpired(600)).toBe(1);
    expect(await isThere('late')).toBe(false);
  });

  it('the emulated TTL keeps an item whose expiry is extended after the emulator has read it', async () => {
    await put('slid', NOW - 1);
    const slide = new UpdateCommand({
      TableName: name,
      Key: { pk: 'a', sk: 'slid' },
      UpdateExpression: 'SET expiresAt = :new',
      ExpressionAttributeValues: { ':new': NOW + 100 },
    });
    const engine = await before('DeleteItem', () => client.send(slide));
    const table = { name, keys: ['pk', 'sk'], ttlAttribute: 'expiresAt' };
    expect(await new TimeToLive(engine, table, stack.clock, 0).sweep()).toBe(0);
    expect(await isThere('slid')).toBe(true);
  });
});

/** Starts a proxy to the engine that runs a function before each call of one operation. */
async function before(operation: string, act: () => Promise<unknown>): Promise<string> {
  const server = createServer(async (incoming, outgoing) => {
    const chunks: Buffer[] = [];
    for await (const chunk of incoming) chunks.push(chunk);
    if (String(incoming.headers['x-amz-target']).endsWith(operation)) await act();
    const answer = await fetch(stack.engineEndpoint, {
      method: 'POST',
      headers: {
        authorization: incoming.headers.authorization ?? '',
        'x-amz-date': String(incoming.headers['x-amz-date']),
        'x-amz-target': String(incoming.headers['x-amz-target']),
        'content-type': 'application/x-amz-json-1.0',
      },
      body: Buffer.concat(chunks),
    });
    outgoing.writeHead(answer.status).end(await answer.text());
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}
