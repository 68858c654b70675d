import { Duration } from 'aws-cdk-lib';
import * as events from 'aws-cdk-lib/aws-events';
import { LambdaFunction } from 'aws-cdk-lib/aws-events-targets';
import * as lambda from 'aws-cdk-lib/aws-lambda';
import * as sqs from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import * as ENV from '../functions/runtime/env.ts';
import { PARTITION, SORT } from '../functions/table/key-prefixes.ts';
import { acknowledge } from './acknowledge.ts';
import { FailureQueue } from './failure-queue.ts';
import type { ServiceFunction } from './function.ts';
import { readStream } from './stream-reader.ts';
import type { Table } from './table.ts';

export interface PurgeSourcesProps {
  readonly table: Table;
  /** The function that purges. It must have `mayWakeItself`. */
  readonly purge: ServiceFunction;
}

/** How often a message or record is delivered before it goes to the dead-letter queue. */
const TRIES = 5;

/**
 * The three event sources of the purge: the table's stream, when a Deployment or a key is deleted; a queue, for the rest
 * of a purge that ran out of time; and a schedule, for purges that both have missed.
 */
export class PurgeSources extends Construct {
  /** The dead-letter queues of the stream and of the queue. */
  readonly failureQueues: { readonly stream: sqs.IQueue; readonly continuation: sqs.IQueue };

  constructor(scope: Construct, id: string, props: PurgeSourcesProps) {
    super(scope, id);
    this.failureQueues = {
      stream: this.#wakeByStream(props),
      continuation: this.#wakeByContinuation(props),
    };
    this.#wakeBySchedule(props);
  }

  #wakeByStream({ table, purge }: PurgeSourcesProps): sqs.IQueue {
    const failures = new FailureQueue(this, 'StreamFailures');
    readStream(purge, table.stream, {
      failures,
      filters: [
        lambda.FilterCriteria.filter({
          eventName: lambda.FilterRule.isEqual('REMOVE'),
          dynamodb: {
            Keys: {
              pk: { S: lambda.FilterRule.beginsWith(PARTITION.deployment('')) },
              sk: { S: [SORT.deployment, ...lambda.FilterRule.beginsWith(SORT.key)] },
            },
          },
        }),
      ],
      batchSize: 10,
      // A large Deployment does not delay the others. The purge needs no order between items.
      parallelizationFactor: 10,
      // By default, Lambda retries forever and blocks the shard. The schedule continues purges that the stream discards.
      retryAttempts: TRIES,
    });
    return failures;
  }

  #wakeByContinuation({ purge }: PurgeSourcesProps): sqs.IQueue {
    const failures = new FailureQueue(this, 'ContinuationFailures');
    const continuations = this.#queue('Continuations', {
      // AWS recommends six times the function's time limit, so that no message is delivered twice at the same time.
      visibilityTimeout: Duration.seconds(6 * purge.timeout.toSeconds()),
      deadLetterQueue: { queue: failures, maxReceiveCount: TRIES },
    });
    purge.addEnvironment({ [ENV.continuationQueueUrl]: continuations.queueUrl });
    purge.allow(
      ['sqs:SendMessage', 'sqs:ReceiveMessage', 'sqs:DeleteMessage', 'sqs:GetQueueAttributes'],
      continuations.queueArn,
    );
    const mapping = purge.function.addEventSourceMapping('Continuation', {
      eventSourceArn: continuations.queueArn,
      batchSize: 1,
      reportBatchItemFailures: true,
    });
    acknowledge(mapping, {
      'Serverless-LambdaEventSourceMappingDestination':
        'A mapping of SQS has no destination of its own: what fails five times goes to the dead-letter queue of the queue.',
    });
    return failures;
  }

  #wakeBySchedule({ purge }: PurgeSourcesProps): void {
    const rule = new events.Rule(this, 'Schedule', {
      description: 'Retries purges whose marker stays',
      schedule: events.Schedule.rate(Duration.minutes(15)),
      targets: [new LambdaFunction(purge.function, { retryAttempts: 2, maxEventAge: Duration.minutes(10) })],
    });
    // A failed run needs no retry: the next one starts within 15 minutes.
    purge.function.configureAsyncInvoke({ retryAttempts: 0, maxEventAge: Duration.minutes(10) });
    const reason =
      'The event says nothing but that it is time. The next one comes 15 minutes later and finds the same markers; ' +
      'an alarm watches markers that stay.';
    acknowledge(rule, { 'Serverless-EventBusDLQ': reason });
    const invocation = purge.function.node.findChild('EventInvokeConfig');
    acknowledge(invocation, { 'Serverless-LambdaAsyncFailureDestination': reason });
  }

  #queue(id: string, props: sqs.QueueProps): sqs.Queue {
    return new sqs.Queue(this, id, {
      ...props,
      encryption: sqs.QueueEncryption.SQS_MANAGED,
      enforceSSL: true,
    });
  }
}
