import { beforeEach, describe, expect, it } from 'vitest';
import { newUlid } from '../../functions/domain/credentials.ts';
import { notFound } from '../../functions/domain/errors.ts';
import type { Deployment } from '../../functions/domain/records.ts';
import {
  allDeployments,
  beginDeploymentRevision,
  canListGroups,
  deleteDeployment,
  editDeployment,
  listDeployments,
  listOfGroups,
  readDamagedDeployment,
  readDeployment,
  readVisibleDeployment,
  registerDeployment,
} from '../../functions/table/deployments.ts';
import {
  NO_GENERATION,
  toDeployment,
  toDirectoryEntry,
  toGroupEntries,
} from '../../functions/table/schema.ts';
import { deployment, event, GENERATION } from '../support/records.ts';
import { startStore, watched } from '../support/store.ts';

const groups = ['data-eng', 'a', 'b', 'c', 'x1', 'x2', 'x3', 'x4', 'x5'];
const store = await startStore(
  'DEPLOYMENT#etl',
  'DEPLOYMENTS',
  'EVENTS#etl',
  'PURGES',
  ...groups.map((group) => `GROUP#${group}`),
);
const { table } = store;

const etl = deployment();
const ofEtl = { pk: 'DEPLOYMENT#etl', sk: 'DEPLOYMENT' };
const entryOfEtl = { pk: 'DEPLOYMENTS', sk: 'etl' };
const { id, keyCount, ...listed } = etl;
const OTHER = newUlid(0);
const events = async () => (await store.partition('EVENTS#etl')).map(({ type }) => type);
const all = { after: undefined, limit: 100 };
/** Returns the IDs in a group. */
const inGroup = async (group: string) => (await store.partition(`GROUP#${group}`)).map(({ sk }) => sk);
const operations = () => store.sent.map(({ operation }) => operation);

describe('DynamoDB stores a Deployment as one item', () => {
  it('stores a new Deployment with its directory entry and event', async () => {
    expect(await registerDeployment(table, etl, event({ type: 'deployment.registered' }))).toBe(true);
    expect(await store.get(ofEtl)).toEqual({ ...ofEtl, ...listed, keyCount });
    expect(await store.get(entryOfEtl)).toEqual({ ...entryOfEtl, ...listed });
    expect(await store.partition('GROUP#data-eng')).toEqual([{ pk: 'GROUP#data-eng', sk: 'etl', ...listed }]);
    expect(await events()).toEqual(['deployment.registered']);
    expect(store.sent[0]?.input.TransactItems).toHaveLength(4);
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
    const changes = { name: 'new', groups: ['a'] };
    const edited = event({ id: newUlid(1), type: 'deployment.edited' });
    expect(await editDeployment(table, read, changes, edited)).toBe(true);
    expect(await readDeployment(table, 'etl')).toEqual(deployment({ ...changes, keyCount: 7, revision: 1 }));
    expect(await store.get(entryOfEtl)).toEqual({ ...entryOfEtl, ...listed, ...changes });
    expect(await store.partition('GROUP#data-eng')).toEqual([]);
    expect(await store.partition('GROUP#a')).toEqual([{ pk: 'GROUP#a', sk: 'etl', ...listed, ...changes }]);
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
    expect(await inGroup('data-eng')).toEqual([]);
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

  it.each([undefined, 4])(
    'starts a new revision of a Deployment, once for each revision: %s',
    async (revision) => {
      const read = deployment({ revision });
      await store.put(toDeployment(read));
      expect(await beginDeploymentRevision(table, read)).toBe(true);
      const begun = deployment({ revision: (revision ?? 0) + 1 });
      expect(await store.get(ofEtl)).toEqual(toDeployment(begun));
      expect(await beginDeploymentRevision(table, read)).toBe(false);
      expect(await editDeployment(table, read, { name: 'new' }, event())).toBe(false);
      expect(await store.get(ofEtl)).toEqual(toDeployment(begun));
      expect(await editDeployment(table, begun, { name: 'new' }, event())).toBe(true);
    },
  );
});

describe('A Deployment is deleted even if its groups change at the same time', () => {
  /** Returns the table with changes of the Deployment's groups, each just before a transaction. */
  const changing = (...changes: string[][]) => ({
    ...table,
    port: watched(table.port, async (when, { operation }) => {
      const next = operation === 'TransactWriteItems' && when === 'before' && changes.shift();
      if (next)
        await store.put(
          toDeployment(deployment({ groups: next })),
          ...toGroupEntries(deployment({ groups: next })),
        );
    }),
  });
  const attempts = () => operations().filter((operation) => operation === 'TransactWriteItems').length;

  it('deletes the entries in the new groups as well', async () => {
    await registerDeployment(table, etl, event());
    store.sent.length = 0;
    expect(await deleteDeployment(changing(['data-eng', 'a']), etl, event({ id: OTHER }))).toBe(true);
    expect([await inGroup('data-eng'), await inGroup('a')]).toEqual([[], []]);
    expect(operations()).toEqual(['TransactWriteItems', 'GetItem', 'TransactWriteItems']);
  });

  it('deletes a Deployment in the fifth attempt, even if an entry in its newest group remains', async () => {
    await registerDeployment(table, etl, event());
    store.sent.length = 0;
    const changes = [['x1'], ['x2'], ['x3'], ['x4'], ['x5'], ['c']];
    expect(await deleteDeployment(changing(...changes), etl, event({ id: OTHER }))).toBe(true);
    expect(attempts()).toBe(5);
    expect(await store.get(ofEtl)).toBeUndefined();
    expect([await inGroup('x4'), await inGroup('x5'), await inGroup('c')]).toEqual([[], ['etl'], []]);
  });

  it('does not try again if the Deployment was deleted or registered again', async () => {
    for (const current of [undefined, deployment({ generation: OTHER })]) {
      if (current) await store.put(toDeployment(current));
      store.sent.length = 0;
      expect(await deleteDeployment(table, etl, event())).toBe(false);
      expect(operations()).toEqual(['TransactWriteItems', 'GetItem']);
      expect(await readDeployment(table, 'etl')).toEqual(current);
    }
  });
});

describe('Calls about the keys of a Deployment read the Deployment', () => {
  const person = (change: object) => ({
    sub: 'ada',
    groups: [],
    isAdministrator: false,
    signIn: undefined,
    ...change,
  });
  const [admin, member, other] = [
    person({ isAdministrator: true }),
    person({ groups: ['data-eng'] }),
    person({ groups: ['a'] }),
  ];
  const item = toDeployment(etl);
  const malformed = { ...item, name: 7 };

  it.each<[string, ReturnType<typeof person>, object | undefined, object | undefined]>([
    ['an administrator', admin, item, etl],
    ['a member', member, item, etl],
    ['a person in other groups', other, item, undefined],
    ['an administrator, if it is malformed', admin, malformed, { id: 'etl', generation: GENERATION }],
    ['a member, if it is malformed', member, malformed, undefined],
    ['an administrator, if its generation is malformed', admin, { ...malformed, generation: 7 }, undefined],
    ['an administrator, if it is missing', admin, undefined, undefined],
  ])('returns the Deployment or throws 404: to %s', async (_, who, stored, expected) => {
    if (stored) await store.put({ ...stored });
    const read = readVisibleDeployment(table, who, 'etl');
    if (expected) expect(await read).toEqual(expected);
    else await expect(read).rejects.toEqual(notFound('Deployment'));
    expect(store.malformed).toEqual(stored && stored !== item ? [ofEtl] : []);
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
    ['unknown', { generation: [OTHER] }, { generation: [OTHER], groups: [7, 'a', null] }, NO_GENERATION],
  ])('deletes a damaged Deployment whose generation is %s', async (_, wrong, inDirectory, generation) => {
    await store.put({ ...item, ...wrong });
    if (inDirectory) await store.put({ ...entryOfEtl, ...inDirectory });
    const damaged = await readDamagedDeployment(table, 'etl');
    expect(damaged).toEqual({
      id: 'etl',
      generation,
      groups: [...listed.groups, ...(inDirectory && 'groups' in inDirectory ? ['a'] : [])],
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
      const damaged = { id: 'etl', generation: GENERATION, groups: [], stored };
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
    expect(store.sent.map(({ input }) => input.Limit)).toEqual([undefined, undefined, undefined]);
  });

  it('skips malformed directory entries and lists the entries after them', async () => {
    await store.put(entry('d1', { name: 7 }), entry('d2', { generation: 'x' }));
    expect(await ids(table, { after: undefined, limit: 1 })).toEqual([['d0'], true]);
    expect(await ids(table, { after: 'd0', limit: 1 })).toEqual([['d3'], true]);
    expect(store.malformed.map(({ sk }) => sk)).toEqual(['d1', 'd2', 'd1', 'd2']);
  });

  it('returns all Deployments after an ID, no matter how many pages of the directory they fill', async () => {
    const many = Array.from({ length: 101 }, (_, n) => `e${100 + n}`);
    await store.put(...many.map((name) => entry(name)));
    const found = [];
    for await (const one of allDeployments(table, 'd3')) found.push(one.id);
    expect(found).toEqual(['d4', ...many]);
  });
});

describe('The Deployments of some groups are listed in pages', () => {
  const of = (id: string, ...groups: string[]): Deployment => deployment({ id, groups });
  const put = (...some: Deployment[]) => store.put(...some.flatMap(toGroupEntries));
  const listedAs = (one: Deployment) => {
    const { pk: _, sk: id, ...rest } = toDirectoryEntry(one);
    return { id, ...rest };
  };
  const list = async (groups: string[], limit: number, after?: string, prefix?: string) => {
    const { items, next } = await listOfGroups(table, groups, { after, limit, prefix });
    return [items.map(({ id }) => id), next];
  };

  it.each([
    ['20 groups', Array.from({ length: 20 }, (_, n) => `g${n}`), true],
    ['21 groups', Array.from({ length: 21 }, (_, n) => `g${n}`), false],
    ['20 groups, one of them twice', [...Array.from({ length: 20 }, (_, n) => `g${n}`), 'g0'], true],
    ['a group of 500 characters', ['a', 'x'.repeat(500)], true],
    ['a group of 501 characters', ['a', 'x'.repeat(501)], false],
  ])('reads the entries of at most 20 groups, each with at most 500 characters: %s', (_, groups, can) => {
    expect(canListGroups(groups)).toBe(can);
  });

  it('merges the entries of the groups in the order of the IDs, and lists each Deployment once', async () => {
    const all = [of('d1', 'b'), of('d2', 'a', 'b'), of('d3', 'a'), of('d4', 'c', 'a'), of('d5', 'b')];
    await put(...all, of('d6', 'x1'));
    const groups = ['b', 'a', 'a', 'c'];
    expect(await listOfGroups(table, groups, { after: undefined, limit: 100 })).toEqual({
      items: all.map(listedAs),
      next: undefined,
    });
    expect(store.sent).toEqual(
      ['b', 'a', 'c'].map((group) => ({
        operation: 'Query',
        input: {
          TableName: 'keys',
          KeyConditionExpression: 'pk = :pk',
          ExpressionAttributeValues: { ':pk': `GROUP#${group}` },
          ConsistentRead: false,
          Limit: 101,
          ExclusiveStartKey: undefined,
        },
      })),
    );
    expect(await list(groups, 1)).toEqual([['d1'], 'd1']);
    expect(await list(groups, 2)).toEqual([['d1', 'd2'], 'd2']);
    expect(await list(groups, 2, 'd2')).toEqual([['d3', 'd4'], 'd4']);
    expect(await list(groups, 2, 'd4')).toEqual([['d5'], undefined]);
    expect(await list(groups, 5)).toEqual([['d1', 'd2', 'd3', 'd4', 'd5'], undefined]);
    expect(await list([], 5)).toEqual([[], undefined]);
  });

  it('lists only the Deployments whose IDs have a prefix', async () => {
    await put(of('dev-1', 'a'), of('prod-1', 'a'), of('prod-2', 'b'), of('test-1', 'b'));
    expect(await list(['a', 'b'], 5, undefined, 'prod-')).toEqual([['prod-1', 'prod-2'], undefined]);
    expect(await list(['a', 'b'], 5, 'prod-1', 'prod-')).toEqual([['prod-2'], undefined]);
  });

  it('a page ends where the entries of one of the groups were not read further', async () => {
    const damaged = ['m1', 'm2', 'm3', 'm4'].map((sk) => ({ pk: 'GROUP#a', sk, name: 7 }));
    await store.put(...damaged);
    await put(
      of('k', 'b'),
      of('n', 'a'),
      of('z', 'b'),
      of('l1', 'c'),
      of('l2', 'c'),
      of('l3', 'c'),
      of('l4', 'c'),
    );
    // Of the group a, only m1 to m3 were read, and of the group c, l1 to l3.
    expect(await list(['a', 'b'], 2)).toEqual([['k'], 'm3']);
    expect(await list(['a', 'c', 'b'], 2)).toEqual([['k', 'l1'], 'l1']);
    expect(await list(['a', 'c'], 3, 'l1')).toEqual([['l2', 'l3', 'l4'], 'm4']);
    expect(await list(['a', 'b'], 2, 'm3')).toEqual([['n', 'z'], undefined]);
    // Both groups have entries that were not read, and the page ends where the first of them begin.
    const others = ['h1', 'h2', 'h3'].map((sk) => ({ pk: 'GROUP#x1', sk, name: 7 }));
    await store.put(...others);
    await put(of('h4', 'x1'));
    expect(await list(['a', 'x1'], 2)).toEqual([[], 'h3']);
    expect(await list(['a', 'x1'], 2, 'h3')).toEqual([['h4'], 'm3']);
    expect(store.malformed.slice(0, 3)).toEqual(damaged.slice(0, 3).map(({ pk, sk }) => ({ pk, sk })));
  });

  it('omits an entry of a Deployment that is no longer in the group', async () => {
    await store.put({ ...toDirectoryEntry(of('d1', 'a')), pk: 'GROUP#b' });
    await put(of('d2', 'b'));
    expect(await list(['b'], 5)).toEqual([['d2'], undefined]);
  });
});
