import { setTimeout as sleep } from 'node:timers/promises';
import { SendMessageCommand, SQSClient } from '@aws-sdk/client-sqs';
import { describe, expect, it } from 'vitest';
import { allow, arnOf, CALLS_AWS, Fixture, ref } from '../../support/fixture.ts';
import { runStack } from '../../support/stack.ts';

const reads = allow(['sqs:ReceiveMessage', 'sqs:DeleteMessage', 'sqs:GetQueueAttributes'], arnOf('Work'));

const fixture = new Fixture()
  .add('Dead', 'AWS::SQS::Queue', {})
  .add('Work', 'AWS::SQS::Queue', {
    VisibilityTimeout: 1,
    RedrivePolicy: { deadLetterTargetArn: arnOf('Dead'), maxReceiveCount: 2 },
  })
  .function(
    'Worker',
    `exports.handler = async ({ Records }) => {
      console.log(JSON.stringify(Records));
      if (Records.some((record) => record.body === 'fail')) throw new Error('no');
      if (Records.some((record) => record.body === 'report none')) return { batchItemFailures: [{ itemIdentifier: '' }] };
      if (Records.some((record) => record.body === 'report another')) return { batchItemFailures: [{ itemIdentifier: 'x' }] };
      return { batchItemFailures: Records.filter((record) => record.body === 'report')
        .map((record) => ({ itemIdentifier: record.messageId })) };
    };`,
    { statements: [reads] },
  )
  .add('Mapping', 'AWS::Lambda::EventSourceMapping', {
    FunctionName: ref('Worker'),
    EventSourceArn: arnOf('Work'),
    BatchSize: 1,
    FunctionResponseTypes: ['ReportBatchItemFailures'],
  })
  .function(
    'Sender',
    `${CALLS_AWS} exports.handler = (input) =>
      call('AmazonSQS.SendMessage', { QueueUrl: process.env.QUEUE_URL, ...input });`,
    { statements: [allow(['sqs:SendMessage'], arnOf('Work'))], environment: { QUEUE_URL: ref('Work') } },
  );
const stack = await runStack({ synthesise: fixture.synthesise });
const work = stack.queue('Work');
const dead = stack.queue('Dead');
const deliveries = () =>
  stack.logs
    .text('worker')
    .split('\n')
    .filter((line) => line.startsWith('['))
    .flatMap((line) => JSON.parse(line));

describe('An emulated SQS queue triggers its function', () => {
  it('the emulated SQS queue supports the protocol of the AWS SDK', async () => {
    const { origin } = new URL(work.url);
    const client = new SQSClient({
      endpoint: origin,
      region: 'us-east-1',
      credentials: { accessKeyId: 'AKIANOBODY', secretAccessKey: 'x' },
    });
    const refused = client.send(new SendMessageCommand({ QueueUrl: work.url, MessageBody: 'x' }));
    await expect(refused).rejects.toThrow('The security token included in the request is invalid.');
    client.destroy();
  });

  it('the emulated SQS queue delivers a message to its function and then deletes the message', async () => {
    const sent = await stack.invoke<{ body: { MessageId: string } }>('sender', { MessageBody: 'hello' });
    await stack.waitForDelivery();
    expect(deliveries()).toEqual([
      {
        messageId: sent.body.MessageId,
        receiptHandle: expect.any(String),
        body: 'hello',
        attributes: {
          ApproximateReceiveCount: '1',
          SentTimestamp: expect.stringMatching(/^\d{13}$/),
          SenderId: 'local',
          ApproximateFirstReceiveTimestamp: expect.stringMatching(/^\d{13}$/),
        },
        messageAttributes: {},
        md5OfBody: '5d41402abc4b2a76b9719d911017c592',
        eventSource: 'aws:sqs',
        eventSourceARN: work.arn,
        awsRegion: 'us-east-1',
      },
    ]);
    expect(work.messages).toEqual([]);
  });

  it.each(['fail', 'report', 'report none', 'report another'])(
    'the emulated SQS queue delivers a message again after a failure (%s), and then sends it to the dead-letter queue',
    async (body) => {
      stack.logs.clear();
      const before = dead.messages.length;
      await stack.invoke('sender', { MessageBody: body });
      await stack.waitForDelivery();
      expect(deliveries().map((record) => record.attributes.ApproximateReceiveCount)).toEqual(['1', '2']);
      expect(dead.messages.slice(before).map((message) => message.body)).toEqual([body]);
    },
  );

  it('the emulated SQS queue delays a message by its DelaySeconds', async () => {
    stack.logs.clear();
    await stack.invoke('sender', { MessageBody: 'later', DelaySeconds: 1 });
    await sleep(300);
    expect(deliveries()).toEqual([]);
    await stack.waitForDelivery();
    expect(deliveries()).toHaveLength(1);
  });
});
