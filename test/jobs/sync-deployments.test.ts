import { setTimeout as pause } from 'node:timers/promises';
import { DeleteCommand, PutCommand, UpdateCommand } from '@aws-sdk/lib-dynamodb';
import type { DynamoDBRecord } from 'aws-lambda';
import { beforeEach, describe, expect, it } from 'vitest';
import { isUlid } from '../../functions/domain/credentials.ts';
import type { DeletionLimit } from '../../functions/domain/deployments-source.ts';
import { purgeFromQueue, sweepMarkers } from '../../functions/jobs/purge.ts';
import { areDeletionsStopped, compareRegistrations } from '../../functions/jobs/reconcile-source.ts';
import { deletionLimit } from '../../functions/operations/limit-deletions.ts';
import { DAMAGES } from '../support/damages.ts';
import { someOf } from '../support/generated.ts';
import { inProcess } from '../support/in-process.ts';
import { rowOf, startFollowing } from '../support/platform-table.ts';

const { engine, platform, service, clock, prune, sync: apply } = await startFollowing();
const sendToDeadLetterQueue: object[] = [];
const outcomes: string[] = [];
let isQueueDown = false;
let count = 0;
let id = '';
beforeEach(async () => {
  service.around = undefined;
  isQueueDown = false;
  sendToDeadLetterQueue.length = 0;
  outcomes.length = 0;
  id = `sourced_${++count}`;
  await platform.records();
});

const sync = (records: DynamoDBRecord[], source = platform.source) =>
  apply(records, {
    source,
    sendToDeadLetterQueue: async (refusal) => {
      if (isQueueDown) throw new Error('the queue is down');
      sendToDeadLetterQueue.push(refusal);
    },
    onOutcome: (id, outcome) => outcomes.push(`${outcome} ${id}`),
  });
const DONE = { batchItemFailures: [] };

/** Applies the stream records that were written since the last call of this function. */
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

describe('A Deployment of a followed table changes with its row', () => {
  it('registers, edits and deletes a Deployment together with its row in the followed table', async () => {
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
    const key = await service.createKey(id);
    const token = await service.exchangeForToken(key);

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

  it('a Deployment gets a new generation when its row comes back, so that its older keys stay revoked', async () => {
    await platform.put(rowOf(id));
    await follow();
    const [older, key] = [await itemOf(), await service.createKey(id)];
    await platform.remove(id);
    await platform.put(rowOf(id));
    await follow();
    expect((await itemOf())?.generation).not.toBe(older?.generation);
    expect((await service.exchange(key)).status).toBe(401);
    const fresh = await service.exchangeForToken(await service.createKey(id));
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

  it('a row counts as a Deployment only if it matches the "where" rule and does not match the "deleted" rule', async () => {
    const states: [object, boolean][] = [
      [{ type: { S: 'cluster' } }, false],
      [{}, true],
      [{ status: { S: 'archived' } }, false],
      [{ status: { S: 'active' } }, true],
      [{ type: { S: 'cluster' } }, false],
    ];
    const generations = new Set<unknown>();
    for (const [more, isThere] of states) {
      await platform.put(rowOf(id, more as never));
      await follow();
      const deployment = await itemOf();
      expect(deployment !== undefined, JSON.stringify(more)).toBe(isThere);
      if (deployment) generations.add(deployment.generation);
    }
    expect(generations.size).toBe(2);
  });

  it('deletes a Deployment when its row gets a different ID, and registers the new ID', async () => {
    await platform.put(rowOf(id));
    await platform.put({ ...rowOf(id), deployment: { S: `${id}_other` } });
    await follow();
    expect(await itemOf()).toBeUndefined();
    expect(await itemOf(`${id}_other`)).toBeDefined();
  });

  it('a row change causes no reads or writes if it affects only attributes that the source does not use', async () => {
    await platform.put(rowOf(id));
    await follow();
    const commands: string[] = [];
    service.around = (_, command) => void commands.push(command.operation);
    await platform.put(rowOf(id, { heartbeat: { N: '12345678901234567890123456789012345678' } }));
    expect(await follow()).toHaveLength(1);
    expect(commands).toEqual([]);
  });
});

describe('A stream record can be repeated, late or out of order', () => {
  it('repeated and late stream records change nothing, in whatever order they arrive', async () => {
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

  it('does not register a Deployment when the stream record of its deletion arrives first', async () => {
    await platform.put(rowOf(id));
    await platform.remove(id);
    const [insert, removal] = await platform.records();
    expect(await sync([removal as DynamoDBRecord])).toEqual(DONE);
    expect(await sync([insert as DynamoDBRecord])).toEqual(DONE);
    expect(await itemOf()).toBeUndefined();
    expect(await eventsOf()).toEqual([]);
  });

  it('concurrent workers apply each stream record once, and the newest record takes effect', async () => {
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

  it('orders stream records by sequence number, regardless of the number of digits', async () => {
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

describe('A change that cannot be applied goes to the dead-letter queue', () => {
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
    'sends a row change with %s to the dead-letter queue, and applies the other changes',
    async (_, more, reason) => {
      await platform.put(rowOf(`${id}_a`));
      await platform.put(rowOf(id, more(id) as never));
      await platform.put(rowOf(`${id}_b`));
      const records = await follow();
      expect(await itemOf(`${id}_a`)).toBeDefined();
      expect(await itemOf(`${id}_b`)).toBeDefined();
      expect(sendToDeadLetterQueue).toEqual([
        {
          reason: expect.stringContaining(reason),
          key: { key: { S: `row-${id}` } },
          sequenceNumber: records[1]?.dynamodb?.SequenceNumber,
        },
      ]);
      expect(await itemOf()).toBeUndefined();
    },
  );

  it('a rejected row change leaves the Deployment unchanged until a valid change arrives', async () => {
    await platform.put(rowOf(id, { label: { S: 'good' } }));
    await platform.put(rowOf(id, { label: { S: '' } }));
    await follow();
    expect(await itemOf()).toMatchObject({ name: 'good' });
    await platform.put(rowOf(id, { label: { S: 'better' } }));
    await follow();
    expect(await itemOf()).toMatchObject({ name: 'better' });
    expect(sendToDeadLetterQueue).toHaveLength(1);
  });

  it('deletes a Deployment when the ID in its row becomes invalid', async () => {
    await platform.put(rowOf(id));
    await platform.put({ ...rowOf(id), deployment: { S: 'no id' } });
    await follow();
    expect(await itemOf()).toBeUndefined();
    expect(sendToDeadLetterQueue).toHaveLength(1);
  });

  it('sends a stream record without images or a sequence number to the dead-letter queue', async () => {
    await platform.put(rowOf(id));
    const [{ NewImage: _, ...bare } = {}] = (await platform.records()).map(({ dynamodb }) => ({
      ...dynamodb,
    }));
    expect(await sync([{ eventName: 'INSERT', dynamodb: bare }])).toEqual(DONE);
    expect(sendToDeadLetterQueue).toEqual([
      expect.objectContaining({ reason: expect.stringContaining('images') }),
    ]);
  });

  it('retries a rejected row change before any later change while the dead-letter queue is unavailable', async () => {
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

it('stops a batch of stream records at a temporary failure, and finishes the batch on a retry', async () => {
  for (const n of [1, 2, 3]) await platform.put(rowOf(`${id}_${n}`));
  const records = await platform.records();
  let transactions = 0;
  service.around = (when, command) => {
    const isDown = when === 'before' && command.operation === 'TransactWriteItems';
    if (isDown && ++transactions === 2) throw Object.assign(new Error('x'), { name: 'ThrottlingException' });
  };
  const { SequenceNumber } = records[1]?.dynamodb ?? {};
  expect(await sync(records)).toEqual({ batchItemFailures: [{ itemIdentifier: SequenceNumber }] });
  expect(await itemOf(`${id}_1`)).toBeDefined();
  expect(await itemOf(`${id}_3`)).toBeUndefined();
  service.around = undefined;
  expect(await sync(records)).toEqual(DONE);
  expect(await itemOf(`${id}_3`)).toBeDefined();
  expect(await eventsOf(`${id}_1`)).toEqual(['deployment.registered']);
});

describe('People can edit only the fields that the source does not define', () => {
  const put = (json: object) => service.call('PUT', `/deployments/${id}`, { ...admin, json });

  it('rejects edits by people to fields that the source of the Deployment defines', async () => {
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
    // Sending the current values again is not a change.
    expect(await put({ name: 'Theirs', groups: [] })).toMatchObject({ status: 200 });
    expect(await itemOf()).toMatchObject({ name: 'Theirs' });
  });

  it('lets people edit fields that the source of the Deployment does not define', async () => {
    await platform.put(rowOf(id));
    await follow();
    const { groups: _, ...nameless } = platform.source;
    const other = inProcess(engine, { source: nameless });
    const reply = await other.call('PUT', `/deployments/${id}`, { ...admin, json: { groups: ['ours'] } });
    expect(reply.status).toBe(200);
  });

  it('keeps a Deployment that a person registered, even when an unknown row with the same ID is deleted', async () => {
    await service.register(id);
    const before = await itemOf();
    await platform.put(rowOf(id));
    await platform.remove(id);
    const [, removal] = await platform.records();
    expect(await sync([removal as DynamoDBRecord])).toEqual(DONE);
    expect(await itemOf()).toEqual(before);
    expect((await service.call('DELETE', `/deployments/${id}`, admin)).status).toBe(204);
  });

  it('takes over a Deployment that a person registered, with its keys, when a row with its ID appears', async () => {
    await service.register(id, { name: 'Ours' });
    const token = await service.exchangeForToken(await service.createKey(id));
    await platform.put(rowOf(id, { label: { S: 'Theirs' } }));
    await follow();
    expect(await itemOf()).toMatchObject({ name: 'Theirs' });
    expect(await service.use(token)).toBe(200);
    expect((await service.call('DELETE', `/deployments/${id}`, admin)).status).toBe(409);
  });

  it('keeps a Deployment that a person registered after the followed Deployment was deleted by hand', async () => {
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

  it('people can edit all Deployments again when the stack no longer follows a table', async () => {
    await platform.put(rowOf(id));
    await follow();
    const without = inProcess(engine);
    expect((await without.call('DELETE', `/deployments/${id}`, admin)).status).toBe(204);
  });
});

it('reads a Deployment again before writing it if it has changed in the meantime', async () => {
  await platform.put(rowOf(id, { label: { S: 'one' } }));
  await follow();
  await platform.put(rowOf(id, { label: { S: 'two' } }));
  service.once('before', 'TransactWriteItems', async () => {
    // Another worker has already recorded the same change.
    await service.table.client.send(
      new UpdateCommand({
        TableName: 'keys',
        Key: { pk: 'SOURCES', sk: id },
        UpdateExpression: 'SET lastChange = :last',
        ExpressionAttributeValues: { ':last': '9'.repeat(40) },
      }),
    );
  });
  await follow();
  expect(await itemOf()).toMatchObject({ name: 'one' });
});

const damagesOf = (item: Record<string, unknown>) =>
  Object.keys(item)
    .filter((name) => name !== 'pk' && name !== 'sk')
    .flatMap((name) => DAMAGES.map((value) => ({ name, value })));
const rewrite = (Item: object) => service.table.client.send(new PutCommand({ TableName: 'keys', Item }));

describe('Changes of a followed table take effect even if items of Deployments are damaged', {
  timeout: 300_000,
}, () => {
  it('edits and deletes a Deployment with its row, even if any attribute of its registration is malformed', async () => {
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

  it('does not replace a malformed registration that changed after it was read', async () => {
    await platform.put(rowOf(id));
    await follow();
    const { isPresent: _, ...rest } = (await noted()) ?? {};
    await rewrite(rest);
    await platform.put(rowOf(id, { label: { S: 'two' } }));
    const last = '9'.repeat(40);
    service.once('before', 'TransactWriteItems', async () => {
      await rewrite({ ...rest, isPresent: true, lastChange: last });
    });
    await follow();
    expect(await noted()).toMatchObject({ lastChange: last });
    expect(await itemOf()).not.toMatchObject({ name: 'two' });
  });

  it('deletes a malformed Deployment together with its row, but rejects other changes of the row', async () => {
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
      sendToDeadLetterQueue.length = 0;
      await platform.put(rowOf(id, { label: { S: 'two' } }));
      await platform.put(rowOf(`${id}_behind`));
      await follow();
      const isMalformed = sendToDeadLetterQueue.length > 0;
      if (isMalformed) {
        expect(sendToDeadLetterQueue, label).toMatchObject([{ reason: 'the Deployment is malformed' }]);
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

describe('#66: A limit prevents mass deletion when a followed table loses its rows', {
  timeout: 120_000,
}, () => {
  const HOUR = 60 * 60_000;
  /** Applies stream records with the given limit on deletions; `{}` is the default limit. */
  const limited = (records: DynamoDBRecord[], deletions: DeletionLimit = {}) =>
    sync(records, { ...platform.source, deletions });
  const rewrite = (Item: object) => service.table.client.send(new PutCommand({ TableName: 'keys', Item }));
  const drop = (pk: string, sk: unknown) =>
    service.table.client.send(new DeleteCommand({ TableName: 'keys', Key: { pk, sk } }));
  const count = async () => (await service.partition('DELETIONS'))[0];
  const stillThere = async (ids: string[]) => {
    const items = await Promise.all(ids.map((one) => itemOf(one)));
    return ids.filter((_, n) => items[n] !== undefined);
  };

  /** Removes the Deployments and the deletion count of other tests, so that the limit does not include them. */
  async function forgetAll() {
    for (const name of ['SOURCES', 'DELETIONS']) {
      for (const { sk } of await service.partition(name)) await drop(name, sk);
    }
  }

  /** Registers this many Deployments. They are then the only ones of the followed table. */
  async function several(number: number): Promise<string[]> {
    await forgetAll();
    const ids = Array.from({ length: number }, (_, n) => `${id}-${n}`);
    for (const one of ids) await platform.put(rowOf(one));
    await follow();
    outcomes.length = 0;
    return ids;
  }

  /** Removes rows and returns the stream records of the removal. */
  async function lose(ids: string[]): Promise<DynamoDBRecord[]> {
    for (const one of ids) await platform.remove(one);
    return platform.records();
  }

  const reconciled = async (deletions: DeletionLimit = {}) => {
    const countDeletion = deletionLimit({ table: service.table, limit: deletions, clock });
    const comparison = {
      table: service.table,
      from: platform.from,
      clock,
      onRejectedRow: () => {},
      maxMissing: 5,
    };
    return (await compareRegistrations(undefined, { ...comparison, countDeletion })).counts;
  };

  it('#66: a followed table that loses all rows loses only a few Deployments', async () => {
    const ids = await several(8);
    const keys = [];
    for (const one of ids) keys.push(await service.createKey(one));
    const records = await lose(ids);
    expect(await limited(records)).toEqual(DONE);
    expect(outcomes).toEqual(ids.map((one, n) => `${n < 3 ? 'deleted' : 'stopped'} ${one}`));
    expect(await stillThere(ids)).toEqual(ids.slice(3));
    for (const key of keys.slice(3)) expect((await service.exchange(key)).status).toBe(200);

    for (const one of ids.slice(3)) await platform.put(rowOf(one, { label: { S: 'back' } }));
    expect(await limited([...records, ...(await platform.records())])).toEqual(DONE);
    await prune();
    expect(await stillThere(ids)).toEqual(ids.slice(3));
    expect(await itemOf(ids[7])).toMatchObject({ name: 'back' });
    for (const key of keys.slice(3)) expect((await service.exchange(key)).status).toBe(200);
    for (const key of keys.slice(0, 3)) expect((await service.exchange(key)).status).toBe(401);
  });

  it('#66: applies registrations and edits while deletions are stopped', async () => {
    const ids = await several(2);
    expect(await limited(await lose(ids))).toEqual(DONE);
    await platform.put(rowOf(`${id}-new`));
    await platform.put(rowOf(`${id}-new`, { teams: { SS: ['a'] } }));
    expect(await limited(await platform.records())).toEqual(DONE);
    expect(outcomes.slice(1)).toEqual([`stopped ${ids[1]}`, `registered ${id}-new`, `edited ${id}-new`]);
  });

  it('#66: stops deletions until a person runs the backfill command with --prune', async () => {
    const ids = await several(6);
    const [back, later] = [ids[3] ?? '', ids[5] ?? ''];
    await limited(await lose(ids.slice(0, 5)));
    expect(await stillThere(ids)).toEqual(ids.slice(3));
    expect(await areDeletionsStopped(service.table)).toBe(true);
    await platform.put(rowOf(back));
    for (let day = 0; day < 3; day++) {
      service.time.now += 24 * HOUR;
      expect(await limited(await platform.records())).toEqual(DONE);
      expect(await reconciled()).toMatchObject({ deleted: 0, stopped: 1 });
    }
    expect(await stillThere(ids)).toEqual(ids.slice(3));

    await prune();
    expect(await stillThere(ids)).toEqual([back, later]);
    expect(await areDeletionsStopped(service.table)).toBe(false);
    expect(await limited(await lose([later]))).toEqual(DONE);
    expect(await stillThere(ids)).toEqual([back]);
  });

  it('#66: the limit adds up deletions that are spread over a day', async () => {
    const ids = await several(12);
    for (const one of ids) {
      await limited(await lose([one]));
      service.time.now += HOUR;
    }
    expect(await stillThere(ids)).toEqual(ids.slice(3));
  });

  it('#66: allows deletions up to the limit again in the next hour and on the next day', async () => {
    const ids = await several(8);
    const perHour = { perHour: 2, share: 1 };
    await limited(await lose(ids.slice(0, 2)), perHour);
    service.time.now += HOUR;
    await limited(await lose(ids.slice(2, 4)), perHour);
    service.time.now += 24 * HOUR;
    await limited(await lose(ids.slice(4, 6)));
    service.time.now += 24 * HOUR;
    await limited(await lose(ids.slice(6, 7)));
    expect(await stillThere(ids)).toEqual(ids.slice(7));
    expect(outcomes.filter((one) => one.startsWith('stopped'))).toEqual([]);
  });

  it('#66: counts a deletion only once when its batch is delivered again', async () => {
    const ids = await several(12);
    const records = await lose(ids.slice(0, 2));
    for (let time = 0; time < 5; time++) expect(await limited(records)).toEqual(DONE);
    expect(await count()).toMatchObject({ hourDeleted: 2, dayDeleted: 2, present: 12 });
    await limited(await lose(ids.slice(2, 3)));
    expect(await stillThere(ids)).toEqual(ids.slice(3));
  });

  it('#66: does not count a deletion that could not be written', async () => {
    const [one = ''] = await several(2);
    const records = await lose([one]);
    service.around = async (when, command) => {
      if (when === 'before' && command.operation === 'TransactWriteItems')
        throw new Error('the table is down');
    };
    expect((await limited(records)).batchItemFailures).toHaveLength(1);
    service.around = undefined;
    expect(await count()).toBeUndefined();
    expect(await limited(records)).toEqual(DONE);
    expect(outcomes).toEqual([`deleted ${one}`]);
  });

  it('#66: does not exceed the limit when several shards delete at the same time', async () => {
    const ids = await several(12);
    const records = await lose(ids);
    const left = records.map((record) => [record]);
    // Lambda redelivers records with deletions that the service could not count at the first attempt.
    for (let time = 0; time < 12; time++) await Promise.all(left.map((shard) => limited(shard)));
    expect(await stillThere(ids)).toHaveLength(9);
    expect(await count()).toMatchObject({ dayDeleted: 3, stoppedAt: service.time.now });
  });

  it('#66: counts each deletion of a Deployment that is registered and deleted repeatedly', async () => {
    await several(1);
    const one = `${id}-0`;
    for (let time = 0; time < 4; time++) {
      await limited(await lose([one]), { perHour: 3, share: 1 });
      await platform.put(rowOf(one));
      await limited(await platform.records(), { perHour: 3, share: 1 });
    }
    expect(outcomes.filter((outcome) => !outcome.startsWith('registered'))).toEqual([
      ...Array(3).fill(`deleted ${one}`),
      `stopped ${one}`,
      `unchanged ${one}`,
    ]);
  });

  it('#66: the limit on the share of deleted Deployments also counts Deployments that were registered on the same day', async () => {
    const [one = ''] = await several(4);
    await limited(await lose([one]));
    const more = Array.from({ length: 17 }, (_, n) => `${id}-more-${n}`);
    for (const it of more) await platform.put(rowOf(it));
    await follow();
    await limited(await lose(more));
    // A quarter of 21 Deployments is 5.
    expect(await stillThere(more)).toHaveLength(13);
  });

  it('#66: a share of 1 does not limit deletions, and an hourly limit of 0 stops all deletions', async () => {
    const ids = await several(6);
    await limited(await lose(ids.slice(0, 4)), { share: 1 });
    expect(await stillThere(ids)).toEqual(ids.slice(4));
    await limited(await lose(ids.slice(4, 5)), { perHour: 0 });
    expect(await stillThere(ids)).toEqual(ids.slice(4));
  });

  it('#66: stops deletions while the deletion count is malformed, until a person prunes', async () => {
    const ids = await several(8);
    await limited(await lose(ids.slice(0, 1)));
    const good = (await count()) ?? {};
    await prune();
    expect(await count()).toBeUndefined();
    await limited(await lose(ids.slice(1, 2)));
    expect(Object.keys(good).toSorted()).toEqual(
      [
        'dayDeleted',
        'dayStartedAt',
        'hourDeleted',
        'hourStartedAt',
        'pk',
        'present',
        'revision',
        'sk',
      ].toSorted(),
    );
    const records = await lose(ids.slice(2, 3));
    for (const { name, value } of damagesOf({ ...good, stoppedAt: 1 })) {
      // Skips values that are valid, because they only stand for a different count.
      if (typeof value === 'number' && Number.isInteger(value) && value >= 0) continue;
      if (name === 'revision' && isUlid(String(value))) continue;
      if (name === 'stoppedAt' && value === undefined) continue;
      const label = `${name} is ${JSON.stringify(value)}`;
      await rewrite({ ...good, [name]: value });
      expect(await areDeletionsStopped(service.table), label).toBe(true);
      expect(await deletionLimit({ table: service.table, limit: {}, clock })(), label).toBeUndefined();
    }
    await rewrite({ ...good, dayDeleted: 'none' });
    expect(await limited(records)).toEqual(DONE);
    expect(await stillThere(ids)).toEqual(ids.slice(2));
    await prune();
    expect(await stillThere(ids)).toEqual(ids.slice(3));
    expect(await areDeletionsStopped(service.table)).toBe(false);
    await limited(await lose(ids.slice(3, 4)));
    expect(await stillThere(ids)).toEqual(ids.slice(4));
  });

  it('#66: the limit also applies to reconciliation, which shares its count with the stream', async () => {
    const ids = await several(8);
    await limited(await lose(ids.slice(0, 2)));
    await lose(ids.slice(2, 5));
    expect(await reconciled()).toMatchObject({ read: 6, deleted: 1, stopped: 2 });
    expect(await stillThere(ids)).toEqual(ids.slice(3));
    expect(await reconciled()).toMatchObject({ read: 5, deleted: 0, stopped: 2 });
    await prune();
    expect(await stillThere(ids)).toEqual(ids.slice(5));
  });

  it('#66: a Deployment whose deletion was stopped follows its row again when the row gets a new key', async () => {
    const [one = '', two = ''] = await several(2);
    await limited(await lose([one, two]));
    expect(await stillThere([two])).toEqual([two]);
    await platform.put({ ...rowOf(two), key: { S: `row-other-${two}` } });
    await limited(await platform.records());
    await prune();
    expect(await stillThere([two])).toEqual([two]);
    await platform.remove(`other-${two}`);
    await limited(await platform.records());
    expect(await stillThere([two])).toEqual([]);
  });
});
