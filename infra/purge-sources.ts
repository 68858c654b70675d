import { Duration } from 'aws-cdk-lib';
import * as events from 'aws-cdk-lib/aws-events';
import { LambdaFunction } from 'aws-cdk-lib/aws-events-targets';
import * as lambda from 'aws-cdk-lib/aws-lambda';
import * as sqs from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import * as ENV from '../functions/runtime/env.ts';
import type { ServiceFunction } from './function.ts';
import type { Table } from './table.ts';

export interface PurgeSourcesProps {
  readonly table: Table;
  /** The function that purges; it must be one that may wake itself. */
  readonly purge: ServiceFunction;
}

/** Deliveries of a message or record before it is set aside for a person to look at. */
const TRIES = 5;

/**
 * What wakes the purge: the table's stream when a Deployment or a key is removed, a queue in which a purge that
 * ran out of time leaves the rest, and a schedule for what both have missed.
 */
export class PurgeSources extends Construct {
  constructor(scope: Construct, id: string, props: PurgeSourcesProps) {
    super(scope, id);
    this.#wakeByStream(props);
    this.#wakeByContinuation(props);
    this.#wakeBySchedule(props);
  }

  #wakeByStream({ table, purge }: PurgeSourcesProps): void {
    const failures = this.#queue('StreamFailures', { retentionPeriod: Duration.days(14) });
    table.grantStream(purge);
    purge.allow(['sqs:SendMessage'], failures.queueArn);
    purge.function.addEventSourceMapping('Stream', {
      eventSourceArn: table.streamArn,
      // From the oldest record, so that a mapping made anew misses nothing that the stream still has.
      startingPosition: lambda.StartingPosition.TRIM_HORIZON,
      filters: [
        lambda.FilterCriteria.filter({
          eventName: lambda.FilterRule.isEqual('REMOVE'),
          dynamodb: {
            Keys: {
              pk: { S: lambda.FilterRule.beginsWith('DEPLOYMENT#') },
              sk: { S: ['DEPLOYMENT', ...lambda.FilterRule.beginsWith('KEY#')] },
            },
          },
        }),
      ],
      batchSize: 10,
      // A large Deployment does not hold up the others. Order holds for one item only; the purge needs no more.
      parallelizationFactor: 10,
      reportBatchItemFailures: true,
      bisectBatchOnError: true,
      // The default is to retry for ever with the shard blocked. What is given up here the schedule takes up.
      retryAttempts: TRIES,
      // As long as a stream keeps a record: an outage of hours loses nothing.
      maxRecordAge: Duration.hours(24),
      onFailure: { bind: () => ({ destination: failures.queueArn }) },
    });
  }

  #wakeByContinuation({ purge }: PurgeSourcesProps): void {
    const failures = this.#queue('ContinuationFailures', { retentionPeriod: Duration.days(14) });
    const continuations = this.#queue('Continuations', {
      // AWS asks for six times the function's time limit, so that no message is delivered while it is worked on.
      visibilityTimeout: Duration.seconds(6 * purge.timeout.toSeconds()),
      deadLetterQueue: { queue: failures, maxReceiveCount: TRIES },
    });
    purge.tell({ [ENV.continuationQueueUrl]: continuations.queueUrl });
    purge.allow(
      ['sqs:SendMessage', 'sqs:ReceiveMessage', 'sqs:DeleteMessage', 'sqs:GetQueueAttributes'],
      continuations.queueArn,
    );
    purge.function.addEventSourceMapping('Continuation', {
      eventSourceArn: continuations.queueArn,
      batchSize: 1,
      reportBatchItemFailures: true,
    });
  }

  #wakeBySchedule({ purge }: PurgeSourcesProps): void {
    new events.Rule(this, 'Schedule', {
      description: 'Retries purges whose marker stays',
      schedule: events.Schedule.rate(Duration.minutes(15)),
      targets: [new LambdaFunction(purge.function, { retryAttempts: 2, maxEventAge: Duration.minutes(10) })],
    });
    // A failed run needs no retry of its own: the next one comes anyway.
    purge.function.configureAsyncInvoke({ retryAttempts: 0, maxEventAge: Duration.minutes(10) });
  }

  #queue(id: string, props: sqs.QueueProps): sqs.Queue {
    return new sqs.Queue(this, id, {
      ...props,
      encryption: sqs.QueueEncryption.SQS_MANAGED,
      enforceSSL: true,
    });
  }
}
