import { BatchWriteCommand, DeleteCommand, PutCommand } from '@aws-sdk/lib-dynamodb';
import { afterAll, describe, expect, it } from 'vitest';
import { newUlid } from '../../functions/domain/credentials.ts';
import { ownTable, reconcile } from '../../functions/jobs/reconcile.ts';
import { writeGroupEntries } from '../../functions/jobs/write-group-entries.ts';
import { toDeployment, toDirectoryEntry, toGroupEntries } from '../../functions/table/schema.ts';
import { sample } from '../support/generated.ts';
import { inProcess, must, startTable } from '../support/in-process.ts';
import { startMeter } from '../support/meter.ts';
import { deployment } from '../support/records.ts';

const engine = await startTable();
const meter = await startMeter(engine.endpoint, { scans: true });
afterAll(async () => {
  await meter.stop();
  await engine.stop();
});
/** Changes a Deployment just before a transaction deletes an item of the group index. */
let beforeDeletion: { of: string; run: () => Promise<void> } | undefined;
const app = inProcess(engine, {
  endpoint: meter.endpoint,
  around: async (when, { input }) => {
    if (when !== 'before' || !beforeDeletion) return;
    const { of, run } = beforeDeletion;
    const { TransactItems = [] } = input as { TransactItems?: { Delete?: object }[] };
    if (!TransactItems.some(({ Delete }) => JSON.stringify(Delete)?.includes(of))) return;
    beforeDeletion = undefined;
    await run();
  },
});
const { table } = app;
/** A table client that bypasses the meter, for writing test data. */
const { table: direct } = inProcess(engine);
const clock = () => app.time.now;
const always = () => true;
const WEEK = 7 * 24 * 3600 * 1000;

type Item = Record<string, unknown>;
const put = (Item: Item) => table.client.send(new PutCommand({ TableName: 'keys', Item }));
const remove = (pk: string, sk: string) =>
  table.client.send(new DeleteCommand({ TableName: 'keys', Key: { pk, sk } }));
async function fill(items: Item[]) {
  for (let at = 0; at < items.length; at += 25) {
    const batch = items.slice(at, at + 25).map((Item) => ({ PutRequest: { Item } }));
    await direct.client.send(new BatchWriteCommand({ RequestItems: { keys: batch } }));
  }
}
const inGroup = async (group: string) => (await app.partition(`GROUP#${group}`)).map(({ sk }) => sk);
const set = async (id: string, json: object) =>
  must(await app.call('PUT', `/deployments/${id}`, { as: 'admin', json }), 200, 201);
const reconcileAll = async () => {
  app.time.now += WEEK;
  const counts: Record<string, unknown>[] = [];
  const log = (_: string, fields: object) => counts.push(fields as Item);
  await reconcile(ownTable({ table, clock }), { table, clock, hasTime: always, log });
  return counts[0];
};

/** Returns the IDs that a member of these groups sees on all pages, and the read units of the calls. */
async function listed(groups: string[], query = 'limit=100') {
  const ids: string[] = [];
  let cursor = '';
  meter.take();
  do {
    const claims = { iat: 1_577_836_800, groups };
    const path = `/deployments?${query}${cursor && `&cursor=${encodeURIComponent(cursor)}`}`;
    const { json } = must(await app.call('GET', path, { as: 'ada', claims }), 200);
    ids.push(...json.items.map(({ id }: { id: string }) => id));
    cursor = json.nextCursor ?? '';
  } while (cursor);
  const { read, calls } = meter.take();
  return { ids, read, calls };
}

describe('Members list the Deployments of their groups', () => {
  it('the list shows all Deployments of a member while the group index is still being built', async () => {
    const old = ['old-1', 'old-2', 'old-3'].map((id) =>
      deployment({ id, groups: ['old', `of-${id}`], generation: newUlid(1) }),
    );
    await fill(old.flatMap((one) => [toDeployment(one), toDirectoryEntry(one)]));
    await set('new-1', { groups: ['old'] });
    const all = ['new-1', 'old-1', 'old-2', 'old-3'];
    expect((await listed(['old'])).ids).toEqual(all);

    // The job that builds the group index runs out of time after the first Deployments, and its next run continues.
    let left = 2;
    const short = writeGroupEntries({ table, clock, hasTime: () => left-- > 0 });
    await expect(short).rejects.toThrow('no time left to write the entries of groups');
    expect(await inGroup('old')).toEqual(['new-1', 'old-1']);
    expect((await listed(['old'])).ids).toEqual(all);
    expect(await writeGroupEntries({ table, clock, hasTime: always })).toBe(2);
    expect(await inGroup('old')).toEqual(all);
    expect(await inGroup('of-old-3')).toEqual(['old-3']);
    expect(await app.partition('GROUP#old')).toContainEqual({
      ...toDirectoryEntry(old[0] as never),
      pk: 'GROUP#old',
    });
    const { ids, calls } = await listed(['old']);
    expect([ids, calls]).toEqual([all, ['GetItem', 'GetItem', 'Query']]);
    expect(await writeGroupEntries({ table, clock, hasTime: always })).toBeUndefined();
  });

  it('the list merges up to 20 groups in order and without duplicates, on pages of every size', async () => {
    const letters = 'abcdefghijklmnopqrstuvwxyz'.slice(0, 20).split('');
    const expected: string[] = [];
    for (const [n, letter] of letters.entries()) {
      const id = `M-${letter}`;
      await set(id, { groups: [`m-${n}`, `m-${(n + 1) % 20}`, ...(n % 3 === 0 ? ['m-all'] : [])] });
      expected.push(id);
    }
    const groups = Array.from({ length: 19 }, (_, n) => `m-${n}`);
    for (const limit of [1, 2, 3, 7, 100]) {
      const { ids, calls } = await listed([...groups, 'm-all'], `limit=${limit}&prefix=M-`);
      expect(ids).toEqual(expected);
      expect(calls.filter((call) => call === 'Query').length % 20).toBe(0);
    }
    const more = await listed([...groups, 'm-all', 'm-19'], 'limit=100&prefix=M-');
    expect(more.ids).toEqual(expected);
    expect(more.calls.filter((call) => call === 'Query')).toHaveLength(1);
    expect((await listed(['m-3'], 'prefix=m-')).ids).toEqual([]);
    expect((await listed([])).calls).toEqual(['GetItem', 'GetItem']);
    expect((await listed(['x'.repeat(3000)])).ids).toEqual([]);
  });
});

describe('The group index matches the Deployments', () => {
  it('the group index follows each change of a Deployment, and its deletion', async () => {
    await set('moves', { name: 'before', groups: ['from', 'stays'] });
    await set('moves', { name: 'after', groups: ['stays', 'to'] });
    expect([await inGroup('from'), await inGroup('stays'), await inGroup('to')]).toEqual([
      [],
      ['moves'],
      ['moves'],
    ]);
    const [entry] = await app.partition('GROUP#stays');
    expect(entry).toMatchObject({ name: 'after', groups: ['stays', 'to'] });
    expect((await listed(['from'])).ids).toEqual([]);
    must(await app.call('DELETE', '/deployments/moves', { as: 'admin' }), 204);
    expect([await inGroup('stays'), await inGroup('to')]).toEqual([[], []]);
  });

  it('a deleted Deployment disappears from the group index, even if its groups change during the deletion', async () => {
    await set('late', { groups: ['late-1'] });
    const run = async () => void (await set('late', { groups: ['late-1', 'late-2'] }));
    beforeDeletion = { of: 'GROUP#late-1', run };
    must(await app.call('DELETE', '/deployments/late', { as: 'admin' }), 204);
    expect([await inGroup('late-1'), await inGroup('late-2')]).toEqual([[], []]);
  });

  it('reconciliation repairs group index entries that are missing, malformed, outdated or about deleted Deployments', async () => {
    await set('repair', { groups: ['r-1', 'r-2'] });
    const [entry = {}] = await app.partition('GROUP#r-2');
    await remove('GROUP#r-1', 'repair');
    await put({ ...entry, generation: 7 });
    await put({ ...entry, pk: 'GROUP#r-3' });
    await put({ ...entry, pk: 'GROUP#r-1', sk: 'never-existed' });
    // A malformed Deployment can be repaired by hand, so reconciliation keeps its entries in the group index.
    await set('damaged', { groups: ['r-4'] });
    const [damaged = {}] = await app.partition('DEPLOYMENT#damaged');
    await put({ ...damaged, groups: 7 });
    expect((await listed(['r-1', 'r-2', 'r-3'])).ids).toEqual(['never-existed']);
    expect(await reconcileAll()).toMatchObject({ dropped: 2 });
    expect(await app.partition('GROUP#r-2')).toEqual([entry]);
    expect([await inGroup('r-1'), await inGroup('r-3'), await inGroup('r-4')]).toEqual([
      ['repair'],
      [],
      ['damaged'],
    ]);
    expect((await listed(['r-1', 'r-2', 'r-3'])).ids).toEqual(['repair']);
  });

  it('reconciliation keeps a group index entry if the Deployment joins that group at the same moment', async () => {
    await set('joins', { groups: ['j-1'] });
    const [entry = {}] = await app.partition('GROUP#j-1');
    await put({ ...entry, pk: 'GROUP#j-2' });
    const run = async () => void (await set('joins', { groups: ['j-1', 'j-2'] }));
    beforeDeletion = { of: 'GROUP#j-2', run };
    await reconcileAll();
    expect(beforeDeletion).toBeUndefined();
    expect(await inGroup('j-2')).toEqual(['joins']);
  });
});

describe("The cost of a member's list does not depend on the number of Deployments", () => {
  it('listing 3 out of up to 100,000 Deployments costs 2.5 read units, and 7 for a person in ten groups', {
    timeout: 300_000,
  }, async () => {
    const size = sample(100_000);
    const teams = Math.floor(size / 3);
    const many = Array.from({ length: size }, (_, n) =>
      deployment({ id: `many-${n}`, groups: [`team-${n % teams}`], generation: newUlid(1) }),
    );
    await fill(many.flatMap((one) => [toDirectoryEntry(one), ...toGroupEntries(one)]));
    const ids = [7, 7 + teams, 7 + 2 * teams].map((n) => `many-${n}`).sort();
    const one = await listed(['team-7']);
    expect(one.ids).toEqual(ids);
    // Half a read unit for the query, one for the person, and one for the position of the job that builds the group
    // index.
    expect(one.read).toBe(2.5);
    const groups = ['team-7', ...Array.from({ length: 9 }, (_, n) => `nobody-${n}`)];
    const ten = await listed(groups);
    expect(ten.ids).toEqual(ids);
    expect(ten.read).toBe(7);
    expect(ten.calls.filter((call) => call === 'Query')).toHaveLength(10);
  });
});
