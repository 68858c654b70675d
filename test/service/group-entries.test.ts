import { expect, it } from 'vitest';
import { callAs, partition, putItem, removeItem } from '../support/service.ts';
import { runStack } from '../support/stack.ts';

const stack = await runStack();
const scheduled = { source: 'aws.events', 'detail-type': 'Scheduled Event', detail: {} };
const groups = ['data-eng', 'others'];
const listed = async () =>
  (await callAs(stack, 'member', 'GET', '/deployments')).json.items.map(({ id }: { id: string }) => id);
const inGroup = async (group: string) => (await partition(stack, `GROUP#${group}`)).map(({ sk }) => sk);

it("the functions' roles allow them to maintain the index of Deployments by group", async () => {
  await callAs(stack, 'admin', 'PUT', '/deployments/etl', { json: { groups } });
  await callAs(stack, 'admin', 'PUT', '/deployments/old', { json: { groups } });
  const [entry = {}] = await partition(stack, 'GROUP#others');
  await removeItem(stack, 'GROUP#data-eng', 'old');
  expect(await listed()).toEqual(['etl', 'old']);
  await stack.invoke('sweep-keys', { task: 'rejected-calls' });
  expect(await partition(stack, 'RECONCILIATION')).toContainEqual(expect.objectContaining({ sk: 'GROUPS' }));
  expect(await inGroup('data-eng')).toEqual(['etl', 'old']);
  expect(await listed()).toEqual(['etl', 'old']);

  // Reconciliation runs once a week, and is due because it has never run before.
  await putItem(stack, { ...entry, pk: 'GROUP#data-eng', sk: 'never-existed' });
  await removeItem(stack, 'GROUP#others', 'old');
  await removeItem(stack, 'RECONCILIATION', 'TABLE');
  await stack.invoke('reconcile', scheduled);
  expect([await inGroup('data-eng'), await inGroup('others')]).toEqual([
    ['etl', 'old'],
    ['etl', 'old'],
  ]);

  await callAs(stack, 'admin', 'PUT', '/deployments/etl', { json: { groups: ['data-eng'] } });
  expect(await inGroup('others')).toEqual(['old']);
  await callAs(stack, 'admin', 'DELETE', '/deployments/old');
  // Someone deletes the second Deployment by hand, and the purge deletes its entries in the group index.
  await removeItem(stack, 'DEPLOYMENT#etl', 'DEPLOYMENT');
  await expect.poll(() => inGroup('data-eng'), { timeout: 20_000 }).toEqual([]);
  expect(await listed()).toEqual([]);
}, 60_000);
