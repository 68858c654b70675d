import { Duration } from 'aws-cdk-lib';
import * as events from 'aws-cdk-lib/aws-events';
import { LambdaFunction } from 'aws-cdk-lib/aws-events-targets';
import { Construct } from 'constructs';
import { acknowledge } from './acknowledge.ts';
import type { ServiceFunction } from './function.ts';

export interface KeySweepProps {
  /** The function that marks keys and tells of them. */
  readonly sweep: ServiceFunction;
}

/** Once a day a look at every key, for those that time has changed. */
export class KeySweep extends Construct {
  constructor(scope: Construct, id: string, { sweep }: KeySweepProps) {
    super(scope, id);
    const rule = new events.Rule(this, 'Schedule', {
      description: 'Tells of keys that expire, have expired or are idle',
      schedule: events.Schedule.rate(Duration.days(1)),
      targets: [new LambdaFunction(sweep.function, { retryAttempts: 2, maxEventAge: Duration.hours(2) })],
    });
    sweep.function.configureAsyncInvoke({ retryAttempts: 2, maxEventAge: Duration.hours(2) });
    const reason =
      'The event says nothing but that it is time. The next one comes a day later and finds the same keys.';
    acknowledge(rule, { 'Serverless-EventBusDLQ': reason });
    const invocation = sweep.function.node.findChild('EventInvokeConfig');
    acknowledge(invocation, { 'Serverless-LambdaAsyncFailureDestination': reason });
  }
}
