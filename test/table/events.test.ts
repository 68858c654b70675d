import { marshall } from '@aws-sdk/util-dynamodb';
import type { DynamoDBRecord } from 'aws-lambda';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import type { ServiceEvent } from '../../functions/domain/events.ts';
import { newUlid } from '../../functions/domain/mint.ts';
import { listEvents, putEvent, recordedEvent } from '../../functions/table/events.ts';
import { readIdempotencyRecord } from '../../functions/table/idempotency.ts';
import { removedThing } from '../../functions/table/removed.ts';
import { toEvent, toIdempotencyRecord } from '../../functions/table/schema.ts';
import { event, GENERATION, KEY_ULID, MADE_AT, record } from '../support/records.ts';
import { startStore } from '../support/store.ts';

const store = await startStore();
const { table } = store;
afterAll(() => store.stop());
beforeEach(() => store.clear('DEPLOYMENT#etl', 'EVENTS#etl'));

describe('the history of a Deployment', () => {
  const ids = Array.from({ length: 5 }, (_, n) => newUlid(n + 1));
  const changes: Partial<ServiceEvent>[] = [
    {},
    { type: 'api_key.edited' },
    { expiresAt: MADE_AT / 1000 },
    {},
    {},
  ];
  const events = ids.map((id, n) => event({ id, ...changes[n] }));
  const listed = async (after: string | undefined, limit: number, isWanted = (_: ServiceEvent) => true) => {
    const { items, hasMore } = await listEvents(table, 'etl', { after, limit, now: MADE_AT, isWanted });
    return [items.map(({ id }) => ids.indexOf(id)), hasMore];
  };

  it('is written one event at a time, and read back whole', async () => {
    const full = event({ data: { keyId: 'k', scopes: ['a'], count: 2, done: true } });
    await putEvent(table, full);
    const { id, deploymentId: _, ...rest } = full;
    const stored = { pk: 'EVENTS#etl', sk: id, ...rest };
    expect(await store.get(stored)).toEqual(stored);
    const { items } = await listEvents(table, 'etl', {
      after: undefined,
      limit: 1,
      now: MADE_AT,
      isWanted: () => true,
    });
    expect(items).toEqual([full]);
  });

  it('is listed newest first, a page at a time, without what has expired', async () => {
    await store.put(...events.map(toEvent));
    expect(await listed(undefined, 100)).toEqual([[4, 3, 1, 0], false]);
    expect(await listed(undefined, 2)).toEqual([[4, 3], true]);
    expect(await listed(ids[3], 1)).toEqual([[1], true]);
    expect(await listed(ids[3], 2)).toEqual([[1, 0], false]);
    expect(await listed(ids[0], 2)).toEqual([[], false]);
    expect(await listed(undefined, 3, ({ type }) => type === 'api_key.created')).toEqual([[4, 3, 0], false]);
    expect(await listed(undefined, 1, ({ type }) => type === 'api_key.edited')).toEqual([[1], false]);
    expect(store.sent.every(({ input }) => input.ConsistentRead === true)).toBe(true);
    expect(store.sent[0]?.input.Limit).toBe(101);
    store.sent.length = 0;
    expect(await listed(undefined, 1)).toEqual([[4], true]);
    expect(store.sent).toHaveLength(1);
  });

  it('leaves out what is malformed, and reports it', async () => {
    const damaged = { ...toEvent(event({ id: ids[4] as string })), actor: null };
    await store.put(...events.slice(0, 4).map(toEvent), damaged);
    expect(await listed(undefined, 100)).toEqual([[3, 1, 0], false]);
    expect(store.malformed).toEqual([{ pk: 'EVENTS#etl', sk: ids[4] }]);
  });
});

describe('a record of the stream', () => {
  const inserted = (image: object, change: object = {}) =>
    ({
      eventName: 'INSERT',
      dynamodb: { NewImage: marshall(image) },
      ...change,
    }) as unknown as DynamoDBRecord;
  const noEvent = /^not a record of a new event$/;

  it('tells of a new event', () => {
    expect(recordedEvent(inserted(toEvent(event())))).toEqual(event());
  });

  it.each<[string, DynamoDBRecord]>([
    ['an event that was changed', inserted(toEvent(event()), { eventName: 'MODIFY' })],
    ['an event that was removed', inserted(toEvent(event()), { eventName: 'REMOVE' })],
    ['nothing', { eventName: 'INSERT' } as DynamoDBRecord],
    ['no image', { eventName: 'INSERT', dynamodb: {} } as DynamoDBRecord],
    ['another item', inserted({ ...toEvent(event()), pk: 'DEPLOYMENT#etl' })],
    ['a damaged event', inserted({ ...toEvent(event()), createdAt: 'x' })],
  ])('tells of no new event when it is of %s, without repeating it', (_, of) => {
    expect(() => recordedEvent(of)).toThrow(noEvent);
  });

  const removal = (change: { eventName?: string; pk?: string; sk?: string; generation?: string } = {}) => {
    const {
      eventName = 'REMOVE',
      pk = 'DEPLOYMENT#etl',
      sk = 'DEPLOYMENT',
      generation = GENERATION,
    } = change;
    const dynamodb = { Keys: { pk: { S: pk }, sk: { S: sk } }, OldImage: { generation: { S: generation } } };
    return { eventName, dynamodb } as DynamoDBRecord;
  };

  it('tells of a removed Deployment or key', () => {
    expect(removedThing(removal())).toEqual({
      deploymentId: 'etl',
      generation: GENERATION,
      keyUlid: undefined,
    });
    expect(removedThing(removal({ sk: `KEY#${KEY_ULID}` }))).toEqual({
      deploymentId: 'etl',
      generation: GENERATION,
      keyUlid: KEY_ULID,
    });
  });

  it.each<[string, DynamoDBRecord]>([
    ['a new item', removal({ eventName: 'INSERT' })],
    ['an item of another partition', removal({ pk: 'DEPLOYMENTS#etl' })],
    ['an item whose partition ends so', removal({ pk: 'EVENTS#ent#etl' })],
    ['a Deployment of no ID', removal({ pk: 'DEPLOYMENT#' })],
    ['a Deployment of a wrong ID', removal({ pk: 'DEPLOYMENT#a#b' })],
    ['a life of no generation', removal({ generation: 'x' })],
    ['a token', removal({ sk: `TOKEN#${KEY_ULID}` })],
    ['a key of no ULID', removal({ sk: 'KEY#x' })],
    ['an item of another kind as long', removal({ sk: `ABC#${KEY_ULID}` })],
    ['nothing', { eventName: 'REMOVE' } as DynamoDBRecord],
    ['no keys and no image', { eventName: 'REMOVE', dynamodb: {} } as DynamoDBRecord],
    [
      'keys of no type',
      { eventName: 'REMOVE', dynamodb: { Keys: { pk: {}, sk: {} }, OldImage: { generation: {} } } } as never,
    ],
    ['keys of nothing', { eventName: 'REMOVE', dynamodb: { Keys: {}, OldImage: {} } } as never],
  ])('tells of no removed Deployment or key when it is of %s', (_, of) => {
    expect(() => removedThing(of)).toThrow(/^not a record of a removed Deployment or key$/);
  });
});

describe('the record of an Idempotency-Key', () => {
  it('is read strongly consistent, whether it has expired or not', async () => {
    expect(await readIdempotencyRecord(table, record())).toBeUndefined();
    await store.put(toIdempotencyRecord(record({ expiresAt: 1 })));
    const { bodyHash, answer } = record();
    expect(await readIdempotencyRecord(table, record())).toEqual({ bodyHash, answer, expiresAt: 1 });
    expect(store.sent.every(({ input }) => input.ConsistentRead === true)).toBe(true);
  });

  it('that is malformed is absent, and reported', async () => {
    await store.put({ ...toIdempotencyRecord(record()), answer: 'x' });
    expect(await readIdempotencyRecord(table, record())).toBeUndefined();
    expect(store.malformed).toEqual([{ pk: 'DEPLOYMENT#etl', sk: `IDEM#${GENERATION}#${'i'.repeat(43)}` }]);
  });
});
