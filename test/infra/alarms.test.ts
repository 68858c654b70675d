import { describe, expect, it } from 'vitest';
import { resourceAt, templateOf } from '../support/template.ts';

describe('the alarm on refused authentications', () => {
  it.each(['development', 'production'])('watches the metric of its own stack alone: %s', (stage) => {
    expect(resourceAt(templateOf({ stage }), 'Alarms/RefusedAuthentications').Properties).toStrictEqual({
      AlarmDescription: expect.stringMatching(/docs\/runbook\.md#refused-authentications$/),
      Namespace: 'DeploymentApiKeys',
      MetricName: 'RefusedAuthentications',
      Dimensions: [{ Name: 'stack', Value: `deployment-api-keys-${stage}` }],
      Statistic: 'Sum',
      Period: 300,
      Threshold: 100,
      ComparisonOperator: 'GreaterThanOrEqualToThreshold',
      EvaluationPeriods: 1,
      TreatMissingData: 'notBreaching',
    });
  });
});
