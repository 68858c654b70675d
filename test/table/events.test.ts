import { marshall } from '@aws-sdk/util-dynamodb';
import type { DynamoDBRecord } from 'aws-lambda';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { newUlid } from '../../functions/domain/credentials.ts';
import type { ServiceEvent } from '../../functions/domain/events.ts';
import { expiryAfter } from '../../functions/domain/expiry.ts';
import { recordedEvent } from '../../functions/table/event-records.ts';
import { listEvents, putEvent } from '../../functions/table/events.ts';
import { readIdempotencyRecord } from '../../functions/table/idempotency.ts';
import { removalOf } from '../../functions/table/purge.ts';
import { toEvent, toIdempotencyRecord } from '../../functions/table/schema.ts';
import { sample } from '../support/generated.ts';
import { event, GENERATION, KEY_ULID, MADE_AT, record, seconds } from '../support/records.ts';
import { startStore } from '../support/store.ts';

const store = await startStore('DEPLOYMENT#etl', 'EVENTS#etl');
const { table } = store;

/** The time of the Deployment's second registration. */
const REGISTERED_AT = MADE_AT - 1_000_000;
const CURRENT = newUlid(REGISTERED_AT);
const DAY = 24 * 60 * 60 * 1000;

describe("A Deployment's events are listed newest first", () => {
  const ids = Array.from({ length: 5 }, (_, n) => newUlid(MADE_AT - 5 + n));
  const changes: Partial<ServiceEvent>[] = [
    {},
    { generation: CURRENT },
    { expiresAt: seconds(MADE_AT / 1000) },
    {},
    {},
  ];
  const events = ids.map((id, n) => event({ id, ...changes[n] }));
  const listed = async (after: string | undefined, limit: number, generation?: string) => {
    const { items, next } = await listEvents(table, 'etl', { after, limit, now: MADE_AT, generation });
    return [items.map(({ id }) => ids.indexOf(id)), next && ids.indexOf(next)];
  };
  const queries = () => store.sent.map(({ operation, input }) => [operation, input.Limit]);

  it('stores an event with all its attributes and reads it back unchanged', async () => {
    const full = event({ id: newUlid(MADE_AT), data: { keyId: 'k', scopes: ['a'], count: 2, done: true } });
    await putEvent(table, full);
    const { id, deploymentId: _, ...rest } = full;
    const stored = { pk: 'EVENTS#etl', sk: id, ...rest };
    expect(await store.get(stored)).toEqual(stored);
    const { items } = await listEvents(table, 'etl', { after: undefined, limit: 1, now: MADE_AT });
    expect(items).toEqual([full]);
  });

  it("lists a Deployment's events newest first, in pages, without expired events", async () => {
    await store.put(...events.map(toEvent));
    expect(await listed(undefined, 100)).toEqual([[4, 3, 1, 0], undefined]);
    expect(await listed(undefined, 2)).toEqual([[4, 3], 3]);
    expect(await listed(ids[3], 1)).toEqual([[1], 1]);
    expect(await listed(ids[3], 2)).toEqual([[1, 0], undefined]);
    expect(await listed(ids[0], 2)).toEqual([[], undefined]);
    expect(await listed(undefined, 1, CURRENT)).toEqual([[1], undefined]);
    expect(await listed(undefined, 3, GENERATION)).toEqual([[4, 3, 0], undefined]);
    expect(store.sent.every(({ input }) => input.ConsistentRead === true)).toBe(true);
    store.sent.length = 0;
    expect(await listed(undefined, 1)).toEqual([[4], 4]);
    expect(queries()).toEqual([['Query', 2]]);
  });

  it('#56: one query reads a page of events, even if an earlier generation left 1,500 events', async () => {
    const dated = (at: number) => ({
      id: newUlid(at),
      createdAt: at,
      expiresAt: expiryAfter(at, (90 * DAY) / 1000),
    });
    const earlier = Array.from({ length: 1500 }, (_, n) => event(dated(REGISTERED_AT - 2000 - n)));
    const registered = event({ ...dated(REGISTERED_AT), generation: CURRENT });
    const edited = event({ ...dated(REGISTERED_AT + 1), generation: CURRENT });
    await store.put(...[...earlier, registered, edited].map(toEvent));
    const page = (after: string | undefined, limit: number) =>
      listEvents(table, 'etl', { after, limit, now: MADE_AT, generation: CURRENT });
    expect(await page(undefined, 1)).toEqual({ items: [edited], next: edited.id });
    expect(await page(edited.id, 1)).toEqual({ items: [registered], next: undefined });
    expect(await page(undefined, 100)).toEqual({ items: [edited, registered], next: undefined });
    // Administrators see the events of all generations until these events expire. TTL deletes expired events with a
    // delay.
    const all = { after: undefined, limit: 2, now: MADE_AT };
    expect(await listEvents(table, 'etl', all)).toEqual({ items: [edited, registered], next: registered.id });
    const expired = { after: edited.id, limit: 1, now: REGISTERED_AT + 90 * DAY - 500 };
    expect(await listEvents(table, 'etl', expired)).toEqual({ items: [registered], next: undefined });
    expect(queries()).toEqual([
      ['Query', 2],
      ['Query', 2],
      ['Query', 101],
      ['Query', 3],
      ['Query', 2],
    ]);
    // A cursor can be older than all events that have not expired.
    const old = { ...expired, after: earlier[0]?.id };
    expect(await listEvents(table, 'etl', old)).toEqual({ items: [], next: undefined });
  }, 120_000);

  it('#56: lists events with two queries when a different generation has events with the same timestamp', async () => {
    const earlier = Array.from({ length: 300 }, () => event({ id: newUlid(REGISTERED_AT) }));
    const registered = event({ id: newUlid(REGISTERED_AT), generation: CURRENT });
    await store.put(...[...earlier, registered].map(toEvent));
    const options = { after: undefined, limit: 1, now: MADE_AT, generation: CURRENT };
    expect(await listEvents(table, 'etl', options)).toEqual({ items: [registered], next: undefined });
    expect(queries().length).toBeLessThanOrEqual(2);
  }, 120_000);

  it('#56: a page of events ends after two queries, even if it is empty, and the next page continues from there', async () => {
    const data = { scopes: Array.from({ length: 24 }, () => 's'.repeat(64)) };
    const others = Array.from({ length: 900 }, (_, n) => event({ id: newUlid(REGISTERED_AT + n + 1), data }));
    const registered = event({ id: newUlid(REGISTERED_AT), generation: CURRENT });
    await store.put(...[...others, registered].map(toEvent));
    const options = { limit: 1, now: MADE_AT, generation: CURRENT };
    const { items, next } = await listEvents(table, 'etl', { ...options, after: undefined });
    expect([items, queries().length]).toEqual([[], 2]);
    expect(others.map(({ id }) => id)).toContain(next);
    expect(await listEvents(table, 'etl', { ...options, after: next })).toEqual({
      items: [registered],
      next: undefined,
    });
    expect(queries()).toHaveLength(4);
  }, 120_000);

  it('#56: lists each event of any mix of generations exactly once, with at most two queries a page', async () => {
    const anyEvent = fc.record({
      at: fc.integer({ min: REGISTERED_AT - 5, max: REGISTERED_AT + 5 }),
      isCurrent: fc.boolean(),
      isExpired: fc.boolean(),
    });
    const property = fc.asyncProperty(
      fc.array(anyEvent, { maxLength: 30 }),
      fc.integer({ min: 1, max: 5 }),
      fc.boolean(),
      async (mix, limit, isMember) => {
        await store.clear('EVENTS#etl');
        const stored = mix.map(({ at, isCurrent, isExpired }) =>
          event({
            id: newUlid(at),
            generation: isCurrent ? CURRENT : GENERATION,
            ...(isExpired && { expiresAt: seconds(MADE_AT / 1000) }),
          }),
        );
        await store.put(...stored.map(toEvent));
        const generation = isMember ? CURRENT : undefined;
        const seen: string[] = [];
        let after: string | undefined;
        do {
          store.sent.length = 0;
          const page = await listEvents(table, 'etl', { after, limit, now: MADE_AT, generation });
          expect(store.sent.length).toBeLessThanOrEqual(2);
          seen.push(...page.items.map(({ id }) => id));
          after = page.next;
        } while (after !== undefined);
        const wanted = stored.filter((_, n) => (!isMember || mix[n]?.isCurrent) && !mix[n]?.isExpired);
        expect(seen).toEqual(
          wanted
            .map(({ id }) => id)
            .sort()
            .reverse(),
        );
      },
    );
    await fc.assert(property, { numRuns: sample(100) });
  });

  it("omits malformed events from a Deployment's events, and reports them", async () => {
    const damaged = { ...toEvent(event({ id: ids[4] as string })), actor: null };
    await store.put(...events.slice(0, 4).map(toEvent), damaged);
    expect(await listed(undefined, 100)).toEqual([[3, 1, 0], undefined]);
    expect(await listed(undefined, 100, GENERATION)).toEqual([[3, 0], undefined]);
    expect(store.malformed).toEqual(Array(2).fill({ pk: 'EVENTS#etl', sk: ids[4] }));
  });

  it.each<[string, NonNullable<Parameters<typeof listEvents>[2]['filter']>, number[]]>([
    ['with a filter for a type', { type: 'api_key.deleted', keyId: undefined }, [4, 1]],
    ['with a filter for a key', { type: undefined, keyId: 'a' }, [3, 1, 0]],
    ['with a filter for a type and a key', { type: 'api_key.deleted', keyId: 'a' }, [1]],
    ['with an empty filter', {}, [4, 3, 2, 1, 0]],
  ])('lists the matching events %s', async (_, filter, wanted) => {
    const [a, b] = [{ data: { keyId: 'a' } }, { data: { keyId: 'b' } }];
    const type = 'api_key.deleted';
    const kinds: Partial<ServiceEvent>[] = [a, { ...a, type }, {}, a, { ...b, type }];
    await store.put(...kinds.map((kind, n) => toEvent(event({ id: ids[n] as string, ...kind }))));
    const page = { after: undefined, limit: 9, now: MADE_AT };
    const { items, next } = await listEvents(table, 'etl', { ...page, filter });
    expect([items.map(({ id }) => ids.indexOf(id)), next]).toEqual([wanted, undefined]);
  });

  it('a page of events with a filter ends after one query of 1 MB, even if it is empty', async () => {
    const data = { scopes: ['s'.repeat(300_000)] };
    await store.put(...ids.map((id) => toEvent(event({ id, data }))));
    const page = { limit: 1, now: MADE_AT, filter: { keyId: 'a' } };
    const { items, next } = await listEvents(table, 'etl', { ...page, after: undefined });
    expect(items).toEqual([]);
    expect(ids.slice(1)).toContain(next);
    expect(queries()).toEqual([['Query', undefined]]);
    expect(await listEvents(table, 'etl', { ...page, after: next })).toEqual({ items: [], next: undefined });
  });
});

describe('The stream reports new events and removed items', () => {
  const inserted = (image: object, change: object = {}) =>
    ({
      eventName: 'INSERT',
      dynamodb: { NewImage: marshall(image) },
      ...change,
    }) as unknown as DynamoDBRecord;
  const noEvent = /^not a record of a new event$/;

  it('reads a new event from a stream record', () => {
    expect(recordedEvent(inserted(toEvent(event())))).toEqual(event());
  });

  it.each<[string, DynamoDBRecord]>([
    ['a changed event', inserted(toEvent(event()), { eventName: 'MODIFY' })],
    ['a removed event', inserted(toEvent(event()), { eventName: 'REMOVE' })],
    ['nothing', { eventName: 'INSERT' } as DynamoDBRecord],
    ['no image', { eventName: 'INSERT', dynamodb: {} } as DynamoDBRecord],
    ['another item', inserted({ ...toEvent(event()), pk: 'DEPLOYMENT#etl' })],
    ['a damaged event', inserted({ ...toEvent(event()), createdAt: 'x' })],
  ])('rejects a stream record with %s, because it does not report a new event', (_, of) => {
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

  it('reads a removed Deployment or key from a stream record', () => {
    expect(removalOf(removal())).toEqual({
      deploymentId: 'etl',
      generation: GENERATION,
      keyUlid: undefined,
    });
    expect(removalOf(removal({ sk: `KEY#${KEY_ULID}` }))).toEqual({
      deploymentId: 'etl',
      generation: GENERATION,
      keyUlid: KEY_ULID,
    });
  });

  it.each<[string, DynamoDBRecord]>([
    ['a new item', removal({ eventName: 'INSERT' })],
    ['an item of another partition', removal({ pk: 'DEPLOYMENTS#etl' })],
    ['an item whose partition only ends in the right name', removal({ pk: 'EVENTS#ent#etl' })],
    ['a Deployment without an ID', removal({ pk: 'DEPLOYMENT#' })],
    ['a Deployment with an invalid ID', removal({ pk: 'DEPLOYMENT#a#b' })],
    ['an item without a generation', removal({ generation: 'x' })],
    ['a token', removal({ sk: `TOKEN#${KEY_ULID}` })],
    ['a key without a ULID', removal({ sk: 'KEY#x' })],
    ['an item of another kind with the same length', removal({ sk: `ABC#${KEY_ULID}` })],
    ['nothing', { eventName: 'REMOVE' } as DynamoDBRecord],
    ['no keys and no image', { eventName: 'REMOVE', dynamodb: {} } as DynamoDBRecord],
    [
      'keys without a type',
      { eventName: 'REMOVE', dynamodb: { Keys: { pk: {}, sk: {} }, OldImage: { generation: {} } } } as never,
    ],
    ['empty keys', { eventName: 'REMOVE', dynamodb: { Keys: {}, OldImage: {} } } as never],
  ])('rejects a stream record with %s, because it does not report a removed Deployment or key', (_, of) => {
    expect(() => removalOf(of)).toThrow(/^not a record of a removed Deployment or key$/);
  });
});

describe('A record is stored for each Idempotency-Key', () => {
  it("reads an Idempotency-Key's record with a strongly consistent read, even if it has expired", async () => {
    expect(await readIdempotencyRecord(table, record())).toBeUndefined();
    await store.put(toIdempotencyRecord(record({ expiresAt: seconds(1) })));
    const { bodyHash, answer } = record();
    expect(await readIdempotencyRecord(table, record())).toEqual({ bodyHash, answer, expiresAt: 1 });
    expect(store.sent.every(({ input }) => input.ConsistentRead === true)).toBe(true);
  });

  it('treats a malformed record of an Idempotency-Key as missing, and reports it', async () => {
    await store.put({ ...toIdempotencyRecord(record()), answer: 'x' });
    expect(await readIdempotencyRecord(table, record())).toBeUndefined();
    expect(store.malformed).toEqual([{ pk: 'DEPLOYMENT#etl', sk: `IDEM#${GENERATION}#${'i'.repeat(43)}` }]);
  });
});
