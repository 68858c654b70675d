import { randomUUID } from 'node:crypto';
import { DeleteCommand, PutCommand } from '@aws-sdk/lib-dynamodb';
import { describe, expect, it } from 'vitest';
import { startLocalStack } from '../../local/local-stack.ts';
import { assemblyOf } from '../support/assembly.ts';
import { callAs, exchange, markers, partition, removeItem } from '../support/service.ts';
import { makeKey, runStack, swap, use } from '../support/stack.ts';

// The table's name is random, because a shared engine may return stream records of an earlier table with the
// same name.
const TABLE = `arn:aws:dynamodb:us-east-1:000000000000:table/platform-${randomUUID()}`;
const SOURCE = {
  table: TABLE,
  stream: `${TABLE}/stream/2026-01-01T00:00:00.000`,
  id: 'deploymentId',
  name: 'label',
  groups: 'teams',
  where: { type: 'deployment' },
  deleted: { status: 'deleted' },
};

/** The running stack, and the platform's own table, whose stream it follows. */
const stack = await runStack({ context: { deploymentsSource: SOURCE } });
const platform = stack.tables[1];
if (!platform) throw new Error('the platform has no table');

const put = (deploymentId: string, more: object = {}) =>
  platform.client.send(
    new PutCommand({ TableName: platform.name, Item: { deploymentId, type: 'deployment', ...more } }),
  );
const remove = (deploymentId: string) =>
  platform.client.send(new DeleteCommand({ TableName: platform.name, Key: { deploymentId } }));
const seen = async (id: string) => (await callAs(stack, 'admin', 'GET', `/deployments/${id}`)).json;
const eventually = { timeout: 20_000, interval: 100 };
const scheduled = { source: 'aws.events', 'detail-type': 'Scheduled Event', detail: {} };

describe('a Deployment of a followed table', () => {
  it('is registered, changed and deleted by its row only, and all its keys and tokens are deleted with it', async () => {
    await put('etl', { label: 'Nightly loads', teams: ['data-eng'] });
    await expect
      .poll(() => seen('etl'), eventually)
      .toMatchObject({ name: 'Nightly loads', groups: ['data-eng'] });
    const key = await makeKey(stack, 'etl');
    const token = await swap(stack, key);
    expect(await use(stack, token)).toBe(200);
    expect((await callAs(stack, 'admin', 'DELETE', '/deployments/etl')).status).toBe(409);

    await put('etl', { label: 'Daily loads' });
    await expect.poll(() => seen('etl'), eventually).toMatchObject({ name: 'Daily loads', groups: [] });
    expect(await use(stack, token)).toBe(200);

    await put('etl', { label: 'Daily loads', status: 'deleted' });
    await expect.poll(() => use(stack, token), eventually).toBe(401);
    expect((await exchange(stack, key)).status).toBe(401);
    await expect.poll(() => partition(stack, 'DEPLOYMENT#etl'), eventually).toEqual([]);
    await expect.poll(() => markers(stack, 'etl'), eventually).toEqual([]);
    await remove('etl');
  });

  it('goes to the dead-letter queue without delaying other rows when its ID is invalid', async () => {
    await put('before');
    await put('no such id');
    await put('other', { type: 'cluster' });
    await put('after');
    await expect.poll(() => seen('after'), eventually).toMatchObject({ name: 'after' });
    await expect.poll(() => seen('before'), eventually).toMatchObject({ name: 'before' });
    const { messages } = stack.queue('DeploymentsSourceFailures');
    expect(messages.map(({ body }) => JSON.parse(body))).toEqual([
      {
        reason: expect.stringContaining('deploymentId must be text of the form'),
        key: { deploymentId: { S: 'no such id' } },
        sequenceNumber: expect.any(String),
      },
    ]);
    expect((await callAs(stack, 'admin', 'GET', '/deployments/other')).status).toBe(404);
  });

  it('is corrected by the weekly reconciliation when the stream missed it', async () => {
    await put('missed');
    await put('gone');
    await expect.poll(() => seen('missed'), eventually).toMatchObject({ name: 'missed' });
    await expect.poll(() => seen('gone'), eventually).toMatchObject({ name: 'gone' });
    await stack.settled();
    for (const [pk, sk] of [
      ['DEPLOYMENT#missed', 'DEPLOYMENT'],
      ['DEPLOYMENTS', 'missed'],
      ['SOURCES', 'missed'],
      ['RECONCILIATION', 'TABLE'],
      ['RECONCILIATION', 'ROWS'],
      ['RECONCILIATION', 'REGISTRATIONS'],
    ] as const) {
      await removeItem(stack, pk, sk);
    }
    await stack.invoke('reconcile', scheduled);
    expect(await seen('missed')).toMatchObject({ name: 'missed' });
    expect((await partition(stack, 'RECONCILIATION')).map(({ sk, after }) => [sk, after])).toEqual([
      ['REGISTRATIONS', undefined],
      ['ROWS', undefined],
      ['TABLE', undefined],
    ]);
    expect(stack.calls('reconcile')).toMatchObject({ DescribeTable: 1, Query: 1 });
  });
});

it('the emulator rejects a followed table in another account and says why', async () => {
  const table = TABLE.replace('000000000000', '111122223333');
  const elsewhere = { ...SOURCE, table, stream: `${table}/stream/2026-01-01T00:00:00.000` };
  const starting = startLocalStack({ synthesise: assemblyOf, context: { deploymentsSource: elsewhere } });
  await expect(starting).rejects.toThrow(
    'deploymentsSource: on this machine, table must be arn:aws:dynamodb:us-east-1:000000000000:table/<name>, and stream ' +
      'must be the same followed by /stream/2026-01-01T00:00:00.000.',
  );
});
