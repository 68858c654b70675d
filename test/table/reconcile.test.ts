import { describe, expect, it } from 'vitest';
import { newUlid } from '../../functions/domain/credentials.ts';
import {
  dropGroupEntry,
  haveGroupEntries,
  isBeingPurged,
  isStillThere,
  listedGenerations,
  missingInGroups,
  presentGenerations,
  presentGroups,
  readPassProgress,
  rewriteEntries,
  type ScannedItem,
  scanGenerations,
  writePassProgress,
} from '../../functions/table/reconcile.ts';
import {
  type Item,
  NO_GENERATION,
  toDeployment,
  toDirectoryEntry,
  toGroupEntries,
} from '../../functions/table/schema.ts';
import { deployment, GENERATION } from '../support/records.ts';
import { startStore, watched } from '../support/store.ts';

const pk = 'DEPLOYMENT#etl';
const store = await startStore(
  pk,
  'DEPLOYMENT#a b',
  'DEPLOYMENTS',
  'GROUP#g',
  'GROUP#h',
  'PURGES',
  'EVENTS#etl',
  'RECONCILIATION',
);
const { table } = store;

const OTHER = newUlid(0);
const generation = { deploymentId: 'etl', generation: GENERATION };
/** Returns the size and consistency of each BatchGetItem. */
const batches = () =>
  store.sent.map(({ input }) => {
    const { keys } = input.RequestItems as { keys: { Keys: object[]; ConsistentRead: boolean } };
    return [keys.Keys.length, keys.ConsistentRead];
  });
const isConsistent = () => expect(store.sent.every(({ input }) => input.ConsistentRead === true)).toBe(true);

it("stores the position of a reconciliation pass under the pass's name", async () => {
  expect(await readPassProgress(table, 'TABLE')).toBeUndefined();
  await writePassProgress(table, 'TABLE', { startedAt: 5, after: { pk: 'a', sk: 'b' } });
  expect(await store.get({ pk: 'RECONCILIATION', sk: 'TABLE' })).toMatchObject({ startedAt: 5 });
  expect(await readPassProgress(table, 'TABLE')).toEqual({ startedAt: 5, after: { pk: 'a', sk: 'b' } });
  await writePassProgress(table, 'TABLE', { startedAt: 6, after: undefined });
  expect(await readPassProgress(table, 'TABLE')).toEqual({ startedAt: 6, after: undefined });
  expect(await readPassProgress(table, 'OTHER')).toBeUndefined();
  expect(store.sent[0]?.input).toMatchObject({ ConsistentRead: true });
});

describe('Reconciliation scans the whole table', () => {
  const all = async () => {
    const found: ScannedItem[] = [];
    let after: Awaited<ReturnType<typeof scanGenerations>>['next'];
    let pages = 0;
    do {
      const page = await scanGenerations(table, after);
      found.push(...page.found);
      after = page.next;
      pages++;
    } while (after);
    return { found, pages };
  };

  it('the scan finds items by generation and kind, and skips events, markers and positions', async () => {
    await store.put(
      toDeployment(deployment()),
      toDirectoryEntry(deployment()),
      { ...toDirectoryEntry(deployment()), pk: 'GROUP#g' },
      { pk, sk: 'TOKEN#x', generation: OTHER },
      { pk, sk: 'X', generation: 7 },
      { pk, sk: 'Y', generation: 'no ULID' },
      { pk, sk: 'Z', generation: [GENERATION] },
      { pk: 'DEPLOYMENT#a b', sk: 'DEPLOYMENT', generation: GENERATION },
      { pk: 'DEPLOYMENTS', sk: 'a b' },
      { pk: 'EVENTS#etl', sk: 'e', generation: GENERATION },
      { pk: 'PURGES', sk: `etl#${GENERATION}` },
      { pk: 'RECONCILIATION', sk: 'TABLE' },
    );
    const { found } = await all();
    const { groups } = deployment();
    const of = (key: object, rest: object) => ({ key, deploymentId: 'etl', groups: [], ...rest });
    expect(
      found.toSorted((a, b) => `${a.key.pk} ${a.key.sk}`.localeCompare(`${b.key.pk} ${b.key.sk}`)),
    ).toEqual(
      [
        of({ pk, sk: 'DEPLOYMENT' }, { generation: GENERATION, kind: 'deployment', groups }),
        of({ pk: 'GROUP#g', sk: 'etl' }, { generation: GENERATION, kind: 'group entry', groups }),
        of({ pk, sk: 'TOKEN#x' }, { generation: OTHER, kind: 'belonging' }),
        of({ pk, sk: 'X' }, { generation: NO_GENERATION, kind: 'belonging' }),
        of({ pk, sk: 'Y' }, { generation: NO_GENERATION, kind: 'belonging' }),
        of({ pk, sk: 'Z' }, { generation: NO_GENERATION, kind: 'belonging' }),
        of(
          { pk: 'DEPLOYMENT#a b', sk: 'DEPLOYMENT' },
          { deploymentId: undefined, generation: GENERATION, kind: 'deployment' },
        ),
        of({ pk: 'DEPLOYMENTS', sk: 'etl' }, { generation: GENERATION, kind: 'entry', groups }),
        of(
          { pk: 'DEPLOYMENTS', sk: 'a b' },
          { deploymentId: undefined, generation: NO_GENERATION, kind: 'entry' },
        ),
      ].toSorted((a, b) => {
        const text = (it: { key: object }) => Object.values(it.key).join(' ');
        return text(a).localeCompare(text(b));
      }),
    );
    expect(NO_GENERATION).toBe('00000000000000000000000000');
    expect(store.sent[0]).toMatchObject({
      operation: 'Scan',
      input: { Limit: 1000, ProjectionExpression: 'pk, sk, generation, #groups' },
    });
  });

  it('the scan reads the table page by page', async () => {
    const ballast = 'x'.repeat(300_000);
    const sks = ['a', 'b', 'c', 'd', 'e'];
    await store.put(...sks.map((sk) => ({ pk, sk, generation: GENERATION, ballast })));
    const { found, pages } = await all();
    expect(found.map(({ key }) => key.sk)).toEqual(sks);
    expect(pages).toBeGreaterThan(1);
  });
});

describe('Reconciliation reads the current state of Deployments', () => {
  it('reads whether each Deployment exists, and its generation, even if the Deployment is damaged', async () => {
    await store.put(toDeployment(deployment()), { pk: 'DEPLOYMENT#a b', sk: 'DEPLOYMENT', generation: 'x' });
    expect(await presentGenerations(table, ['etl', 'a b', 'gone'])).toEqual(
      new Map<string, object>([
        ['etl', { isThere: true, generation: GENERATION }],
        ['a b', { isThere: true, generation: undefined }],
        ['gone', { isThere: false }],
      ]),
    );
    expect(store.sent.map(({ input }) => input.RequestItems)).toEqual([
      { keys: expect.objectContaining({ ProjectionExpression: 'pk, sk, generation' }) },
    ]);
  });

  it('reads the generation of each directory entry, and no generation from a malformed entry', async () => {
    await store.put(toDirectoryEntry(deployment()), {
      ...toDirectoryEntry(deployment({ id: 'odd' })),
      name: 7,
    });
    expect(await listedGenerations(table, ['etl', 'gone', 'odd'])).toEqual(
      new Map([
        ['etl', GENERATION],
        ['gone', undefined],
        ['odd', undefined],
      ]),
    );
    expect(store.malformed).toEqual([{ pk: 'DEPLOYMENTS', sk: 'odd' }]);
  });

  it('reads the groups of each Deployment, and no groups from a malformed Deployment', async () => {
    await store.put(toDeployment(deployment({ groups: ['g', 'h'] })), {
      ...toDeployment(deployment({ id: 'a b' })),
      name: 7,
    });
    expect(await presentGroups(table, ['etl', 'a b', 'gone'])).toEqual(
      new Map([
        ['etl', ['g', 'h']],
        ['a b', []],
        ['gone', []],
      ]),
    );
  });

  it('reads the state of up to a hundred Deployments with each strongly consistent read', async () => {
    const ids = Array.from({ length: 201 }, (_, n) => `d${n}`);
    expect((await presentGenerations(table, ids)).size).toBe(201);
    expect(batches()).toEqual([
      [100, true],
      [100, true],
      [1, true],
    ]);
    store.sent.length = 0;
    expect((await listedGenerations(table, [])).size).toBe(0);
    expect(store.sent).toEqual([]);
  });
});

it("isBeingPurged returns true while the purge's marker exists", async () => {
  expect(await isBeingPurged(table, generation)).toBe(false);
  await store.put({ pk: 'PURGES', sk: `etl#${GENERATION}` });
  expect(await isBeingPurged(table, generation)).toBe(true);
  expect(await isBeingPurged(table, { ...generation, generation: OTHER })).toBe(false);
  isConsistent();
});

it('an item counts as present only while it exists in the same generation', async () => {
  const found = (generation: string): ScannedItem => ({
    key: { pk, sk: 'X' },
    deploymentId: 'etl',
    generation,
    kind: 'belonging',
    groups: [],
  });
  expect(await isStillThere(table, found(GENERATION))).toBe(false);
  expect(await isStillThere(table, found(NO_GENERATION))).toBe(false);
  await store.put({ pk, sk: 'X', generation: GENERATION });
  expect(await isStillThere(table, found(GENERATION))).toBe(true);
  expect(await isStillThere(table, found(OTHER))).toBe(false);
  await store.put({ pk, sk: 'X', generation: 7 });
  expect(await isStillThere(table, found(NO_GENERATION))).toBe(true);
  isConsistent();
});

describe('rewriteEntries', () => {
  const etl = deployment();
  const entry = () => store.get({ pk: 'DEPLOYMENTS', sk: 'etl' });

  it('reconciliation replaces a directory entry that is missing, malformed or from a different generation', async () => {
    await store.put(toDeployment(etl));
    expect(await rewriteEntries(table, etl)).toBe(true);
    expect(await entry()).toEqual(toDirectoryEntry(etl));
    for (const wrong of [{ name: 'old', generation: OTHER }, { name: 7 }, { groups: [7] }]) {
      await store.put({ ...toDirectoryEntry(etl), ...wrong });
      expect(await rewriteEntries(table, etl)).toBe(true);
      expect(await entry()).toEqual(toDirectoryEntry(etl));
    }
  });

  it('reconciliation does not list a Deployment that was deleted or changed after it was read', async () => {
    expect(await rewriteEntries(table, etl)).toBe(false);
    for (const change of [{ generation: OTHER }, { name: 'new' }, { groups: [] }]) {
      await store.put(toDeployment(deployment(change)));
      expect(await rewriteEntries(table, etl)).toBe(false);
    }
    expect(await entry()).toBeUndefined();
  });
});

describe('Reconciliation repairs the entries of Deployments in their groups', () => {
  const etl = deployment({ groups: ['g', 'h'] });
  const [inG = {}, inH = {}] = toGroupEntries(etl);
  const keyInG = { pk: 'GROUP#g', sk: 'etl' };

  it.each<[string, Item[], string[]]>([
    ['complete', [inG, inH], []],
    ['incomplete', [inG], ['etl']],
    ['missing', [], ['etl']],
    ['from a different generation', [inG, { ...inH, generation: OTHER }], ['etl']],
    ['malformed', [{ ...inG, name: 7 }, inH], ['etl']],
  ])(
    'reports a Deployment with missing entries if its entries in its groups are %s',
    async (_, entries, ids) => {
      const other = deployment({ id: 'other', groups: ['g'] });
      await store.put(...entries, ...toGroupEntries(other));
      expect(await missingInGroups(table, [other, etl])).toEqual(ids);
    },
  );

  it('reads up to a hundred entries in groups with each strongly consistent read', async () => {
    const groups = Array.from({ length: 67 }, (_, n) => `g${n}`);
    const deployments = ['a', 'b', 'c'].map((id) => deployment({ id, groups }));
    expect(await missingInGroups(table, deployments)).toEqual(['a', 'b', 'c']);
    expect(batches()).toEqual([
      [100, true],
      [100, true],
      [1, true],
    ]);
    expect(await missingInGroups(table, [deployment({ groups: [] })])).toEqual([]);
    expect(store.sent).toHaveLength(3);
  });

  it.each<[string, boolean, object | undefined]>([
    ['deletes an entry in a group of a Deployment that does not exist', true, undefined],
    ['deletes an entry in a group to which its Deployment does not belong', true, { groups: ['h', 'i'] }],
    ['keeps an entry in a group to which its Deployment belongs', false, { groups: ['h', 'g'] }],
    ['keeps an entry in a group of a malformed Deployment', false, { groups: 7 }],
  ])('reconciliation %s', async (_, isDropped, change) => {
    await store.put(inG, inH, ...(change ? [{ ...toDeployment(etl), ...change }] : []));
    expect(await dropGroupEntry(table, keyInG)).toBe(isDropped);
    expect([await store.get(keyInG), await store.get({ ...keyInG, pk: 'GROUP#h' })]).toEqual([
      isDropped ? undefined : inG,
      inH,
    ]);
    expect(await dropGroupEntry(table, keyInG)).toBe(false);
  });

  it.each<[string, Item | undefined, Item]>([
    ['registered', undefined, toDeployment(etl)],
    ['added to the group', toDeployment(deployment({ groups: [] })), toDeployment(etl)],
  ])(
    'reconciliation keeps an entry in a group if its Deployment is %s before the deletion',
    async (_, before, now) => {
      await store.put(inG, ...(before ? [before] : []));
      const port = watched(table.port, async (when, { operation }) => {
        if (when === 'after' && operation === 'GetItem') await store.put(now);
      });
      expect(await dropGroupEntry({ ...table, port }, keyInG)).toBe(false);
      expect(await store.get(keyInG)).toEqual(inG);
    },
  );

  it('all Deployments have entries in their groups after the pass that writes these entries has finished', async () => {
    expect(await haveGroupEntries(table)).toBe(false);
    await writePassProgress(table, 'GROUPS', { startedAt: 5, after: { pk: 'a', sk: 'b' } });
    expect(await haveGroupEntries(table)).toBe(false);
    await writePassProgress(table, 'GROUPS', { startedAt: 5, after: undefined });
    expect(await haveGroupEntries(table)).toBe(true);
  });
});
