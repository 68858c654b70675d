import { Duration } from 'aws-cdk-lib';
import * as lambda from 'aws-cdk-lib/aws-lambda';
import type { IQueue } from 'aws-cdk-lib/aws-sqs';
import type { ServiceFunction } from './function.ts';

/** The stream of a table, and what reading it takes. */
export interface TableStream {
  /** ARN of the stream. */
  readonly streamArn: string;
  /** ARN of the customer managed key that encrypts the table, and so its stream. @default the AWS managed key */
  readonly encryptionKey?: string | undefined;
}

export interface StreamReaderProps
  extends Pick<
    lambda.EventSourceMappingOptions,
    'filters' | 'batchSize' | 'parallelizationFactor' | 'retryAttempts'
  > {
  /** Receives the position of a batch that failed too often. */
  readonly failures: IQueue;
}

/**
 * Has a table's stream wake a function. The function's role gets all that this takes, the key of the stream included:
 * a reader that can't decrypt raises no error of the function, only its iterator gets older.
 */
export function readStream(
  reader: ServiceFunction,
  { streamArn, encryptionKey }: TableStream,
  { failures, ...options }: StreamReaderProps,
): void {
  const actions = ['DescribeStream', 'GetRecords', 'GetShardIterator', 'ListStreams'];
  reader.allow(
    actions.map((action) => `dynamodb:${action}`),
    streamArn,
  );
  if (encryptionKey !== undefined) reader.allowKey(['Decrypt'], encryptionKey);
  reader.allow(['sqs:SendMessage'], failures.queueArn);
  reader.function.addEventSourceMapping('Stream', {
    eventSourceArn: streamArn,
    // From the oldest record, so that a new mapping misses nothing that the stream still has.
    startingPosition: lambda.StartingPosition.TRIM_HORIZON,
    reportBatchItemFailures: true,
    bisectBatchOnError: true,
    // As long as a stream keeps a record: an outage of hours loses nothing.
    maxRecordAge: Duration.hours(24),
    onFailure: { bind: () => ({ destination: failures.queueArn }) },
    ...options,
  });
}
