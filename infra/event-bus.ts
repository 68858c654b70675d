import { Stack } from 'aws-cdk-lib';
import * as events from 'aws-cdk-lib/aws-events';
import * as lambda from 'aws-cdk-lib/aws-lambda';
import type * as sqs from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import * as ENV from '../functions/runtime/env.ts';
import { PARTITION } from '../functions/table/key-prefixes.ts';
import { FailureQueue } from './failure-queue.ts';
import type { ServiceFunction } from './function.ts';
import { readStream } from './stream-reader.ts';
import type { Table } from './table.ts';

export interface EventBusProps {
  readonly table: Table;
  /** The function that sends what is new in the table's events to the bus. */
  readonly publisher: ServiceFunction;
}

/**
 * The bus on which the service tells what happened. It is the second reader of the table's stream, and the last: a
 * shard has two at most. Whoever wants the events makes a rule on the bus.
 */
export class EventBus extends Construct {
  readonly busName: string;
  /** Where events wait that could not be told. */
  readonly failures: sqs.IQueue;

  constructor(scope: Construct, id: string, { table, publisher }: EventBusProps) {
    super(scope, id);
    const bus = new events.EventBus(this, 'Default', {
      // A bus must have a name. The CDK's own lacks the stack's, so that of a second stage would be equal.
      eventBusName: `${Stack.of(this).stackName}-events`,
      description: 'What happens to Deployments and their keys',
    });
    this.busName = bus.eventBusName;
    publisher.tell({ [ENV.eventBusName]: bus.eventBusName });
    publisher.allow(['events:PutEvents'], bus.eventBusArn);

    this.failures = new FailureQueue(this, 'StreamFailures');
    readStream(publisher, table.stream, {
      failures: this.failures,
      filters: [
        lambda.FilterCriteria.filter({
          eventName: lambda.FilterRule.isEqual('INSERT'),
          dynamodb: { Keys: { pk: { S: lambda.FilterRule.beginsWith(PARTITION.events('')) } } },
        }),
      ],
      batchSize: 100,
      // The default is to retry for ever with the shard blocked. What is given up stays in the listing of events.
      retryAttempts: 10,
    });
  }
}
