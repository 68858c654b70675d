import { describe, expect, it } from 'vitest';
import { idAt, type Json, resourceAt, templateOf } from '../support/template.ts';

const template = templateOf();
const purge = idAt(template, 'Purge/Function');
const arnOf = (path: string, attribute = 'Arn') => ({ 'Fn::GetAtt': [idAt(template, path), attribute] });

describe('the stream that triggers the purge', () => {
  const { Properties: properties } = resourceAt(template, 'Purge/Function/Stream');

  it('has one other reader, the maximum for a shard, and is read from its oldest record', () => {
    expect(properties).toMatchObject({
      EventSourceArn: arnOf('Table/Default', 'StreamArn'),
      FunctionName: { Ref: purge },
      StartingPosition: 'TRIM_HORIZON',
    });
    const onStream = Object.values<Json>(template.findResources('AWS::Lambda::EventSourceMapping')).filter(
      (mapping) => mapping.Properties.EventSourceArn['Fn::GetAtt'][1] === 'StreamArn',
    );
    expect(onStream).toHaveLength(2);
  });

  it('triggers it when a Deployment or a key is removed, and for nothing else', () => {
    expect(properties.FilterCriteria.Filters.map((filter: Json) => JSON.parse(filter.Pattern))).toStrictEqual(
      [
        {
          eventName: ['REMOVE'],
          dynamodb: {
            Keys: {
              pk: { S: [{ prefix: 'DEPLOYMENT#' }] },
              sk: { S: ['DEPLOYMENT', { prefix: 'KEY#' }] },
            },
          },
        },
      ],
    );
  });

  it('sends small batches, and the purge reports the first failure', () => {
    expect(properties).toMatchObject({
      BatchSize: 10,
      FunctionResponseTypes: ['ReportBatchItemFailures'],
      BisectBatchOnFunctionError: true,
    });
  });

  it('is processed for several Deployments in parallel, each in order', () => {
    expect(properties.ParallelizationFactor).toBe(10);
    expect(properties).not.toHaveProperty('TumblingWindowInSeconds');
  });

  it('retries a limited number of times, no longer than a stream keeps a record, and then uses a dead-letter queue', () => {
    expect(properties).toMatchObject({
      MaximumRetryAttempts: 5,
      MaximumRecordAgeInSeconds: 24 * 60 * 60,
      DestinationConfig: { OnFailure: { Destination: arnOf('PurgeSources/StreamFailures') } },
    });
  });
});

describe('a purge that runs out of time', () => {
  const { Properties: queue } = resourceAt(template, 'PurgeSources/Continuations');

  it('is continued by messages in a queue, one at a time', () => {
    expect(resourceAt(template, 'Purge/Function/Continuation').Properties).toStrictEqual({
      EventSourceArn: arnOf('PurgeSources/Continuations'),
      FunctionName: { Ref: purge },
      BatchSize: 1,
      FunctionResponseTypes: ['ReportBatchItemFailures'],
    });
  });

  it('hides a message for six times its own time limit', () => {
    expect(queue.VisibilityTimeout).toBe(6 * resourceAt(template, 'Purge/Function').Properties.Timeout);
  });

  it('sends a message to a separate dead-letter queue after five attempts', () => {
    expect(queue.RedrivePolicy).toStrictEqual({
      deadLetterTargetArn: arnOf('PurgeSources/ContinuationFailures'),
      maxReceiveCount: 5,
    });
  });
});

describe('the schedule of the purge', () => {
  it('runs every 15 minutes for remaining markers', () => {
    expect(resourceAt(template, 'PurgeSources/Schedule').Properties).toMatchObject({
      ScheduleExpression: 'rate(15 minutes)',
      State: 'ENABLED',
      Targets: [{ Arn: arnOf('Purge/Function') }],
    });
  });

  it('is the only one that may invoke the function', () => {
    const permissions = Object.values<Json>(template.findResources('AWS::Lambda::Permission'));
    expect(
      permissions
        .map((permission) => permission.Properties)
        .filter((permission) => permission.FunctionName['Fn::GetAtt'][0] === purge),
    ).toStrictEqual([
      {
        Action: 'lambda:InvokeFunction',
        FunctionName: arnOf('Purge/Function'),
        Principal: 'events.amazonaws.com',
        SourceArn: arnOf('PurgeSources/Schedule'),
      },
    ]);
  });

  it('relies on its next run instead of retries', () => {
    expect(resourceAt(template, 'Purge/Function/EventInvokeConfig').Properties).toMatchObject({
      FunctionName: { Ref: purge },
      MaximumRetryAttempts: 0,
      MaximumEventAgeInSeconds: 600,
    });
  });
});

describe('the queues of the purge', () => {
  const QUEUES = ['StreamFailures', 'ContinuationFailures', 'Continuations'];

  it('the queues of the purge are three, in addition to the queue for events', () => {
    expect(Object.keys(template.findResources('AWS::SQS::Queue'))).toHaveLength(QUEUES.length + 1);
  });

  it.each(QUEUES)('the queues of the purge include %s, which is encrypted and requires TLS', (name) => {
    const queue = resourceAt(template, `PurgeSources/${name}`);
    expect(queue.Properties.SqsManagedSseEnabled).toBe(true);
    expect(resourceAt(template, `PurgeSources/${name}/Policy`).Properties).toStrictEqual({
      Queues: [{ Ref: queue.id }],
      PolicyDocument: {
        Version: '2012-10-17',
        Statement: [
          {
            Effect: 'Deny',
            Principal: { AWS: '*' },
            Action: 'sqs:*',
            Resource: { 'Fn::GetAtt': [queue.id, 'Arn'] },
            Condition: { Bool: { 'aws:SecureTransport': 'false' } },
          },
        ],
      },
    });
  });

  it.each(['StreamFailures', 'ContinuationFailures'])(
    'the queues of the purge include %s, which keeps messages for 14 days',
    (name) => {
      expect(resourceAt(template, `PurgeSources/${name}`).Properties.MessageRetentionPeriod).toBe(
        14 * 24 * 60 * 60,
      );
    },
  );
});
