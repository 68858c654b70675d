import { Duration } from 'aws-cdk-lib';
import * as events from 'aws-cdk-lib/aws-events';
import { LambdaFunction } from 'aws-cdk-lib/aws-events-targets';
import { Construct } from 'constructs';
import { acknowledge } from './acknowledge-findings.ts';
import type { ServiceFunction } from './function.ts';

export interface KeySweepProps {
  /** The function that writes events about keys and about rejected calls. */
  readonly sweep: ServiceFunction;
}

/** Maximum number of sweeps that run at the same time: one for each schedule. */
export const CONCURRENT_SWEEPS = 2;

/**
 * Invokes the sweep once a day for keys that became idle, have expired or expire soon, and once an hour for the
 * rejected calls.
 */
export class KeySweep extends Construct {
  constructor(scope: Construct, id: string, { sweep }: KeySweepProps) {
    super(scope, id);
    const retries = { retryAttempts: 2, maxEventAge: Duration.hours(2) };
    const daily = new events.Rule(this, 'Schedule', {
      description: 'Reports keys that expire, have expired or are idle',
      schedule: events.Schedule.rate(Duration.days(1)),
      targets: [new LambdaFunction(sweep.function, retries)],
    });
    const hourly = new events.Rule(this, 'Hourly', {
      description: 'Moves rejected calls into the events of their Deployments',
      schedule: events.Schedule.rate(Duration.hours(1)),
      targets: [
        new LambdaFunction(sweep.function, {
          ...retries,
          event: events.RuleTargetInput.fromObject({ task: 'rejected-calls' }),
        }),
      ],
    });
    sweep.function.configureAsyncInvoke(retries);
    const reason = 'The event only says that it is time. The next one comes anyway and finds the same work.';
    for (const rule of [daily, hourly]) acknowledge(rule, { 'Serverless-EventBusDLQ': reason });
    const invocation = sweep.function.node.findChild('EventInvokeConfig');
    acknowledge(invocation, { 'Serverless-LambdaAsyncFailureDestination': reason });
  }
}
