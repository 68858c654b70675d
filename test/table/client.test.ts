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

describe('a failed call', () => {
  const fault = (name: string, httpStatusCode: number) =>
    new DynamoDBServiceException({ name, message: name, $fault: 'client', $metadata: { httpStatusCode } });
  const asked = async (error: unknown) => {
    const end = await ask(Promise.reject(error)).catch((it: unknown) => it);
    if (end === error) return 'as it is';
    expect(end).toBeInstanceOf(ServiceError);
    expect(end).toMatchObject({ status: 503, headers: { 'Retry-After': '1' }, cause: error });
    return '503';
  };

  it('of one that succeeds is none', async () => {
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
  ])('is a 503 where DynamoDB cannot answer now: %s', async (name) => {
    expect(await asked(fault(name, 400))).toBe('503');
    expect(TRANSIENT.has(name)).toBe(true);
  });

  it.each<[string, unknown]>([
    ['a server error of any name', fault('SomethingNew', 500)],
    ['a gateway', fault('UnknownError', 502)],
    ['an answer that began well', fault('Unfinished', 200)],
    ['an answer of another kind that began well', fault('Unfinished', 299)],
    ['an answer that is no JSON', new SyntaxError('Unexpected end')],
    ['a connection that broke', Object.assign(new Error('hang up'), { code: 'ECONNRESET' })],
    ['a host that is not found', Object.assign(new Error('dns'), { code: 'ENOTFOUND', $metadata: {} })],
  ])('is a 503 after %s', async (_, error) => {
    expect(await asked(error)).toBe('503');
  });

  it.each<[string, unknown]>([
    ['no permission', fault('AccessDeniedException', 400)],
    ['a redirection', fault('Redirected', 300)],
    ['no table', fault('ResourceNotFoundException', 400)],
    ['a refused condition', fault('ConditionalCheckFailedException', 400)],
    ['a status below a server error', fault('Odd', 499)],
    ['a bug', new TypeError('x is not a function')],
    ['a code that is none of the network', Object.assign(new Error('x'), { code: 'UNABLE' })],
    [
      'a code of the network beside a status',
      Object.assign(new Error('x'), { code: 'EACCES', $metadata: { httpStatusCode: 400 } }),
    ],
    ['what is no error', { name: 'ThrottlingException' }],
    ['nothing', undefined],
  ])('stays as it is after %s', async (_, error) => {
    expect(await asked(error)).toBe('as it is');
  });
});

describe('an update', () => {
  it('sets what is there and removes what is not', () => {
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

  it('that removes nothing does not say so', () => {
    expect(assign({ name: 'a' }).UpdateExpression).toBe('SET #name = :name');
  });

  it('removes attributes whose names have any characters', () => {
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

  it('is strongly consistent, and finds each by its keys', async () => {
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

  it('asks for some attributes alone', async () => {
    send.mockResolvedValue({ Responses: { keys: [] } });
    const projection = { ProjectionExpression: 'pk, #sub', ExpressionAttributeNames: { '#sub': 'sub' } };
    await readTogether(table, [key('a')], projection);
    expect(inputs()).toMatchObject([{ RequestItems: { keys: projection } }]);
  });

  it('fails where a key is left unprocessed, or nothing is said of the table', async () => {
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

describe('a transaction', () => {
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

  it('is sent as it is', async () => {
    send.mockResolvedValue({});
    expect(await transact(table, writes)).toBeUndefined();
    expect(inputs()).toEqual([{ TransactItems: writes }]);
  });

  it('whose conditions fail says which, with what was there', async () => {
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

  it('writes the event of a change last, if it is not there yet, and reports only the other writes', async () => {
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

  it('counts as written when its event is already there: an earlier attempt has written it', async () => {
    const failed = { Code: 'ConditionalCheckFailed' };
    send.mockRejectedValue(cancelled([failed, { Code: 'None' }, failed]));
    expect(await transact(table, writes, event())).toBeUndefined();
  });

  it.each(['TransactionConflict', 'ThrottlingError'])(
    'that is cancelled by %s is tried six times, each after a longer pause, then a 503',
    async (Code) => {
      const error = cancelled([{ Code: 'None' }, { Code }]);
      send.mockRejectedValue(error);
      await expect(transact(table, writes)).rejects.toMatchObject({ status: 503, cause: error });
      expect(attempts()).toBe(6);
      expect(pauses).toEqual([40, 80, 160, 320, 640]);
    },
  );

  it('that was cancelled for another reason, or for none, stays an error of ours', async () => {
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

  it('that could not be asked for is a 503 at once', async () => {
    send.mockRejectedValue(Object.assign(new Error('x'), { name: 'ThrottlingException' }));
    await expect(transact(table, writes)).rejects.toMatchObject({ status: 503 });
    expect(attempts()).toBe(1);
  });
});

describe('the client of the AWS SDK', () => {
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

  it('waits as long as the function can', () => {
    expect(CHECK_PATIENCE).toEqual({ attemptTimeout: 400, attempts: 2 });
    expect(CALL_PATIENCE).toEqual({ attemptTimeout: 1000, attempts: 3 });
    expect(PURGE_PATIENCE).toEqual({ attemptTimeout: 5000, attempts: 3 });
  });

  it('gives up on a server that hangs, after its attempts', async () => {
    stub.reply(() => damaged.hang());
    // As the SDK counts them: whether a call of so short a time gets as far as the stub is the machine's affair.
    const end = get(client({ attemptTimeout: 60, attempts: 2 }));
    await expect(end).rejects.toMatchObject({ name: 'TimeoutError', $metadata: { attempts: 2 } });
  });

  it('has as many attempts as it is given', async () => {
    stub.reply((_, n) => (n < 2 ? failure(500, 'InternalServerError') : answer(200, {})));
    await expect(get(client({ attemptTimeout: 5000, attempts: 3 }))).resolves.toMatchObject({});
    expect(stub.calls).toHaveLength(3);
  });

  it('leaves out what is undefined', async () => {
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
