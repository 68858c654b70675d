import { Duration } from 'aws-cdk-lib';
import * as lambda from 'aws-cdk-lib/aws-lambda';
import type { IQueue } from 'aws-cdk-lib/aws-sqs';
import type { EncryptionKey, ServiceFunction } from './function.ts';

/** The stream of a table. */
export interface TableStream {
  /** ARN of the stream. */
  readonly streamArn: string;
  /** The customer managed key that encrypts the table and its stream; undefined for the AWS managed key. */
  readonly encryptionKey: EncryptionKey | undefined;
}

export interface StreamReaderProps
  extends Pick<
    lambda.EventSourceMappingOptions,
    'filters' | 'batchSize' | 'parallelizationFactor' | 'retryAttempts'
  > {
  /** Queue that receives the position of a batch that failed too often. */
  readonly failures: IQueue;
}

/**
 * Invokes a function with the records in a table's stream, and grants the function's role the required permissions,
 * including the use of the stream's KMS key. If the function's role is not allowed to decrypt the stream, the function
 * has no errors and no iterator age, because Lambda sends it no records.
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
  if (encryptionKey) reader.allowKey(['Decrypt'], encryptionKey);
  reader.allow(['sqs:SendMessage'], failures.queueArn);
  reader.function.addEventSourceMapping('Stream', {
    eventSourceArn: streamArn,
    // Start at the oldest record, so that a new mapping does not miss any record that the stream still contains.
    startingPosition: lambda.StartingPosition.TRIM_HORIZON,
    reportBatchItemFailures: true,
    bisectBatchOnError: true,
    // The maximum age of a record equals the retention period of a stream, so that no records are lost in an outage of
    // several hours.
    maxRecordAge: Duration.hours(24),
    onFailure: { bind: () => ({ destination: failures.queueArn }) },
    ...options,
  });
}
