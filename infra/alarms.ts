import { Duration } from 'aws-cdk-lib';
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import { SnsAction } from 'aws-cdk-lib/aws-cloudwatch-actions';
import { Topic } from 'aws-cdk-lib/aws-sns';
import { Construct } from 'constructs';
import { METRIC } from '../functions/runtime/metric-names.ts';

export interface AlarmsProps {
  /** Name of the stack, the one dimension of the metrics that functions write. */
  readonly stackName: string;
  /** ARN of the topic that every alarm tells. @default none */
  readonly topicArn?: string;
}

/** What calls a person. docs/runbook.md says of each what it means and what to do. */
export class Alarms extends Construct {
  constructor(scope: Construct, id: string, { stackName, topicArn }: AlarmsProps) {
    super(scope, id);
    const sumOf = (metricName: string) =>
      new cloudwatch.Metric({
        namespace: METRIC.namespace,
        metricName,
        dimensionsMap: { [METRIC.dimension]: stackName },
        statistic: 'Sum',
        period: Duration.minutes(5),
      });
    // Nobody is locked out: that would let a stranger lock out an honest pipeline, and guessing 256 bits is hopeless.
    const refused = sumOf(METRIC.refusedAuthentications).createAlarm(this, 'RefusedAuthentications', {
      alarmDescription:
        'Many wrong secrets: a pipeline with an old one, or somebody guessing. docs/runbook.md#refused-authentications',
      threshold: 100,
      comparisonOperator: cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
      evaluationPeriods: 1,
      treatMissingData: cloudwatch.TreatMissingData.NOT_BREACHING,
    });
    // Not Lambda's own Errors: there a REST API's every 401 is one.
    const failed = sumOf(METRIC.checksFailed).createAlarm(this, 'FailedChecks', {
      alarmDescription: 'Checks end in 500: good tokens are not let in. docs/runbook.md#failed-checks',
      threshold: 5,
      comparisonOperator: cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
      evaluationPeriods: 1,
      treatMissingData: cloudwatch.TreatMissingData.NOT_BREACHING,
    });
    if (topicArn) {
      const action = new SnsAction(Topic.fromTopicArn(this, 'Topic', topicArn));
      for (const alarm of [refused, failed]) alarm.addAlarmAction(action);
    }
  }
}
