import { describe, expect, it } from 'vitest';
import { idAt, type Json, resourceAt, templateOf } from '../support/template.ts';

const template = templateOf();
const purge = idAt(template, 'Purge/Function');
const arnOf = (path: string, attribute = 'Arn') => ({ 'Fn::GetAtt': [idAt(template, path), attribute] });

describe("The table's stream triggers the purge", () => {
  const { Properties: properties } = resourceAt(template, 'Purge/Function/Stream');

  it("the purge reads the table's stream from the oldest record, and the stream has at most one other consumer", () => {
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

  it("the table's stream triggers the purge only if a Deployment or a key is removed", () => {
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

  it("the table's stream sends small batches to the purge, and the purge reports the first failed record", () => {
    expect(properties).toMatchObject({
      BatchSize: 10,
      FunctionResponseTypes: ['ReportBatchItemFailures'],
      BisectBatchOnFunctionError: true,
    });
  });

  it('the purge processes records of several Deployments in parallel, and the records of each Deployment in order', () => {
    expect(properties.ParallelizationFactor).toBe(10);
    expect(properties).not.toHaveProperty('TumblingWindowInSeconds');
  });

  it('a stream record that keeps failing is retried a limited number of times and is then sent to a dead-letter queue', () => {
    expect(properties).toMatchObject({
      MaximumRetryAttempts: 5,
      MaximumRecordAgeInSeconds: 24 * 60 * 60,
      DestinationConfig: { OnFailure: { Destination: arnOf('PurgeSources/StreamFailures') } },
    });
  });
});

describe('Messages in a queue continue a purge that ran out of time', () => {
  const { Properties: queue } = resourceAt(template, 'PurgeSources/Continuations');

  it('messages in the purge queue are processed one at a time', () => {
    expect(resourceAt(template, 'Purge/Function/Continuation').Properties).toStrictEqual({
      EventSourceArn: arnOf('PurgeSources/Continuations'),
      FunctionName: { Ref: purge },
      BatchSize: 1,
      FunctionResponseTypes: ['ReportBatchItemFailures'],
    });
  });

  it("the purge queue hides a received message for six times the function's time limit", () => {
    expect(queue.VisibilityTimeout).toBe(6 * resourceAt(template, 'Purge/Function').Properties.Timeout);
  });

  it('the purge queue sends a message to its dead-letter queue after five attempts', () => {
    expect(queue.RedrivePolicy).toStrictEqual({
      deadLetterTargetArn: arnOf('PurgeSources/ContinuationFailures'),
      maxReceiveCount: 5,
    });
  });
});

describe('A schedule runs the purge', () => {
  it('a schedule starts the purge every 15 minutes, in case purge markers remain', () => {
    expect(resourceAt(template, 'PurgeSources/Schedule').Properties).toMatchObject({
      ScheduleExpression: 'rate(15 minutes)',
      State: 'ENABLED',
      Targets: [{ Arn: arnOf('Purge/Function') }],
    });
  });

  it("only the purge's own schedule can invoke the purge function", () => {
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

  it('the purge schedule does not retry, because it runs again soon', () => {
    expect(resourceAt(template, 'Purge/Function/EventInvokeConfig').Properties).toMatchObject({
      FunctionName: { Ref: purge },
      MaximumRetryAttempts: 0,
      MaximumEventAgeInSeconds: 600,
    });
  });
});

describe('All queues are encrypted and retain messages', () => {
  const QUEUES = ['StreamFailures', 'ContinuationFailures', 'Continuations'];

  it("the stack has six queues: three for the purge, one for events and two for ending people's access", () => {
    expect(Object.keys(template.findResources('AWS::SQS::Queue'))).toHaveLength(QUEUES.length + 3);
  });

  it.each(QUEUES)('the purge queue %s is encrypted and requires TLS', (name) => {
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
    'the purge queue %s keeps messages for 14 days',
    (name) => {
      expect(resourceAt(template, `PurgeSources/${name}`).Properties.MessageRetentionPeriod).toBe(
        14 * 24 * 60 * 60,
      );
    },
  );
});
