import { Duration } from 'aws-cdk-lib';
import * as lambda from 'aws-cdk-lib/aws-lambda';
import type { IQueue } from 'aws-cdk-lib/aws-sqs';
import type { ServiceFunction } from './function.ts';

/** The stream of a table. */
export interface TableStream {
  /** ARN of the stream. */
  readonly streamArn: string;
  /** ARN of the customer managed key that encrypts the table and its stream. @default the AWS managed key */
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
 * Invokes a function with the records of a table's stream, and grants its role what this needs, including the use of the
 * stream's KMS key. A reader that can't decrypt the stream causes no error in the function. Only its iterator age grows.
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
    // The oldest record, so that a new mapping misses no record that the stream still has.
    startingPosition: lambda.StartingPosition.TRIM_HORIZON,
    reportBatchItemFailures: true,
    bisectBatchOnError: true,
    // The retention of a stream, so that an outage of hours loses nothing.
    maxRecordAge: Duration.hours(24),
    onFailure: { bind: () => ({ destination: failures.queueArn }) },
    ...options,
  });
}
