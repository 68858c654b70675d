import { writeLine } from './line.ts';

/** CloudWatch namespace of the service's metrics. */
const NAMESPACE = 'DeploymentApiKeys';

interface Origin {
  apiId?: string | undefined;
  requestId?: string | undefined;
}

/**
 * What becomes of checks that let nobody in: one line each, which is a metric too. `ChecksRefused` counts by
 * reason; `ChecksFailed` counts what an alarm is for, since a REST API's every 401 is an error in Lambda's own
 * metric.
 */
export function checkReport(env: Record<string, string | undefined> = process.env) {
  const functionName = env.AWS_LAMBDA_FUNCTION_NAME ?? 'unknown';
  return {
    refused: (reason: string, origin: Origin) =>
      writeLine('INFO', 'refused', {
        ...origin,
        ...counted('ChecksRefused', { function: functionName, reason }),
      }),
    failed: (error: unknown, origin: Origin) =>
      writeLine('ERROR', 'failed', {
        ...origin,
        // A ServiceError tells clients little; what it was is in its cause.
        error: String((error instanceof Error && error.cause) || error),
        ...counted('ChecksFailed', { function: functionName }),
      }),
  };
}

/** CloudWatch's embedded metric format: a line of log that counts one, by the dimensions that stand beside it. */
function counted(metric: string, dimensions: Record<string, string>): Record<string, unknown> {
  return {
    _aws: {
      Timestamp: Date.now(),
      CloudWatchMetrics: [
        {
          Namespace: NAMESPACE,
          Dimensions: [Object.keys(dimensions)],
          Metrics: [{ Name: metric, Unit: 'Count' }],
        },
      ],
    },
    ...dimensions,
    [metric]: 1,
  };
}
