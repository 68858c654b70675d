import { Stack } from 'aws-cdk-lib';
import * as events from 'aws-cdk-lib/aws-events';
import * as lambda from 'aws-cdk-lib/aws-lambda';
import type * as sqs from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import * as ENV from '../functions/runtime/env.ts';
import { eventsPartition } from '../functions/table/item-keys.ts';
import { FailureQueue } from './failure-queue.ts';
import type { ServiceFunction } from './function.ts';
import { readStream } from './stream-reader.ts';
import type { Table } from './table.ts';

export interface EventBusProps {
  readonly table: Table;
  /** The function that sends new events from the table to the bus. */
  readonly publisher: ServiceFunction;
}

/**
 * The event bus to which the service publishes its events. To receive events, create a rule on the bus. The function
 * that publishes the events is the second reader of the table's stream, and a shard of DynamoDB Streams supports no
 * more than two readers.
 */
export class EventBus extends Construct {
  readonly busName: string;
  /** The dead-letter queue for events that could not be published. */
  readonly failures: sqs.IQueue;

  constructor(scope: Construct, id: string, { table, publisher }: EventBusProps) {
    super(scope, id);
    const bus = new events.EventBus(this, 'Default', {
      // Set the name of the bus, because the name that the CDK generates does not contain the stack's name, and two
      // stages would get the same bus name.
      eventBusName: `${Stack.of(this).stackName}-events`,
      description: 'What happens to Deployments and their keys',
    });
    this.busName = bus.eventBusName;
    publisher.addEnvironment({ [ENV.eventBusName]: bus.eventBusName });
    publisher.allow(['events:PutEvents'], bus.eventBusArn);

    this.failures = new FailureQueue(this, 'StreamFailures');
    readStream(publisher, table.stream, {
      failures: this.failures,
      filters: [
        lambda.FilterCriteria.filter({
          eventName: lambda.FilterRule.isEqual('INSERT'),
          dynamodb: { Keys: { pk: { S: lambda.FilterRule.beginsWith(eventsPartition('')) } } },
        }),
      ],
      batchSize: 100,
      // By default, Lambda retries forever and blocks the shard. An event that Lambda discards is not lost, because the
      // list of events still contains it.
      retryAttempts: 10,
    });
  }
}
