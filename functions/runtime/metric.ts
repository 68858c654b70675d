import { METRIC } from './metric-names.ts';

/**
 * Fields that make a line of log count one: CloudWatch's embedded metric format.
 * @param dimensions never of a caller's choice: each value that they take is a metric that is paid for
 */
export function counted(metric: string, dimensions: Record<string, string>): Record<string, unknown> {
  return {
    _aws: {
      Timestamp: Date.now(),
      CloudWatchMetrics: [
        {
          Namespace: METRIC.namespace,
          Dimensions: [Object.keys(dimensions)],
          Metrics: [{ Name: metric, Unit: 'Count' }],
        },
      ],
    },
    ...dimensions,
    [metric]: 1,
  };
}
