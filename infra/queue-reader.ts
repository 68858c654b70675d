import type { IQueue } from 'aws-cdk-lib/aws-sqs';
import { acknowledge } from './acknowledge-findings.ts';
import type { ServiceFunction } from './function.ts';

/**
 * Maximum number of jobs that a queue starts at the same time on a table with provisioned capacity. SQS accepts no
 * smaller number.
 */
export const QUEUED_JOBS = 2;

export interface QueueReaderProps {
  /** Construct ID of the event source mapping, which must never change. */
  readonly id: string;
  /** Whether the table's capacity is provisioned, so that few jobs may run at the same time. */
  readonly isProvisioned: boolean;
  /** Whether the function reports which messages failed. @default false, all messages of a failed invocation */
  readonly reportBatchItemFailures?: boolean;
}

/** Invokes a job with each message in a queue, and grants the job's role the required permissions. */
export function readQueue(
  job: ServiceFunction,
  { queueArn }: IQueue,
  { id, isProvisioned, reportBatchItemFailures = false }: QueueReaderProps,
): void {
  job.allow(['sqs:ReceiveMessage', 'sqs:DeleteMessage', 'sqs:GetQueueAttributes'], queueArn);
  const mapping = job.function.addEventSourceMapping(id, {
    eventSourceArn: queueArn,
    batchSize: 1,
    ...(reportBatchItemFailures && { reportBatchItemFailures }),
    ...(isProvisioned && { maxConcurrency: QUEUED_JOBS }),
  });
  acknowledge(mapping, {
    'Serverless-LambdaEventSourceMappingDestination':
      'A mapping of SQS has no destination of its own: what fails five times goes to the dead-letter queue of the queue.',
  });
}
