import { DynamoDBServiceException, TransactionCanceledException } from '@aws-sdk/client-dynamodb';
import { type DynamoDBDocumentClient, GetCommand, PutCommand } from '@aws-sdk/lib-dynamodb';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { ServiceError } from '../../functions/domain/errors.ts';
import {
  ask,
  assign,
  readTogether,
  type Table,
  tableClient,
  transact,
} from '../../functions/table/client.ts';
import { CALL_PATIENCE, CHECK_PATIENCE, PURGE_PATIENCE, TRANSIENT } from '../../functions/table/faults.ts';
import { toEvent } from '../../functions/table/schema.ts';
import { answer, damaged, failure, type Stub, startStub } from '../support/dynamodb-stub.ts';
import { event } from '../support/records.ts';

const key = (sk: string) => ({ pk: 'p', sk });
const send = vi.fn<(command: { input: object }) => Promise<object>>();
const table: Table = {
  client: { send } as unknown as DynamoDBDocumentClient,
  tableName: 'keys',
  onMalformed: vi.fn(),
};
beforeEach(() => void send.mockReset());
const inputs = () => send.mock.calls.map(([{ input }]) => input);

describe('errors of DynamoDB calls', () => {
  const fault = (name: string, httpStatusCode: number) =>
    new DynamoDBServiceException({ name, message: name, $fault: 'client', $metadata: { httpStatusCode } });
  const asked = async (error: unknown) => {
    const end = await ask(Promise.reject(error)).catch((it: unknown) => it);
    if (end === error) return 'as it is';
    expect(end).toBeInstanceOf(ServiceError);
    expect(end).toMatchObject({ status: 503, headers: { 'Retry-After': '1' }, cause: error });
    return '503';
  };

  it('returns the result of a DynamoDB call that succeeds', async () => {
    expect(await ask(Promise.resolve(7))).toBe(7);
  });

  it.each([
    'InternalServerError',
    'LimitExceededException',
    'ProvisionedThroughputExceededException',
    'RequestLimitExceeded',
    'ServiceUnavailable',
    'ThrottlingException',
    'TimeoutError',
    'TransactionInProgressException',
  ])('DynamoDB errors are a 503 when DynamoDB temporarily fails: %s', async (name) => {
    expect(await asked(fault(name, 400))).toBe('503');
    expect(TRANSIENT.has(name)).toBe(true);
  });

  it.each<[string, unknown]>([
    ['a server error with any name', fault('SomethingNew', 500)],
    ["a gateway's error page", fault('UnknownError', 502)],
    ['a damaged response after a 2xx status', fault('Unfinished', 200)],
    ['a response of another type after a 2xx status', fault('Unfinished', 299)],
    ['a response that is not JSON', new SyntaxError('Unexpected end')],
    ['a broken connection', Object.assign(new Error('hang up'), { code: 'ECONNRESET' })],
    ['an unknown host', Object.assign(new Error('dns'), { code: 'ENOTFOUND', $metadata: {} })],
  ])('DynamoDB errors are a 503 after %s', async (_, error) => {
    expect(await asked(error)).toBe('503');
  });

  it.each<[string, unknown]>([
    ['missing permission', fault('AccessDeniedException', 400)],
    ['a redirect', fault('Redirected', 300)],
    ['a missing table', fault('ResourceNotFoundException', 400)],
    ['a failed condition', fault('ConditionalCheckFailedException', 400)],
    ['a status below a server error', fault('Odd', 499)],
    ['a bug', new TypeError('x is not a function')],
    ['a code that is not a network error', Object.assign(new Error('x'), { code: 'UNABLE' })],
    [
      'a network error code together with a status',
      Object.assign(new Error('x'), { code: 'EACCES', $metadata: { httpStatusCode: 400 } }),
    ],
    ['a value that is not an error', { name: 'ThrottlingException' }],
    ['nothing', undefined],
  ])('DynamoDB errors are passed on unchanged after %s', async (_, error) => {
    expect(await asked(error)).toBe('as it is');
  });
});

describe('assign', () => {
  it('sets defined attributes and removes undefined ones', () => {
    expect(assign({ name: 'a', leak: undefined, epoch: 0, networks: undefined })).toStrictEqual({
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

  it('writes no REMOVE clause when there is nothing to remove', () => {
    expect(assign({ name: 'a' }).UpdateExpression).toBe('SET #name = :name');
  });

  it('removes attributes whose names contain any characters', () => {
    expect(assign({ name: 'a', leak: undefined }, ['b#-', 'c'])).toStrictEqual({
      UpdateExpression: 'SET #name = :name REMOVE #leak, #other0, #other1',
      ExpressionAttributeNames: { '#name': 'name', '#leak': 'leak', '#other0': 'b#-', '#other1': 'c' },
      ExpressionAttributeValues: { ':name': 'a' },
    });
  });
});

describe('a read of several items', () => {
  const busy = expect.objectContaining({
    status: 503,
    cause: expect.objectContaining({ message: 'BatchGetItem left keys unprocessed' }),
  });

  it('is strongly consistent and returns each item by its keys', async () => {
    const items = [
      { pk: 'q', sk: 'a', n: 3 },
      { ...key('b'), n: 2 },
      { ...key('a'), n: 1 },
    ];
    send.mockResolvedValue({ Responses: { keys: items }, UnprocessedKeys: {} });
    const found = await readTogether(table, [key('a'), key('b')]);
    expect(found(key('a'))).toEqual(items[2]);
    expect(found(key('b'))).toEqual(items[1]);
    expect(found(key('c'))).toBeUndefined();
    expect(inputs()).toEqual([
      { RequestItems: { keys: { Keys: [key('a'), key('b')], ConsistentRead: true } } },
    ]);
  });

  it('requests only the given attributes', async () => {
    send.mockResolvedValue({ Responses: { keys: [] } });
    const projection = { ProjectionExpression: 'pk, #sub', ExpressionAttributeNames: { '#sub': 'sub' } };
    await readTogether(table, [key('a')], projection);
    expect(inputs()).toMatchObject([{ RequestItems: { keys: projection } }]);
  });

  it('fails when a key is left unprocessed or the response does not mention the table', async () => {
    for (const output of [
      { Responses: { keys: [] }, UnprocessedKeys: { keys: { Keys: [key('a')] } } },
      { Responses: { other: [] } },
      {},
    ]) {
      send.mockResolvedValue(output);
      await expect(readTogether(table, [key('a')])).rejects.toEqual(busy);
    }
  });
});

describe('transact', () => {
  const pauses: number[] = [];
  beforeEach(() => {
    pauses.length = 0;
    vi.spyOn(Math, 'random').mockReturnValue(1);
    vi.spyOn(globalThis, 'setTimeout').mockImplementation(((resume: () => void, ms: number) => {
      pauses.push(ms);
      resume();
    }) as never);
  });
  const cancelled = (CancellationReasons?: object[]) =>
    new TransactionCanceledException({
      message: 'cancelled',
      $metadata: { httpStatusCode: 400 },
      ...(CancellationReasons && { CancellationReasons }),
    });
  const attempts = () => send.mock.calls.length;
  const writes = [{ Put: { TableName: 'keys', Item: key('a') } }];

  it('sends the writes unchanged', async () => {
    send.mockResolvedValue({});
    expect(await transact(table, writes)).toBeUndefined();
    expect(inputs()).toEqual([{ TransactItems: writes }]);
  });

  it('reports which conditions failed, with the stored items', async () => {
    const Item = { a: { S: 'b' } };
    const failed = { Code: 'ConditionalCheckFailed' };
    send.mockRejectedValue(
      cancelled([{ Code: 'None' }, { ...failed, Item }, failed, { Code: 'TransactionConflict' }]),
    );
    expect(await transact(table, writes)).toEqual([
      { failed: false },
      { failed: true, item: Item },
      { failed: true, item: undefined },
      { failed: false },
    ]);
    expect(attempts()).toBe(1);
  });

  it('writes the event of a change last, if it does not exist yet, and reports only the other writes', async () => {
    send.mockRejectedValue(
      cancelled([{ Code: 'ConditionalCheckFailed' }, { Code: 'None' }, { Code: 'None' }]),
    );
    expect(await transact(table, writes, event())).toEqual([
      { failed: true, item: undefined },
      { failed: false },
    ]);
    const Put = {
      TableName: 'keys',
      Item: toEvent(event()),
      ConditionExpression: 'attribute_not_exists(pk)',
    };
    expect(inputs()).toEqual([{ TransactItems: [...writes, { Put }] }]);
  });

  it('succeeds when the event already exists, because an earlier attempt has written it', async () => {
    const failed = { Code: 'ConditionalCheckFailed' };
    send.mockRejectedValue(cancelled([failed, { Code: 'None' }, failed]));
    expect(await transact(table, writes, event())).toBeUndefined();
  });

  it.each(['TransactionConflict', 'ThrottlingError'])(
    'retries a transaction cancelled by %s up to six attempts with growing pauses, and then throws a 503',
    async (Code) => {
      const error = cancelled([{ Code: 'None' }, { Code }]);
      send.mockRejectedValue(error);
      await expect(transact(table, writes)).rejects.toMatchObject({ status: 503, cause: error });
      expect(attempts()).toBe(6);
      expect(pauses).toEqual([40, 80, 160, 320, 640]);
    },
  );

  it('passes on a cancellation with another reason or without one', async () => {
    for (const error of [
      cancelled([{ Code: 'ItemCollectionSizeLimitExceeded' }]),
      cancelled([]),
      cancelled(),
    ]) {
      send.mockRejectedValue(error);
      await expect(transact(table, writes)).rejects.toBe(error);
    }
    expect(attempts()).toBe(3);
  });

  it('throws a 503 immediately when the request fails', async () => {
    send.mockRejectedValue(Object.assign(new Error('x'), { name: 'ThrottlingException' }));
    await expect(transact(table, writes)).rejects.toMatchObject({ status: 503 });
    expect(attempts()).toBe(1);
  });
});

describe('the AWS SDK client', () => {
  let stub: Stub;
  beforeAll(async () => {
    stub = await startStub();
  });
  afterAll(() => stub.stop());
  const client = (patience: Parameters<typeof tableClient>[0]) => {
    vi.stubEnv('AWS_REGION', 'us-east-1');
    vi.stubEnv('AWS_ACCESS_KEY_ID', 'a');
    vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'b');
    vi.stubEnv('AWS_ENDPOINT_URL_DYNAMODB', stub.endpoint);
    return tableClient(patience);
  };
  const get = (of: DynamoDBDocumentClient) => of.send(new GetCommand({ TableName: 'keys', Key: key('a') }));

  it('has the retry policy of each function', () => {
    expect(CHECK_PATIENCE).toEqual({ attemptTimeout: 400, attempts: 2 });
    expect(CALL_PATIENCE).toEqual({ attemptTimeout: 1000, attempts: 3 });
    expect(PURGE_PATIENCE).toEqual({ attemptTimeout: 5000, attempts: 3 });
  });

  it('stops waiting for a server that hangs, after its attempts', async () => {
    stub.reply(() => damaged.hang());
    // Counted by the SDK: whether such a short call reaches the stub depends on the machine.
    const end = get(client({ attemptTimeout: 60, attempts: 2 }));
    await expect(end).rejects.toMatchObject({ name: 'TimeoutError', $metadata: { attempts: 2 } });
  });

  it('makes as many attempts as configured', async () => {
    stub.reply((_, n) => (n < 2 ? failure(500, 'InternalServerError') : answer(200, {})));
    await expect(get(client({ attemptTimeout: 5000, attempts: 3 }))).resolves.toMatchObject({});
    expect(stub.calls).toHaveLength(3);
  });

  it('omits undefined values', async () => {
    stub.reply(() => answer(200, {}));
    const Item = { ...key('a'), b: undefined, list: [{ c: 1, d: undefined }] };
    await client({ attemptTimeout: 5000, attempts: 1 }).send(new PutCommand({ TableName: 'k', Item }));
    expect(stub.calls[0]?.input.Item).toEqual({
      pk: { S: 'p' },
      sk: { S: 'a' },
      list: { L: [{ M: { c: { N: '1' } } }] },
    });
  });
});
