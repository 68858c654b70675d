import { BatchWriteCommand, DeleteCommand, PutCommand, UpdateCommand } from '@aws-sdk/lib-dynamodb';
import { beforeEach, describe, expect, it } from 'vitest';
import { allow, arnOf, Fixture, readsStream } from '../../support/fixture.ts';
import { runStack } from '../../support/stack.ts';

/**
 * Logs one line per batch with the sort keys of its records. Some items change the result: `poison` fails the batch,
 * `report` is reported as failed, and `once` fails the first time.
 */
const WATCH = `const seen = new Set();
exports.handler = async ({ Records }) => {
  const images = Records.map((record) => ({ record, image: record.dynamodb.NewImage ?? record.dynamodb.OldImage }));
  console.log(images.map(({ image }) => image.sk.S).join(' '));
  const failures = [];
  for (const { record, image } of images) {
    const id = record.dynamodb.SequenceNumber;
    const how = image.how?.S;
    const isFirst = !seen.has(id);
    seen.add(id);
    if (how === 'poison' || (how === 'once' && isFirst)) throw new Error('poison');
    if (how === 'report' || (how === 'report once' && isFirst)) failures.push({ itemIdentifier: id });
  }
  return { batchItemFailures: failures };
};`;

const watched = (properties: object, source = WATCH) => {
  const onFailure = { OnFailure: { Destination: arnOf('Failures') } };
  return new Fixture()
    .add('Failures', 'AWS::SQS::Queue', {})
    .function('Watch', source, { statements: [readsStream, allow(['sqs:SendMessage'], arnOf('Failures'))] })
    .stream('Watch', { DestinationConfig: onFailure, ...properties });
};

const run = async (properties: object, source?: string) => {
  const stack = await runStack({ synthesise: watched(properties, source).synthesise });
  const { client, name } = stack.table;
  return {
    stack,
    /** Writes all items together, so that a single poll finds them all. */
    put: (...items: [sk: string, how?: string][]) =>
      client.send(
        new BatchWriteCommand({
          RequestItems: {
            [name]: items.map(([sk, how]) => ({ PutRequest: { Item: { pk: 'a', sk, how } } })),
          },
        }),
      ),
    put1: (sk: string, more: object = {}) =>
      client.send(new PutCommand({ TableName: name, Item: { pk: 'a', sk, ...more } })),
    remove: (sk: string) => client.send(new DeleteCommand({ TableName: name, Key: { pk: 'a', sk } })),
    batches: () =>
      stack.logs
        .text('watch')
        .split('\n')
        .filter((line) => /^[\w ]+$/.test(line)),
    failures: () => stack.queue('Failures').messages.map((message) => JSON.parse(message.body)),
    reset: () => stack.logs.clear(),
  };
};

describe("An emulated stream delivers records in Lambda's format", () => {
  it('an emulated stream record has the format that Lambda delivers', async () => {
    const { stack, put1 } = await run(
      {},
      'exports.handler = async (event) => console.log(JSON.stringify(event));',
    );
    await put1('one', { count: 5, bytes: new Uint8Array([0, 1]) });
    await stack.waitForDelivery();
    expect(JSON.parse(stack.logs.text('watch'))).toEqual({
      Records: [
        {
          eventID: expect.any(String),
          eventName: 'INSERT',
          eventVersion: '1.1',
          eventSource: 'aws:dynamodb',
          awsRegion: 'us-east-1',
          eventSourceARN: expect.stringMatching(
            /^arn:aws:dynamodb:us-east-1:000000000000:table\/fixture-Table-\w+\/stream\/2026/,
          ),
          dynamodb: {
            ApproximateCreationDateTime: expect.any(Number),
            Keys: { pk: { S: 'a' }, sk: { S: 'one' } },
            NewImage: {
              pk: { S: 'a' },
              sk: { S: 'one' },
              count: { N: '5' },
              bytes: { B: 'AAE=' },
            },
            SequenceNumber: expect.stringMatching(/^\d+$/),
            SizeBytes: expect.any(Number),
            StreamViewType: 'NEW_AND_OLD_IMAGES',
          },
        },
      ],
    });
  });
});

describe('An emulated stream delivers records in order and retries failures', async () => {
  const all = await run({ BatchSize: 3, MaximumRetryAttempts: 2 });
  beforeEach(all.reset);

  it('the emulated stream sends batches of at most the configured size, in the order of the changes', async () => {
    await all.put(['a'], ['b'], ['c'], ['d'], ['e']);
    await all.stack.waitForDelivery();
    expect(all.batches().join(' ').split(' ').sort()).toEqual(['a', 'b', 'c', 'd', 'e']);
    expect(all.batches().every((batch) => batch.split(' ').length <= 3)).toBe(true);
  });

  it('the emulated stream keeps the order of changes to an item, and retries from the start of the batch', async () => {
    const { client, name } = all.stack.table;
    await all.put1('x', { how: 'once' });
    for (const n of [1, 2, 3]) {
      await client.send(
        new UpdateCommand({
          TableName: name,
          Key: { pk: 'a', sk: 'x' },
          UpdateExpression: 'SET n = :n REMOVE how',
          ExpressionAttributeValues: { ':n': n },
        }),
      );
    }
    await all.stack.waitForDelivery();
    expect(
      all
        .batches()
        .join(' ')
        .split(' ')
        .filter((sk) => sk === 'x').length,
    ).toBeGreaterThanOrEqual(5);
    expect(all.failures()).toEqual([]);
  });

  it('the emulated stream sends the position of a batch to the dead-letter queue after the last retry', async () => {
    await all.put1('bad', { how: 'poison' });
    await all.stack.waitForDelivery();
    expect(all.batches()).toEqual(['bad', 'bad', 'bad']);
    expect(all.failures()).toEqual([
      {
        requestContext: {
          requestId: expect.any(String),
          functionArn: expect.stringContaining(':function:fixture-Watch-'),
          condition: 'RetryAttemptsExhausted',
          approximateInvokeCount: 3,
        },
        responseContext: { statusCode: 200, executedVersion: '$LATEST', functionError: 'Unhandled' },
        version: '1.0',
        timestamp: expect.any(String),
        DDBStreamBatchInfo: {
          shardId: expect.any(String),
          startSequenceNumber: expect.any(String),
          endSequenceNumber: expect.any(String),
          approximateArrivalOfFirstRecord: expect.any(String),
          approximateArrivalOfLastRecord: expect.any(String),
          batchSize: 1,
          streamArn: expect.stringContaining('/stream/'),
        },
      },
    ]);
  });

  it('the emulated stream continues with the records after a failed batch', async () => {
    await all.put1('good');
    await all.stack.waitForDelivery();
    expect(all.batches()).toEqual(['good']);
  });
});

describe('An emulated stream can bisect a failed batch', async () => {
  const bisecting = await run({
    BatchSize: 10,
    MaximumBatchingWindowInSeconds: 1,
    MaximumRetryAttempts: 1,
    BisectBatchOnFunctionError: true,
  });

  it('bisection discards only the bad record and processes the adjacent records', async () => {
    await bisecting.put(['a'], ['b'], ['c', 'poison'], ['d']);
    await bisecting.stack.waitForDelivery();
    expect(bisecting.failures().map((failure) => failure.DDBStreamBatchInfo.batchSize)).toEqual([1]);
    const batches = bisecting.batches();
    expect(batches[0]?.split(' ').sort()).toEqual(['a', 'b', 'c', 'd']);
    // Lambda processes the batch once more than the number of retries, because splitting a batch does not count as a
    // retry.
    expect(batches.filter((batch) => batch === 'c')).toHaveLength(2);
    const processed = batches
      .filter((batch) => !batch.includes('c'))
      .join(' ')
      .split(' ')
      .sort();
    expect(processed).toEqual(['a', 'b', 'd']);
  });
});

describe('A function can report which records of a batch failed', async () => {
  const reporting = await run({
    BatchSize: 10,
    MaximumBatchingWindowInSeconds: 1,
    MaximumRetryAttempts: 2,
    FunctionResponseTypes: ['ReportBatchItemFailures'],
  });
  beforeEach(reporting.reset);

  it('if a function reports failed records, the stream retries all records from the first failure on', async () => {
    for (const [sk, how] of [['a'], ['b'], ['c', 'report once'], ['d']] as const)
      await reporting.put1(sk, { how });
    await reporting.stack.waitForDelivery();
    expect(reporting.batches()).toEqual(['a b c d', 'c d']);
    expect(reporting.failures()).toEqual([]);
  });

  it('if a reported failure persists, the whole batch fails', async () => {
    await reporting.put1('e', { how: 'report' });
    await reporting.stack.waitForDelivery();
    expect(reporting.batches()).toEqual(['e', 'e', 'e']);
    expect(reporting.failures()).toMatchObject([
      {
        requestContext: { condition: 'RetryAttemptsExhausted', approximateInvokeCount: 3 },
        responseContext: { statusCode: 200, functionError: null },
      },
    ]);
  });
});

describe('Reported failures can be combined with bisection', async () => {
  const both = await run({
    BatchSize: 10,
    MaximumBatchingWindowInSeconds: 1,
    MaximumRetryAttempts: 1,
    BisectBatchOnFunctionError: true,
    FunctionResponseTypes: ['ReportBatchItemFailures'],
  });

  it('bisection splits a batch at a reported failure, so that the records next to the bad record are not lost', async () => {
    for (const [sk, how] of [['a', 'report'], ['b'], ['c']] as const) await both.put1(sk, { how });
    await both.stack.waitForDelivery();
    expect(both.batches()[0]).toBe('a b c');
    expect(both.batches()).toContain('c');
    expect(both.failures().map((failure) => failure.DDBStreamBatchInfo.batchSize)).toEqual([1]);
  });
});

describe('An emulated stream can process batches in parallel', async () => {
  const lanes = await run({ BatchSize: 1, ParallelizationFactor: 10, MaximumRetryAttempts: 4 });

  it('parallel batches keep the order of changes to an item, and other items can overtake a failing item', async () => {
    const { client, name } = lanes.stack.table;
    await lanes.put1('stuck', { how: 'poison' });
    for (const n of [1, 2, 3]) {
      await client.send(new PutCommand({ TableName: name, Item: { pk: 'a', sk: 'stuck', n } }));
    }
    for (const sk of ['k1', 'k2', 'k3', 'k4', 'k5', 'k6']) await lanes.put1(sk);
    await lanes.stack.waitForDelivery();
    const batches = lanes.batches();
    expect(batches.filter((batch) => batch === 'stuck')).toHaveLength(5 + 3);
    // Lambda processes the failing change five times within 750 ms before the next change to its item.
    const passed = batches.slice(0, batches.lastIndexOf('stuck')).filter((batch) => batch.startsWith('k'));
    expect(passed.length).toBeGreaterThan(2);
    expect(lanes.failures()).toHaveLength(1);
  });
});

describe('An emulated stream can filter records', async () => {
  const filtered = await run({
    FilterCriteria: {
      Filters: [{ Pattern: '{"eventName":["REMOVE"],"dynamodb":{"Keys":{"sk":{"S":[{"prefix":"KEY"}]}}}}' }],
    },
  });

  it("an emulated stream's filter triggers the function only for matching records", async () => {
    await filtered.put(['KEY1'], ['TOKEN1']);
    await filtered.remove('TOKEN1');
    await filtered.remove('KEY1');
    await filtered.stack.waitForDelivery();
    expect(filtered.batches()).toEqual(['KEY1']);
  });
});

describe('An emulated stream discards records that are too old', () => {
  /** Waits for the next full second, because DynamoDB gives the time of a change in whole seconds. */
  const nextSecond = () => new Promise((resolve) => setTimeout(resolve, 1000 - (Date.now() % 1000)));

  it('a maximum record age ends retries that have no other limit', async () => {
    const ageing = await run({ MaximumRecordAgeInSeconds: 1, MaximumRetryAttempts: -1 });
    await nextSecond();
    await ageing.put1('old', { how: 'poison' });
    await ageing.stack.waitForDelivery();
    const invocations = ageing.batches().length;
    expect(invocations).toBeGreaterThan(0);
    const [failure, ...others] = ageing.failures();
    expect(others).toEqual([]);
    expect(failure).toEqual({
      requestContext: {
        requestId: expect.any(String),
        functionArn: expect.stringContaining(':function:fixture-Watch-'),
        condition: 'RecordAgeExceeded',
        approximateInvokeCount: invocations,
      },
      version: '1.0',
      timestamp: expect.any(String),
      DDBStreamBatchInfo: expect.objectContaining({ batchSize: 1 }),
    });
  });

  it('the emulated stream discards records that are too old without invoking the function', async () => {
    const late = await run({
      BatchSize: 10,
      MaximumBatchingWindowInSeconds: 2,
      MaximumRecordAgeInSeconds: 1,
      MaximumRetryAttempts: 0,
    });
    await late.put(['a'], ['b']);
    await late.stack.waitForDelivery();
    expect(late.batches()).toEqual([]);
    expect(late.failures()).toMatchObject([
      {
        requestContext: { condition: 'RecordAgeExceeded', approximateInvokeCount: 0 },
        DDBStreamBatchInfo: { batchSize: 2 },
      },
    ]);
  });
});
