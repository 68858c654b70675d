import { Duration } from 'aws-cdk-lib';
import { Metric, type MetricOptions } from 'aws-cdk-lib/aws-cloudwatch';
import * as METRIC from '../functions/runtime/metric-names.ts';

/** The name of a metric that the service's functions write. */
export type ServiceMetricName = Exclude<(typeof METRIC)[keyof typeof METRIC], 'stack' | 'DeploymentApiKeys'>;

/** Period of the service's metrics unless a caller sets another one. */
export const FIVE_MINUTES = Duration.minutes(5);

/**
 * Returns one of the metrics that the functions of a stack write.
 *
 * @param stackName name of the stack, which is the metric's dimension
 * @param options statistic, period and other properties; the period is 5 minutes by default
 */
export const serviceMetric = (stackName: string, metricName: ServiceMetricName, options: MetricOptions) =>
  new Metric({
    namespace: METRIC.namespace,
    metricName,
    period: FIVE_MINUTES,
    ...options,
    dimensionsMap: { ...options.dimensionsMap, [METRIC.dimension]: stackName },
  });
