import { afterAll, beforeEach, expect, it } from 'vitest';
import { sweepKeys } from '../../functions/jobs/sweep-keys.ts';
import type { Table } from '../../functions/table/client.ts';
import { passKey, toApiKey, toDirectoryEntry } from '../../functions/table/schema.ts';
import { apiKey, deployment, MADE_AT } from '../support/records.ts';
import { startStore } from '../support/store.ts';

const store = await startStore();
afterAll(() => store.stop());

const IDS = ['alpha', 'beta', 'delta', 'gamma'];
const PASS = passKey('KEYS');
const OUT_OF_TIME = 'the sweep of keys ran out of time';

beforeEach(async () => {
  await store.clear('DEPLOYMENTS', PASS.pk, ...IDS.flatMap((id) => [`DEPLOYMENT#${id}`, `EVENTS#${id}`]));
  for (const id of IDS) {
    const expired = apiKey({ deploymentId: id, validUntil: MADE_AT });
    await store.put(toDirectoryEntry(deployment({ id })), toApiKey(expired));
  }
});

/** A run that has time to check the clock this many times. */
async function run(looks = Number.POSITIVE_INFINITY): Promise<number> {
  let left = looks;
  const hasTime = () => left-- > 0;
  return sweepKeys({ table: store.table, clock: () => MADE_AT, maxIdleDays: undefined, hasTime });
}

/** The Deployments with a notice about their key, and how many. */
const told = async () => {
  const counts = await Promise.all(IDS.map(async (id) => (await store.partition(`EVENTS#${id}`)).length));
  return Object.fromEntries(IDS.map((id, n) => [id, counts[n]]));
};
/** The Deployments whose keys were read since the last call of this function. */
const read = () =>
  store.sent
    .splice(0)
    .filter(({ name }) => name === 'Query')
    .map(({ input }) => (input.ExpressionAttributeValues as Record<string, string>)[':pk'])
    .flatMap((pk) => pk?.match(/^DEPLOYMENT#(.*)/)?.[1] ?? []);

it('the sweep sends a notice about every key, keeps no position, and starts from the beginning each time', async () => {
  for (const marked of [4, 0]) {
    expect(await run()).toBe(marked);
    expect(read()).toEqual(IDS);
  }
  expect(await told()).toEqual({ alpha: 1, beta: 1, delta: 1, gamma: 1 });
  expect(await store.get(PASS)).toBeUndefined();
});

it('the sweep continues after a run without enough time, and then starts again from the beginning', async () => {
  await expect(run(3)).rejects.toThrow(OUT_OF_TIME);
  expect(await told()).toEqual({ alpha: 1, beta: 1, delta: 0, gamma: 0 });
  read();
  await expect(run(1)).rejects.toThrow(OUT_OF_TIME);
  expect(read()).toEqual(['delta']);
  // Within a Deployment the keys are read again, but a notice is sent once.
  expect(await run()).toBe(1);
  expect(read()).toEqual(['gamma']);
  expect(await told()).toEqual({ alpha: 1, beta: 1, delta: 1, gamma: 1 });
  expect(await run()).toBe(0);
  expect(read()).toEqual(IDS);
});

it('the sweep continues when the Deployment at its position was deleted', async () => {
  await expect(run(3)).rejects.toThrow(OUT_OF_TIME);
  await store.remove({ pk: 'DEPLOYMENTS', sk: 'beta' });
  read();
  expect(await run()).toBe(2);
  expect(read()).toEqual(['delta', 'gamma']);
});

it('the sweep starts again after a failure in a continued run, so that an unreadable item delays the others only once', async () => {
  await expect(run(3)).rejects.toThrow(OUT_OF_TIME);
  const { client } = store.table;
  // The table responds with its position and its directory, and then fails.
  let calls = 0;
  const table = {
    ...store.table,
    client: {
      send: (command: never) => (++calls > 3 ? Promise.reject(new Error('down')) : client.send(command)),
    },
  } as unknown as Table;
  const clock = () => MADE_AT;
  await expect(sweepKeys({ table, clock, maxIdleDays: undefined, hasTime: () => true })).rejects.toThrow(
    'down',
  );
  read();
  expect(await run()).toBe(2);
  expect(read()).toEqual(IDS);
});
