import { Duration } from 'aws-cdk-lib';
import * as events from 'aws-cdk-lib/aws-events';
import { LambdaFunction } from 'aws-cdk-lib/aws-events-targets';
import { Construct } from 'constructs';
import { acknowledge } from './acknowledge-findings.ts';
import type { ServiceFunction } from './function.ts';

export interface ReconciliationProps {
  /** The function that scans the table, one slice per invocation. */
  readonly reconcile: ServiceFunction;
}

/** Maximum number of reconciliations that run at the same time: a slice ends before the schedule starts the next. */
export const CONCURRENT_RECONCILIATIONS = 1;

/** Invokes reconciliation every 15 minutes. A pass starts only once a week, so most invocations have nothing to do. */
export class Reconciliation extends Construct {
  constructor(scope: Construct, id: string, { reconcile }: ReconciliationProps) {
    super(scope, id);
    const rule = new events.Rule(this, 'Schedule', {
      description: 'Looks once a week, in slices, for what deleted Deployments have left behind',
      schedule: events.Schedule.rate(Duration.minutes(15)),
      targets: [
        new LambdaFunction(reconcile.function, { retryAttempts: 2, maxEventAge: Duration.minutes(10) }),
      ],
    });
    // A failed slice does not need a retry, because the next event restarts it.
    reconcile.function.configureAsyncInvoke({ retryAttempts: 0, maxEventAge: Duration.minutes(10) });
    const reason =
      'The event says nothing but that it is time. The next one comes 15 minutes later and goes on from the same ' +
      'place; an alarm watches slices that fail.';
    acknowledge(rule, { 'Serverless-EventBusDLQ': reason });
    const invocation = reconcile.function.node.findChild('EventInvokeConfig');
    acknowledge(invocation, { 'Serverless-LambdaAsyncFailureDestination': reason });
  }
}
