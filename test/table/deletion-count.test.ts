import { expect, it } from 'vitest';
import { newUlid } from '../../functions/domain/credentials.ts';
import {
  countPresent,
  deletionsWrite,
  readDeletions,
  resetDeletions,
  storeDeletions,
} from '../../functions/table/deletion-count.ts';
import { toRegistration } from '../../functions/table/schema.ts';
import { GENERATION, MADE_AT } from '../support/records.ts';
import { startStore } from '../support/store.ts';

const store = await startStore('DELETIONS', 'SOURCES');
const { table } = store;

const key = { pk: 'DELETIONS', sk: 'DELETIONS' };
const deletions = {
  hour: { startedAt: 3, deleted: 1 },
  day: { startedAt: 2, deleted: 4 },
  present: 10,
  stoppedAt: undefined,
};

it('stores the counts of deletions, and reads them with a strongly consistent read', async () => {
  expect(await readDeletions(table)).toBeUndefined();
  expect(await storeDeletions(table, deletionsWrite(deletions, undefined, MADE_AT))).toBe(true);
  const item = {
    ...key,
    hourStartedAt: 3,
    hourDeleted: 1,
    dayStartedAt: 2,
    dayDeleted: 4,
    present: 10,
    revision: expect.any(String),
  };
  expect(await store.get(key)).toEqual(item);
  const read = await readDeletions(table);
  expect(read).toEqual({ ...deletions, revision: expect.any(String) });
  // A ULID begins with its time.
  expect((read as { revision: string }).revision.slice(0, 10)).toBe(newUlid(MADE_AT).slice(0, 10));
  const stopped = { ...deletions, stoppedAt: 7 };
  expect(await storeDeletions(table, deletionsWrite(stopped, read as never, MADE_AT))).toBe(true);
  expect(await store.get(key)).toEqual({ ...item, stoppedAt: 7 });
  const reads = store.sent.filter(({ operation }) => operation === 'GetItem');
  expect(reads.map(({ input }) => (input as { ConsistentRead?: boolean }).ConsistentRead)).toEqual([
    true,
    true,
  ]);
});

it('does not store counts of deletions that were changed or reset since they were read', async () => {
  await storeDeletions(table, deletionsWrite(deletions, undefined, MADE_AT));
  const read = (await readDeletions(table)) as never;
  const next = { ...deletions, present: 11 };
  const stored = await store.get(key);
  expect(await storeDeletions(table, deletionsWrite(next, undefined, MADE_AT))).toBe(false);
  const other = { ...deletions, revision: newUlid(1) };
  expect(await storeDeletions(table, deletionsWrite(next, other, MADE_AT))).toBe(false);
  expect(await store.get(key)).toEqual(stored);
  await resetDeletions(table);
  expect(await storeDeletions(table, deletionsWrite(next, read, MADE_AT))).toBe(false);
  expect(await store.get(key)).toBeUndefined();
});

it('reports malformed counts of deletions, which a reset deletes', async () => {
  await store.put({ ...key, present: 'x' });
  expect(await readDeletions(table)).toBe('malformed');
  expect(store.malformed).toEqual([key]);
  await resetDeletions(table);
  expect(await readDeletions(table)).toBeUndefined();
});

it('counts the Deployments that are present in the followed table, on all pages', async () => {
  const ids = ['a', 'b', 'c', 'd', 'e'];
  const registration = { lastChange: '1'.padStart(40, '0'), generation: GENERATION, row: { id: { S: 'a' } } };
  await store.put(
    ...ids.map((id) => toRegistration({ ...registration, id, isPresent: id !== 'b' }, undefined)),
    { pk: 'SOURCES', sk: 'f', isPresent: true },
  );
  expect(await countPresent(table)).toBe(4);
  expect(store.sent).toMatchObject([{ operation: 'Query', input: { ConsistentRead: true, Limit: 1000 } }]);
  // DynamoDB returns fewer items than requested if they exceed 1 MB.
  const port = ((operation, input, timeout) =>
    table.port(operation, { ...input, Limit: 4 }, timeout)) as typeof table.port;
  expect(await countPresent({ ...table, port })).toBe(4);
  expect(store.sent).toHaveLength(3);
});
