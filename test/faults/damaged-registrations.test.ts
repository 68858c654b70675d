import { isDeepStrictEqual } from 'node:util';
import { DeleteCommand, PutCommand } from '@aws-sdk/lib-dynamodb';
import { beforeEach, describe, expect, it } from 'vitest';
import { type Reconciler, reconcile } from '../../functions/jobs/reconcile.ts';
import { compareRegistrations, compareRows } from '../../functions/jobs/reconcile-source.ts';
import { damagesOf } from '../support/damages.ts';
import { someOf } from '../support/generated.ts';
import { rowOf, startFollowing } from '../support/platform-table.ts';

/**
 * Row 65 of docs/faults.md, for a followed table. The tests damage one attribute of a registration, or of the item that
 * stores the position of a comparison. The comparisons must finish, report the malformed item and still repair all
 * other Deployments.
 */
const { platform, service, table, clock, sync } = await startFollowing();

type Item = Record<string, unknown>;
const put = (Item: Item) => table.client.send(new PutCommand({ TableName: 'keys', Item }));
const partitions = ['SOURCES', 'DEPLOYMENTS', 'RECONCILIATION', 'DEPLOYMENT#bad', 'DEPLOYMENT#gone'];
const listed = async () => (await service.partition('DEPLOYMENTS')).map(({ sk }) => sk);
const registrationOf = async (id: string) =>
  (await service.partition('SOURCES')).find(({ sk }) => sk === id) as Item;
const BAD = { pk: 'SOURCES', sk: 'bad' };

const comparison = { table, from: platform.from, clock, onRejectedRow: () => {}, maxMissing: 1 };
const rows = () => compareRows(undefined, comparison);
const registrations = () => compareRegistrations(undefined, comparison);

/** Creates two followed Deployments, `bad` and `gone`, with their rows. */
async function world(): Promise<Item> {
  for (const pk of partitions) {
    for (const { sk } of await service.partition(pk)) {
      await table.client.send(new DeleteCommand({ TableName: 'keys', Key: { pk, sk } }));
    }
  }
  for (const id of ['bad', 'gone']) {
    await platform.remove(id);
    await platform.put(rowOf(id));
  }
  await platform.records();
  await rows();
  service.malformed.length = 0;
  return registrationOf('bad');
}

let good: Item;
beforeEach(async () => {
  good = await world();
});

/** Row keys that a followed table cannot have. */
const KEYS: unknown[] = [
  {},
  { key: {} },
  { key: { S: '' } },
  { key: { N: '7' } },
  { key: { N: 'seven' } },
  { key: { B: new Uint8Array([1]) } },
  { key: { B: 'AQ==' } },
  { key: { NULL: true } },
  { key: { S: 'row-bad', N: '7' } },
  { key: { S: 'x'.repeat(2049) } },
  { key: 'row-bad' },
  { other: { S: 'row-bad' } },
  { key: { S: 'row-bad' }, other: { S: 'x' } },
  { key: { S: 'row-bad' }, other: { S: 'x' }, third: { S: 'x' } },
  { $unknown: { S: 'row-bad' } },
];

const damages = () => [
  ...someOf(damagesOf(good)),
  ...KEYS.map((row) => ({ title: `row: ${JSON.stringify(row)}`, item: { ...good, row } })),
];
/**
 * Reports whether the registration is well-formed but names a different row. The comparison cannot detect such damage.
 */
const isOtherRow = ({ row }: Item) => isDeepStrictEqual(row, { key: { S: 'x' } });

/** Compares the registrations after damage to one of them. @returns the problems that the test found */
async function faultsOfComparison(damaged: Item): Promise<string[]> {
  service.malformed.length = 0;
  const compared = await registrations().catch(String);
  const isFine = isDeepStrictEqual(damaged.row, good.row) && service.malformed.length === 0;
  const done = { registered: 0, edited: 0, deleted: 1, stopped: 0 };
  const counts = { read: 1, refused: 0, malformed: 1, ...done };
  const expected = isFine
    ? { ...counts, read: 2, malformed: 0 }
    : { ...counts, read: (compared as { counts: { read: number } }).counts?.read };
  const isExpected = isDeepStrictEqual(compared, { counts: expected, next: undefined });
  const isReported = isFine || isDeepStrictEqual(service.malformed, [BAD]);
  const ids = await listed();
  return [
    ...(isExpected ? [] : [JSON.stringify(compared)]),
    ...(isReported ? [] : ['not reported']),
    ...(isDeepStrictEqual(ids, ['bad']) ? [] : [String(ids)]),
  ];
}

describe('A malformed registration does not stop the comparison with the followed table', {
  timeout: 600_000,
}, () => {
  it('#65: a malformed registration is reported, deletes nothing, and does not stop the comparison of other registrations', async () => {
    await platform.remove('gone');
    const gone = await service.partition('DEPLOYMENT#gone');
    const entries = await service.partition('DEPLOYMENTS');
    const goneRegistration = await registrationOf('gone');
    const faults: string[] = [];
    for (const { title, item } of damages().filter(({ item: it }) => !isOtherRow(it))) {
      for (const one of [...gone, ...entries, goneRegistration, item]) await put(one);
      for (const fault of await faultsOfComparison(item)) faults.push(`${title}: ${fault}`);
    }
    expect(faults).toEqual([]);
  });

  it('#65: the comparison replaces a malformed registration, so that the Deployment follows its row again', async () => {
    const faults: string[] = [];
    for (const { title, item } of damages()) {
      await put(item);
      await rows();
      await registrations();
      const { row, isPresent } = await registrationOf('bad');
      if (!isDeepStrictEqual([row, isPresent], [good.row, true])) faults.push(title);
      if (!isDeepStrictEqual(await listed(), ['bad', 'gone'])) faults.push(`${title}: ${await listed()}`);
    }
    expect(faults).toEqual([]);
  });

  it('#65: deleting a row of the followed table deletes its Deployment even if the registration is malformed', async () => {
    const before = await Promise.all(partitions.map((pk) => service.partition(pk)));
    await platform.remove('bad');
    const records = await platform.records();
    const faults: string[] = [];
    for (const { title, item } of damages()) {
      for (const one of [...before.flat(), item]) await put(one);
      await sync(records);
      if (!isDeepStrictEqual(await listed(), ['gone'])) faults.push(`${title}: ${await listed()}`);
    }
    expect(faults).toEqual([]);
  });
});

describe('A malformed position does not stop the comparison with the followed table', {
  timeout: 600_000,
}, () => {
  const reconcilers: Record<string, Reconciler> = {
    ROWS: { name: 'ROWS', page: (after) => compareRows(after, comparison) },
    REGISTRATIONS: { name: 'REGISTRATIONS', page: (after) => compareRegistrations(after, comparison) },
  };

  it.each(['ROWS', 'REGISTRATIONS'])(
    '#65: a malformed position does not delay any pass over %s by more than a week',
    async (name) => {
      const key = { pk: 'RECONCILIATION', sk: name };
      const after = name === 'ROWS' ? { key: { S: 'row-bad' } } : BAD;
      const position = { ...key, startedAt: clock(), after };
      const positions = [
        ...someOf(damagesOf(position)),
        ...KEYS.map((value) => ({
          title: `after: ${JSON.stringify(value)}`,
          item: { ...position, after: value },
        })),
      ];
      const faults: string[] = [];
      const start = service.time.now;
      for (const { title, item } of positions) {
        await put(item);
        // The handler for the comparison runs more often than once an hour.
        service.time.now = start + 8 * 24 * 60 * 60 * 1000;
        let slices = 0;
        for (let run = 0; run < 3; run++) {
          await reconcile(reconcilers[name] as Reconciler, {
            table,
            clock,
            hasTime: () => true,
            log: () => slices++,
          }).catch((error) => faults.push(`${title}: ${error}`));
        }
        if (slices === 0) faults.push(`${title}: no pass`);
        const [stored] = (await service.partition('RECONCILIATION')).filter(({ sk }) => sk === name);
        if (!stored || stored.after !== undefined) faults.push(`${title}: left ${JSON.stringify(stored)}`);
        service.time.now = start;
      }
      expect(faults).toEqual([]);
    },
  );
});
