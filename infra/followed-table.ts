import * as lambda from 'aws-cdk-lib/aws-lambda';
import type * as sqs from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import type { DeploymentsSource, RowCondition } from '../functions/domain/deployments-source.ts';
import * as ENV from '../functions/runtime/env.ts';
import { FailureQueue } from './failure-queue.ts';
import type { ServiceFunction } from './function.ts';
import { readStream } from './stream-reader.ts';

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
    this.#follow(source);
    reconcile.allow(['dynamodb:DescribeTable', 'dynamodb:GetItem', 'dynamodb:Scan'], source.table);
    if (source.encryptionKey !== undefined) reconcile.allowKey(['Decrypt'], source.encryptionKey);
  }

  #follow({ stream: streamArn, encryptionKey, where }: DeploymentsSource): void {
    const { sync, failures } = this;
    // What is read again from the oldest record changes nothing.
    readStream(
      sync,
      { streamArn, encryptionKey },
      {
        failures,
        filters: filtersOf(where),
        batchSize: 100,
        // What can never succeed the function sets aside by itself. The rest may pass, and until then what is behind it
        // waits: a deletion must not be lost. Hours of an outage are ridden out; then the comparison mends.
        retryAttempts: 1000,
      },
    );
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
