import { describe, expect, it } from 'vitest';
import { resourceAt, templateOf } from '../support/template.ts';

describe.each([
  ['RefusedAuthentications', 'RefusedAuthentications', 100, 'refused-authentications'],
  ['FailedChecks', 'ChecksFailed', 5, 'failed-checks'],
])('the alarm %s', (alarm, metric, threshold, section) => {
  it.each(['development', 'production'])('watches the metric of its own stack alone: %s', (stage) => {
    expect(resourceAt(templateOf({ stage }), `Alarms/${alarm}`).Properties).toStrictEqual({
      AlarmDescription: expect.stringMatching(new RegExp(`docs/runbook\\.md#${section}$`)),
      Namespace: 'DeploymentApiKeys',
      MetricName: metric,
      Dimensions: [{ Name: 'stack', Value: `deployment-api-keys-${stage}` }],
      Statistic: 'Sum',
      Period: 300,
      Threshold: threshold,
      ComparisonOperator: 'GreaterThanOrEqualToThreshold',
      EvaluationPeriods: 1,
      TreatMissingData: 'notBreaching',
    });
  });
});
