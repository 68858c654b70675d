import { App, Duration, Stack } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import type { Metric } from 'aws-cdk-lib/aws-cloudwatch';
import { describe, expect, it } from 'vitest';
import * as METRIC from '../../functions/runtime/metric-names.ts';
import { DeploymentKeys } from '../../infra/deployment-keys.ts';
import type { Json } from '../support/template.ts';

const stack = new Stack(new App(), 'Keys', { stackName: 'keys-production' });
const keys = new DeploymentKeys(stack, 'Service', {});
const { namespace, dimension, ...names } = METRIC;

describe('The construct offers CloudWatch metrics of its stack', () => {
  it.each(Object.values(names))('the construct has a method for %s, with the stack as dimension', (name) => {
    const method = `metric${name}` as 'metricChecksFailed';
    const metric: Metric =
      name === METRIC.checksRefused ? keys.metricChecksRefused('expired') : keys[method]();
    expect(metric).toMatchObject({
      namespace: 'DeploymentApiKeys',
      metricName: name,
      dimensions: {
        stack: 'keys-production',
        ...(name === METRIC.checksRefused && { reason: 'expired' }),
      },
      statistic: name === METRIC.purgeLag || name === METRIC.oldPurgeMarkers ? 'Maximum' : 'Sum',
      period: Duration.minutes(5),
    });
  });

  it('a caller can set the statistic and the period of a metric, but not its stack', () => {
    const options = { statistic: 'p90', period: Duration.hours(1), dimensionsMap: { stack: 'other' } };
    expect(keys.metricPurgeLag(options)).toMatchObject({
      statistic: 'p90',
      period: Duration.hours(1),
      dimensions: { stack: 'keys-production' },
    });
  });

  it("an alarm on one of the construct's metrics watches the same metric as the service's own alarm", () => {
    keys.metricChecksFailed().createAlarm(stack, 'Alarm', { threshold: 5, evaluationPeriods: 1 });
    const alarms = Object.values<Json>(Template.fromStack(stack).findResources('AWS::CloudWatch::Alarm'));
    const watched = alarms
      .map(({ Properties }) => Properties)
      .filter(
        ({ MetricName, Metrics }) =>
          (MetricName ?? Metrics?.[0]?.MetricStat?.Metric.MetricName) === 'ChecksFailed',
      )
      .map(({ Namespace, MetricName, Dimensions, Statistic, Period }) => ({
        Namespace,
        MetricName,
        Dimensions,
        Statistic,
        Period,
      }));
    expect(watched).toHaveLength(2);
    expect(watched[0]).toStrictEqual(watched[1]);
  });
});
