import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { DynamoDBDocumentClient } from '@aws-sdk/lib-dynamodb';
import { marshall } from '@aws-sdk/util-dynamodb';
import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { httpsTransport } from '../../functions/table/https-transport.ts';
import type { Operation, Operations, Outcome, Port } from '../../functions/table/port.ts';
import { documentClient, sdkTransport, translation } from '../../functions/table/sdk-transport.ts';
import {
  answer,
  damaged,
  failure,
  type RecordedCall,
  type Reply,
  type Stub,
  startStub,
} from '../support/dynamodb-stub.ts';
import { createTable, startEngine } from '../support/engine.ts';
import { type FaultKind, startFaultProxy } from '../support/fault-proxy.ts';
import { sample } from '../support/generated.ts';
import { authorizationOf } from '../support/sigv4.ts';

const ACCESS = {
  region: 'eu-central-1',
  accessKeyId: 'AKIDEXAMPLE',
  secretAccessKey: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY',
  sessionToken: 'a session token',
};
/** Attempt time limit in milliseconds, long enough that a slow machine does not cause a timeout. */
const LONG = 10_000;

const sdkOn = (endpoint: string) =>
  DynamoDBDocumentClient.from(
    new DynamoDBClient({ region: ACCESS.region, endpoint, credentials: ACCESS, maxAttempts: 1 }),
    translation(),
  );
const bothOn = (endpoint: string): Record<'https' | 'sdk', Port> => ({
  https: httpsTransport({ ...ACCESS, endpoint }),
  sdk: sdkTransport(sdkOn(endpoint)),
});

let stub: Stub;
beforeAll(async () => {
  stub = await startStub();
});
afterAll(() => stub.stop());
beforeEach(() => stub.reply(() => answer(200, {})));

type AnyCall = { [O in Operation]: [O, Operations[O]['input']] }[Operation];
const attempt = (port: Port, [operation, input]: AnyCall, timeout = LONG): Promise<Outcome> =>
  port(operation, input as never, timeout);
const GET: AnyCall = ['GetItem', { TableName: 'keys', Key: { pk: 'a', sk: 'b' } }];
const PUT: AnyCall = ['PutItem', { TableName: 'keys', Item: { pk: 'a', sk: 'b' } }];
const READ_BATCH: AnyCall = ['BatchGetItem', { RequestItems: { keys: { Keys: [] } } }];
const DELETE_BATCH: AnyCall = ['BatchWriteItem', { RequestItems: { keys: [] } }];

/** Strings, numbers and names that are easy to convert incorrectly. */
const text = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 8 }),
  fc.constantFrom('', 'é', '🔑', '__proto__', 'Key', 'Item'),
);
const name = fc.oneof(
  fc.constantFrom('n', 'name', 'Key', 'Keys', 'Item', 'Items', 'Responses', 'Attributes', 'S', 'M'),
  fc.string({ minLength: 1, maxLength: 8 }).filter((it) => !['__proto__', 'pk', 'sk'].includes(it)),
);
// Excludes numbers that JavaScript writes with an exponent, because DynamoDB returns them without one.
const number = fc
  .oneof(fc.integer(), fc.maxSafeInteger(), fc.double({ noNaN: true, min: -1e9, max: 1e9 }))
  .filter((it) => !`${it}`.includes('e'));
const members = { minLength: 1, maxLength: 3 };
const set = fc
  .oneof(
    fc.uniqueArray(number, members),
    fc.uniqueArray(
      text.filter((it) => it !== ''),
      members,
    ),
  )
  .map((all) => new Set<string | number>(all));
const { value } = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 3 },
    text,
    number,
    fc.boolean(),
    fc.constant(null),
    set,
    fc.array(tie('value'), { maxLength: 3 }),
    fc.dictionary(name, fc.option(tie('value'), { nil: undefined }), { maxKeys: 3 }),
  ),
}));
const attributes = fc.dictionary(name, fc.option(value, { nil: undefined }), { maxKeys: 4 });

const keys = ['a', 'b', 'c', 'é'].map((sk) => ({ pk: 'p', sk }));
const key = fc.constantFrom(...keys);
const someKeys = fc.subarray(keys, { minLength: 1 });
const condition = fc.oneof(
  fc.constant({}),
  fc.constantFrom(
    { ConditionExpression: 'attribute_exists(pk)' },
    { ConditionExpression: 'attribute_not_exists(pk)' },
    { ConditionExpression: '#n < :most', names: { '#n': 'n' }, values: { ':most': 3 } },
    { ConditionExpression: 'not an expression' },
  ),
);
/**
 * Combines the placeholders of an expression and its condition, and requests the stored item for a failed condition.
 */
function withCondition(
  { names, values, ...rest }: { names?: object; values?: object },
  more: { names?: object; values?: object } = {},
) {
  const allNames = { ...more.names, ...names };
  const allValues = { ...more.values, ...values };
  return {
    ...rest,
    ...(Object.keys(allNames).length > 0 && { ExpressionAttributeNames: allNames }),
    ...(Object.keys(allValues).length > 0 && { ExpressionAttributeValues: allValues }),
    ReturnValuesOnConditionCheckFailure: 'ALL_OLD',
  };
}
const count = { names: { '#n': 'n' }, values: { ':one': 1 } };
const item = fc.record({ key, attributes, n: fc.nat({ max: 5 }) });
const put = fc.record({ item, condition }).map(({ item: { key, attributes, n }, condition }) => ({
  Item: { ...attributes, n, ...key },
  ...withCondition(condition),
}));
const update = fc.record({ key, value, condition }).map(({ key: Key, value, condition }) => {
  const more = { names: { '#list': 'list', ...count.names }, values: { ':value': value, ...count.values } };
  const UpdateExpression = 'SET #list = :value ADD #n :one';
  return { Key, UpdateExpression, ...withCondition(condition, more) };
});
const deletion = fc
  .record({ key, condition })
  .map(({ key: Key, condition }) => ({ Key, ...withCondition(condition) }));

/** Generates a call to the given table. */
type Drawn = (TableName: string) => AnyCall;
const returned = fc.constantFrom('NONE', 'ALL_OLD');
const calls: fc.Arbitrary<Drawn> = fc.oneof(
  fc.record({ put, ReturnValues: returned }).map(
    ({ put, ReturnValues }): Drawn =>
      (TableName) => ['PutItem', { TableName, ...put, ReturnValues } as never],
  ),
  fc.record({ update, ReturnValues: fc.constantFrom('NONE', 'ALL_OLD', 'ALL_NEW') }).map(
    ({ update, ReturnValues }): Drawn =>
      (TableName) => ['UpdateItem', { TableName, ...update, ReturnValues } as never],
  ),
  fc.record({ deletion, ReturnValues: returned }).map(
    ({ deletion, ReturnValues }): Drawn =>
      (TableName) => ['DeleteItem', { TableName, ...deletion, ReturnValues } as never],
  ),
  key.map(
    (Key): Drawn =>
      (TableName) => ['GetItem', { TableName, Key, ConsistentRead: true }],
  ),
  someKeys.map(
    (Keys): Drawn =>
      (TableName) => ['BatchGetItem', { RequestItems: { [TableName]: { Keys, ConsistentRead: true } } }],
  ),
  someKeys.map(
    (all): Drawn =>
      (TableName) => [
        'BatchWriteItem',
        { RequestItems: { [TableName]: all.map((Key) => ({ DeleteRequest: { Key } })) } },
      ],
  ),
  fc.record({ start: fc.option(key, { nil: undefined }), Limit: fc.integer({ min: 1, max: 5 }) }).map(
    ({ start: ExclusiveStartKey, Limit }): Drawn =>
      (TableName) => [
        'Query',
        {
          TableName,
          KeyConditionExpression: 'pk = :pk',
          ExpressionAttributeValues: { ':pk': 'p' },
          ExclusiveStartKey,
          Limit,
        },
      ],
  ),
  fc.integer({ min: 1, max: 5 }).map(
    (Limit): Drawn =>
      (TableName) => ['Scan', { TableName, Limit }],
  ),
  fc.array(fc.oneof(put, update, deletion), { minLength: 1, maxLength: 4 }).map((writes): Drawn => {
    const kindOf = (write: object) =>
      'Item' in write ? 'Put' : 'UpdateExpression' in write ? 'Update' : 'Delete';
    return (TableName) => [
      'TransactWriteItems',
      {
        TransactItems: writes.map((write) => ({ [kindOf(write)]: { TableName, ...write } })) as never,
        ClientRequestToken: crypto.randomUUID(),
      },
    ];
  }),
  fc.constant<Drawn>(() => ['GetItem', { TableName: 'absent', Key: { pk: 'p', sk: 'a' } }]),
  fc.constant<Drawn>((TableName) => ['GetItem', { TableName, Key: { pk: '', sk: 'a' } }]),
);

/** Returns the parts of an outcome that a caller can observe, without the table's name. */
function comparable(outcome: Outcome, tableName: string): object {
  if ('error' in outcome) return { kind: outcome.kind, name: outcome.error.name };
  if (outcome.kind === 'condition failed') {
    return { kind: outcome.kind, reasons: outcome.reasons.map(({ Code, Item }) => ({ Code, Item })) };
  }
  const { $metadata: _, Responses, ...output } = outcome.output as Record<string, unknown>;
  const items = (Responses as Record<string, unknown> | undefined)?.[tableName];
  return { kind: outcome.kind, output: { ...output, items } };
}

describe('The HTTPS transport behaves like the AWS SDK', () => {
  it('thousands of generated calls have the same outcome with the HTTPS transport as with the SDK', {
    timeout: 180_000,
  }, async () => {
    const engine = await startEngine();
    onTestFinished(() => engine.stop());
    const client = sdkOn(engine.endpoint);
    for (const name of ['https', 'sdk']) await createTable(client as never, name);
    const ports = bothOn(engine.endpoint);
    const kinds = new Map<string, number>();
    const property = fc.asyncProperty(fc.array(calls, { minLength: 1, maxLength: 10 }), async (drawn) => {
      for (const draw of drawn) {
        const [https, sdk] = await Promise.all([
          attempt(ports.https, draw('https')),
          attempt(ports.sdk, draw('sdk')),
        ]);
        expect(comparable(https, 'https')).toEqual(comparable(sdk, 'sdk'));
        const [operation] = draw('');
        const kind = `${operation} ${https.kind}`;
        kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
      }
    });
    // With fewer runs, the generated calls might not include an update that DynamoDB rejects.
    await fc.assert(property, { numRuns: Math.max(200, sample(600)) });
    // Checks that the generated calls included successes, failed conditions and rejected calls.
    for (const operation of ['PutItem', 'UpdateItem', 'DeleteItem', 'TransactWriteItems']) {
      for (const kind of ['done', 'condition failed', 'unexpected']) {
        expect(kinds.get(`${operation} ${kind}`) ?? 0, `${operation} ${kind}`).toBeGreaterThan(0);
      }
    }
    const all = async (name: keyof typeof ports) =>
      comparable(await attempt(ports[name], ['Scan', { TableName: name }]), name);
    expect(await all('https')).toEqual(await all('sdk'));
  });

  it('the HTTPS transport sends the same requests as the SDK, with a valid signature', {
    timeout: 60_000,
  }, async () => {
    vi.useFakeTimers({ toFake: ['Date'], now: 1_800_000_000_000 });
    onTestFinished(() => void vi.useRealTimers());
    const ports = bothOn(stub.endpoint);
    const names = ['host', 'content-type', 'x-amz-target', 'x-amz-date', 'x-amz-security-token'];
    const property = fc.asyncProperty(calls, async (draw) => {
      stub.calls.length = 0;
      const call = draw('keys');
      await attempt(ports.https, call);
      await attempt(ports.sdk, call);
      const [ours, theirs] = stub.calls as [RecordedCall, RecordedCall];
      expect(ours.input).toEqual(theirs.input);
      expect([ours.method, ours.path]).toEqual([theirs.method, theirs.path]);
      for (const name of names) expect([name, ours.headers[name]]).toEqual([name, theirs.headers[name]]);
      expect(ours.headers.authorization).toBe(await authorizationOf(ours, ACCESS));
    });
    await fc.assert(property, { numRuns: sample(500) });
  });

  it('the HTTPS transport sends sets of numbers and strings in the same form as the SDK', async () => {
    const { https, sdk } = bothOn(stub.endpoint);
    const Item = { days: new Set([1, 20_454]), names: new Set(['a', 'b']) };
    const call: AnyCall = ['PutItem', { TableName: 'keys', Item }];
    await attempt(https, call);
    await attempt(sdk, call);
    const [ours, theirs] = stub.calls.map(({ input }) => input);
    expect(ours).toEqual(theirs);
  });

  it('the HTTPS transport keeps an attribute whose name is __proto__', async () => {
    const Item = JSON.parse('{"__proto__":{"M":{"__proto__":{"S":"x"}}}}');
    stub.reply(() => answer(200, { Item }));
    const outcome = await attempt(bothOn(stub.endpoint).https, GET);
    expect(JSON.stringify(outcome)).toBe('{"kind":"done","output":{"Item":{"__proto__":{"__proto__":"x"}}}}');
  });

  it('the HTTPS transport reads every type of value except binary values', async () => {
    const Item = {
      s: { S: '' },
      big: { N: '12345678901234567890' },
      no: { BOOL: false },
      nothing: { NULL: true },
      list: { L: [{ N: '0' }, { M: { Item: { S: 'x' } } }] },
      days: { NS: ['1', '20454'] },
      names: { SS: ['a', 'b'] },
    };
    const { https, sdk } = bothOn(stub.endpoint);
    stub.reply(() => answer(200, { Item }));
    const outcome = comparable(await attempt(https, GET), '');
    expect(outcome).toEqual(comparable(await attempt(sdk, GET), ''));
    expect(outcome).toMatchObject({
      output: {
        Item: {
          list: [0, { Item: 'x' }],
          big: Number('12345678901234567890'),
          days: new Set([1, 20_454]),
          names: new Set(['a', 'b']),
        },
      },
    });
    stub.reply(() => answer(200, { Item: { binary: { B: 'AAEC' }, set: { BS: ['AAEC'] } } }));
    expect(await attempt(https, GET)).toEqual({
      kind: 'done',
      output: { Item: { binary: null, set: null } },
    });
  });
});

describe('Both transports handle faults of DynamoDB', () => {
  it('both transports keep the text of an error whose field is called Message', async () => {
    const __type = 'com.amazon.coral.service#AccessDeniedException';
    stub.reply(() => answer(400, { __type, Message: 'User: arn is not authorized' }));
    for (const port of Object.values(bothOn(stub.endpoint))) {
      expect(await attempt(port, GET)).toMatchObject({
        kind: 'unexpected',
        error: { name: 'AccessDeniedException', message: 'User: arn is not authorized' },
      });
    }
  });

  const output = { Item: marshall({ pk: 'a' }) };
  const cancelled = (...codes: string[]) =>
    failure(400, 'TransactionCanceledException', { CancellationReasons: codes.map((Code) => ({ Code })) });

  it.each<[string, Reply, Outcome['kind']]>([
    ['a response', answer(200, output), 'done'],
    ['throttling of the table', failure(400, 'ProvisionedThroughputExceededException'), 'not applied'],
    ['throttling of the account', failure(400, 'ThrottlingException'), 'not applied'],
    ['a request limit', failure(400, 'RequestLimitExceeded'), 'not applied'],
    ['an operation limit', failure(400, 'LimitExceededException'), 'not applied'],
    ['a conflict with a transaction', failure(400, 'TransactionConflictException'), 'not applied'],
    ['a conflict of a transaction', cancelled('None', 'TransactionConflict'), 'not applied'],
    ['a throttled transaction', cancelled('ThrottlingError'), 'not applied'],
    ['a transaction over its capacity', cancelled('ProvisionedThroughputExceeded'), 'not applied'],
    ['unprocessed keys', answer(200, { UnprocessedKeys: { keys: { Keys: [] } } }), 'not applied'],
    ['unprocessed items', answer(200, { UnprocessedItems: { keys: [] } }), 'not applied'],
    ['a failed condition', failure(400, 'ConditionalCheckFailedException'), 'condition failed'],
    [
      'a failed condition in a transaction',
      cancelled('TransactionConflict', 'ConditionalCheckFailed'),
      'condition failed',
    ],
    ['a transaction in progress', failure(400, 'TransactionInProgressException'), 'unknown'],
    ['an internal error', failure(500, 'InternalServerError'), 'unknown'],
    ['unavailability', failure(503, 'ServiceUnavailable'), 'unknown'],
    ['a page from a proxy', damaged.page(502), 'unknown'],
    ['a reset connection', damaged.reset(), 'unknown'],
    ['no response', damaged.hang(), 'unknown'],
    ['a truncated response', damaged.truncated(output), 'unknown'],
    ['a shortened response', damaged.shortened(output), 'unknown'],
    ['no permission', failure(400, 'AccessDeniedException'), 'unexpected'],
    ['no table', failure(400, 'ResourceNotFoundException'), 'unexpected'],
    ['an invalid call', failure(400, 'ValidationException'), 'unexpected'],
    ['an invalid transaction', cancelled('ValidationError'), 'unexpected'],
    [
      'a transaction with items that are too large',
      cancelled('ItemCollectionSizeLimitExceeded'),
      'unexpected',
    ],
    ['a transaction cancelled without reasons', failure(400, 'TransactionCanceledException'), 'unexpected'],
  ])('both transports have the same outcome after one attempt: %s', async (title, reply, kind) => {
    stub.reply(() => reply);
    const ports = bothOn(stub.endpoint);
    const timeout = title === 'no response' ? 300 : LONG;
    const call = { 'unprocessed keys': READ_BATCH, 'unprocessed items': DELETE_BATCH }[title] ?? PUT;
    for (const [transport, port] of Object.entries(ports)) {
      expect([transport, (await attempt(port, call, timeout)).kind]).toEqual([transport, kind]);
    }
    expect(stub.calls.length).toBeLessThanOrEqual(2);
  });

  it.each([
    ['a wrong checksum', damaged.wrongCrc(output), 'damaged'],
    ['no checksum', damaged.noCrc(output), 'damaged'],
    ['no body', damaged.empty(), 'damaged'],
    ['a truncated body', damaged.truncated(output), 'aborted'],
  ])(
    'the HTTPS transport detects a damaged response without waiting for the time limit: %s',
    async (_, reply, message) => {
      stub.reply(() => reply);
      expect(await attempt(bothOn(stub.endpoint).https, GET)).toMatchObject({
        kind: 'unknown',
        error: { message },
      });
    },
  );

  it('the HTTPS transport detects a wrong checksum in an error response, but does not require a checksum', async () => {
    const { https } = bothOn(stub.endpoint);
    const body = JSON.stringify({ __type: 'x#ConditionalCheckFailedException', Item: { n: { N: '1' } } });
    stub.reply(() => (response) => response.writeHead(400, { 'x-amz-crc32': 1 }).end(body));
    expect((await attempt(https, PUT)).kind).toBe('unknown');
    stub.reply(() => (response) => response.writeHead(400).end(body));
    expect(await attempt(https, PUT)).toMatchObject({
      kind: 'condition failed',
      reasons: [{ Item: { n: 1 } }],
    });
  });

  it('both transports have the same outcome when a proxy injects faults between the client and DynamoDB', {
    timeout: 60_000,
  }, async () => {
    const engine = await startEngine();
    onTestFinished(() => engine.stop());
    await createTable(sdkOn(engine.endpoint) as never, 'keys');
    const proxy = await startFaultProxy(engine.endpoint);
    onTestFinished(() => proxy.stop());
    const ports = bothOn(proxy.endpoint);
    const keysOf = {
      Keys: [
        { pk: 'marked', sk: 'a' },
        { pk: 'marked', sk: 'b' },
      ],
    };
    const reads: AnyCall = ['BatchGetItem', { RequestItems: { keys: keysOf } }];
    const write: AnyCall = ['PutItem', { TableName: 'keys', Item: { pk: 'marked', sk: 'a' } }];
    const both: AnyCall = [
      'BatchWriteItem',
      { RequestItems: { keys: keysOf.Keys.map((Key) => ({ DeleteRequest: { Key } })) } },
    ];
    const transaction = (): AnyCall => [
      'TransactWriteItems',
      {
        TransactItems: [{ Put: { TableName: 'keys', Item: { pk: 'marked', sk: 'c' } } }],
        ClientRequestToken: crypto.randomUUID(),
      },
    ];
    const expected: [FaultKind, Outcome['kind'], AnyCall[]][] = [
      ['hang', 'unknown', [reads, write, both, transaction()]],
      ['delay', 'done', [reads, write, both, transaction()]],
      ['reset', 'unknown', [reads, write, both, transaction()]],
      ['lost', 'unknown', [reads, write, both, transaction()]],
      ['truncated', 'unknown', [reads]],
      ['500', 'unknown', [reads, write, both, transaction()]],
      ['throttled', 'not applied', [reads, write, both, transaction()]],
      ['denied', 'unexpected', [reads, write, both, transaction()]],
      ['missing', 'unexpected', [reads, write, both, transaction()]],
      ['conflict', 'not applied', [transaction()]],
      ['unprocessed', 'not applied', [reads, both]],
    ];
    for (const [kind, outcome, affected] of expected) {
      for (const call of affected) {
        for (const [transport, port] of Object.entries(ports)) {
          const { end } = proxy.inject('"marked"', { kind, at: 0, lasts: true });
          const result = await attempt(port, call, kind === 'hang' ? 300 : LONG);
          await Promise.race([end(), new Promise((resolve) => setImmediate(resolve))]);
          expect([kind, call[0], transport, result.kind]).toEqual([kind, call[0], transport, outcome]);
        }
      }
    }
  });
});

describe('The HTTPS transport calls DynamoDB', () => {
  const https = (more: object = {}) => httpsTransport({ ...ACCESS, endpoint: stub.endpoint, ...more });

  it("the HTTPS transport creates the same signatures as AWS's own signer", async () => {
    onTestFinished(() => void vi.useRealTimers());
    vi.useFakeTimers({ toFake: ['Date'], now: Date.UTC(2030, 0, 1, 23, 59, 59) });
    const port = https();
    await attempt(port, PUT);
    await attempt(port, GET);
    vi.setSystemTime(Date.UTC(2030, 0, 2));
    await attempt(port, PUT);
    expect(stub.calls.map(({ headers }) => headers['x-amz-date'])).toEqual([
      '20300101T235959Z',
      '20300101T235959Z',
      '20300102T000000Z',
    ]);
    for (const one of stub.calls) expect(one.headers.authorization).toBe(await authorizationOf(one, ACCESS));
  });

  it('the HTTPS transport sends no session token if the credentials contain none', async () => {
    const access = { ...ACCESS, sessionToken: undefined };
    await attempt(https(access), PUT);
    const [call] = stub.calls as [RecordedCall];
    expect(call.headers).not.toHaveProperty('x-amz-security-token');
    expect(call.headers.authorization).toBe(await authorizationOf(call, access));
  });

  it("the HTTPS transport keeps the endpoint's path and reuses the connection", async () => {
    const port = https({ endpoint: `${stub.endpoint}/db` });
    await attempt(port, PUT);
    await attempt(port, GET);
    expect(stub.calls.map(({ path }) => path)).toEqual(['/db', '/db']);
    expect(new Set(stub.calls.map(({ port }) => port)).size).toBe(1);
  });

  it('the HTTPS transport reuses a connection that was idle for at most 10 seconds', async () => {
    onTestFinished(() => void vi.useRealTimers());
    vi.useFakeTimers({ toFake: ['Date'] });
    const port = https();
    for (const idle of [0, 10_000, 10_001]) {
      vi.setSystemTime(Date.now() + idle);
      await attempt(port, PUT);
    }
    const [first, second, third] = stub.calls.map(({ port }) => port);
    expect(second).toBe(first);
    expect(third).not.toBe(first);
  });

  it.each([
    ['eu-central-1', 'dynamodb.eu-central-1.amazonaws.com'],
    ['cn-north-1', 'dynamodb.cn-north-1.amazonaws.com.cn'],
    ['xx-cn-1', 'dynamodb.xx-cn-1.amazonaws.com'],
  ])(
    "the HTTPS transport calls the Region's endpoint over TLS when no endpoint is configured: %s",
    async (region, host) => {
      const module = process.getBuiltinModule('node:https');
      const request = vi.spyOn(module, 'request').mockImplementation(() => {
        throw new Error('not from here');
      });
      await expect(attempt(httpsTransport({ ...ACCESS, region }), PUT)).rejects.toThrow('not from here');
      expect(request.mock.calls[0]?.[0]).toMatchObject({ hostname: host, path: '/', method: 'POST' });
    },
  );

  it.each(['https', 'sdk'] as const)(
    'the %s transport leaves no timer running, no matter how an attempt ends',
    async (name) => {
      const set = vi.spyOn(globalThis, 'setTimeout');
      const clear = vi.spyOn(globalThis, 'clearTimeout');
      /** Returns the timers that were set with the time limit of the attempts. */
      const timers = () =>
        set.mock.results.filter((_, n) => set.mock.calls[n]?.[1] === 5001).map(({ value }) => value);
      const port = bothOn(stub.endpoint)[name];
      await attempt(port, PUT, 5001);
      stub.reply(() => damaged.reset());
      await attempt(port, PUT, 5001);
      expect(timers()).toHaveLength(2);
      expect(clear.mock.calls.map(([timer]) => timer)).toEqual(expect.arrayContaining(timers()));
    },
  );

  it('the HTTPS transport aborts an attempt at its time limit', async () => {
    const request = vi.spyOn(process.getBuiltinModule('node:http'), 'request');
    stub.reply(() => damaged.hang());
    expect(await attempt(https(), PUT, 39.5)).toMatchObject({
      kind: 'unknown',
      error: { message: 'timeout' },
    });
    expect(request.mock.results.map(({ value }) => value.destroyed)).toEqual([true]);
  });

  it('the HTTPS transport accepts a response in several chunks', async () => {
    const Item = { text: { S: 'é'.repeat(200_000) } };
    stub.reply(() => answer(200, { Item }));
    expect(await attempt(https(), GET)).toEqual({ kind: 'done', output: { Item: { text: Item.text.S } } });
  });

  it('the HTTPS transport returns the name and message of an error that must not be retried', async () => {
    for (const [reply, error] of [
      [
        failure(400, 'AccessDeniedException'),
        { name: 'AccessDeniedException', message: 'AccessDeniedException' },
      ],
      [answer(400, { __type: 'ValidationException' }), { name: 'ValidationException', message: '' }],
      [damaged.page(403), { name: 'Error', message: 'status 403' }],
      [answer(403, { x: 1 }), { name: 'Error', message: 'status 403' }],
    ] as [Reply, object][]) {
      stub.reply(() => reply);
      expect(await attempt(https(), PUT)).toMatchObject({ kind: 'unexpected', error });
    }
  });
});

describe('The SDK transport calls DynamoDB', () => {
  const failing = (error: unknown) => sdkTransport({ send: async () => Promise.reject(error) } as never);
  const withStatus = (name: string, httpStatusCode: number) =>
    Object.assign(new Error(name), { name, $metadata: { httpStatusCode } });

  it('the SDK transport makes one attempt and stops waiting at its time limit', async () => {
    vi.stubEnv('AWS_REGION', 'us-east-1');
    vi.stubEnv('AWS_ACCESS_KEY_ID', 'a');
    vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'b');
    vi.stubEnv('AWS_ENDPOINT_URL_DYNAMODB', stub.endpoint);
    const port = sdkTransport(documentClient());
    stub.reply(() => failure(500, 'InternalServerError'));
    expect((await attempt(port, PUT)).kind).toBe('unknown');
    expect(stub.calls).toHaveLength(1);
    stub.reply(() => damaged.hang());
    expect(await attempt(port, PUT, 39.5)).toMatchObject({
      kind: 'unknown',
      error: { name: 'TimeoutError', message: 'timeout' },
    });
  });

  it('the SDK transport aborts an attempt at its time limit', async () => {
    const signals: AbortSignal[] = [];
    const send = (_: unknown, { abortSignal }: { abortSignal: AbortSignal }) => {
      signals.push(abortSignal);
      return new Promise(() => {});
    };
    await attempt(sdkTransport({ send } as never), PUT, 1);
    expect(signals.map(({ aborted }) => aborted)).toEqual([true]);
  });

  it.each<[string, Error, Outcome['kind']]>([
    ['a broken connection', Object.assign(new Error('hang up'), { code: 'ECONNRESET' }), 'unknown'],
    ['an unknown host', Object.assign(new Error('dns'), { code: 'ENOTFOUND', $metadata: {} }), 'unknown'],
    ['a damaged response after a 2xx status', withStatus('Unfinished', 200), 'unknown'],
    ['a response of another type after a 2xx status', withStatus('Unfinished', 299), 'unknown'],
    ['a response that is not JSON', new SyntaxError('Unexpected end'), 'unknown'],
    ['a redirect', withStatus('Redirected', 300), 'unexpected'],
    ['a status below a server error', withStatus('Odd', 499), 'unexpected'],
    ['a bug', new TypeError('x is not a function'), 'unexpected'],
    ['a code that is not a network error', Object.assign(new Error('x'), { code: 'UNABLE' }), 'unexpected'],
    [
      'a network error code together with a status',
      Object.assign(withStatus('x', 400), { code: 'EACCES' }),
      'unexpected',
    ],
  ])('the SDK transport returns the expected outcome for %s', async (_, error, kind) => {
    expect(await attempt(failing(error), PUT)).toEqual({ kind, error });
  });

  it('the SDK transport rethrows a thrown value that is not an error', async () => {
    await expect(attempt(failing(undefined), PUT)).rejects.toBeUndefined();
  });
});
