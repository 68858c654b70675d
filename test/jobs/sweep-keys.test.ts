import { beforeEach, expect, it } from 'vitest';
import type { KeyPolicy } from '../../functions/domain/key-policy.ts';
import { sweepKeys } from '../../functions/jobs/sweep-keys.ts';
import { passKey, toApiKey, toDirectoryEntry } from '../../functions/table/schema.ts';
import { apiKey, deployment, GENERATION, MADE_AT } from '../support/records.ts';
import { startStore, watched } from '../support/store.ts';

const store = await startStore();

type Data = Record<string, unknown>;

const IDS = ['alpha', 'beta', 'delta', 'gamma'];
/** One day in milliseconds. */
const DAY = 86_400_000;
const PASS = passKey('KEYS');
let now = MADE_AT;
const OUT_OF_TIME = 'the sweep of keys ran out of time';

beforeEach(async () => {
  now = MADE_AT;
  await store.clear('DEPLOYMENTS', PASS.pk, ...IDS.flatMap((id) => [`DEPLOYMENT#${id}`, `EVENTS#${id}`]));
  for (const id of IDS) {
    const expired = apiKey({ deploymentId: id, validUntil: MADE_AT });
    await store.put(toDirectoryEntry(deployment({ id })), toApiKey(expired));
  }
});

/** Runs the daily sweep job. Its time runs out after it has checked the clock `clockChecks` times. */
async function run(clockChecks = Number.POSITIVE_INFINITY, policy: KeyPolicy = {}): Promise<number> {
  let left = clockChecks;
  const hasTime = () => left-- > 0;
  return sweepKeys({
    table: store.table,
    clock: () => now,
    maxIdleDays: undefined,
    issuers: [],
    policy,
    hasTime,
  });
}

/** Returns the number of notices about each Deployment's keys. */
const noticeCounts = async () => {
  const counts = await Promise.all(IDS.map(async (id) => (await store.partition(`EVENTS#${id}`)).length));
  return Object.fromEntries(IDS.map((id, n) => [id, counts[n]]));
};
/** Returns the Deployments whose keys were read since the last call of this function. */
const read = () =>
  store.sent
    .splice(0)
    .filter(({ operation }) => operation === 'Query')
    .map(({ input }) => (input.ExpressionAttributeValues as Record<string, string>)[':pk'])
    .flatMap((pk) => pk?.match(/^DEPLOYMENT#(.*)/)?.[1] ?? []);

it('the key sweep job sends one notice about each key and starts from the beginning each time', async () => {
  for (const marked of [4, 0]) {
    expect(await run()).toBe(marked);
    expect(read()).toEqual(IDS);
  }
  expect(await noticeCounts()).toEqual({ alpha: 1, beta: 1, delta: 1, gamma: 1 });
  expect(await store.get(PASS)).toBeUndefined();
});

it('the key sweep job reports each violation of the key policy once for each key', async () => {
  await store.put(toApiKey(apiKey({ deploymentId: 'alpha' })));
  const allowed = apiKey({ deploymentId: 'beta', ulid: GENERATION, validUntil: MADE_AT + 90 * DAY });
  await store.put(toApiKey(allowed));
  const reports = async () =>
    (await store.partition('EVENTS#alpha')).map(({ type, data }) => [type, (data as Data).violations]);
  const unlimited = Number.POSITIVE_INFINITY;

  expect(await run(unlimited, { maxKeyDays: 90 })).toBe(4);
  expect(await run(unlimited, { maxKeyDays: 90 })).toBe(0);
  expect(await reports()).toEqual([['api_key.policy_violated', ['no_expiry']]]);

  now += DAY;
  // A stricter policy is another reason to report the key; a policy that is lifted is not.
  expect(await run(unlimited, { maxKeyDays: 90, keysWithSecrets: false })).toBe(5);
  for (const policy of [{ maxKeyDays: 90, keysWithSecrets: false }, { keysWithSecrets: false }, {}]) {
    expect(await run(unlimited, policy)).toBe(0);
  }
  expect(await reports()).toEqual([
    ['api_key.policy_violated', ['no_expiry']],
    ['api_key.policy_violated', ['no_expiry', 'secret']],
  ]);
  expect((await store.partition('EVENTS#beta')).map(({ type }) => type)).toEqual([
    'api_key.expired',
    'api_key.policy_violated',
    'api_key.policy_violated',
  ]);
});

it('the key sweep job continues where the last run ran out of time', async () => {
  await expect(run(3)).rejects.toThrow(OUT_OF_TIME);
  expect(await noticeCounts()).toEqual({ alpha: 1, beta: 1, delta: 0, gamma: 0 });
  read();
  await expect(run(1)).rejects.toThrow(OUT_OF_TIME);
  expect(read()).toEqual(['delta']);
  // The job reads the keys within a Deployment again, but sends each notice only once.
  expect(await run()).toBe(1);
  expect(read()).toEqual(['gamma']);
  expect(await noticeCounts()).toEqual({ alpha: 1, beta: 1, delta: 1, gamma: 1 });
  expect(await run()).toBe(0);
  expect(read()).toEqual(IDS);
});

it('the key sweep job continues even if the Deployment where it stopped was deleted', async () => {
  await expect(run(3)).rejects.toThrow(OUT_OF_TIME);
  await store.remove({ pk: 'DEPLOYMENTS', sk: 'beta' });
  read();
  expect(await run()).toBe(2);
  expect(read()).toEqual(['delta', 'gamma']);
});

it('the key sweep job starts from the beginning after a run that failed', async () => {
  await expect(run(3)).rejects.toThrow(OUT_OF_TIME);
  // The table returns the job's position and the directory, and then fails.
  let calls = 0;
  const fail = (when: 'before' | 'after') => {
    if (when === 'before' && ++calls > 3) throw new Error('down');
  };
  const table = { ...store.table, port: watched(store.table.port, fail) };
  const clock = () => MADE_AT;
  await expect(
    sweepKeys({ table, clock, maxIdleDays: undefined, issuers: [], policy: {}, hasTime: () => true }),
  ).rejects.toThrow('down');
  read();
  expect(await run()).toBe(2);
  expect(read()).toEqual(IDS);
});
