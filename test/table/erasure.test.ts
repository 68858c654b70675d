import { DeleteCommand, PutCommand, paginateScan, UpdateCommand } from '@aws-sdk/lib-dynamodb';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { erasePerson } from '../../cli/erase-person.ts';
import { restore } from '../../cli/restoration.ts';
import { type ErasedKind, erasePeople } from '../../functions/table/erasure.ts';
import { createTable } from '../support/engine.ts';
import { inProcess, must, startTable } from '../support/in-process.ts';
import { restoration } from '../support/interrupted.ts';
import type { Sent, TestTable } from '../support/store.ts';

const engine = await startTable();
afterAll(() => engine.stop());
/** Makes a change in the table while an erasure scans it. */
let during: (() => Promise<void>) | undefined;
/** The calls to the table in the test. */
const sent: Sent[] = [];
const app = inProcess(engine, {
  countsRejectedCalls: true,
  around: async (when, call) => {
    if (when === 'before') sent.push(call);
    else if (call.operation === 'Scan') await during?.();
  },
});
const clock = () => app.time.now;
/** Strings that occur nowhere else in the table, so the tests can search for them. */
const GRACE = 'sub-of-grace-4711';
const HENRY = 'sub-of-henry-0815';
const keys = '/deployments/etl/api-keys';

type Item = Record<string, unknown>;
async function itemsOf(table: TestTable = app.table): Promise<Item[]> {
  const items: Item[] = [];
  const { client, tableName } = table;
  for await (const page of paginateScan({ client }, { TableName: tableName, ConsistentRead: true })) {
    items.push(...(page.Items ?? []));
  }
  return items;
}
const naming = (items: Item[], who: string) => items.filter((item) => JSON.stringify(item).includes(who));
const put = (table: TestTable, Item: Item) =>
  table.client.send(new PutCommand({ TableName: table.tableName, Item }));
async function tableWith(tableName: string, items: Item[]): Promise<TestTable> {
  await createTable(app.table.client as never, tableName);
  const table = { ...app.table, tableName };
  for (const item of items) await put(table, item);
  return table;
}
const later = (seconds: number) => {
  app.time.now += seconds * 1000;
};
const call = (as: string, method: string, path: string, json?: object, headers = {}) =>
  app.call(method, path, { as, headers, ...(json && { json }) });

/** Stores a person's `sub` in every kind of item. */
async function leaveTraces(who: string) {
  const made = must(await call(who, 'POST', keys, { name: 'ci' }, { 'idempotency-key': who }), 201).json;
  const other = await app.createKey('etl', { name: 'other' });
  const rotated = await call(who, 'POST', `${keys}/${other.id}/rotate`, { retireOld: 'now' });
  const { secret } = must(rotated, 200).json;
  must(await call(who, 'PATCH', `${keys}/${other.id}`, { enabled: false }), 200);
  must(await call(who, 'PATCH', `${keys}/${other.id}`, { enabled: true }), 200);
  const temporary = must(
    await call(who, 'POST', '/deployments/etl/temporary-tokens', {}, { 'idempotency-key': who }),
    201,
  ).json.access_token;
  must(await call(who, 'GET', '/deployments/not-theirs'), 404);
  return { key: made, other: { ...other, secret }, temporary };
}

await app.register('etl');
const own = await leaveTraces(GRACE);
const others = await leaveTraces(HENRY);

describe("erase-person removes a person's data from the table", () => {
  it("erase-person does nothing while the end-access job is looking for the person's keys", async () => {
    later(60);
    must(await call('admin', 'POST', '/people/end-access', { sub: GRACE, block: true }), 202);
    const before = await itemsOf();
    await expect(erasePerson(app.table, GRACE, { clock, isDryRun: false })).rejects.toThrow(
      "The job that looks for this person's keys has not finished.",
    );
    expect(await itemsOf()).toEqual(before);
    await app.findKeys();
    const stood = await itemsOf();
    const counts = await erasePerson(app.table, GRACE, { clock, isDryRun: true });
    expect(counts).toMatchObject({ keys: 2, 'temporary tokens': 1, 'records of ended access': 2 });
    expect(await itemsOf()).toEqual(stood);
  });

  it('erase-person leaves nothing of the person in the table, and does not change other people', async () => {
    const options = { point: 1, ignored: [GRACE, HENRY], disablesAll: false };
    await put(app.table, { pk: 'RESTORES', sk: 'earlier', startedAt: 1, finishedAt: 2, options });
    await put(app.table, {
      pk: 'EVENTS#etl',
      sk: 'job',
      type: 'x.y',
      actor: { principal: GRACE, type: 'system' },
    });
    const before = await itemsOf();
    const ofHenry = naming(before, HENRY).filter(({ pk }) => pk !== 'RESTORES');
    const partitions = naming(before, GRACE).map(({ pk }) => String(pk).split('#')[0]);
    expect(new Set(partitions)).toEqual(
      new Set(['DEPLOYMENT', 'EVENTS', 'REJECTED_CALLS', 'PEOPLE', 'PERSON', 'RESTORES']),
    );
    const counts = await erasePerson(app.table, GRACE, { clock, isDryRun: false });
    expect(counts).toEqual({
      keys: 2,
      events: 7,
      'temporary tokens': 1,
      'stored responses': 1,
      'counts of rejected calls': 1,
      'records of ended access': 2,
      restores: 1,
    });
    // A job can have the same name as a person's `sub`, but jobs are never erased.
    expect(naming(await itemsOf(), GRACE).map(({ sk }) => sk)).toEqual(['job']);
    const Key = { pk: 'EVENTS#etl', sk: 'job' };
    await app.table.client.send(new DeleteCommand({ TableName: 'keys', Key }));
    const after = await itemsOf();
    expect(naming(after, GRACE)).toEqual([]);
    expect(naming(after, HENRY).filter(({ pk }) => pk !== 'RESTORES')).toEqual(ofHenry);
    // Only the time at which access ended and the block remain, under a hash of the issuer and the sub.
    const left = after.filter(({ pk }) => String(pk).startsWith('PERSON#'));
    expect(left.map(({ sk, sub, blocked }) => ({ sk, sub, blocked }))).toEqual([
      { sk: 'PERSON', sub: 'erased', blocked: true },
    ]);
  });

  it("the keys of an erased person keep working, and the person's access stays ended", async () => {
    expect((await app.exchange(own.key)).status).toBe(200);
    expect((await app.exchange(own.other)).status).toBe(200);
    expect((await call('admin', 'GET', `${keys}/${own.key.id}`)).json.createdBy).toBe('erased');
    expect([await app.use(own.temporary), await app.use(others.temporary)]).toEqual([401, 200]);
    expect((await call(GRACE, 'GET', '/deployments')).status).toBe(401);
    expect((await call('admin', 'GET', '/people')).json.items).toEqual([
      expect.objectContaining({ sub: 'erased', blocked: true }),
    ]);
    const found = must(await call('admin', 'POST', '/people/find', { sub: GRACE }), 200).json;
    expect(found).toMatchObject({ sub: GRACE, blocked: true, keys: [] });
    const { items } = (await call('admin', 'GET', '/people/events')).json;
    expect(items.map(({ type }: { type: string }) => type).sort()).toEqual([
      'person.access_ended',
      'person.erased',
      'person.keys_found',
    ]);
    expect(items.map(({ subject }: { subject: string }) => subject)).toEqual(Array(3).fill('people/erased'));
  });

  it('erase-person distinguishes the keys of erased people from the keys of a person whose sub is "erased"', async () => {
    must(await call('admin', 'POST', '/people/end-access', { sub: 'erased', keys: 'disable' }), 202);
    await app.findKeys();
    expect((await call('admin', 'POST', '/people/find', { sub: 'erased' })).json.keys).toEqual([]);
    expect((await app.exchange(own.key)).status).toBe(200);
  });

  it('an administrator can restore the access of an erased person', async () => {
    must(await call('admin', 'POST', '/people/restore-access', { sub: GRACE }), 200);
    const claims = { iat: Math.floor(app.time.now / 1000) + 60 };
    expect((await app.call('GET', '/deployments', { as: GRACE, claims })).status).toBe(200);
    must(await call('admin', 'POST', '/people/end-access', { sub: GRACE, block: true }), 202);
    await app.findKeys();
    await erasePerson(app.table, GRACE, { clock, isDryRun: false });
    expect(naming(await itemsOf(), GRACE)).toEqual([]);
  });

  it('erase-person also erases what another call writes while the table is scanned', async () => {
    const secrets = [{ hash: 'h', createdAt: 1, setBy: HENRY }];
    let scans = 0;
    during = async () => {
      if (++scans !== 1) return;
      const Key = { pk: 'DEPLOYMENT#etl', sk: `KEY#${own.key.id.slice(-26)}` };
      const UpdateExpression = 'SET trustSetBy = :who, createdBy = :who';
      const ExpressionAttributeValues = { ':who': HENRY };
      await app.table.client.send(
        new UpdateCommand({ TableName: 'keys', Key, UpdateExpression, ExpressionAttributeValues }),
      );
      await put(app.table, { pk: 'DEPLOYMENT#etl', sk: 'KEY#malformed', secrets });
    };
    await erasePerson(app.table, HENRY, { clock, isDryRun: false });
    during = undefined;
    expect(naming(await itemsOf(), HENRY)).toEqual([]);
    await app.table.client.send(
      new DeleteCommand({ TableName: 'keys', Key: { pk: 'DEPLOYMENT#etl', sk: 'KEY#malformed' } }),
    );
  });
});

describe('A restore of a backup that is older than an erasure repeats the erasure', () => {
  const WHO = 'sub-of-mia-1234';

  it('a restore of a backup erases a person again if the person was erased after the backup', async () => {
    later(3600);
    const traces = await leaveTraces(WHO);
    later(60);
    must(await call('admin', 'POST', '/people/end-access', { sub: WHO }), 202);
    await app.findKeys();
    const backup = await tableWith('backup', await itemsOf());
    later(600);
    const point = app.time.now;
    later(600);
    must(await call('admin', 'POST', '/people/end-access', { sub: WHO, block: true }), 202);
    await app.findKeys();
    await erasePerson(app.table, WHO, { clock, isDryRun: false });
    expect(naming(await itemsOf(backup), WHO)).not.toEqual([]);
    later(60);
    const report = await restore(restoration({ from: backup, into: app.table, point, clock }));
    expect(report?.counts['items of erased people']).toBeGreaterThan(0);
    expect(naming(await itemsOf(), WHO)).toEqual([]);
    expect((await app.exchange(traces.key)).status).toBe(200);
    const claims = { iat: Math.floor(app.time.now / 1000) + 60 };
    expect((await app.call('GET', '/deployments', { as: WHO, claims })).status).toBe(401);
  });

  it('a restore erases a person again even if the restored table has the same name as the lost table', async () => {
    const events = (await itemsOf()).filter(({ pk }) => String(pk).startsWith('EVENTS#'));
    const inPlace = await tableWith('in-place', await itemsOf({ ...app.table, tableName: 'backup' }));
    const archive = await tableWith('archive', events);
    expect(naming(await itemsOf(inPlace), WHO)).not.toEqual([]);
    const { history } = restoration({ from: archive, into: archive, point: 0, clock });
    await restore(restoration({ from: inPlace, into: inPlace, point: app.time.now, clock, history }));
    expect(naming(await itemsOf(inPlace), WHO)).toEqual([]);
  });
});

describe('erasePeople changes exactly the attributes that name an erased person', () => {
  const key = { pk: 'DEPLOYMENT#etl', sk: 'KEY#1' };
  const event = { pk: 'EVENTS#etl', sk: '1', type: 'api_key.created' };
  const stored = { pk: 'DEPLOYMENT#etl', sk: 'IDEM#1' };
  const temporary = { pk: 'DEPLOYMENT#etl', sk: 'GRANT#1' };
  const rejected = { pk: 'REJECTED_CALLS', sk: '1' };
  const restored = { pk: 'RESTORES', sk: '1' };
  let table: TestTable;
  let tables = 0;
  beforeEach(async () => {
    table = await tableWith(`items-${++tables}`, []);
    sent.length = 0;
    during = undefined;
  });
  const putAll = async (...items: Item[]) => {
    for (const item of items) await put(table, item);
  };
  const isErased = (value: unknown) => value === 'ann' || value === 'amy';
  const none: Record<ErasedKind, number> = {
    keys: 0,
    events: 0,
    'temporary tokens': 0,
    'stored responses': 0,
    'counts of rejected calls': 0,
    'records of ended access': 0,
    restores: 0,
  };
  const answerOf = (body: unknown) => ({ status: 201, location: '/a', body: JSON.stringify(body) });
  const others = [
    { pk: 'PERSON#bob', sk: 'KEY#1' },
    { pk: 'PERSON#bob', sk: 'PERSON', sub: 'bob' },
  ];

  it.each<[string, ErasedKind, Item, Item | undefined]>([
    [
      'the creator of a key, with the name of the creator',
      'keys',
      { ...key, createdBy: 'ann', createdByName: 'Ann', trustSetBy: 'bob', secrets: [{ hash: 'a' }], n: 1 },
      { ...key, createdBy: 'erased', trustSetBy: 'bob', secrets: [{ hash: 'a' }], n: 1 },
    ],
    [
      'people who changed a key that someone else created',
      'keys',
      {
        ...key,
        createdBy: 'bob',
        createdByName: 'Bob',
        trustSetBy: 'amy',
        lastEnabled: { at: 1, by: 'ann' },
        secrets: [
          { hash: 'a', setBy: 'bob' },
          { hash: 'b', setBy: 'ann' },
          { hash: 'c', setBy: 'amy' },
        ],
      },
      {
        ...key,
        createdBy: 'bob',
        createdByName: 'Bob',
        trustSetBy: 'erased',
        lastEnabled: { at: 1, by: 'erased' },
        secrets: [
          { hash: 'a', setBy: 'bob' },
          { hash: 'b', setBy: 'erased' },
          { hash: 'c', setBy: 'erased' },
        ],
      },
    ],
    [
      'the creator of a malformed key',
      'keys',
      { ...key, createdBy: 'ann', lastEnabled: null, secrets: 'text' },
      { ...key, createdBy: 'erased', lastEnabled: null, secrets: 'text' },
    ],
    [
      'the caller in an event, with the address and the name of the caller',
      'events',
      {
        ...event,
        actor: { principal: 'ann', type: 'person', address: '192.0.2.1', name: 'Ann', requestId: 'r' },
        data: { sub: 'bob', keyId: 'k' },
      },
      {
        ...event,
        actor: { principal: 'erased', type: 'person', address: 'erased', requestId: 'r' },
        data: { sub: 'bob', keyId: 'k' },
      },
    ],
    [
      'the caller in an event of a version that stored neither types nor names of callers',
      'events',
      { ...event, actor: { principal: 'ann', address: '' } },
      { ...event, actor: { principal: 'erased', address: 'erased' } },
    ],
    [
      'a person whom an event of a job is about',
      'events',
      { ...event, actor: { principal: 'ann', type: 'system', address: '' }, data: { sub: 'ann', n: 1 } },
      { ...event, actor: { principal: 'ann', type: 'system', address: '' }, data: { sub: 'erased', n: 1 } },
    ],
    ['a temporary token of a person', 'temporary tokens', { ...temporary, sub: 'ann' }, undefined],
    [
      'the creator of a key in a stored response',
      'stored responses',
      { ...stored, answer: answerOf({ id: 'k', createdBy: 'ann', createdByName: 'Ann' }) },
      { ...stored, answer: answerOf({ id: 'k', createdBy: 'erased' }) },
    ],
    [
      'the count of the rejected calls of a person',
      'counts of rejected calls',
      { ...rejected, principalType: 'person', principal: 'ann' },
      undefined,
    ],
    [
      'a person in the list of people whose access was ended',
      'records of ended access',
      { pk: 'PEOPLE', sk: '1', sub: 'ann', startedAt: 1 },
      { pk: 'PEOPLE', sk: '1', sub: 'erased', startedAt: 1 },
    ],
    [
      'people whose changes a restore ignored',
      'restores',
      { ...restored, finishedAt: 0, options: { point: 1, ignored: ['bob', 'ann', 'amy'] } },
      { ...restored, finishedAt: 0, options: { point: 1, ignored: ['bob', 'erased', 'erased'] } },
    ],
  ])('erasePeople erases %s', async (_, kind, before, after) => {
    await putAll(before, ...others);
    const counts = { ...none, [kind]: 1 };
    expect(await erasePeople(table, isErased, true)).toEqual(counts);
    expect(await itemsOf(table)).toEqual(expect.arrayContaining([before, ...others]));
    expect(await erasePeople(table, isErased, false)).toEqual(counts);
    const left = await itemsOf(table);
    expect(left).toHaveLength(after ? 3 : 2);
    expect(left).toEqual(expect.arrayContaining([...(after ? [after] : []), ...others]));
    expect(await erasePeople(table, isErased, false)).toEqual(none);
  });

  it("erasePeople deletes the list of keys in a person's record of ended access, and keeps the record", async () => {
    const record = { pk: 'PERSON#ann', sk: 'PERSON', sub: 'ann', blocked: true };
    const held = ['1', '2'].map((n) => ({ pk: record.pk, sk: `KEY#${n}` }));
    const kept = { pk: record.pk, sk: 'LATER' };
    await putAll(record, ...held, kept, ...others);
    expect(await erasePeople(table, isErased, false)).toEqual({
      ...none,
      'records of ended access': 1,
    });
    const left = [kept, { ...record, sub: 'erased' }, ...others];
    const items = await itemsOf(table);
    expect(items).toHaveLength(left.length);
    expect(items).toEqual(expect.arrayContaining(left));
  });

  it('erasePeople leaves all other items as they are', async () => {
    const everywhere = { sub: 'ann', principal: 'ann', finishedAt: 1, options: { ignored: ['ann'] } };
    const createdBy = { createdBy: 'ann', trustSetBy: 'ann' };
    const items: Item[] = [
      { ...key, createdBy: 'bob', createdByName: 'Bob', secrets: [{ setBy: 'bob' }], sub: 'ann' },
      { ...key, sk: 'KEY#2', lastEnabled: null, secrets: null },
      { pk: key.pk, sk: 'TOKEN#1', ...everywhere, ...createdBy },
      { pk: 'DEPLOYMENTS', sk: 'etl', ...everywhere, ...createdBy },
      { ...event, actor: { principal: 'ann', type: 'system', address: '' } },
      { ...event, sk: '2', actor: { principal: 'bob', type: 'person', address: '192.0.2.1', name: 'Bob' } },
      { ...event, sk: '3', actor: null, data: 'text' },
      { ...temporary, sub: 'bob' },
      { ...stored, answer: answerOf({ id: 'k', createdBy: 'bob', createdByName: 'Bob' }) },
      { ...stored, sk: 'IDEM#2', answer: answerOf(null) },
      { ...stored, sk: 'IDEM#3', answer: { body: '{"createdBy":"ann"' } },
      { ...rejected, principalType: 'system', principal: 'ann' },
      { ...rejected, sk: '2', principalType: 'person', principal: 'bob' },
      { pk: 'PEOPLE', sk: '1', sub: 'bob' },
      // A restore that has not finished continues only with the same options.
      { ...restored, options: { ignored: ['ann'] } },
      { ...restored, sk: '2', finishedAt: 1, options: { ignored: ['bob'] } },
      { ...restored, sk: '3', finishedAt: 1 },
      ...others,
    ];
    await putAll(...items);
    const before = await itemsOf(table);
    expect(before).toHaveLength(items.length);
    expect(await erasePeople(table, isErased, false)).toEqual(none);
    expect(await itemsOf(table)).toEqual(before);
    expect(sent.map(({ operation }) => operation)).toEqual(['Scan']);
  });

  it('erasePeople scans all pages of the table with strongly consistent reads', async () => {
    const ballast = 'x'.repeat(300_000);
    const sks = ['KEY#1', 'KEY#2', 'KEY#3', 'KEY#4', 'KEY#5'];
    await putAll(...sks.map((sk) => ({ ...key, sk, createdBy: 'ann', ballast })));
    expect(await erasePeople(table, isErased, true)).toEqual({ ...none, keys: 5 });
    expect(sent.map(({ operation, input }) => [operation, input.ConsistentRead])).toEqual([
      ['Scan', true],
      ['Scan', true],
    ]);
    expect(await erasePeople(table, isErased, false)).toEqual({ ...none, keys: 5 });
    const items = await itemsOf(table);
    expect(items.map(({ sk, createdBy }) => [sk, createdBy])).toEqual(sks.map((sk) => [sk, 'erased']));
  });

  it('erasePeople keeps a change that another call makes to the same item, and counts the item once', async () => {
    await putAll({ ...key, createdBy: 'ann', trustSetBy: 'ann' });
    during = async () => {
      during = undefined;
      await putAll({ ...key, createdBy: 'ann', trustSetBy: 'bob' });
    };
    expect(await erasePeople(table, isErased, false)).toEqual({ ...none, keys: 1 });
    expect(await itemsOf(table)).toEqual([{ ...key, createdBy: 'erased', trustSetBy: 'bob' }]);
  });

  it('erasePeople scans the table at most five times, until it finds nothing', async () => {
    const writeDuringScans = (most: number) => {
      let scans = 0;
      during = async () => {
        if (++scans <= most) await putAll({ ...key, sk: `KEY#${scans}`, createdBy: 'ann' });
      };
    };
    await putAll({ ...key, sk: 'KEY#0', createdBy: 'ann' });
    writeDuringScans(3);
    expect(await erasePeople(table, isErased, false)).toEqual({ ...none, keys: 4 });
    expect(sent.filter(({ operation }) => operation === 'Scan')).toHaveLength(5);
    await putAll({ ...key, sk: 'KEY#0', createdBy: 'ann' });
    writeDuringScans(4);
    await expect(erasePeople(table, isErased, false)).rejects.toThrow(
      new Error('Other calls keep writing data of this person. End their access, and try again.'),
    );
  });
});
