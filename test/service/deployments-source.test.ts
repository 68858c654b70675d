import { randomUUID } from 'node:crypto';
import { DeleteCommand, PutCommand } from '@aws-sdk/lib-dynamodb';
import { describe, expect, it } from 'vitest';
import { startLocalStack } from '../../local/local-stack.ts';
import { assemblyOf } from '../support/assembly.ts';
import { runStack } from '../support/stack.ts';

// The name of the table is random, because a shared DynamoDB engine may return stream records of an earlier table with
// the same name.
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

/** The running stack, and the platform's own table that the stack follows. */
const stack = await runStack({ context: { deploymentsSource: SOURCE } });
const platform = stack.tables[1];
if (!platform) throw new Error('the platform has no table');

const put = (deploymentId: string, more: object = {}) =>
  platform.client.send(
    new PutCommand({ TableName: platform.name, Item: { deploymentId, type: 'deployment', ...more } }),
  );
const remove = (deploymentId: string) =>
  platform.client.send(new DeleteCommand({ TableName: platform.name, Key: { deploymentId } }));
const seen = async (id: string) => (await stack.callAs('admin', 'GET', `/deployments/${id}`)).json;
const eventually = { timeout: 20_000, interval: 100 };
const scheduled = { source: 'aws.events', 'detail-type': 'Scheduled Event', detail: {} };

describe('The service follows a table that contains Deployments', () => {
  it('a Deployment from a followed table can be changed and deleted only through its row in that table', async () => {
    await put('etl', { label: 'Nightly loads', teams: ['data-eng'] });
    await expect
      .poll(() => seen('etl'), eventually)
      .toMatchObject({ name: 'Nightly loads', groups: ['data-eng'] });
    const key = await stack.createKey('etl');
    const token = await stack.exchangeForToken(key);
    expect(await stack.use(token)).toBe(200);
    expect((await stack.callAs('admin', 'DELETE', '/deployments/etl')).status).toBe(409);

    await put('etl', { label: 'Daily loads' });
    await expect.poll(() => seen('etl'), eventually).toMatchObject({ name: 'Daily loads', groups: [] });
    expect(await stack.use(token)).toBe(200);

    await put('etl', { label: 'Daily loads', status: 'deleted' });
    await expect.poll(() => stack.use(token), eventually).toBe(401);
    expect((await stack.exchange(key)).status).toBe(401);
    await expect.poll(() => stack.partition('DEPLOYMENT#etl'), eventually).toEqual([]);
    await expect.poll(() => stack.markers('etl'), eventually).toEqual([]);
    await remove('etl');
  });

  it('a row of a followed table with an invalid ID goes to the dead-letter queue without delaying other rows', async () => {
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
    expect((await stack.callAs('admin', 'GET', '/deployments/other')).status).toBe(404);
  });

  it('the weekly comparison with the followed table corrects a Deployment if the stream missed a change', async () => {
    await put('missed');
    await put('gone');
    await expect.poll(() => seen('missed'), eventually).toMatchObject({ name: 'missed' });
    await expect.poll(() => seen('gone'), eventually).toMatchObject({ name: 'gone' });
    await stack.waitForDelivery();
    for (const [pk, sk] of [
      ['DEPLOYMENT#missed', 'DEPLOYMENT'],
      ['DEPLOYMENTS', 'missed'],
      ['SOURCES', 'missed'],
      ['RECONCILIATION', 'TABLE'],
      ['RECONCILIATION', 'ROWS'],
      ['RECONCILIATION', 'REGISTRATIONS'],
    ] as const) {
      await stack.removeItem(pk, sk);
    }
    await stack.invoke('reconcile', scheduled);
    expect(await seen('missed')).toMatchObject({ name: 'missed' });
    expect((await stack.partition('RECONCILIATION')).map(({ sk, after }) => [sk, after])).toEqual([
      ['REGISTRATIONS', undefined],
      ['ROWS', undefined],
      ['TABLE', undefined],
    ]);
    expect(stack.calls('reconcile')).toMatchObject({ DescribeTable: 1, Query: 1 });
  });
});

it('#66: if a followed table loses all rows, the service keeps most Deployments and raises an alarm', async () => {
  /** Returns the log lines of a function that contain a message. */
  const linesOf = (functionName: string, message: string) =>
    stack.logLines(functionName).filter((line) => line.message === message);
  const ids = Array.from({ length: 20 }, (_, n) => `lost-${n}`);
  for (const id of ids) await put(id);
  await expect.poll(() => seen('lost-19'), eventually).toMatchObject({ name: 'lost-19' });
  for (const id of ids) await remove(id);
  await put('later');
  await expect.poll(() => seen('later'), eventually).toMatchObject({ name: 'later' });

  const { json } = await stack.callAs('admin', 'GET', '/deployments?limit=100');
  const items = json.items.filter(({ id }: { id: string }) => id.startsWith('lost-'));
  expect(items.length).toBeGreaterThan(10);
  const stopped = linesOf('sync-deployments', 'deletion stopped');
  expect(stopped).toHaveLength(items.length);
  expect(stopped[0]).toMatchObject({ level: 'ERROR', outcome: 'stopped', DeletionsStopped: 1 });
  expect(linesOf('sync-deployments', 'change applied')).toContainEqual(
    expect.objectContaining({ level: 'INFO', deployment_id: 'lost-0', outcome: 'deleted' }),
  );
  await stack.invoke('reconcile', scheduled);
  expect(linesOf('reconcile', 'deletions are stopped')).toMatchObject([
    { level: 'ERROR', DeletionsStopped: 1 },
  ]);
});

it('the emulator rejects a followed table in another account and explains why', async () => {
  const table = TABLE.replace('000000000000', '111122223333');
  const elsewhere = { ...SOURCE, table, stream: `${table}/stream/2026-01-01T00:00:00.000` };
  const starting = startLocalStack({ synthesise: assemblyOf, context: { deploymentsSource: elsewhere } });
  await expect(starting).rejects.toThrow(
    'deploymentsSource: on this machine, table must be arn:aws:dynamodb:us-east-1:000000000000:table/<name>, and stream ' +
      'must be the same followed by /stream/2026-01-01T00:00:00.000.',
  );
});
