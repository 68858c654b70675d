import type { Metric, MetricOptions } from 'aws-cdk-lib/aws-cloudwatch';
import * as iam from 'aws-cdk-lib/aws-iam';
import { Construct } from 'constructs';
import * as METRIC from '../functions/runtime/metric-names.ts';
import { managedCalls } from './managed-routes.ts';
import { type ServiceMetricName, serviceMetric } from './metrics.ts';

/** A service that this app creates (`DeploymentKeys`) or finds (`DeploymentKeys.fromStage`). */
export abstract class DeploymentKeysReference extends Construct {
  /** URL of the service, without a trailing slash. */
  abstract readonly url: string;
  /** ARN of the authorizer function, for `DeploymentKeyAuthorizer` in this stack or another stack. */
  abstract readonly authorizerFunctionArn: string;
  abstract readonly tableName: string;
  /** Name of the bus with the service's events. To receive events, add a rule to the bus. */
  abstract readonly eventBusName: string;
  /** URL for IAM principals, without a trailing slash; undefined if the service has no routes under /platform. */
  abstract readonly platformUrl: string | undefined;
  /**
   * ARN prefix of all calls under /platform, for `execute-api:Invoke` in a caller's policy. Append the method and the
   * path. Undefined if the service has no routes under /platform.
   */
  abstract readonly platformArn: string | undefined;
  /** Name of the service's stack: the dimension of its metrics. */
  protected abstract readonly stackName: string;

  /**
   * Allows a role or user to call the management API: `execute-api:Invoke` on exactly its routes under /platform. The
   * principal manages every Deployment and key, as an administrator.
   *
   * The service also checks its own list, `platformPrincipals`. `DeploymentKeys` adds the principal to this list. If
   * the service comes from `fromStage`, the list must contain the principal's ARN before its first call, and the
   * service must have had at least one principal when it was deployed.
   * @param grantee role or user, or a construct with a role, such as a function
   */
  grantManage(grantee: iam.IGrantable): iam.Grant {
    const { platformArn } = this;
    if (platformArn === undefined) throw new Error(`${this.node.path} has no routes under /platform.`);
    return iam.Grant.addToPrincipal({
      grantee,
      actions: ['execute-api:Invoke'],
      resourceArns: managedCalls(platformArn),
    });
  }

  /**
   * Returns a metric that the service writes, with the stack as its dimension. The period is 5 minutes by default.
   * @param options statistic, period and other properties
   */
  metric(name: ServiceMetricName, options: MetricOptions = {}): Metric {
    return serviceMetric(this.stackName, name, options).attachTo(this);
  }

  /**
   * Number of checks that denied a call for one reason. CloudWatch has no total over all reasons.
   * @param reason the reason in the log, such as `expired`, `unknown`, `deployment` or `scope`
   */
  metricChecksRefused(reason: string, options?: MetricOptions): Metric {
    return this.#sum(METRIC.checksRefused, { ...options, dimensionsMap: { reason } });
  }

  /** Number of checks that failed with a 500, because the table was down or slow. */
  metricChecksFailed(options?: MetricOptions): Metric {
    return this.#sum(METRIC.checksFailed, options);
  }

  /** Number of API calls, apart from checks, to which the service responded with 500 or 503. */
  metricCallsFailed(options?: MetricOptions): Metric {
    return this.#sum(METRIC.callsFailed, options);
  }

  /** Number of calls to /oauth/* that failed with `invalid_client`. */
  metricRefusedAuthentications(options?: MetricOptions): Metric {
    return this.#sum(METRIC.refusedAuthentications, options);
  }

  /** Number of access tokens issued for keys. */
  metricTokensIssued(options?: MetricOptions): Metric {
    return this.#sum(METRIC.tokensIssued, options);
  }

  /** Number of items that purges deleted. */
  metricItemsPurged(options?: MetricOptions): Metric {
    return this.#sum(METRIC.itemsPurged, options);
  }

  /**
   * Time from the deletion of a Deployment or key to the end of its purge, in milliseconds. The statistic is the
   * maximum by default.
   */
  metricPurgeLag(options?: MetricOptions): Metric {
    return this.metric(METRIC.purgeLag, { statistic: 'Maximum', ...options });
  }

  /** Number of purges that did not finish within five minutes. The statistic is the maximum by default. */
  metricOldPurgeMarkers(options?: MetricOptions): Metric {
    return this.metric(METRIC.oldPurgeMarkers, { statistic: 'Maximum', ...options });
  }

  /** Number of deleted Deployments that still had items but no purge in progress. */
  metricOrphansFound(options?: MetricOptions): Metric {
    return this.#sum(METRIC.orphansFound, options);
  }

  /** Number of events written by the daily sweep of all keys. */
  metricKeysSwept(options?: MetricOptions): Metric {
    return this.#sum(METRIC.keysSwept, options);
  }

  /** Number of Deployments that differed from the table in `deploymentsSource` and were corrected. */
  metricDeploymentsCorrected(options?: MetricOptions): Metric {
    return this.#sum(METRIC.deploymentsCorrected, options);
  }

  /** Number of deletions in the table of `deploymentsSource` that the limit on deletions stopped. */
  metricDeletionsStopped(options?: MetricOptions): Metric {
    return this.#sum(METRIC.deletionsStopped, options);
  }

  /** Number of reads of malformed items. A malformed item means that someone has damaged an item in the table. */
  metricMalformedItems(options?: MetricOptions): Metric {
    return this.#sum(METRIC.malformedItems, options);
  }

  #sum(name: ServiceMetricName, options?: MetricOptions): Metric {
    return this.metric(name, { statistic: 'Sum', ...options });
  }
}
