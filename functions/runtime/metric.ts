import * as ENV from './env.ts';
import * as METRIC from './metric-names.ts';

/** One value of a metric. */
export interface Measure {
  value: number;
  unit: 'Count' | 'Milliseconds';
}

/** Returns the dimension that every metric has: the name of the stack. */
export const ofStack = (env: Record<string, string | undefined>) => ({
  [METRIC.dimension]: env[ENV.stackName] ?? 'unknown',
});

/**
 * Returns fields that turn a log line into a measurement (CloudWatch embedded metric format).
 * @param dimensions dimensions whose values callers cannot choose, because each distinct value creates a metric that
 * costs money
 */
export function measured(
  measures: Record<string, Measure>,
  dimensions: Record<string, string>,
): Record<string, unknown> {
  const all = Object.entries(measures);
  return {
    _aws: {
      Timestamp: Date.now(),
      CloudWatchMetrics: [
        {
          Namespace: METRIC.namespace,
          Dimensions: [Object.keys(dimensions)],
          Metrics: all.map(([Name, { unit }]) => ({ Name, Unit: unit })),
        },
      ],
    },
    ...dimensions,
    ...Object.fromEntries(all.map(([name, { value }]) => [name, value])),
  };
}

/** Returns fields that turn a log line into a metric with the value 1. */
export const counted = (metric: string, dimensions: Record<string, string>): Record<string, unknown> =>
  measured({ [metric]: { value: 1, unit: 'Count' } }, dimensions);
