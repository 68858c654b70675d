import { describe, expect, it } from 'vitest';
import { idAt, type Json, resourceAt, templateOf } from '../support/template.ts';

const template = templateOf();
const purge = idAt(template, 'Purge/Function');
const arnOf = (path: string, attribute = 'Arn') => ({ 'Fn::GetAtt': [idAt(template, path), attribute] });

describe('the stream wakes the purge', () => {
  const { Properties: properties } = resourceAt(template, 'Purge/Function/Stream');

  it('beside one other reader, as many as a shard has, from the oldest record that it has', () => {
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

  it('when a Deployment or a key is removed, and for nothing else', () => {
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

  it('in small batches, of which it reports the first that failed', () => {
    expect(properties).toMatchObject({
      BatchSize: 10,
      FunctionResponseTypes: ['ReportBatchItemFailures'],
      BisectBatchOnFunctionError: true,
    });
  });

  it('several Deployments at a time, each in order', () => {
    expect(properties.ParallelizationFactor).toBe(10);
    expect(properties).not.toHaveProperty('TumblingWindowInSeconds');
  });

  it('a bounded number of times and no longer than a stream keeps a record, then sets it aside', () => {
    expect(properties).toMatchObject({
      MaximumRetryAttempts: 5,
      MaximumRecordAgeInSeconds: 24 * 60 * 60,
      DestinationConfig: { OnFailure: { Destination: arnOf('PurgeSources/StreamFailures') } },
    });
  });
});

describe('a purge that ran out of time', () => {
  const { Properties: queue } = resourceAt(template, 'PurgeSources/Continuations');

  it('is woken by its continuations, one at a time', () => {
    expect(resourceAt(template, 'Purge/Function/Continuation').Properties).toStrictEqual({
      EventSourceArn: arnOf('PurgeSources/Continuations'),
      FunctionName: { Ref: purge },
      BatchSize: 1,
      FunctionResponseTypes: ['ReportBatchItemFailures'],
    });
  });

  it('hides a continuation for six times its own time limit', () => {
    expect(queue.VisibilityTimeout).toBe(6 * resourceAt(template, 'Purge/Function').Properties.Timeout);
  });

  it('sets a continuation aside, in a queue apart from the stream, after five tries', () => {
    expect(queue.RedrivePolicy).toStrictEqual({
      deadLetterTargetArn: arnOf('PurgeSources/ContinuationFailures'),
      maxReceiveCount: 5,
    });
  });
});

describe('a schedule', () => {
  it('wakes the purge every 15 minutes for markers that stay', () => {
    expect(resourceAt(template, 'PurgeSources/Schedule').Properties).toMatchObject({
      ScheduleExpression: 'rate(15 minutes)',
      State: 'ENABLED',
      Targets: [{ Arn: arnOf('Purge/Function') }],
    });
  });

  it('may invoke it, and nobody else may', () => {
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

  it('relies on its next run and not on retries', () => {
    expect(resourceAt(template, 'Purge/Function/EventInvokeConfig').Properties).toMatchObject({
      FunctionName: { Ref: purge },
      MaximumRetryAttempts: 0,
      MaximumEventAgeInSeconds: 600,
    });
  });
});

describe('a queue', () => {
  const QUEUES = ['StreamFailures', 'ContinuationFailures', 'Continuations'];

  it('is one of three, beside that of the events', () => {
    expect(Object.keys(template.findResources('AWS::SQS::Queue'))).toHaveLength(QUEUES.length + 1);
  });

  it.each(QUEUES)('%s is encrypted and refuses what is not TLS', (name) => {
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

  it.each(['StreamFailures', 'ContinuationFailures'])('%s waits 14 days for a person', (name) => {
    expect(resourceAt(template, `PurgeSources/${name}`).Properties.MessageRetentionPeriod).toBe(
      14 * 24 * 60 * 60,
    );
  });
});
