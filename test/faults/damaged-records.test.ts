import { isDeepStrictEqual } from 'node:util';
import { DeleteCommand, GetCommand, PutCommand } from '@aws-sdk/lib-dynamodb';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Clock } from '../../functions/domain/expiry.ts';
import { newUlid } from '../../functions/domain/mint.ts';
import { purgeFromQueue, purgeFromStream, sweepMarkers } from '../../functions/jobs/purge.ts';
import { ownTable, reconcile } from '../../functions/jobs/reconcile.ts';
import { sweepKeys } from '../../functions/jobs/sweep-keys.ts';
import { recordRejectedCalls } from '../../functions/operations/record-rejected-calls.ts';
import { someOf } from '../support/generated.ts';
import { DAY, inProcess, must, removal, startTable } from '../support/in-process.ts';

/**
 * Row 65 for the items on which no check depends: damages one attribute of one item, at every depth. Then every call and
 * job that reads the item must still answer and finish, and the Deployment can be deleted and is purged.
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

/** A missing attribute, or one of another type, empty or out of range. */
const DAMAGES = [
  undefined,
  '',
  'x',
  -1,
  0.5,
  7,
  8.64e15 + 1,
  Number.MAX_SAFE_INTEGER,
  true,
  null,
  [],
  [7],
  ['x'],
  {},
  { x: 'x' },
  new Set(['x']),
  new Uint8Array([1]),
];

const isMap = (value: unknown): value is Item =>
  typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype;

/** The map with one attribute damaged, at every depth. */
function damagesOf(item: Item, at = ''): { title: string; item: Item }[] {
  return Object.entries(item)
    .filter(([name]) => name !== 'pk' && name !== 'sk')
    .flatMap(([name, before]) => {
      const path = at + name;
      const within = isMap(before)
        ? damagesOf(before, `${path}.`).map(({ title, item: value }) => ({
            title,
            item: { ...item, [name]: value },
          }))
        : [];
      const whole = DAMAGES.filter((value) => !isDeepStrictEqual(value, before)).map((value) => ({
        title: `${path}: ${value instanceof Set ? 'a set' : JSON.stringify(value)}`,
        item: { ...item, [name]: value },
      }));
      return [...whole, ...within];
    });
}

const put = (Item: Item) => table.client.send(new PutCommand({ TableName: 'keys', Item }));
const get = async (Key: Key) =>
  (await table.client.send(new GetCommand({ TableName: 'keys', Key, ConsistentRead: true }))).Item;
const remove = ({ pk, sk }: Item) =>
  table.client.send(new DeleteCommand({ TableName: 'keys', Key: { pk, sk } }));
const PARTITIONS = [
  `DEPLOYMENT#${ID}`,
  'DEPLOYMENTS',
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

/** Everything that reads or writes the items. */
const USES: Record<string, () => Promise<unknown>> = {
  'list Deployments': async () => (await service.call('GET', '/deployments', admin)).status,
  'list as a member': async () => (await service.call('GET', '/deployments', { as: 'ada' })).status,
  'get the Deployment': async () => (await service.call('GET', `/deployments/${ID}`, admin)).status,
  'list keys': async () => (await service.call('GET', `/deployments/${ID}/api-keys`, admin)).status,
  'list events': async () => (await service.call('GET', `/deployments/${ID}/events`, admin)).status,
  'list events, page by page': async () =>
    (await service.call('GET', `/deployments/${ID}/events?limit=1`, admin)).status,
  'repeat a call': async () => (await create()).status,
  'be rejected': async () => (await rejected()).status,
  'edit the Deployment': async () =>
    (await service.call('PUT', `/deployments/${ID}`, { ...admin, json: { groups: ['data-eng'] } })).status,
  'sweep keys': () => sweepKeys({ table, clock, maxIdleDays: 30, hasTime: always }).then(() => {}),
  'record rejected calls': () =>
    recordRejectedCalls({ table, clock, hasTime: always, log: () => {} }).then(() => {}),
  reconcile: () => reconcile(ownTable({ table, clock }), { table, clock, hasTime: always, log: () => {} }),
};

/** Deletes the Deployment and runs every job that follows. Returns what is left of it. */
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
    [`DEPLOYMENT#${ID}`, 'DEPLOYMENTS', 'PURGES'].map((pk) => service.partition(pk)),
  );
  return left.flat().map(({ pk, sk }) => `${pk} ${sk}`);
}

/** The items of each kind, by the start of their keys. */
const KINDS: Record<string, (item: Item) => boolean> = {
  'an idempotency record': ({ sk }) => String(sk).startsWith('IDEM#'),
  'a directory entry': ({ pk }) => pk === 'DEPLOYMENTS',
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
  await service.swap(await service.makeKey(ID));
  must(await rejected(), 404);
  await put({ pk: 'PURGES', sk: `${ID}#${newUlid(0)}`, createdAt: START - HOUR });
  const directory = { pk: 'DEPLOYMENTS', sk: ID };
  await put({ pk: 'RECONCILIATION', sk: 'TABLE', startedAt: START - HOUR, after: directory });
  await put({ pk: 'RECONCILIATION', sk: 'KEYS', startedAt: START - HOUR, after: directory });
  world = await all();
});

describe('a malformed item', { timeout: 600_000 }, () => {
  it.each(Object.keys(KINDS))(
    '#65: stops no call and no job, and the Deployment can be deleted and is purged, whatever is damaged in %s',
    async (kind) => {
      const good = world.find((item) => KINDS[kind]?.(item)) as Item;
      const faults: string[] = [];
      const damages = someOf(damagesOf(good));
      expect(damages.length).toBeGreaterThan(0);
      for (const { title, item } of damages) {
        for (const one of await all()) await remove(one);
        for (const one of world) await put(one);
        await put(item);
        // Rejected calls are moved into events after their hour.
        service.time.now = START + 2 * HOUR;
        for (const [name, use] of Object.entries(USES)) {
          const status = await use().catch((error) => String(error));
          if (typeof status === 'string' || Number(status) >= 500)
            faults.push(`${title}; ${name}: ${status}`);
        }
        const left = await end().catch((error) => [String(error)]);
        if (left.length > 0) faults.push(`${title}; left: ${left}`);
      }
      service.time.now = START;
      expect(faults).toEqual([]);
    },
  );

  it.each(['startedAt', 'after'])(
    '#65: delays no pass of the reconciliation for more than a week, whatever is damaged in its %s',
    async (name) => {
      const key = { pk: 'RECONCILIATION', sk: 'TABLE' };
      const good = world.find((item) => KINDS['the position of the reconciliation']?.(item)) as Item;
      const titles = damagesOf(good).filter(({ title }) => title.startsWith(name));
      for (const { title, item } of titles) {
        await put(item);
        let passes = 0;
        // The handler runs more often than once an hour.
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
