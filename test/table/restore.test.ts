import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { newUlid } from '../../functions/domain/mint.ts';
import type { Table } from '../../functions/table/client.ts';
import {
  allApiKeys,
  allEvents,
  dropApiKeys,
  grantKeys,
  identityOf,
  putApiKey,
  putBackDeployment,
  readRestore,
  readRestored,
  scanDeploymentIds,
  writeRestore,
} from '../../functions/table/restore.ts';
import {
  toApiKey,
  toDeployment,
  toDirectoryEntry,
  toEvent,
  toGrant,
  toToken,
} from '../../functions/table/schema.ts';
import { apiKey, deployment, event, GENERATION, grant, KEY_ULID, token } from '../support/records.ts';
import { startStore } from '../support/store.ts';

const store = await startStore();
const { table } = store;
afterAll(() => store.stop());
const pk = 'DEPLOYMENT#etl';
beforeEach(() => store.clear(pk, 'DEPLOYMENT#other', 'DEPLOYMENTS', 'PURGES', 'EVENTS#etl', 'RESTORES'));

const OTHER = newUlid(0);
const isConsistent = () => expect(store.sent.every(({ input }) => input.ConsistentRead === true)).toBe(true);
const ballast = 'x'.repeat(300_000);
const ulids = Array.from({ length: 5 }, (_, n) => newUlid(n + 1));

describe('identityOf', () => {
  const described = (Table: object | undefined) =>
    identityOf({ client: { send: async () => ({ Table }) }, tableName: 'keys' } as unknown as Table);

  it('identifies a table by its ID, or otherwise by its ARN and creation time', async () => {
    expect(await described({ TableId: 'id-1', TableArn: 'arn' })).toBe('id-1');
    expect(await described({ TableArn: 'arn', CreationDateTime: new Date(0) })).toBe(
      'arn of 1970-01-01T00:00:00.000Z',
    );
    expect(await described({ TableArn: 'arn' })).toBe('arn of undefined');
    expect(await described(undefined)).toBe('undefined of undefined');
  });

  it('looks up the table by its name', async () => {
    await identityOf(table).catch(() => {});
    expect(store.sent[0]).toEqual({ name: 'DescribeTable', input: { TableName: 'keys' } });
  });
});

it('a restore is stored under its ID', async () => {
  expect(await readRestore(table, 'r')).toBeUndefined();
  isConsistent();
  await writeRestore(table, 'r', { startedAt: 1 });
  expect(await readRestore(table, 'r')).toMatchObject({ startedAt: 1 });
  await writeRestore(table, 'r', { startedAt: 1, finishedAt: 2 });
  expect(await store.get({ pk: 'RESTORES', sk: 'r' })).toEqual({
    pk: 'RESTORES',
    sk: 'r',
    startedAt: 1,
    finishedAt: 2,
  });
});

it('keeps a restore finished when its start is written again', async () => {
  await writeRestore(table, 'r', { startedAt: 1, finishedAt: 2 });
  await writeRestore(table, 'r', { startedAt: 1 });
  expect(await readRestore(table, 'r')).toMatchObject({ startedAt: 1, finishedAt: 2 });
});

it('writes no key of a Deployment that this restore has put back', async () => {
  await store.put({ ...toDeployment(deployment()), restoredBy: 'r' });
  await expect(putApiKey(table, apiKey(), 'r')).rejects.toThrow(
    'another run of this restore has put etl back; run it again',
  );
  expect(await store.get({ pk, sk: `KEY#${KEY_ULID}` })).toBeUndefined();
  await putApiKey(table, apiKey(), 'another');
  expect(await store.get({ pk, sk: `KEY#${KEY_ULID}` })).toEqual(toApiKey(apiKey()));
});

it('every Deployment with its own item is found, on any page, damaged or not', async () => {
  await store.put(
    { pk, sk: 'DEPLOYMENT', ballast },
    toDeployment(deployment({ id: 'other' })),
    toDirectoryEntry(deployment({ id: 'entry' })),
    ...ulids.map((sk) => ({ pk, sk: `X${sk}`, ballast })),
  );
  const ids: string[] = [];
  for await (const id of scanDeploymentIds(table)) ids.push(id);
  expect(ids.sort()).toEqual(['etl', 'other']);
  expect(store.sent.length).toBeGreaterThan(1);
  isConsistent();
});

it('a Deployment is read with the ID of the restore that put it back', async () => {
  expect(await readRestored(table, 'etl')).toEqual({ deployment: undefined, restoredBy: undefined });
  await store.put({ ...toDeployment(deployment()), restoredBy: 'r' });
  expect(await readRestored(table, 'etl')).toEqual({ deployment: deployment(), restoredBy: 'r' });
  await store.put({ pk, sk: 'DEPLOYMENT', restoredBy: 'r' });
  expect(await readRestored(table, 'etl')).toEqual({ deployment: undefined, restoredBy: 'r' });
  expect(store.malformed).toEqual([{ pk, sk: 'DEPLOYMENT' }]);
  isConsistent();
});

describe("the keys of a Deployment's generation", () => {
  const keys = ulids.map((ulid) => apiKey({ ulid }));

  it("the keys of a Deployment's generation are read over all pages, without others and malformed ones", async () => {
    const [first, second, ...rest] = keys.map(toApiKey);
    await store.put(
      { ...first, ballast },
      { ...second, generation: OTHER, ballast },
      ...rest.map((item) => ({ ...item, ballast })),
      { pk, sk: `KEY#${KEY_ULID}`, generation: GENERATION },
      toToken(token()),
    );
    const expected = keys.filter((_, n) => n !== 1).map((key) => [key.ulid, key] as const);
    expect(await allApiKeys(table, deployment())).toEqual(new Map(expected));
    expect(store.malformed).toEqual([{ pk, sk: `KEY#${KEY_ULID}` }]);
    expect(store.sent.length).toBeGreaterThan(1);
    isConsistent();
  });

  it("the keys of a Deployment's generation are replaced and deleted", async () => {
    await store.put({ ...toApiKey(apiKey()), x: 1 });
    await putApiKey(table, apiKey({ name: 'new' }), 'r');
    expect(await store.partition(pk)).toEqual([toApiKey(apiKey({ name: 'new' }))]);
    await putApiKey(table, apiKey({ ulid: OTHER }), 'r');
    await dropApiKeys(table, 'etl', [KEY_ULID, ulids[0] ?? '']);
    expect((await store.partition(pk)).map(({ sk }) => sk)).toEqual([`KEY#${OTHER}`]);
  });
});

it('all events are read oldest first, of every generation, without malformed ones', async () => {
  const [a, b] = [event({ id: ulids[0] ?? '', generation: OTHER }), event({ id: ulids[1] ?? '' })];
  await store.put(toEvent(b), toEvent(a), { ...toEvent(event()), actor: null });
  expect(await allEvents(table, 'etl')).toEqual([a, b]);
  expect(store.malformed).toHaveLength(1);
  isConsistent();
});

it('temporary tokens are counted by their keys, in every generation', async () => {
  const items = [toGrant(grant()), toGrant(grant({ hash: 'h', generation: OTHER }))];
  await store.put(...items, toToken(token()));
  expect(await grantKeys(table, 'etl')).toEqual(items.map(({ sk }) => ({ pk, sk })));
});

it('a Deployment is put back with its directory entry and an event, and without the old marker of its generation', async () => {
  const marker = { pk: 'PURGES', sk: `etl#${GENERATION}` };
  await store.put(marker, { ...marker, sk: `etl#${OTHER}` });
  await putBackDeployment(table, deployment(), 'r', event({ type: 'deployment.restored' }));
  expect(await store.get({ pk, sk: 'DEPLOYMENT' })).toEqual({
    ...toDeployment(deployment()),
    restoredBy: 'r',
  });
  expect(await store.partition('DEPLOYMENTS')).toEqual([toDirectoryEntry(deployment())]);
  expect((await store.partition('PURGES')).map(({ sk }) => sk)).toEqual([`etl#${OTHER}`]);
  expect(await store.partition('EVENTS#etl')).toMatchObject([{ type: 'deployment.restored' }]);
});
