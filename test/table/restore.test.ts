import { describe, expect, it } from 'vitest';
import { newUlid } from '../../functions/domain/credentials.ts';
import { registrationWrite } from '../../functions/table/registrations.ts';
import {
  allApiKeys,
  allEvents,
  dropApiKeys,
  identityOf,
  provisionedWrites,
  putApiKey,
  putBackDeployment,
  readRestore,
  readRestored,
  scanDeploymentIds,
  temporaryTokenKeys,
  writeRestore,
} from '../../functions/table/restore.ts';
import {
  toApiKey,
  toDeployment,
  toDirectoryEntry,
  toEvent,
  toGroupEntries,
  toRegistration,
  toTemporaryToken,
  toToken,
} from '../../functions/table/schema.ts';
import {
  apiKey,
  deployment,
  event,
  GENERATION,
  KEY_ULID,
  seconds,
  temporaryToken,
  token,
} from '../support/records.ts';
import { startStore, tableOn } from '../support/store.ts';

const pk = 'DEPLOYMENT#etl';
const store = await startStore(pk, 'DEPLOYMENT#other', 'DEPLOYMENTS', 'PURGES', 'EVENTS#etl', 'RESTORES');
const { table } = store;

const OTHER = newUlid(0);
const isConsistent = () => expect(store.sent.every(({ input }) => input.ConsistentRead === true)).toBe(true);
const ballast = 'x'.repeat(300_000);
const ulids = Array.from({ length: 5 }, (_, n) => newUlid(n + 1));

describe('provisionedWrites', () => {
  const described = (Table: object | undefined) =>
    provisionedWrites(tableOn({ send: async () => ({ Table }) }));

  it('returns the write capacity of a provisioned table, and undefined for an on-demand table', async () => {
    expect(await described({ ProvisionedThroughput: { WriteCapacityUnits: 80 } })).toBe(80);
    expect(await described({ ProvisionedThroughput: { WriteCapacityUnits: 0 } })).toBeUndefined();
    for (const one of [undefined, {}]) expect(await described(one)).toBeUndefined();
    expect(await provisionedWrites(table)).toBeUndefined();
  });
});

describe('identityOf', () => {
  const described = (Table: object | undefined) => identityOf(tableOn({ send: async () => ({ Table }) }));

  it('identifies a table by its ID or, without an ID, by its ARN and creation time', async () => {
    expect(await described({ TableId: 'id-1', TableArn: 'arn' })).toBe('id-1');
    expect(await described({ TableArn: 'arn', CreationDateTime: new Date(5) })).toBe(
      'arn of 1970-01-01T00:00:00.005Z',
    );
    // DynamoDB sends the creation time in seconds.
    expect(await described({ TableArn: 'arn', CreationDateTime: 1 })).toBe('arn of 1970-01-01T00:00:01.000Z');
  });

  it("requests a table's description by the name of the table", async () => {
    await identityOf(table).catch(() => {});
    expect(store.sent[0]).toEqual({ operation: 'DescribeTable', input: { TableName: 'keys' } });
  });
});

const options = { point: 1, ignored: ['mallory'], disablesAll: false };

it("stores the record of a restore under the restore's ID", async () => {
  expect(await readRestore(table, 'r')).toBeUndefined();
  isConsistent();
  expect(await writeRestore(table, 'r', { startedAt: 1, options })).toBe(true);
  expect(await readRestore(table, 'r')).toMatchObject({ startedAt: 1, options });
  expect(await writeRestore(table, 'r', { startedAt: 1, finishedAt: 2, options })).toBe(true);
  expect(await store.get({ pk: 'RESTORES', sk: 'r' })).toEqual({
    pk: 'RESTORES',
    sk: 'r',
    startedAt: 1,
    finishedAt: 2,
    options,
  });
});

it('does not replace a valid record of a restore that was started with different options', async () => {
  const other = { ...options, ignored: [] };
  await writeRestore(table, 'r', { startedAt: 1, options });
  expect(await writeRestore(table, 'r', { startedAt: 2, options: other })).toBe(false);
  expect(await readRestore(table, 'r')).toMatchObject({ startedAt: 1, options });
  const key = { pk: 'RESTORES', sk: 'r' };
  for (const item of [
    { ...key, startedAt: 1 },
    { ...key, startedAt: 'x', options },
    { ...key, startedAt: 1, options: 'x' },
  ]) {
    await store.put(item);
    expect(await writeRestore(table, 'r', { startedAt: 2, options: other })).toBe(true);
    expect(await readRestore(table, 'r')).toMatchObject({ startedAt: 2, options: other });
  }
});

it('a finished restore stays finished when its start is recorded again', async () => {
  await writeRestore(table, 'r', { startedAt: 1, finishedAt: 2, options });
  expect(await writeRestore(table, 'r', { startedAt: 1, options })).toBe(false);
  expect(await readRestore(table, 'r')).toMatchObject({ startedAt: 1, finishedAt: 2 });
});

it('does not write keys to a Deployment that the same restore has already put back', async () => {
  await store.put({ ...toDeployment(deployment()), restoredBy: 'r' });
  await expect(putApiKey(table, apiKey(), 'r')).rejects.toThrow(
    'another run of this restore has put etl back; run it again',
  );
  expect(await store.get({ pk, sk: `KEY#${KEY_ULID}` })).toBeUndefined();
  await putApiKey(table, apiKey(), 'another');
  expect(await store.get({ pk, sk: `KEY#${KEY_ULID}` })).toEqual(toApiKey(apiKey()));
});

it("finds the ID of every Deployment in the table, even if the Deployment's item is damaged", async () => {
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

it('records on a restored Deployment which restore put it back', async () => {
  expect(await readRestored(table, 'etl')).toEqual({ deployment: undefined, restoredBy: undefined });
  await store.put({ ...toDeployment(deployment()), restoredBy: 'r' });
  expect(await readRestored(table, 'etl')).toEqual({ deployment: deployment(), restoredBy: 'r' });
  await store.put({ pk, sk: 'DEPLOYMENT', restoredBy: 'r' });
  expect(await readRestored(table, 'etl')).toEqual({ deployment: undefined, restoredBy: 'r' });
  expect(store.malformed).toEqual([{ pk, sk: 'DEPLOYMENT' }]);
  isConsistent();
});

describe("A restore replaces the keys of a Deployment's generation", () => {
  const keys = ulids.map((ulid) => apiKey({ ulid }));

  it("reads all valid keys of a Deployment's current generation from any number of pages", async () => {
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

  it("a restore can replace and delete a Deployment's keys", async () => {
    await store.put({ ...toApiKey(apiKey()), x: 1 });
    await putApiKey(table, apiKey({ name: 'new' }), 'r');
    expect(await store.partition(pk)).toEqual([toApiKey(apiKey({ name: 'new' }))]);
    await putApiKey(table, apiKey({ ulid: OTHER }), 'r');
    await dropApiKeys(table, 'etl', [KEY_ULID, ulids[0] ?? '']);
    expect((await store.partition(pk)).map(({ sk }) => sk)).toEqual([`KEY#${OTHER}`]);
  });
});

it('reads all events of every generation, oldest first, and the IDs of malformed events', async () => {
  const [a, b] = [event({ id: ulids[0] ?? '', generation: OTHER }), event({ id: ulids[1] ?? '' })];
  await store.put(toEvent(b), toEvent(a), { ...toEvent(event()), actor: null });
  expect(await allEvents(table, 'etl')).toEqual({ events: [a, b], malformed: [event().id] });
  expect(store.malformed).toHaveLength(1);
  isConsistent();
});

it('finds the temporary tokens of every generation by their item keys', async () => {
  const items = [
    toTemporaryToken(temporaryToken()),
    toTemporaryToken(temporaryToken({ hash: 'h', generation: OTHER })),
  ];
  await store.put(...items, toToken(token()));
  expect(await temporaryTokenKeys(table, 'etl')).toEqual(items.map(({ sk }) => ({ pk, sk })));
});

it('a restore puts a Deployment back in the directory, writes an event and deletes its purge marker', async () => {
  const marker = { pk: 'PURGES', sk: `etl#${GENERATION}` };
  const outdated = { ...toDirectoryEntry(deployment()), pk: 'GROUP#before' };
  await store.put(marker, { ...marker, sk: `etl#${OTHER}` }, outdated);
  await putBackDeployment(
    table,
    deployment(),
    { restoreId: 'r', previousGroups: ['before'] },
    event({ type: 'deployment.restored' }),
  );
  expect(await store.get({ pk, sk: 'DEPLOYMENT' })).toEqual({
    ...toDeployment(deployment()),
    restoredBy: 'r',
  });
  expect(await store.partition('DEPLOYMENTS')).toEqual([toDirectoryEntry(deployment())]);
  expect(await store.partition('GROUP#before')).toEqual([]);
  for (const entry of toGroupEntries(deployment())) {
    expect(await store.partition(String(entry.pk))).toEqual([entry]);
  }
  expect((await store.partition('PURGES')).map(({ sk }) => sk)).toEqual([`etl#${OTHER}`]);
  expect(await store.partition('EVENTS#etl')).toMatchObject([{ type: 'deployment.restored' }]);
});

it('a restore does not put back a Deployment whose registration has changed since it was read', async () => {
  const registration = {
    id: 'etl',
    lastChange: '1'.padStart(40, '0'),
    generation: GENERATION,
    row: { id: { S: 'r' } },
  };
  const next = { ...registration, isPresent: true };
  const known = { ...registration, isPresent: false };
  await store.clear('SOURCES');
  await store.put(toRegistration({ ...known, lastChange: '2'.padStart(40, '0') }, seconds(1)));
  const write = { restoreId: 'r', registration: registrationWrite(next, known, 0) };
  await expect(putBackDeployment(table, deployment(), write, event())).rejects.toThrow(
    'the registration of etl was changed at the same time; run it again',
  );
  expect(await store.get({ pk, sk: 'DEPLOYMENT' })).toBeUndefined();
  await store.clear('SOURCES');
  await putBackDeployment(
    table,
    deployment(),
    { ...write, registration: registrationWrite(next, undefined, 0) },
    event(),
  );
  expect(await store.get({ pk: 'SOURCES', sk: 'etl' })).toEqual(toRegistration(next, undefined));
  await store.clear('SOURCES');
});
