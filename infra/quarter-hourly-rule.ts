import { Duration } from 'aws-cdk-lib';
import * as events from 'aws-cdk-lib/aws-events';
import { LambdaFunction } from 'aws-cdk-lib/aws-events-targets';
import type { Construct } from 'constructs';
import { acknowledge } from './acknowledge-findings.ts';
import type { ServiceFunction } from './function.ts';

/** What a rule is for, and why it needs no dead-letter queue. */
interface QuarterHourlyRuleProps {
  readonly description: string;
  /** Why a lost event does no harm. Security scanners report a rule without a dead-letter queue. */
  readonly reason: string;
}

/**
 * Adds a rule with the ID `Schedule` that invokes a function every 15 minutes. A failed run needs no retry, because the
 * next run starts within 15 minutes.
 */
export function addQuarterHourlyRule(
  scope: Construct,
  { function: target }: ServiceFunction,
  { description, reason }: QuarterHourlyRuleProps,
): void {
  const rule = new events.Rule(scope, 'Schedule', {
    description,
    schedule: events.Schedule.rate(Duration.minutes(15)),
    targets: [new LambdaFunction(target, { retryAttempts: 2, maxEventAge: Duration.minutes(10) })],
  });
  target.configureAsyncInvoke({ retryAttempts: 0, maxEventAge: Duration.minutes(10) });
  acknowledge(rule, { 'Serverless-EventBusDLQ': reason });
  const invocation = target.node.findChild('EventInvokeConfig');
  acknowledge(invocation, { 'Serverless-LambdaAsyncFailureDestination': reason });
}
