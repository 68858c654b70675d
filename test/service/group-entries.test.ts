import { expect, it } from 'vitest';
import { runStack } from '../support/stack.ts';

const stack = await runStack();
const scheduled = { source: 'aws.events', 'detail-type': 'Scheduled Event', detail: {} };
const groups = ['data-eng', 'others'];
const listed = async () =>
  (await stack.callAs('member', 'GET', '/deployments')).json.items.map(({ id }: { id: string }) => id);
const inGroup = async (group: string) => (await stack.partition(`GROUP#${group}`)).map(({ sk }) => sk);

it("the functions' roles allow them to maintain the index of Deployments by group", async () => {
  await stack.callAs('admin', 'PUT', '/deployments/etl', { json: { groups } });
  await stack.callAs('admin', 'PUT', '/deployments/old', { json: { groups } });
  const [entry = {}] = await stack.partition('GROUP#others');
  await stack.removeItem('GROUP#data-eng', 'old');
  expect(await listed()).toEqual(['etl', 'old']);
  await stack.invoke('sweep-keys', { task: 'rejected-calls' });
  expect(await stack.partition('RECONCILIATION')).toContainEqual(expect.objectContaining({ sk: 'GROUPS' }));
  expect(await inGroup('data-eng')).toEqual(['etl', 'old']);
  expect(await listed()).toEqual(['etl', 'old']);

  // Reconciliation runs once a week, and is due because it has never run before.
  await stack.putItem({ ...entry, pk: 'GROUP#data-eng', sk: 'never-existed' });
  await stack.removeItem('GROUP#others', 'old');
  await stack.removeItem('RECONCILIATION', 'TABLE');
  await stack.invoke('reconcile', scheduled);
  expect([await inGroup('data-eng'), await inGroup('others')]).toEqual([
    ['etl', 'old'],
    ['etl', 'old'],
  ]);

  await stack.callAs('admin', 'PUT', '/deployments/etl', { json: { groups: ['data-eng'] } });
  expect(await inGroup('others')).toEqual(['old']);
  await stack.callAs('admin', 'DELETE', '/deployments/old');
  // Someone deletes the second Deployment by hand, and the purge deletes its entries in the group index.
  await stack.removeItem('DEPLOYMENT#etl', 'DEPLOYMENT');
  await expect.poll(() => inGroup('data-eng'), { timeout: 20_000 }).toEqual([]);
  expect(await listed()).toEqual([]);
}, 60_000);
