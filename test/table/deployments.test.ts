import { beforeEach, describe, expect, it } from 'vitest';
import { newUlid } from '../../functions/domain/credentials.ts';
import {
  deleteDeployment,
  editDeployment,
  listDeployments,
  readDamagedDeployment,
  readDeployment,
  registerDeployment,
} from '../../functions/table/deployments.ts';
import { NO_GENERATION } from '../../functions/table/schema.ts';
import { deployment, event, GENERATION } from '../support/records.ts';
import { startStore } from '../support/store.ts';

const store = await startStore('DEPLOYMENT#etl', 'DEPLOYMENTS', 'EVENTS#etl', 'PURGES');
const { table } = store;

const etl = deployment();
const ofEtl = { pk: 'DEPLOYMENT#etl', sk: 'DEPLOYMENT' };
const entryOfEtl = { pk: 'DEPLOYMENTS', sk: 'etl' };
const { id, keyCount, ...listed } = etl;
const OTHER = newUlid(0);
const events = async () => (await store.partition('EVENTS#etl')).map(({ type }) => type);
const all = { after: undefined, limit: 100 };

describe('DynamoDB stores a Deployment as one item', () => {
  it('stores a new Deployment with its directory entry and event', async () => {
    expect(await registerDeployment(table, etl, event({ type: 'deployment.registered' }))).toBe(true);
    expect(await store.get(ofEtl)).toEqual({ ...ofEtl, ...listed, keyCount });
    expect(await store.get(entryOfEtl)).toEqual({ ...entryOfEtl, ...listed });
    expect(await events()).toEqual(['deployment.registered']);
    expect(await readDeployment(table, 'etl')).toEqual(etl);
    expect(store.sent.at(-1)).toMatchObject({ operation: 'GetItem', input: { ConsistentRead: true } });
  });

  it('does not create a Deployment whose ID is already in use', async () => {
    await registerDeployment(table, etl, event());
    const again = deployment({ name: 'other', generation: OTHER });
    expect(await registerDeployment(table, again, event({ id: newUlid(1) }))).toBe(false);
    expect(await readDeployment(table, 'etl')).toEqual(etl);
    expect(await store.get(entryOfEtl)).toMatchObject({ name: 'ETL' });
    expect(await events()).toHaveLength(1);
  });

  it('creating a Deployment replaces a directory entry from an earlier generation', async () => {
    await store.put({ ...entryOfEtl, name: 'left', groups: [], generation: OTHER, createdAt: 1 });
    expect(await registerDeployment(table, etl, event())).toBe(true);
    expect(await store.get(entryOfEtl)).toMatchObject({ name: 'ETL', generation: GENERATION });
  });

  it('reads a missing or malformed Deployment as undefined, and reports a malformed one', async () => {
    expect(await readDeployment(table, 'etl')).toBeUndefined();
    expect(store.malformed).toEqual([]);
    await store.put({ ...ofEtl, name: 'ETL' });
    expect(await readDeployment(table, 'etl')).toBeUndefined();
    expect(store.malformed).toEqual([ofEtl]);
  });

  it('an edit changes a Deployment and its directory entry, but not its key count', async () => {
    await registerDeployment(table, deployment({ keyCount: 7 }), event());
    const read = deployment({ keyCount: 3 });
    const changes = { name: 'new', groups: [] };
    const edited = event({ id: newUlid(1), type: 'deployment.edited' });
    expect(await editDeployment(table, read, changes, edited)).toBe(true);
    expect(await readDeployment(table, 'etl')).toEqual(deployment({ ...changes, keyCount: 7, revision: 1 }));
    expect(await store.get(entryOfEtl)).toMatchObject({ name: 'new', groups: [] });
    expect(await events()).toEqual(expect.arrayContaining(['deployment.edited']));
  });

  it('does not edit a Deployment that was deleted or belongs to a different generation', async () => {
    expect(await editDeployment(table, etl, { name: 'new' }, event())).toBe(false);
    await registerDeployment(table, etl, event());
    const other = deployment({ generation: OTHER });
    expect(await editDeployment(table, other, { name: 'new' }, event({ id: newUlid(1) }))).toBe(false);
    expect(await readDeployment(table, 'etl')).toEqual(etl);
    expect(await store.get(entryOfEtl)).toMatchObject({ name: 'ETL' });
    expect(await events()).toHaveLength(1);
  });

  it('deleting a Deployment also deletes its directory entry, and writes a purge marker and an event', async () => {
    await registerDeployment(table, etl, event());
    const deleted = event({ id: newUlid(1), type: 'deployment.deleted', createdAt: 5 });
    expect(await deleteDeployment(table, etl, deleted)).toBe(true);
    expect(await store.get(ofEtl)).toBeUndefined();
    expect(await store.get(entryOfEtl)).toBeUndefined();
    expect(await store.partition('PURGES')).toEqual([
      { pk: 'PURGES', sk: `etl#${GENERATION}`, createdAt: 5 },
    ]);
    expect(await events()).toEqual(expect.arrayContaining(['deployment.deleted']));
  });

  it('does not delete a Deployment that was deleted before or belongs to a different generation', async () => {
    expect(await deleteDeployment(table, etl, event())).toBe(false);
    await registerDeployment(table, etl, event());
    expect(await deleteDeployment(table, deployment({ generation: OTHER }), event({ id: newUlid(1) }))).toBe(
      false,
    );
    expect(await readDeployment(table, 'etl')).toEqual(etl);
    expect(await store.get(entryOfEtl)).toBeDefined();
    expect(await store.partition('PURGES')).toEqual([]);
    expect(await events()).toHaveLength(1);
  });
});

describe('A damaged Deployment can be deleted', () => {
  const gone = event({ type: 'deployment.deleted', createdAt: 5 });
  const item = { ...ofEtl, ...listed, keyCount };

  it.each<[string, object, object | undefined, string]>([
    ['in its own item', { name: 7 }, undefined, GENERATION],
    ['only in the directory', { generation: 7 }, { generation: OTHER }, OTHER],
    ['only in the directory', { generation: undefined }, { generation: OTHER }, OTHER],
    ['unknown', { generation: 'x' }, { generation: 'y' }, NO_GENERATION],
    ['unknown', { generation: undefined }, undefined, NO_GENERATION],
    ['unknown', { generation: [OTHER] }, { generation: [OTHER] }, NO_GENERATION],
  ])('deletes a damaged Deployment whose generation is %s', async (_, wrong, inDirectory, generation) => {
    await store.put({ ...item, ...wrong });
    if (inDirectory) await store.put({ ...entryOfEtl, ...inDirectory });
    const damaged = await readDamagedDeployment(table, 'etl');
    expect(damaged).toEqual({
      id: 'etl',
      generation,
      groups: listed.groups,
      stored: { generation: { ...item, ...wrong }.generation },
    });
    for (const { input } of store.sent) expect(input).toMatchObject({ ConsistentRead: true });
    expect(damaged && (await deleteDeployment(table, damaged, gone))).toBe(true);
    expect(await store.get(ofEtl)).toBeUndefined();
    expect(await store.get(entryOfEtl)).toBeUndefined();
    expect(await store.partition('PURGES')).toEqual([
      { pk: 'PURGES', sk: `etl#${generation}`, createdAt: 5 },
    ]);
  });

  it('does not delete a damaged Deployment whose item has changed since it was read', async () => {
    for (const stored of [{ generation: 7 }, { generation: undefined }]) {
      const damaged = { id: 'etl', generation: GENERATION, stored };
      expect(await deleteDeployment(table, damaged, gone)).toBe(false);
      await store.put(item);
      expect(await deleteDeployment(table, damaged, gone)).toBe(false);
      expect(await store.get(ofEtl)).toEqual(item);
      await store.remove(ofEtl);
    }
    expect(await readDamagedDeployment(table, 'etl')).toBeUndefined();
  });
});

describe("A transaction writes all of a Deployment's items or none", () => {
  const Put = {
    TableName: 'keys',
    Item: { pk: 'PURGES', sk: 'more' },
    ConditionExpression: 'attribute_not_exists(pk)',
  };
  const changes: [string, () => Promise<boolean>][] = [
    ['a registration', () => registerDeployment(table, etl, event(), [{ Put }])],
    ['an edit', () => editDeployment(table, etl, { name: 'new' }, event({ id: newUlid(1) }), [{ Put }])],
    ['a deletion', () => deleteDeployment(table, etl, event({ id: newUlid(2) }), [{ Put }])],
  ];

  it.each(changes)(
    'performs %s of a Deployment and an additional write in one transaction',
    async (_, change) => {
      if (_ !== 'a registration') await store.put({ ...ofEtl, ...listed, keyCount });
      await store.put(Put.Item);
      const before = await store.partition('DEPLOYMENT#etl');
      expect(await change()).toBe(false);
      expect(await store.partition('DEPLOYMENT#etl')).toEqual(before);
      await store.remove(Put.Item);
      expect(await change()).toBe(true);
      expect(await store.get(Put.Item)).toEqual(Put.Item);
    },
  );
});

describe('The Deployment directory lists Deployments in pages', () => {
  const names = Array.from({ length: 5 }, (_, n) => `d${n}`);
  const entry = (sk: string, change: object = {}) => ({ pk: 'DEPLOYMENTS', sk, ...listed, ...change });
  beforeEach(() => store.put(...names.map((name, n) => entry(name, { groups: n % 2 ? ['odd'] : [] }))));
  const ids = async (...args: Parameters<typeof listDeployments>) => {
    const { items, next } = await listDeployments(...args);
    if (next !== undefined) expect(next).toBe(items.at(-1)?.id);
    return [items.map((one) => one.id), next !== undefined];
  };
  const isOdd = ({ groups }: { groups: string[] }) => groups.includes('odd');

  it('lists the directory by Deployment ID, with one strongly consistent Query for each page', async () => {
    expect((await listDeployments(table, all)).items[0]).toEqual({ id: 'd0', ...listed, groups: [] });
    expect(await ids(table, all)).toEqual([names, false]);
    expect(await ids(table, { after: undefined, limit: 2 })).toEqual([['d0', 'd1'], true]);
    expect(await ids(table, { after: 'd1', limit: 2 })).toEqual([['d2', 'd3'], true]);
    expect(await ids(table, { after: 'd2', limit: 2 })).toEqual([['d3', 'd4'], false]);
    expect(await ids(table, { after: 'd4', limit: 2 })).toEqual([[], false]);
    expect(store.sent).toHaveLength(6);
    for (const { input } of store.sent) expect(input).toMatchObject({ ConsistentRead: true });
    expect(store.sent[2]?.input).toMatchObject({ Limit: 3 });
  });

  it('filters the directory, and reports whether more entries match', async () => {
    expect(await ids(table, { ...all, isWanted: isOdd })).toEqual([['d1', 'd3'], false]);
    expect(await ids(table, { after: undefined, limit: 1, isWanted: isOdd })).toEqual([['d1'], true]);
    expect(await ids(table, { after: 'd1', limit: 1, isWanted: isOdd })).toEqual([['d3'], false]);
    // The service reads pages of the full size, no matter how few entries match the filter.
    expect(store.sent.at(-1)?.input.Limit).toBeUndefined();
  });

  it('skips malformed directory entries and lists the entries after them', async () => {
    await store.put(entry('d1', { name: 7 }), entry('d2', { generation: 'x' }));
    expect(await ids(table, { after: undefined, limit: 1 })).toEqual([['d0'], true]);
    expect(await ids(table, { after: 'd0', limit: 1 })).toEqual([['d3'], true]);
    expect(store.malformed.map(({ sk }) => sk)).toEqual(['d1', 'd2', 'd1', 'd2']);
  });
});
