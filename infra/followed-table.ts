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
  /** The function that applies changes in the table's rows to the registered Deployments. */
  readonly sync: ServiceFunction;
  /** The function that compares the rows with the registered Deployments. */
  readonly reconcile: ServiceFunction;
}

/**
 * One of the platform's tables, with one row for each Deployment. The service registers, changes and deletes
 * Deployments according to the table's stream.
 */
export class FollowedTable extends Construct {
  readonly sync: ServiceFunction;
  /** The dead-letter queue for changes that the service rejects or cannot apply. */
  readonly failures: sqs.IQueue;

  constructor(scope: Construct, id: string, { source, sync, reconcile }: FollowedTableProps) {
    super(scope, id);
    this.sync = sync;
    this.failures = new FailureQueue(this, 'Failures');
    sync.addEnvironment({ [ENV.refusedChangesQueueUrl]: this.failures.queueUrl });
    this.#follow(source);
    reconcile.allow(['dynamodb:DescribeTable', 'dynamodb:GetItem', 'dynamodb:Scan'], source.table);
    if (source.encryptionKey !== undefined) reconcile.allowKey(['Decrypt'], { arn: source.encryptionKey });
  }

  #follow({ stream: streamArn, encryptionKey, where }: DeploymentsSource): void {
    const { sync, failures } = this;
    const filters = filtersOf(where);
    // Reapplying a record does not change anything, so the mapping can start at the oldest record.
    readStream(
      sync,
      { streamArn, encryptionKey: encryptionKey === undefined ? undefined : { arn: encryptionKey } },
      {
        failures,
        ...(filters && { filters }),
        batchSize: 100,
        // If a change can never succeed, the function itself sends it to the queue. Because a deletion must not be
        // lost, Lambda retries every other change for hours, while later changes wait. After that time, reconciliation
        // repairs the difference.
        retryAttempts: 1000,
      },
    );
  }
}

/**
 * Returns stream filters that skip changes to rows that are not Deployments; undefined if a filter cannot tell these
 * rows apart. A filter compares only text and numbers; the Lambda function checks all other conditions.
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
