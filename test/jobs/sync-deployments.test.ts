import { setTimeout as pause } from 'node:timers/promises';
import { DeleteCommand, PutCommand, UpdateCommand } from '@aws-sdk/lib-dynamodb';
import type { DynamoDBRecord } from 'aws-lambda';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { isUlid } from '../../functions/domain/identifiers.ts';
import { purgeFromQueue, sweepMarkers } from '../../functions/jobs/purge.ts';
import { syncFromStream } from '../../functions/jobs/sync-deployments.ts';
import { someOf } from '../support/generated.ts';
import { inProcess, startTable } from '../support/in-process.ts';
import { makePlatformTable, rowOf } from '../support/platform-table.ts';

const engine = await startTable();
const platform = await makePlatformTable(engine.endpoint);
afterAll(() => engine.stop());

let around: ((when: 'before' | 'after', command: object) => void | Promise<void>) | undefined;
const service = inProcess(engine, {
  source: platform.source,
  around: (when, command) => around?.(when, command),
});
const setAside: object[] = [];
let isQueueDown = false;
let count = 0;
let id = '';
beforeEach(async () => {
  around = undefined;
  isQueueDown = false;
  setAside.length = 0;
  id = `sourced_${++count}`;
  await platform.records();
});

const sync = (records: DynamoDBRecord[]) =>
  syncFromStream(records, {
    table: service.table,
    source: platform.source,
    clock: () => service.time.now,
    setAside: async (refusal) => {
      if (isQueueDown) throw new Error('the queue is down');
      setAside.push(refusal);
    },
    log: () => {},
  });
const DONE = { batchItemFailures: [] };

/** Applies the stream records since the last call. */
async function follow(): Promise<DynamoDBRecord[]> {
  const records = await platform.records();
  expect(await sync(records)).toEqual(DONE);
  return records;
}

const itemOf = async (of = id) =>
  (await service.partition(`DEPLOYMENT#${of}`)).find(({ sk }) => sk === 'DEPLOYMENT');
const entryOf = async (of = id) => (await service.partition('DEPLOYMENTS')).find(({ sk }) => sk === of);
const noted = async (of = id) => (await service.partition('SOURCES')).find(({ sk }) => sk === of);
const eventsOf = async (of = id) =>
  (await service.partition(`EVENTS#${of}`)).map(({ type }) => String(type)).sort();
const admin = { as: 'admin' };

describe('a Deployment of a followed table', () => {
  it('is registered, edited and deleted together with its row, which also revokes its access', async () => {
    await platform.put(rowOf(id, { label: { S: 'Nightly' }, teams: { SS: ['b', 'a'] } }));
    const [{ dynamodb } = {}] = await follow();
    const deployment = await itemOf();
    expect(deployment).toMatchObject({ name: 'Nightly', groups: ['a', 'b'], keyCount: 0 });
    expect(await entryOf()).toMatchObject({ name: 'Nightly', groups: ['a', 'b'] });
    expect(isUlid(String(deployment?.generation))).toBe(true);
    expect(await noted()).toEqual({
      pk: 'SOURCES',
      sk: id,
      lastChange: String(dynamodb?.SequenceNumber).padStart(40, '0'),
      generation: deployment?.generation,
      isPresent: true,
      row: { key: { S: `row-${id}` } },
    });
    const key = await service.makeKey(id);
    const token = await service.swap(key);

    await platform.put(rowOf(id, { label: { S: 'Daily' } }));
    await follow();
    expect(await itemOf()).toMatchObject({ name: 'Daily', groups: [], generation: deployment?.generation });
    expect(await service.use(token)).toBe(200);

    await platform.remove(id);
    await follow();
    expect(await itemOf()).toBeUndefined();
    expect(await entryOf()).toBeUndefined();
    expect(await service.use(token)).toBe(401);
    expect(await noted()).toMatchObject({
      isPresent: false,
      expiresAt: Math.ceil(service.time.now / 1000) + 90 * 86_400,
    });
    expect(await service.partition('PURGES')).toContainEqual(
      expect.objectContaining({ sk: `${id}#${deployment?.generation}` }),
    );
    expect(await eventsOf()).toEqual([
      'api_key.created',
      'deployment.deleted',
      'deployment.edited',
      'deployment.registered',
    ]);
  });

  it('gets a new generation when its row comes back: older keys stay revoked, and the purge keeps the newer ones', async () => {
    await platform.put(rowOf(id));
    await follow();
    const [older, key] = [await itemOf(), await service.makeKey(id)];
    await platform.remove(id);
    await platform.put(rowOf(id));
    await follow();
    expect((await itemOf())?.generation).not.toBe(older?.generation);
    expect((await service.exchange(key)).status).toBe(401);
    const fresh = await service.swap(await service.makeKey(id));
    service.time.now += 6 * 60_000;
    service.deferred.length = 0;
    await sweepMarkers(service.purge);
    for (const task of service.deferred.splice(0)) {
      const record = { messageId: 'm', body: JSON.stringify(task) } as never;
      expect(await purgeFromQueue([record], () => true, service.purge)).toEqual(DONE);
    }
    expect(await service.use(fresh)).toBe(200);
    expect(await service.partition(`DEPLOYMENT#${id}`)).toHaveLength(3);
  });

  it('is one only if the rule "where" holds and the rule "deleted" does not', async () => {
    const states: [object, boolean][] = [
      [{ type: { S: 'cluster' } }, false],
      [{}, true],
      [{ status: { S: 'archived' } }, false],
      [{ status: { S: 'active' } }, true],
      [{ type: { S: 'cluster' } }, false],
    ];
    const lives = new Set<unknown>();
    for (const [more, isThere] of states) {
      await platform.put(rowOf(id, more as never));
      await follow();
      const deployment = await itemOf();
      expect(deployment !== undefined, JSON.stringify(more)).toBe(isThere);
      if (deployment) lives.add(deployment.generation);
    }
    expect(lives.size).toBe(2);
  });

  it('is deleted when its row gets another ID, which is registered', async () => {
    await platform.put(rowOf(id));
    await platform.put({ ...rowOf(id), deployment: { S: `${id}_other` } });
    await follow();
    expect(await itemOf()).toBeUndefined();
    expect(await itemOf(`${id}_other`)).toBeDefined();
  });

  it('a Deployment of a followed table costs nothing when only attributes change that the source does not name', async () => {
    await platform.put(rowOf(id));
    await follow();
    const commands: string[] = [];
    around = (_, command) => void commands.push(command.constructor.name);
    await platform.put(rowOf(id, { heartbeat: { N: '12345678901234567890123456789012345678' } }));
    expect(await follow()).toHaveLength(1);
    expect(commands).toEqual([]);
  });
});

describe('a stream record that is repeated, late or out of order', () => {
  it('changes nothing: each record alone, all in reverse, all twice, after a deletion and after a new generation', async () => {
    await platform.put(rowOf(id, { label: { S: 'one' } }));
    await platform.put(rowOf(id, { label: { S: 'two' } }));
    await platform.remove(id);
    const first = await follow();
    const replays = (records: DynamoDBRecord[]) => [
      ...records.map((record) => [record]),
      records.toReversed(),
      [...records, ...records],
    ];
    const state = async () => [
      await itemOf(),
      await entryOf(),
      await noted(),
      await service.partition(`EVENTS#${id}`),
    ];
    const gone = await state();
    expect(gone[0]).toBeUndefined();
    for (const batch of replays(first)) {
      expect(await sync(batch)).toEqual(DONE);
      expect(await state()).toEqual(gone);
    }
    await platform.put(rowOf(id, { label: { S: 'three' } }));
    const second = [...first, ...(await follow())];
    const there = await state();
    expect(there[0]).toMatchObject({ name: 'three' });
    for (const batch of replays(second)) {
      expect(await sync(batch)).toEqual(DONE);
      expect(await state()).toEqual(there);
    }
  });

  it('does not register a Deployment when the deletion arrives first', async () => {
    await platform.put(rowOf(id));
    await platform.remove(id);
    const [insert, removal] = await platform.records();
    expect(await sync([removal as DynamoDBRecord])).toEqual(DONE);
    expect(await sync([insert as DynamoDBRecord])).toEqual(DONE);
    expect(await itemOf()).toBeUndefined();
    expect(await eventsOf()).toEqual([]);
  });

  it('is applied once in two concurrent workers, and the newest wins', async () => {
    await platform.put(rowOf(id, { label: { S: 'one' } }));
    await platform.put(rowOf(id, { label: { S: 'two' } }));
    await platform.remove(id);
    await platform.put(rowOf(id, { label: { S: 'last' } }));
    const records = await platform.records();
    const workers = Array.from({ length: 4 }, async (_, n) => {
      await pause(n);
      return sync(records);
    });
    for (const result of await Promise.all(workers)) expect(result).toEqual(DONE);
    expect(await itemOf()).toMatchObject({ name: 'last' });
    const types = await eventsOf();
    expect(types.filter((type) => type === 'deployment.registered').length).toBeLessThanOrEqual(2);
    const { SequenceNumber } = records.at(-1)?.dynamodb ?? {};
    expect((await noted())?.lastChange).toBe(SequenceNumber?.padStart(40, '0'));
  });

  it('is ordered by its sequence number, whatever its number of digits', async () => {
    await platform.put(rowOf(id));
    await platform.remove(id);
    const [insert, removal] = (await platform.records()) as [DynamoDBRecord, DynamoDBRecord];
    const numbered = (record: DynamoDBRecord, SequenceNumber: string) => ({
      ...record,
      dynamodb: { ...record.dynamodb, SequenceNumber },
    });
    const [nine, ten] = ['9'.repeat(39), `1${'0'.repeat(39)}`];
    await sync([numbered(insert, nine)]);
    await sync([numbered(removal, ten)]);
    expect(await itemOf()).toBeUndefined();
    await sync([numbered(insert, nine)]);
    expect(await itemOf()).toBeUndefined();
  });
});

describe('a rejected change', () => {
  const refused: [string, (of: string) => object, string][] = [
    ['no ID', () => ({ deployment: { S: 'no such id' } }), 'deployment must be text of the form'],
    ['a number for an ID', () => ({ deployment: { N: '7' } }), 'deployment must be text of the form'],
    ['no ID at all', () => ({ deployment: { NULL: true } }), 'deployment must be text of the form'],
    ['a long name', () => ({ label: { S: 'x'.repeat(101) } }), 'label must be 1 to 100 characters'],
    ['a name that is a map', () => ({ label: { M: {} } }), 'label must be 1 to 100 characters'],
    ['a control character', () => ({ label: { S: 'a\nb' } }), 'label must be 1 to 100 characters'],
    ['a number among groups', () => ({ teams: { L: [{ N: '1' }] } }), 'teams must be at most 20 texts'],
  ];
  it.each(refused)(
    '%s is sent to the dead-letter queue, and its neighbours are applied',
    async (_, more, reason) => {
      await platform.put(rowOf(`${id}_a`));
      await platform.put(rowOf(id, more(id) as never));
      await platform.put(rowOf(`${id}_b`));
      const records = await follow();
      expect(await itemOf(`${id}_a`)).toBeDefined();
      expect(await itemOf(`${id}_b`)).toBeDefined();
      expect(setAside).toEqual([
        {
          reason: expect.stringContaining(reason),
          key: { key: { S: `row-${id}` } },
          sequenceNumber: records[1]?.dynamodb?.SequenceNumber,
        },
      ]);
      expect(await itemOf()).toBeUndefined();
    },
  );

  it('leaves a Deployment unchanged until a valid change arrives', async () => {
    await platform.put(rowOf(id, { label: { S: 'good' } }));
    await platform.put(rowOf(id, { label: { S: '' } }));
    await follow();
    expect(await itemOf()).toMatchObject({ name: 'good' });
    await platform.put(rowOf(id, { label: { S: 'better' } }));
    await follow();
    expect(await itemOf()).toMatchObject({ name: 'better' });
    expect(setAside).toHaveLength(1);
  });

  it('a change to an invalid ID deletes the Deployment of the former ID', async () => {
    await platform.put(rowOf(id));
    await platform.put({ ...rowOf(id), deployment: { S: 'no id' } });
    await follow();
    expect(await itemOf()).toBeUndefined();
    expect(setAside).toHaveLength(1);
  });

  it('is sent to the dead-letter queue when the record has no images or no sequence number', async () => {
    await platform.put(rowOf(id));
    const [{ NewImage: _, ...bare } = {}] = (await platform.records()).map(({ dynamodb }) => ({
      ...dynamodb,
    }));
    expect(await sync([{ eventName: 'INSERT', dynamodb: bare }])).toEqual(DONE);
    expect(setAside).toEqual([expect.objectContaining({ reason: expect.stringContaining('images') })]);
  });

  it('is retried and blocks later records while the dead-letter queue is unavailable', async () => {
    isQueueDown = true;
    await platform.put(rowOf(`${id}_a`));
    await platform.put(rowOf(id, { deployment: { S: '?' } }));
    await platform.put(rowOf(`${id}_b`));
    const records = await platform.records();
    const { SequenceNumber } = records[1]?.dynamodb ?? {};
    expect(await sync(records)).toEqual({ batchItemFailures: [{ itemIdentifier: SequenceNumber }] });
    expect(await itemOf(`${id}_a`)).toBeDefined();
    expect(await itemOf(`${id}_b`)).toBeUndefined();
  });
});

it('a temporary failure is reported without processing later records, and the same batch finishes on a retry', async () => {
  for (const n of [1, 2, 3]) await platform.put(rowOf(`${id}_${n}`));
  const records = await platform.records();
  let transactions = 0;
  around = (when, command) => {
    const isDown = when === 'before' && command.constructor.name === 'TransactWriteCommand';
    if (isDown && ++transactions === 2) throw Object.assign(new Error('x'), { name: 'ThrottlingException' });
  };
  const { SequenceNumber } = records[1]?.dynamodb ?? {};
  expect(await sync(records)).toEqual({ batchItemFailures: [{ itemIdentifier: SequenceNumber }] });
  expect(await itemOf(`${id}_1`)).toBeDefined();
  expect(await itemOf(`${id}_3`)).toBeUndefined();
  around = undefined;
  expect(await sync(records)).toEqual(DONE);
  expect(await itemOf(`${id}_3`)).toBeDefined();
  expect(await eventsOf(`${id}_1`)).toEqual(['deployment.registered']);
});

describe('a followed table and people', () => {
  const put = (json: object) => service.call('PUT', `/deployments/${id}`, { ...admin, json });

  it('rejects edits by people to what the source defines', async () => {
    await platform.put(rowOf(id, { label: { S: 'Theirs' } }));
    await follow();
    const conflict = {
      status: 409,
      json: {
        code: 'conflict',
        detail: 'This Deployment comes from a table of the platform. Change or delete it there.',
      },
    };
    expect(await put({ name: 'Mine' })).toMatchObject(conflict);
    expect(await put({ groups: ['mine'] })).toMatchObject(conflict);
    expect(await service.call('DELETE', `/deployments/${id}`, admin)).toMatchObject(conflict);
    // Repeating the current values is not a change.
    expect(await put({ name: 'Theirs', groups: [] })).toMatchObject({ status: 200 });
    expect(await itemOf()).toMatchObject({ name: 'Theirs' });
  });

  it('lets people edit what the source does not define', async () => {
    await platform.put(rowOf(id));
    await follow();
    const { groups: _, ...nameless } = platform.source;
    const other = inProcess(engine, { source: nameless });
    const reply = await other.call('PUT', `/deployments/${id}`, { ...admin, json: { groups: ['ours'] } });
    expect(reply.status).toBe(200);
  });

  it('keeps a Deployment that people registered, even when an unknown row with its ID is deleted', async () => {
    await service.register(id);
    const before = await itemOf();
    await platform.put(rowOf(id));
    await platform.remove(id);
    const [, removal] = await platform.records();
    expect(await sync([removal as DynamoDBRecord])).toEqual(DONE);
    expect(await itemOf()).toEqual(before);
    expect((await service.call('DELETE', `/deployments/${id}`, admin)).status).toBe(204);
  });

  it('takes over a Deployment that people registered, with its keys, when a row with its ID appears', async () => {
    await service.register(id, { name: 'Ours' });
    const token = await service.swap(await service.makeKey(id));
    await platform.put(rowOf(id, { label: { S: 'Theirs' } }));
    await follow();
    expect(await itemOf()).toMatchObject({ name: 'Theirs' });
    expect(await service.use(token)).toBe(200);
    expect((await service.call('DELETE', `/deployments/${id}`, admin)).status).toBe(409);
  });

  it('keeps a Deployment that people registered after the followed one was deleted by hand', async () => {
    await platform.put(rowOf(id));
    await follow();
    await service.table.client.send(
      new DeleteCommand({ TableName: 'keys', Key: { pk: `DEPLOYMENT#${id}`, sk: 'DEPLOYMENT' } }),
    );
    await service.register(id, { name: 'Ours' });
    expect((await put({ name: 'Still ours' })).status).toBe(200);
    await platform.remove(id);
    await follow();
    expect(await itemOf()).toMatchObject({ name: 'Still ours' });
  });

  it('returns all Deployments to people when the setting is removed', async () => {
    await platform.put(rowOf(id));
    await follow();
    const without = inProcess(engine);
    expect((await without.call('DELETE', `/deployments/${id}`, admin)).status).toBe(204);
  });
});

it('a Deployment that changed meanwhile is read again before it is written', async () => {
  await platform.put(rowOf(id, { label: { S: 'one' } }));
  await follow();
  await platform.put(rowOf(id, { label: { S: 'two' } }));
  around = async (when, command) => {
    if (when !== 'before' || command.constructor.name !== 'TransactWriteCommand') return;
    around = undefined;
    // Another worker records the same change first.
    await service.table.client.send(
      new UpdateCommand({
        TableName: 'keys',
        Key: { pk: 'SOURCES', sk: id },
        UpdateExpression: 'SET lastChange = :last',
        ExpressionAttributeValues: { ':last': '9'.repeat(40) },
      }),
    );
  };
  await follow();
  expect(await itemOf()).toMatchObject({ name: 'one' });
});

/** Values of an attribute of another type, or of another form. `undefined` is an attribute that is missing. */
const DAMAGES = [
  undefined,
  '',
  'x',
  -1,
  0.5,
  7,
  2 ** 53 - 1,
  null,
  [],
  ['x'],
  {},
  { x: 'x' },
  new Set(['x']),
];
const damagesOf = (item: Record<string, unknown>) =>
  Object.keys(item)
    .filter((name) => name !== 'pk' && name !== 'sk')
    .flatMap((name) => DAMAGES.map((value) => ({ name, value })));
const rewrite = (Item: object) => service.table.client.send(new PutCommand({ TableName: 'keys', Item }));

describe('the stream of a followed table', { timeout: 300_000 }, () => {
  it('edits and deletes a Deployment with its row, whatever is malformed in its registration', async () => {
    await platform.put(rowOf(id));
    await follow();
    for (const { name, value } of someOf(damagesOf((await noted()) ?? {}))) {
      const label = `${name} is ${JSON.stringify(value)}`;
      await platform.put(rowOf(id, { label: { S: 'one' } }));
      await follow();
      const good = await noted();
      await rewrite({ ...good, [name]: value });
      await platform.put(rowOf(id, { label: { S: 'two' } }));
      await follow();
      expect(await itemOf(), label).toMatchObject({ name: 'two' });
      expect(await noted(), label).toMatchObject({ generation: good?.generation, isPresent: true });
      await rewrite({ ...good, [name]: value });
      await platform.remove(id);
      await follow();
      expect(await itemOf(), label).toBeUndefined();
      expect(await noted(), label).toMatchObject({ isPresent: false });
    }
  });

  it('does not replace a malformed registration that has changed since it was read', async () => {
    await platform.put(rowOf(id));
    await follow();
    const { isPresent: _, ...rest } = (await noted()) ?? {};
    await rewrite(rest);
    await platform.put(rowOf(id, { label: { S: 'two' } }));
    const last = '9'.repeat(40);
    around = async (when, command) => {
      if (when !== 'before' || command.constructor.name !== 'TransactWriteCommand') return;
      around = undefined;
      await rewrite({ ...rest, isPresent: true, lastChange: last });
    };
    await follow();
    expect(await noted()).toMatchObject({ lastChange: last });
    expect(await itemOf()).not.toMatchObject({ name: 'two' });
  });

  it('deletes a malformed Deployment with its row, and sends any other change of the row to the dead-letter queue', async () => {
    await platform.put(rowOf(id));
    await follow();
    const item = (await itemOf()) ?? {};
    const entry = (await entryOf()) ?? {};
    for (const { name, value } of someOf(damagesOf({ ...item, revision: 1 }))) {
      const label = `${name} is ${JSON.stringify(value)}`;
      await platform.put(rowOf(id, { label: { S: 'one' } }));
      await follow();
      const { generation } = (await itemOf()) ?? {};
      const damaged = { ...item, generation, [name]: value };
      await rewrite(damaged);
      await rewrite({ ...entry, generation });
      setAside.length = 0;
      await platform.put(rowOf(id, { label: { S: 'two' } }));
      await platform.put(rowOf(`${id}_behind`));
      await follow();
      const isMalformed = setAside.length > 0;
      if (isMalformed) {
        expect(setAside, label).toMatchObject([{ reason: 'the Deployment is malformed' }]);
      } else expect(await itemOf(), label).toMatchObject({ name: 'two' });
      expect(await itemOf(`${id}_behind`), label).toBeDefined();
      await platform.remove(id);
      await platform.remove(`${id}_behind`);
      await follow();
      expect(await itemOf(), label).toBeUndefined();
      expect(await entryOf(), label).toBeUndefined();
    }
  });
});
