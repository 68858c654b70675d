import { beforeEach, describe, expect, it, vi } from 'vitest';
import type { Failure, Outcome, Port } from '../../functions/table/port.ts';
import {
  CALL_RETRIES,
  CHECK_RETRIES,
  deleteBatch,
  deleteItem,
  isUpdated,
  NOT_REPEATABLE,
  openConnection,
  outputOf,
  PURGE_RETRIES,
  putItem,
  queryPages,
  readItem,
  readTogether,
  setAttributes,
  type Table,
  transact,
  untilUnchanged,
  withCondition,
} from '../../functions/table/retried-calls.ts';
import { toEvent } from '../../functions/table/schema.ts';
import { pauses } from '../support/pauses.ts';
import { event } from '../support/records.ts';

vi.mock('node:timers/promises', () => import('../support/pauses.ts'));

const port = vi.fn<(...call: Parameters<Port>) => Promise<Outcome>>();
const table: Table = {
  port: port as unknown as Port,
  tableName: 'keys',
  retryPolicy: { attemptTimeout: 5000, attempts: 3 },
  onMalformed: vi.fn(),
};
beforeEach(() => {
  pauses.length = 0;
  port.mockReset().mockResolvedValue(done());
  vi.spyOn(Math, 'random').mockReturnValue(1);
});
const done = (output: object = {}): Outcome => ({ kind: 'done', output });
const failed = (kind: 'not applied' | 'unknown' | 'unexpected', more = {}): Failure => ({
  kind,
  error: new Error(kind),
  ...more,
});
const conditionFailed = (...reasons: object[]): Failure => ({ kind: 'condition failed', reasons });
const inputs = () => port.mock.calls.map(([, input]) => input as unknown as Record<string, unknown>);
const busy = (message: string) =>
  expect.objectContaining({
    status: 503,
    headers: { 'Retry-After': '1' },
    cause: expect.objectContaining({ message }),
  });
const key = (sk: string) => ({ pk: 'p', sk });

it('each function has its own retry policy', () => {
  expect(CHECK_RETRIES).toEqual({ attemptTimeout: 400, attempts: 2 });
  expect(CALL_RETRIES).toEqual({ attemptTimeout: 1000, attempts: 3 });
  expect(PURGE_RETRIES).toEqual({ attemptTimeout: 5000, attempts: 3 });
});

it.each<[string, Outcome]>([
  ['a response', done()],
  ['an error', failed('unexpected')],
])(
  'a function opens its connection with one short read of a Deployment without an ID: %s',
  async (_, outcome) => {
    port.mockResolvedValue(outcome);
    await openConnection(table);
    const Keys = [{ pk: 'DEPLOYMENT#', sk: 'DEPLOYMENT' }];
    expect(port.mock.calls).toEqual([['BatchGetItem', { RequestItems: { keys: { Keys } } }, 500]]);
  },
);

describe('A call to DynamoDB is repeated only when that is safe', () => {
  it.each(['not applied', 'unknown'] as const)(
    'repeats a call with the outcome "%s" after random pauses, and finally throws a 503 error',
    async (kind) => {
      port.mockResolvedValueOnce(failed(kind)).mockResolvedValueOnce(done({ Item: { n: 1 } }));
      expect(await readItem(table, key('a'))).toEqual({ n: 1 });
      expect(pauses).toEqual([50]);
      port.mockResolvedValue(failed(kind));
      await expect(readItem(table, key('a'))).rejects.toEqual(busy(kind));
      expect(port).toHaveBeenCalledTimes(5);
      expect(pauses).toEqual([50, 50, 100]);
    },
  );

  it('does not repeat a call with the outcome "unexpected", and throws the call\'s error', async () => {
    const outcome = failed('unexpected');
    port.mockResolvedValue(outcome);
    await expect(readItem(table, key('a'))).rejects.toBe('error' in outcome && outcome.error);
    expect(port).toHaveBeenCalledTimes(1);
  });

  it('rethrows an error from the port without repeating the call', async () => {
    port.mockRejectedValue(new TypeError('a bug'));
    await expect(readItem(table, key('a'))).rejects.toThrow('a bug');
    expect(port).toHaveBeenCalledTimes(1);
  });

  it('does not repeat a call whose condition failed', async () => {
    port.mockResolvedValue(conditionFailed({ Code: 'ConditionalCheckFailedException' }));
    expect(await deleteItem(table, { Key: key('a') })).toBe(false);
    expect(port).toHaveBeenCalledTimes(1);
  });

  it('repeats a call that is not idempotent only if the previous attempt certainly had no effect', async () => {
    const count = () => isUpdated(table, { Key: key('a') }, NOT_REPEATABLE);
    port.mockResolvedValueOnce(failed('not applied'));
    expect(await count()).toBe(true);
    expect(port).toHaveBeenCalledTimes(2);
    port.mockResolvedValue(failed('unknown'));
    await expect(count()).rejects.toEqual(busy('unknown'));
    expect(port).toHaveBeenCalledTimes(3);
  });

  it('limits each attempt of a call to the time that is left in total', async () => {
    // The code reads the clock once for the deadline, and then before and after each attempt.
    const times = [0, 0, 100, 14_900, 14_950, 14_999.5];
    vi.spyOn(performance, 'now').mockImplementation(() => times.shift() ?? 0);
    port.mockResolvedValue(failed('unknown'));
    await expect(readItem(table, key('a'))).rejects.toEqual(busy('unknown'));
    expect(port.mock.calls.map(([, , timeout]) => timeout)).toEqual([5000, 100, 0.5]);
  });

  it('does not repeat a call when the total time limit has passed', async () => {
    const times = [0, 0, 15_000];
    vi.spyOn(performance, 'now').mockImplementation(() => times.shift() ?? 15_000);
    port.mockResolvedValue(failed('not applied'));
    await expect(readItem(table, key('a'))).rejects.toEqual(busy('not applied'));
    expect(port).toHaveBeenCalledTimes(1);
  });

  it('a call without a condition fails when DynamoDB reports a failed condition', async () => {
    port.mockResolvedValue(conditionFailed());
    await expect(outputOf(table, 'Query', { TableName: 'keys' })).rejects.toThrow(
      'Query has no condition that could fail',
    );
  });
});

describe('Several items can be read at once', () => {
  it('reads several items by their keys with one strongly consistent read', async () => {
    const items = [
      { pk: 'q', sk: 'a', n: 3 },
      { ...key('b'), n: 2 },
      { ...key('a'), n: 1 },
    ];
    port.mockResolvedValue(done({ Responses: { keys: items } }));
    const found = await readTogether(table, [key('a'), key('b')]);
    expect(found(key('a'))).toEqual(items[2]);
    expect(found(key('b'))).toEqual(items[1]);
    expect(found(key('c'))).toBeUndefined();
    expect(inputs()).toEqual([
      { RequestItems: { keys: { Keys: [key('a'), key('b')], ConsistentRead: true } } },
    ]);
  });

  it('a read of several items requests only the given attributes', async () => {
    port.mockResolvedValue(done({ Responses: { keys: [] } }));
    const projection = { ProjectionExpression: 'pk, #sub', ExpressionAttributeNames: { '#sub': 'sub' } };
    await readTogether(table, [key('a')], projection);
    expect(inputs()).toMatchObject([{ RequestItems: { keys: projection } }]);
  });

  it('a read of several items fails when the response does not mention the table or reports a failed condition', async () => {
    for (const outcome of [done(), done({ Responses: { other: [] } }), conditionFailed()]) {
      port.mockResolvedValue(outcome);
      await expect(readTogether(table, [key('a')])).rejects.toEqual(busy('incomplete'));
    }
  });
});

it('reads all pages of a Query with strongly consistent reads', async () => {
  port.mockResolvedValueOnce(done({ Items: [{ n: 1 }], LastEvaluatedKey: key('a') }));
  const pages = [];
  for await (const page of queryPages(table, { KeyConditionExpression: 'x' }, key('0'))) pages.push(page);
  expect(pages).toEqual([
    { items: [{ n: 1 }], next: key('a') },
    { items: [], next: undefined },
  ]);
  const query = { TableName: 'keys', ConsistentRead: true, KeyConditionExpression: 'x' };
  expect(inputs()).toEqual([
    { ...query, ExclusiveStartKey: key('0') },
    { ...query, ExclusiveStartKey: key('a') },
  ]);
});

it('a put can write a different item in each attempt', async () => {
  port.mockResolvedValueOnce(failed('unknown'));
  let n = 0;
  expect(await putItem(table, () => ({ Item: { n: ++n } }))).toBe(true);
  expect(inputs()).toEqual([
    { TableName: 'keys', Item: { n: 1 } },
    { TableName: 'keys', Item: { n: 2 } },
  ]);
});

describe('Deletions are sent in batches', () => {
  const requestsOf = (...sortKeys: string[]) => ({
    RequestItems: { keys: sortKeys.map((sk) => ({ DeleteRequest: { Key: key(sk) } })) },
  });

  it('repeats only the unprocessed deletions of a batch, up to eight times', async () => {
    const { RequestItems: unprocessed } = requestsOf('b');
    port.mockResolvedValueOnce(failed('not applied', { unprocessed }));
    await deleteBatch(table, [key('a'), key('b')]);
    expect(inputs()).toEqual([requestsOf('a', 'b'), requestsOf('b')]);
    port.mockResolvedValue(failed('not applied', { unprocessed }));
    await expect(deleteBatch(table, [key('a'), key('b')])).rejects.toEqual(busy('not applied'));
    expect(port).toHaveBeenCalledTimes(10);
  });

  it('repeats the whole batch of deletions when it was throttled or its response was lost', async () => {
    port.mockResolvedValueOnce(failed('not applied')).mockResolvedValueOnce(failed('unknown'));
    await deleteBatch(table, [key('a'), key('b')]);
    expect(inputs()).toEqual(Array(3).fill(requestsOf('a', 'b')));
  });
});

describe('transact', () => {
  const writes = [{ Put: { Item: key('a') } }];
  const named = [{ Put: { TableName: 'keys', Item: key('a') } }];
  const tokens = () => inputs().map(({ ClientRequestToken }) => ClientRequestToken);

  it("transact sends the writes with the table's name and a request token", async () => {
    expect(await transact(table, writes)).toBeUndefined();
    expect(inputs()).toEqual([
      { TransactItems: named, ClientRequestToken: expect.stringMatching(/^[0-9a-f-]{36}$/) },
    ]);
  });

  it('transact reports which conditions failed, together with the stored items', async () => {
    const Item = { a: 'b' };
    const failure = { Code: 'ConditionalCheckFailed' };
    port.mockResolvedValue(
      conditionFailed({ Code: 'None' }, { ...failure, Item }, failure, { Code: 'TransactionConflict' }),
    );
    expect(await transact(table, writes)).toEqual([
      { failed: false, item: undefined },
      { failed: true, item: Item },
      { failed: true, item: undefined },
      { failed: false, item: undefined },
    ]);
    expect(port).toHaveBeenCalledTimes(1);
  });

  it('transact writes the event last, and reports only the conditions of the other writes', async () => {
    port.mockResolvedValue(conditionFailed({ Code: 'ConditionalCheckFailed' }, { Code: 'None' }));
    expect(await transact(table, writes, event())).toEqual([{ failed: true, item: undefined }]);
    const Put = {
      TableName: 'keys',
      Item: toEvent(event()),
      ConditionExpression: 'attribute_not_exists(pk)',
    };
    expect(inputs()).toMatchObject([{ TransactItems: [...named, { Put }] }]);
  });

  it('transact succeeds when an earlier attempt has already written the event', async () => {
    const failure = { Code: 'ConditionalCheckFailed' };
    port.mockResolvedValue(conditionFailed(failure, failure));
    expect(await transact(table, writes, event())).toBeUndefined();
  });

  it('transact repeats a conflicting transaction with a new request token up to six times, after growing pauses', async () => {
    port.mockResolvedValue(failed('not applied'));
    await expect(transact(table, writes)).rejects.toEqual(busy('not applied'));
    expect(new Set(tokens()).size).toBe(6);
    expect(pauses).toEqual([50, 100, 200, 400, 800]);
  });

  it('transact repeats a transaction with the same request token when the response was lost', async () => {
    port.mockResolvedValue(failed('unknown'));
    await expect(transact(table, writes)).rejects.toEqual(busy('unknown'));
    expect(tokens()).toHaveLength(3);
    expect(new Set(tokens()).size).toBe(1);
  });
});

describe('setAttributes', () => {
  it('setAttributes sets defined attributes and removes undefined ones', () => {
    expect(setAttributes({ name: 'a', leak: undefined, epoch: 0, networks: undefined })).toStrictEqual({
      UpdateExpression: 'SET #name = :name, #epoch = :epoch REMOVE #leak, #networks',
      ExpressionAttributeNames: {
        '#name': 'name',
        '#leak': 'leak',
        '#epoch': 'epoch',
        '#networks': 'networks',
      },
      ExpressionAttributeValues: { ':name': 'a', ':epoch': 0 },
    });
  });

  it('setAttributes writes no REMOVE clause when there is nothing to remove', () => {
    expect(setAttributes({ name: 'a' }).UpdateExpression).toBe('SET #name = :name');
  });

  it('setAttributes removes attributes regardless of the characters in their names', () => {
    expect(setAttributes({ name: 'a', leak: undefined }, ['b#-', 'c'])).toStrictEqual({
      UpdateExpression: 'SET #name = :name REMOVE #leak, #other0, #other1',
      ExpressionAttributeNames: { '#name': 'name', '#leak': 'leak', '#other0': 'b#-', '#other1': 'c' },
      ExpressionAttributeValues: { ':name': 'a' },
    });
  });
});

it('withCondition adds the names and values of a condition to those of an update', () => {
  const condition = { ConditionExpression: '#b = :b', ExpressionAttributeValues: { ':b': 2 } };
  expect(withCondition(setAttributes({ a: 1 }), condition)).toStrictEqual({
    UpdateExpression: 'SET #a = :a',
    ConditionExpression: '#b = :b',
    ExpressionAttributeNames: { '#a': 'a' },
    ExpressionAttributeValues: { ':a': 1, ':b': 2 },
  });
});

describe('untilUnchanged', () => {
  const changedFirst = (times: number) =>
    vi.fn(async (number: number) => (number > times ? `written in attempt ${number}` : undefined));

  it('returns the result of the first attempt that no other call preceded', async () => {
    const attempt = changedFirst(2);
    expect(await untilUnchanged(3, attempt)).toBe('written in attempt 3');
    expect(attempt.mock.calls).toEqual([[1], [2], [3]]);
    expect(pauses).toEqual([]);
  });

  it('returns undefined if other calls made their change first in every attempt', async () => {
    const attempt = changedFirst(3);
    expect(await untilUnchanged(3, attempt)).toBeUndefined();
    expect(attempt).toHaveBeenCalledTimes(3);
  });

  it('accepts false as the result of an attempt', async () => {
    const attempt = vi.fn(async () => false);
    expect(await untilUnchanged(3, attempt)).toBe(false);
    expect(attempt).toHaveBeenCalledTimes(1);
  });

  it('pauses only between attempts, for a random part of the maximum pause', async () => {
    vi.spyOn(Math, 'random').mockReturnValue(0.5);
    expect(await untilUnchanged(3, changedFirst(3), (number) => 10 * number)).toBeUndefined();
    expect(pauses).toEqual([5, 10]);
  });

  it('stops at the first error of an attempt', async () => {
    const attempt = vi.fn(async () => {
      throw new Error('not found');
    });
    await expect(untilUnchanged(3, attempt)).rejects.toThrow('not found');
    expect(attempt).toHaveBeenCalledTimes(1);
  });
});
