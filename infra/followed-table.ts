import { Duration, Stack } from 'aws-cdk-lib';
import * as lambda from 'aws-cdk-lib/aws-lambda';
import type * as sqs from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import * as ENV from '../functions/runtime/env.ts';
import type { DeploymentsSource, RowCondition } from './config.ts';
import { FailureQueue } from './failure-queue.ts';
import type { ServiceFunction } from './function.ts';

export interface FollowedTableProps {
  readonly source: DeploymentsSource;
  /** The function that applies the changes of the table's rows. */
  readonly sync: ServiceFunction;
  /** The function that compares the table with what is registered. */
  readonly reconcile: ServiceFunction;
}

/** A table of the platform's in which Deployments are rows: its stream registers, changes and deletes them. */
export class FollowedTable extends Construct {
  readonly sync: ServiceFunction;
  /** Where changes wait that our rules refuse, and those that were given up. */
  readonly failures: sqs.IQueue;

  constructor(scope: Construct, id: string, { source, sync, reconcile }: FollowedTableProps) {
    super(scope, id);
    this.sync = sync;
    this.failures = new FailureQueue(this, 'Failures');
    sync.tell({ [ENV.refusedChangesQueueUrl]: this.failures.queueUrl });
    sync.allow(['sqs:SendMessage'], this.failures.queueArn);
    const streamActions = ['DescribeStream', 'GetRecords', 'GetShardIterator', 'ListStreams'];
    sync.allow(
      streamActions.map((action) => `dynamodb:${action}`),
      source.stream,
    );
    reconcile.allow(['dynamodb:DescribeTable', 'dynamodb:GetItem', 'dynamodb:Scan'], source.table);
    this.#allowKey(source, [sync, reconcile]);
    this.#follow(source);
  }

  #follow({ stream, where }: DeploymentsSource): void {
    const { failures } = this;
    this.sync.function.addEventSourceMapping('Stream', {
      eventSourceArn: stream,
      // From the oldest record: what is replayed by that changes nothing.
      startingPosition: lambda.StartingPosition.TRIM_HORIZON,
      filters: filtersOf(where),
      batchSize: 100,
      reportBatchItemFailures: true,
      bisectBatchOnError: true,
      // What can never succeed the function sets aside by itself. The rest may pass, and until then what is behind it
      // waits: a deletion must not be lost. Hours of an outage are ridden out; then the comparison mends.
      retryAttempts: 1000,
      maxRecordAge: Duration.hours(24),
      onFailure: { bind: () => ({ destination: failures.queueArn }) },
    });
  }

  /** DynamoDB decrypts on behalf of whoever reads. */
  #allowKey({ encryptionKey }: DeploymentsSource, readers: ServiceFunction[]): void {
    if (encryptionKey === undefined) return;
    const { region, urlSuffix } = Stack.of(this);
    const viaDynamoDb = { StringEquals: { 'kms:ViaService': `dynamodb.${region}.${urlSuffix}` } };
    for (const reader of readers) reader.allow(['kms:Decrypt'], encryptionKey, viaDynamoDb);
  }
}

/**
 * Rows that are no Deployments, before and after, wake nobody: as far as a filter can say so. It compares text and
 * numbers, each under its type; what it cannot say, the function looks at.
 */
function filtersOf(where: RowCondition = {}): Record<string, unknown>[] | undefined {
  const image: Record<string, object> = {};
  for (const [attribute, rule] of Object.entries(where)) {
    const values = [rule].flat();
    if (values.every((it) => typeof it === 'string')) image[attribute] = { S: values };
    else if (values.every((it) => typeof it === 'number')) image[attribute] = { N: values.map(String) };
  }
  if (Object.keys(image).length === 0) return undefined;
  return ['NewImage', 'OldImage'].map((name) =>
    lambda.FilterCriteria.filter({ dynamodb: { [name]: image } }),
  );
}
