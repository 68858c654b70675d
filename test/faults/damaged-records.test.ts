import { DeleteCommand, GetCommand, PutCommand } from '@aws-sdk/lib-dynamodb';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { newUlid } from '../../functions/domain/credentials.ts';
import type { Clock } from '../../functions/domain/expiry.ts';
import { purgeFromQueue, purgeFromStream, sweepMarkers } from '../../functions/jobs/purge.ts';
import { ownTable, reconcile } from '../../functions/jobs/reconcile.ts';
import { sweepKeys } from '../../functions/jobs/sweep-keys.ts';
import { writeGroupEntries } from '../../functions/jobs/write-group-entries.ts';
import { recordRejectedCalls } from '../../functions/operations/record-rejected-calls.ts';
import { damagesOf } from '../support/damages.ts';
import { someOf } from '../support/generated.ts';
import { DAY, inProcess, must, removal, startTable } from '../support/in-process.ts';

/**
 * Row 65 of docs/faults.md, for items that no check needs. The tests damage one attribute of one item at a time. Every
 * call that reads the item must still respond, every job must finish, and it must still be possible to delete and purge
 * the Deployment.
 */
const engine = await startTable();
afterAll(() => engine.stop());
const service = inProcess(engine, { countsRejectedCalls: true });
const { table } = service;
const admin = { as: 'admin' };
const ID = 'damaged';
const HOUR = 60 * 60 * 1000;
const START = service.time.now;
const clock: Clock = () => service.time.now;
const always = () => true;

type Item = Record<string, unknown>;
type Key = { pk: string; sk: string };

const put = (Item: Item) => table.client.send(new PutCommand({ TableName: 'keys', Item }));
const get = async (Key: Key) =>
  (await table.client.send(new GetCommand({ TableName: 'keys', Key, ConsistentRead: true }))).Item;
const remove = ({ pk, sk }: Item) =>
  table.client.send(new DeleteCommand({ TableName: 'keys', Key: { pk, sk } }));
const PARTITIONS = [
  `DEPLOYMENT#${ID}`,
  'DEPLOYMENTS',
  'GROUP#data-eng',
  `EVENTS#${ID}`,
  'PURGES',
  'RECONCILIATION',
  'REJECTED_CALLS',
];
const all = async () => (await Promise.all(PARTITIONS.map((pk) => service.partition(pk)))).flat();

const create = () =>
  service.call('POST', `/deployments/${ID}/api-keys`, {
    ...admin,
    json: { name: 'ci' },
    headers: { 'idempotency-key': 'once' },
  });

const rejected = () => service.call('GET', `/deployments/${ID}/api-keys/none`, admin);

/** All calls and jobs that read or write the items. */
const USES: Record<string, () => Promise<unknown>> = {
  'list Deployments': async () => (await service.call('GET', '/deployments', admin)).status,
  'list as a member': async () => (await service.call('GET', '/deployments', { as: 'ada' })).status,
  'get the Deployment': async () => (await service.call('GET', `/deployments/${ID}`, admin)).status,
  'list keys': async () => (await service.call('GET', `/deployments/${ID}/api-keys`, admin)).status,
  'list temporary tokens': async () =>
    (await service.call('GET', `/deployments/${ID}/temporary-tokens`, admin)).status,
  'list events': async () => (await service.call('GET', `/deployments/${ID}/events`, admin)).status,
  'list events, page by page': async () =>
    (await service.call('GET', `/deployments/${ID}/events?limit=1`, admin)).status,
  'repeat a call': async () => (await create()).status,
  'be rejected': async () => (await rejected()).status,
  'edit the Deployment': async () =>
    (await service.call('PUT', `/deployments/${ID}`, { ...admin, json: { groups: ['data-eng'] } })).status,
  'write the entries in groups': () => writeGroupEntries({ table, clock, hasTime: always }),
  'sweep keys': () =>
    sweepKeys({ table, clock, maxIdleDays: 30, issuers: [], policy: {}, hasTime: always }).then(() => {}),
  'record rejected calls': () =>
    recordRejectedCalls({ table, clock, hasTime: always, log: () => {} }).then(() => {}),
  reconcile: () => reconcile(ownTable({ table, clock }), { table, clock, hasTime: always, log: () => {} }),
};

/** Deletes the Deployment, runs every job that follows, and returns the remaining items. */
async function end(): Promise<string[]> {
  const deployment = await get({ pk: `DEPLOYMENT#${ID}`, sk: 'DEPLOYMENT' });
  must(await service.call('DELETE', `/deployments/${ID}`, admin), 204);
  await purgeFromStream(
    [removal({ pk: `DEPLOYMENT#${ID}`, sk: 'DEPLOYMENT' }, String(deployment?.generation))],
    always,
    service.purge,
  );
  service.time.now += HOUR;
  service.deferred.length = 0;
  await sweepMarkers(service.purge);
  for (const task of service.deferred.splice(0)) {
    const record = { messageId: 'm', body: JSON.stringify(task) } as never;
    expect(await purgeFromQueue([record], always, service.purge)).toEqual({ batchItemFailures: [] });
  }
  const left = await Promise.all(
    [`DEPLOYMENT#${ID}`, 'DEPLOYMENTS', 'GROUP#data-eng', 'PURGES'].map((pk) => service.partition(pk)),
  );
  return left.flat().map(({ pk, sk }) => `${pk} ${sk}`);
}

/** The items of each kind, by the beginning of their keys. */
const KINDS: Record<string, (item: Item) => boolean> = {
  'an idempotency record': ({ sk }) => String(sk).startsWith('IDEM#'),
  'a Deployment': ({ sk }) => sk === 'DEPLOYMENT',
  'an API key': ({ sk }) => String(sk).startsWith('KEY#'),
  'a token': ({ sk }) => String(sk).startsWith('TOKEN#'),
  'a temporary token': ({ sk }) => String(sk).startsWith('GRANT#'),
  'a directory entry': ({ pk }) => pk === 'DEPLOYMENTS',
  'an entry in a group': ({ pk }) => pk === 'GROUP#data-eng',
  'the position of the pass that writes the entries in groups': ({ pk, sk }) =>
    pk === 'RECONCILIATION' && sk === 'GROUPS',
  'an event': ({ pk, type }) => pk === `EVENTS#${ID}` && type === 'api_key.created',
  'a purge marker': ({ pk }) => pk === 'PURGES',
  'the position of the reconciliation': ({ pk, sk }) => pk === 'RECONCILIATION' && sk === 'TABLE',
  'the position of the sweep of keys': ({ pk, sk }) => pk === 'RECONCILIATION' && sk === 'KEYS',
  'counts of rejected calls': ({ pk }) => pk === 'REJECTED_CALLS',
};

let world: Item[];
beforeAll(async () => {
  await service.register(ID);
  must(await create(), 201);
  await service.exchangeForToken(await service.createKey(ID));
  must(await service.call('POST', `/deployments/${ID}/temporary-tokens`, { ...admin, json: {} }), 201);
  must(await rejected(), 404);
  await put({ pk: 'PURGES', sk: `${ID}#${newUlid(0)}`, createdAt: START - HOUR });
  const directory = { pk: 'DEPLOYMENTS', sk: ID };
  await put({ pk: 'RECONCILIATION', sk: 'TABLE', startedAt: START - HOUR, after: directory });
  await put({ pk: 'RECONCILIATION', sk: 'GROUPS', startedAt: START - HOUR, after: directory });
  await put({ pk: 'RECONCILIATION', sk: 'KEYS', startedAt: START - HOUR, after: directory });
  world = await all();
});

/** Replaces all items by those of the world, one of them damaged. */
async function restoreWorld(damaged: Item): Promise<void> {
  for (const one of await all()) await remove(one);
  for (const one of world) await put(one);
  await put(damaged);
  // Rejected calls become events after the hour in which they happened.
  service.time.now = START + 2 * HOUR;
}

/** Makes all calls and runs all jobs. @returns those that failed */
async function failedUses(): Promise<string[]> {
  const faults: string[] = [];
  for (const [name, use] of Object.entries(USES)) {
    const status = await use().catch((error) => String(error));
    if (typeof status === 'string' || Number(status) >= 500) faults.push(`${name}: ${status}`);
  }
  return faults;
}

describe('A malformed item stops neither calls nor jobs', { timeout: 600_000 }, () => {
  it.each(Object.keys(KINDS))(
    '#65: damage to %s does not stop any call or job, and the Deployment can be deleted and is purged',
    async (kind) => {
      const good = world.find((item) => KINDS[kind]?.(item)) as Item;
      const faults: string[] = [];
      const damages = someOf(damagesOf(good));
      expect(damages.length).toBeGreaterThan(0);
      for (const { title, item } of damages) {
        await restoreWorld(item);
        for (const fault of await failedUses()) faults.push(`${title}; ${fault}`);
        const left = await end().catch((error) => [String(error)]);
        if (left.length > 0) faults.push(`${title}; left: ${left}`);
      }
      service.time.now = START;
      expect(faults).toEqual([]);
    },
  );

  it.each(['startedAt', 'after'])(
    '#65: no damage to %s delays a reconciliation pass by more than a week',
    async (name) => {
      const key = { pk: 'RECONCILIATION', sk: 'TABLE' };
      const good = world.find((item) => KINDS['the position of the reconciliation']?.(item)) as Item;
      const titles = damagesOf(good).filter(({ title }) => title.startsWith(name));
      for (const { title, item } of titles) {
        await put(item);
        let passes = 0;
        // The handler for reconciliation runs more often than once an hour.
        service.time.now = START + 8 * DAY * 1000;
        for (let run = 0; run < 3; run++) {
          await reconcile(ownTable({ table, clock }), { table, clock, hasTime: always, log: () => passes++ });
        }
        expect(passes, title).toBeGreaterThan(0);
        expect(await get(key), title).toEqual({ ...key, startedAt: expect.any(Number) });
      }
      service.time.now = START;
    },
  );
});
