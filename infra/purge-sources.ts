import { Duration } from 'aws-cdk-lib';
import * as lambda from 'aws-cdk-lib/aws-lambda';
import * as sqs from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import * as ENV from '../functions/runtime/env.ts';
import { DEPLOYMENT_SORT_KEY, deploymentPartition, KEY_PREFIX } from '../functions/table/item-keys.ts';
import { FailureQueue } from './failure-queue.ts';
import type { ServiceFunction } from './function.ts';
import { addQuarterHourlyRule } from './quarter-hourly-rule.ts';
import { QUEUED_JOBS, readQueue } from './queue-reader.ts';
import type { Capacity } from './settings.ts';
import { readStream } from './stream-reader.ts';
import type { Table } from './table.ts';

export interface PurgeSourcesProps {
  readonly table: Table;
  /** The purge function. It must have `mayWakeItself`. */
  readonly purge: ServiceFunction;
  /** The account's concurrency quota, if it is low. @default 1000 or more */
  readonly accountConcurrency?: number | undefined;
  /** Whether the table's capacity is provisioned. If it is, only a few purges may run at the same time. */
  readonly isProvisioned: boolean;
}

/** Maximum number of batches per shard that Lambda can process at the same time. */
const PARALLEL_BATCHES = 10;

/**
 * Number of a shard's batches that Lambda processes at the same time. A new table has about four shards, so all purges
 * together use at most a fifth of the account's concurrency, and leave the rest to the authorizer.
 */
const parallelBatches = (accountConcurrency = 1000) =>
  Math.min(PARALLEL_BATCHES, Math.max(1, Math.floor(accountConcurrency / 20)));

/**
 * Maximum number of purges that run at the same time on a table with provisioned capacity: one for each shard of the
 * table's stream, those that continue earlier purges, and the scheduled purge. A new table has about four shards.
 * Later, it has one for each partition, and a partition provides 1,000 write units or 3,000 read units per second.
 */
export function concurrentPurges({ maxRead, maxWrite }: Capacity): number {
  const shards = Math.max(4, Math.ceil(maxRead / 3000 + maxWrite / 1000));
  return shards + QUEUED_JOBS + 1;
}

/** How often a message or record is delivered before it goes to the dead-letter queue. */
const TRIES = 5;

/**
 * The three event sources of the purge: the table's stream for deleted Deployments and keys, a queue for the remaining
 * work of purges that ran out of time, and a schedule for purges that the stream and the queue have missed.
 */
export class PurgeSources extends Construct {
  /** The dead-letter queues for the stream and for the queue. */
  readonly failureQueues: { readonly stream: sqs.IQueue; readonly continuation: sqs.IQueue };

  constructor(scope: Construct, id: string, props: PurgeSourcesProps) {
    super(scope, id);
    this.failureQueues = {
      stream: this.#wakeByStream(props),
      continuation: this.#wakeByContinuation(props),
    };
    this.#wakeBySchedule(props);
  }

  #wakeByStream({ table, purge, accountConcurrency, isProvisioned }: PurgeSourcesProps): sqs.IQueue {
    const failures = new FailureQueue(this, 'StreamFailures');
    readStream(purge, table.stream, {
      failures,
      filters: [
        lambda.FilterCriteria.filter({
          eventName: lambda.FilterRule.isEqual('REMOVE'),
          dynamodb: {
            Keys: {
              pk: { S: lambda.FilterRule.beginsWith(deploymentPartition('')) },
              sk: { S: [DEPLOYMENT_SORT_KEY, ...lambda.FilterRule.beginsWith(KEY_PREFIX)] },
            },
          },
        }),
      ],
      batchSize: 10,
      // Process several batches at the same time, so that a large Deployment does not delay other Deployments. The
      // purge does not depend on the order of items.
      parallelizationFactor: isProvisioned ? 1 : parallelBatches(accountConcurrency),
      // By default, Lambda retries forever and blocks the shard. The schedule continues a purge if Lambda discards its
      // stream record.
      retryAttempts: TRIES,
    });
    return failures;
  }

  #wakeByContinuation({ purge, isProvisioned }: PurgeSourcesProps): sqs.IQueue {
    const failures = new FailureQueue(this, 'ContinuationFailures');
    const continuations = this.#queue('Continuations', {
      // AWS recommends a visibility timeout of six times the function's time limit, so that a message is not delivered
      // twice at the same time.
      visibilityTimeout: Duration.seconds(6 * purge.timeout.toSeconds()),
      deadLetterQueue: { queue: failures, maxReceiveCount: TRIES },
    });
    purge.addEnvironment({ [ENV.continuationQueueUrl]: continuations.queueUrl });
    purge.allow(['sqs:SendMessage'], continuations.queueArn);
    readQueue(purge, continuations, { id: 'Continuation', isProvisioned, reportBatchItemFailures: true });
    return failures;
  }

  #wakeBySchedule({ purge }: PurgeSourcesProps): void {
    addQuarterHourlyRule(this, purge, {
      description: 'Retries purges whose marker stays',
      reason:
        'The event says nothing but that it is time. The next one comes 15 minutes later and finds the same markers; ' +
        'an alarm watches markers that stay.',
    });
  }

  #queue(id: string, props: sqs.QueueProps): sqs.Queue {
    return new sqs.Queue(this, id, {
      ...props,
      encryption: sqs.QueueEncryption.SQS_MANAGED,
      enforceSSL: true,
    });
  }
}
