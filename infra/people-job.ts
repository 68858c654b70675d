import { Duration } from 'aws-cdk-lib';
import * as sqs from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import * as ENV from '../functions/runtime/env.ts';
import { FailureQueue } from './failure-queue.ts';
import type { ServiceFunction } from './function.ts';
import { addQuarterHourlyRule } from './quarter-hourly-rule.ts';
import { QUEUED_JOBS, readQueue } from './queue-reader.ts';

export interface PeopleJobProps {
  /** The function that finds the keys of people whose access was ended. It must have `mayWakeItself`. */
  readonly job: ServiceFunction;
  /** The function that ends people's access. */
  readonly managePeople: ServiceFunction;
  /** Whether the table's capacity is provisioned, so that few jobs may run at the same time. */
  readonly isProvisioned: boolean;
}

/**
 * Maximum number of these jobs that run at the same time on a table with provisioned capacity: those that the queue
 * starts, and the scheduled job.
 */
export const CONCURRENT_PEOPLE_JOBS = QUEUED_JOBS + 1;

/** How often a message is delivered before it goes to the dead-letter queue. */
const TRIES = 5;

/**
 * Starts the job that finds a person's keys. A queue starts the job as soon as the person's access is ended, and a
 * schedule starts it every 15 minutes until the job has finished.
 */
export class PeopleJob extends Construct {
  /** The dead-letter queue, which is empty in a healthy stack. */
  readonly failures: sqs.IQueue;

  constructor(scope: Construct, id: string, { job, managePeople, isProvisioned }: PeopleJobProps) {
    super(scope, id);
    this.failures = new FailureQueue(this, 'Failures');
    const queue = new sqs.Queue(this, 'Queue', {
      // AWS recommends a visibility timeout of six times the function's time limit, so that a message is not delivered
      // twice at the same time.
      visibilityTimeout: Duration.seconds(6 * job.timeout.toSeconds()),
      deadLetterQueue: { queue: this.failures, maxReceiveCount: TRIES },
      encryption: sqs.QueueEncryption.SQS_MANAGED,
      enforceSSL: true,
    });
    for (const sender of [managePeople, job]) {
      sender.addEnvironment({ [ENV.peopleQueueUrl]: queue.queueUrl });
      sender.allow(['sqs:SendMessage'], queue.queueArn);
    }
    readQueue(job, queue, { id: 'People', isProvisioned });
    addQuarterHourlyRule(this, job, {
      description: 'Continues jobs about people whose access was ended',
      reason:
        'The event only says that it is time. The next one comes 15 minutes later and finds the same jobs.',
    });
  }
}
