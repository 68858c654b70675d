import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import type { Outcome, Port } from '../../functions/table/port.ts';
import { PURGE_RETRIES, putItem, type Table } from '../../functions/table/retried-calls.ts';
import { openJobTable, pacedPort, pacedTable } from '../../functions/table/sdk-transport.ts';
import { pauses } from '../support/pauses.ts';

vi.mock('node:timers/promises', () => import('../support/pauses.ts'));
beforeEach(() => {
  pauses.length = 0;
});

afterEach(() => {
  vi.useRealTimers();
});

/** Returns a clock that advances only during pauses, and a port that records the time of each call. */
function recorded(respond: (operation: string) => Outcome = () => ({ kind: 'done', output: {} })) {
  let now = 1000;
  const calls: { at: number; operation: string; input: object }[] = [];
  const timeouts: number[] = [];
  const port = (async (operation, input, timeout) => {
    calls.push({ at: now - 1000, operation, input });
    timeouts.push(timeout);
    return respond(operation);
  }) as Port;
  const pauses: { until: number; resolve: (value?: unknown) => void }[] = [];
  const pause = (milliseconds: number) => {
    // Ends pauses in the order of their end times, one per turn of the event loop.
    setImmediate(() => {
      const [first] = pauses.sort((a, b) => a.until - b.until).splice(0, 1);
      now = Math.max(now, first?.until ?? now);
      first?.resolve();
    });
    return new Promise((resolve) => pauses.push({ until: now + milliseconds, resolve }));
  };
  return {
    calls,
    timeouts,
    port,
    time: { now: () => now, pause },
    pass: (milliseconds: number) => (now += milliseconds),
  };
}

const TableName = 'keys';
const put = { TableName, Item: { pk: 'A', sk: 'B' } };
const tableOf = (port: Port): Table => ({
  port,
  tableName: TableName,
  retryPolicy: { attemptTimeout: 5000, attempts: 3 },
  onMalformed: () => {},
});
const consumed = (units: number): Outcome => ({
  kind: 'done',
  output: { ConsumedCapacity: { CapacityUnits: units } },
});

it('delays each write until enough write units are available again', async () => {
  const { calls, port, time } = recorded();
  const paced = pacedPort(port, 4, time);
  for (let n = 0; n < 3; n++) await paced('PutItem', put, 1);
  await paced('UpdateItem', { TableName, Key: {} }, 1);
  await paced('DeleteItem', { TableName, Key: {} }, 1);
  expect(calls.map(({ at }) => at)).toStrictEqual([0, 250, 500, 750, 1000]);
});

it('counts each write of a batch as one write unit, and each write of a transaction as two', async () => {
  const { calls, port, time } = recorded();
  const paced = pacedPort(port, 10, time);
  const writes = Array.from({ length: 25 }, () => ({ DeleteRequest: { Key: {} } }));
  await paced('BatchWriteItem', { RequestItems: { keys: writes } }, 1);
  await paced('TransactWriteItems', { TransactItems: [{ Put: put }, { Put: put }] }, 1);
  await paced('PutItem', put, 1);
  expect(calls.map(({ at }) => at)).toStrictEqual([0, 2500, 2900]);
});

it('an operation that names no writes costs no write units', async () => {
  const { calls, port, time } = recorded();
  const paced = pacedPort(port, 10, time);
  await paced('BatchWriteItem', { RequestItems: undefined }, 1);
  await paced('TransactWriteItems', { TransactItems: undefined }, 1);
  await paced('PutItem', put, 1);
  expect(calls.map(({ at }) => at)).toStrictEqual([0, 0, 0]);
});

it('charges the write units that DynamoDB reports instead of the estimate', async () => {
  const { calls, port, time } = recorded(() => consumed(7));
  const paced = pacedPort(port, 1, time);
  for (let n = 0; n < 2; n++) await paced('PutItem', put, 1);
  expect(calls.map(({ at }) => at)).toStrictEqual([0, 7000]);
  expect(calls[0]?.input).toStrictEqual({ ...put, ReturnConsumedCapacity: 'TOTAL' });
});

it('adds up the write units that DynamoDB reports for each table of a batch', async () => {
  const { calls, port, time } = recorded(() => ({
    kind: 'done',
    output: { ConsumedCapacity: [{ CapacityUnits: 2 }, { CapacityUnits: 3 }] },
  }));
  const paced = pacedPort(port, 1, time);
  for (let n = 0; n < 2; n++) await paced('BatchWriteItem', { RequestItems: { keys: [] } }, 1);
  expect(calls.map(({ at }) => at)).toStrictEqual([0, 5000]);
});

it.each<[string, Outcome]>([
  ['whose condition failed', { kind: 'condition failed', reasons: [] }],
  ['without reported units', { kind: 'done', output: {} }],
  ['without reported total units', { kind: 'done', output: { ConsumedCapacity: {} } }],
])('charges the estimated write units for a write %s', async (_, outcome) => {
  const { calls, port, time } = recorded(() => outcome);
  const paced = pacedPort(port, 2, time);
  for (let n = 0; n < 2; n++) await paced('PutItem', put, 1);
  expect(calls.map(({ at }) => at)).toStrictEqual([0, 500]);
});

it('sends concurrent writes one after another to keep to the configured write units', async () => {
  const { calls, port, time } = recorded();
  const paced = pacedPort(port, 1, time);
  await Promise.all([paced('PutItem', put, 1), paced('PutItem', put, 1), paced('PutItem', put, 1)]);
  expect(calls.map(({ at }) => at)).toStrictEqual([0, 1000, 2000]);
});

it('measures delays with the clock of the process', async () => {
  vi.useFakeTimers({ toFake: ['performance'] });
  const { port } = recorded();
  const paced = pacedPort(port, 4);
  await paced('PutItem', put, 1);
  vi.advanceTimersByTime(50);
  await paced('PutItem', put, 1);
  expect(pauses).toStrictEqual([200]);
});

it('does not save up unused write units while nothing is written', async () => {
  const { calls, port, time, pass } = recorded();
  const paced = pacedPort(port, 1, time);
  await paced('PutItem', put, 1);
  pass(60_000);
  for (let n = 0; n < 2; n++) await paced('PutItem', put, 1);
  expect(calls.map(({ at }) => at)).toStrictEqual([0, 60_000, 61_000]);
});

it('a limit on write units does not delay or change reads', async () => {
  const { calls, port, time } = recorded();
  const paced = pacedPort(port, 1, time);
  await paced('PutItem', put, 1);
  const get = { TableName, Key: {} };
  await paced('GetItem', get, 1);
  expect(calls[1]).toStrictEqual({ at: 0, operation: 'GetItem', input: get });
});

it('retries a write that DynamoDB throttled, no matter how long the write was delayed before', async () => {
  vi.useFakeTimers({ toFake: ['performance'] });
  const throttled: Outcome = { kind: 'not applied', error: new Error('throttled') };
  const outcomes: Outcome[] = [consumed(60), throttled, throttled, consumed(1)];
  const { port, timeouts } = recorded(() => outcomes.shift() as Outcome);
  const waits: number[] = [];
  const pause = async (milliseconds: number) => {
    waits.push(milliseconds);
    vi.advanceTimersByTime(milliseconds);
  };
  const paced = pacedTable(tableOf(port), 1, { now: () => performance.now(), pause });
  expect(await putItem(paced, { Item: put.Item })).toBe(true);
  expect(await putItem(paced, { Item: put.Item })).toBe(true);
  // The first delay is for the units of the first write. A throttled write also uses units.
  expect(waits.map((it) => Math.round(it))).toStrictEqual([60_000, 1000, 1000]);
  expect(timeouts).toStrictEqual([5000, 5000, 5000, 5000]);
});

it('limits a page to the items that can be written in 5 seconds, but to at least one item', () => {
  const { port, time } = recorded();
  expect([0.1, 10.5].map((units) => pacedTable(tableOf(port), units, time).pageSize)).toStrictEqual([1, 52]);
});

it("limits a job's table only if the stack sets a number of write units", () => {
  const onMalformed = () => {};
  const table = {
    port: expect.any(Function),
    tableName: TableName,
    retryPolicy: PURGE_RETRIES,
    onMalformed,
  };
  const open = (config: { writeUnits?: number }) =>
    openJobTable({ tableName: TableName, ...config }, PURGE_RETRIES, onMalformed);
  expect(open({})).toStrictEqual(table);
  expect(open({ writeUnits: 10 })).toStrictEqual({ ...table, pageSize: 50, deadline: Infinity });
});
