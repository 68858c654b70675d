import { beforeEach, expect, it } from 'vitest';
import { fill } from '../support/many-items.ts';
import { runStack } from '../support/stack.ts';
import { tableOn } from '../support/store.ts';

/** Tests of behaviour that only the stream of a running stack shows. */
const stack = await runStack();
const table = tableOn(stack.table.client, { tableName: stack.table.name });
let count = 0;
let id = '';
beforeEach(() => {
  id = `streamed_${++count}`;
});

it('#10 a Deployment with 2,000 tokens and 10 keys is purged through the stream, and another Deployment loses nothing', {
  timeout: 120_000,
}, async () => {
  await stack.register(`${id}_neighbour`);
  const token = await stack.exchangeForToken(await stack.createKey(`${id}_neighbour`));
  await stack.register(id);
  const generation = String((await stack.partition(`DEPLOYMENT#${id}`))[0]?.generation);
  await fill(table, { deploymentId: id, generation, keys: 10, tokens: 2000 });
  await stack.callAs('admin', 'DELETE', `/deployments/${id}`);
  await expect.poll(() => stack.markers(id), { timeout: 90_000, interval: 200 }).toEqual([]);
  expect(await stack.partition(`DEPLOYMENT#${id}`)).toEqual([]);
  expect(await stack.use(token)).toBe(200);
});

it('#8 a stream record that always fails goes to the dead-letter queue, and the adjacent records are processed', {
  timeout: 120_000,
}, async () => {
  const neighbours = [`${id}_a`, `${id}_b`];
  for (const neighbour of neighbours) await stack.register(neighbour);
  const poison = { pk: `DEPLOYMENT#${id}`, sk: 'DEPLOYMENT' };
  await stack.putItem({ ...poison, generation: 'no ULID' });
  await stack.callAs('admin', 'DELETE', `/deployments/${neighbours[0]}`);
  await stack.removeItem(poison.pk, poison.sk);
  await stack.callAs('admin', 'DELETE', `/deployments/${neighbours[1]}`);
  for (const neighbour of neighbours) {
    await expect.poll(() => stack.markers(neighbour), { timeout: 30_000, interval: 200 }).toEqual([]);
  }
  const failures = stack.queue('PurgeSourcesStreamFailures');
  await expect.poll(() => failures.messages.length, { timeout: 30_000, interval: 200 }).toBe(1);
});
