import { Duration, Stack } from 'aws-cdk-lib';
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import type { IFunction } from 'aws-cdk-lib/aws-lambda';
import { Topic } from 'aws-cdk-lib/aws-sns';
import type { IQueue } from 'aws-cdk-lib/aws-sqs';
import {
  type CustomMetricGroup,
  type CustomThreshold,
  DefaultDashboardFactory,
  type MetricWithAlarmSupport,
  MonitoringFacade,
  SnsAlarmActionStrategy,
} from 'cdk-monitoring-constructs';
import { Construct } from 'constructs';
import * as METRIC from '../functions/runtime/metric-names.ts';

export interface MonitoringProps {
  /** Name of the stack: the dimension of all metrics that the functions write. */
  readonly stackName: string;
  /** ARN of the SNS topic that every alarm notifies. @default alarms notify no one */
  readonly topicArn?: string;
  readonly authorize: IFunction;
  readonly whoami: IFunction;
  readonly purge: IFunction;
  readonly sweepKeys: IFunction;
  readonly reconcile: IFunction;
  readonly publishEvents: IFunction;
  /** The followed table of Deployments. @default none */
  readonly followed?:
    | { readonly sync: { readonly function: IFunction }; readonly failures: IQueue }
    | undefined;
  readonly tableName: string;
  /** The dead-letter queues. They are empty in a healthy stack. */
  readonly failureQueues: { readonly stream: IQueue; readonly continuation: IQueue; readonly events: IQueue };
}

/** When an alarm fires, and which section of the runbook says what to do. */
interface Call {
  /** Name of the alarm, without the stack's name. */
  readonly name: string;
  /** What has happened, as a sentence. */
  readonly says: string;
  /** The section of docs/runbook.md. */
  readonly section: string;
  /** The alarm fires when the metric has at least this value. */
  readonly from: number;
  /** For how many periods in a row. @default 1 */
  readonly periods?: number;
}

const FIVE_MINUTES = Duration.minutes(5);
const QUARTER = Duration.minutes(15);

/** The dashboard and the alarms of the service. docs/runbook.md has a section for each alarm. */
export class Monitoring extends Construct {
  readonly #props: MonitoringProps;

  constructor(scope: Construct, id: string, props: MonitoringProps) {
    super(scope, id);
    this.#props = props;
    const { stackName, topicArn } = props;
    const topic = topicArn === undefined ? undefined : Topic.fromTopicArn(this, 'Topic', topicArn);
    const facade = new MonitoringFacade(this, 'Default', {
      metricFactoryDefaults: { namespace: METRIC.namespace },
      alarmFactoryDefaults: {
        alarmNamePrefix: stackName,
        actionsEnabled: true,
        datapointsToAlarm: 1,
        action: topic && new SnsAlarmActionStrategy({ onAlarmTopic: topic }),
      },
      dashboardFactory: new DefaultDashboardFactory(this, 'Dashboards', {
        // Dashboard names are global to an account, so the stack's name alone would be taken in a second Region.
        dashboardNamePrefix: `${stackName}-${Stack.of(this).region}`,
        createDashboard: true,
        createSummaryDashboard: false,
        createAlarmDashboard: false,
      }),
    });
    facade
      .monitorCustom({
        humanReadableName: 'Checks',
        alarmFriendlyName: 'Checks',
        metricGroups: this.#checks(),
      })
      .monitorCustom({
        humanReadableName: 'Tokens',
        alarmFriendlyName: 'Tokens',
        metricGroups: this.#tokens(),
      })
      .monitorCustom({ humanReadableName: 'Purge', alarmFriendlyName: 'Purge', metricGroups: this.#purge() });
    if (props.followed) {
      facade.monitorCustom({
        humanReadableName: 'Source of Deployments',
        alarmFriendlyName: 'Source',
        metricGroups: this.#source(props.followed),
      });
    }
  }

  #checks(): CustomMetricGroup[] {
    const { stackName, authorize, whoami, tableName } = this.#props;
    const invocations = [authorize, whoami].map((it) => it.metricInvocations({ period: FIVE_MINUTES }));
    const refused = `SUM(SEARCH('{${METRIC.namespace},${METRIC.dimension},reason} ${METRIC.dimension}="${stackName}" MetricName="${METRIC.checksRefused}"', 'Sum', 300))`;
    const failed = this.#own(METRIC.checksFailed, 'Sum');
    // A line of log for each allowed check would cost about as much as the check's own invocation.
    const allowed = new cloudwatch.MathExpression({
      label: 'Allowed',
      expression: `FILL(a, 0) + FILL(w, 0) - FILL(f, 0) - FILL(${refused}, 0)`,
      usingMetrics: {
        a: invocations[0] as cloudwatch.Metric,
        w: invocations[1] as cloudwatch.Metric,
        f: failed,
      },
      period: FIVE_MINUTES,
    });
    // DynamoDB counts them: nearly all single updates extend a token or record a last use. The others count a rejected
    // management call or begin a purge.
    const updates = new cloudwatch.Metric({
      namespace: 'AWS/DynamoDB',
      metricName: 'SuccessfulRequestLatency',
      dimensionsMap: { TableName: tableName, Operation: 'UpdateItem' },
      statistic: 'SampleCount',
      period: FIVE_MINUTES,
      label: 'Updates: extensions and records of a last use',
    });
    const spared = new cloudwatch.MathExpression({
      label: 'Allowed checks without an update, at least',
      expression: 'allowed - FILL(written, 0)',
      usingMetrics: { allowed, written: updates },
      period: FIVE_MINUTES,
    });
    const byReason = new cloudwatch.MathExpression({
      label: '',
      expression: refused.slice('SUM('.length, -1),
      period: FIVE_MINUTES,
    });
    const throttled = new cloudwatch.MathExpression({
      label: 'Throttled',
      // Without FILL, there is no data unless both functions were called in the same period.
      expression: 'FILL(a, 0) + FILL(w, 0)',
      usingMetrics: {
        a: authorize.metricThrottles({ period: FIVE_MINUTES }),
        w: whoami.metricThrottles({ period: FIVE_MINUTES }),
      },
      period: FIVE_MINUTES,
    });
    const slowest = authorize.metricDuration({ statistic: 'p99', period: FIVE_MINUTES, label: 'p99' });
    return [
      { title: 'Checks', metrics: [allowed, ...this.#alarmed(failed, FAILED_CHECKS)] },
      { title: 'Denied, by reason', metrics: [byReason] },
      { title: 'Extensions', metrics: [updates, spared] },
      { title: 'Duration of the authorizer', metrics: this.#alarmed(slowest, SLOW_CHECKS) },
      { title: 'Throttled', metrics: this.#alarmed(throttled, THROTTLED_CHECKS) },
    ];
  }

  #tokens(): CustomMetricGroup[] {
    const refused = this.#own(METRIC.refusedAuthentications, 'Sum');
    const unswept = this.#props.sweepKeys.metricErrors({ period: FIVE_MINUTES, label: 'Failed' });
    return [
      { title: 'Issued', metrics: [this.#own(METRIC.tokensIssued, 'Sum')] },
      { title: 'Rejected authentications', metrics: this.#alarmed(refused, REJECTED_AUTHENTICATIONS) },
      { title: 'Failed sweeps', metrics: this.#alarmed(unswept, FAILED_SWEEPS) },
    ];
  }

  #purge(): CustomMetricGroup[] {
    const { purge, reconcile, publishEvents, failureQueues } = this.#props;
    const age = iteratorAge(purge);
    const delay = iteratorAge(publishEvents);
    const markers = this.#own(METRIC.oldPurgeMarkers, 'Maximum', QUARTER);
    const orphans = this.#own(METRIC.orphansFound, 'Sum', QUARTER);
    const malformed = this.#own(METRIC.malformedItems, 'Sum', QUARTER);
    const failed = reconcile.metricErrors({ period: QUARTER });
    return [
      { title: 'Items purged', metrics: [this.#own(METRIC.itemsPurged, 'Sum')] },
      { title: 'Lag of the purge', metrics: [this.#own(METRIC.purgeLag, 'Maximum')] },
      { title: 'Old purge markers', metrics: this.#alarmed(markers, OLD_PURGE_MARKERS) },
      { title: 'Age of the stream', metrics: this.#alarmed(age, OLD_STREAM_RECORDS) },
      {
        title: 'Failed stream batches',
        metrics: this.#alarmed(waiting(failureQueues.stream), FAILED_STREAM_BATCHES),
      },
      {
        title: 'Failed continuations',
        metrics: this.#alarmed(waiting(failureQueues.continuation), FAILED_CONTINUATIONS),
      },
      { title: 'Orphans found', metrics: this.#alarmed(orphans, ORPHANS_FOUND) },
      { title: 'Malformed items', metrics: this.#alarmed(malformed, MALFORMED_ITEMS) },
      { title: 'Failed runs of reconciliation', metrics: this.#alarmed(failed, FAILED_RECONCILIATION) },
      { title: 'Delay of events', metrics: this.#alarmed(delay, DELAYED_EVENTS) },
      {
        title: 'Undelivered events',
        metrics: this.#alarmed(waiting(failureQueues.events), UNDELIVERED_EVENTS),
      },
    ];
  }

  #source({ sync, failures }: NonNullable<MonitoringProps['followed']>): CustomMetricGroup[] {
    const mended = this.#own(METRIC.deploymentsMended, 'Sum', QUARTER);
    return [
      { title: 'Age of the stream', metrics: this.#alarmed(iteratorAge(sync.function), OLD_SOURCE_CHANGES) },
      { title: 'Rejected changes', metrics: this.#alarmed(waiting(failures), REJECTED_CHANGES) },
      { title: 'Corrected Deployments', metrics: this.#alarmed(mended, CORRECTED_DEPLOYMENTS) },
    ];
  }

  /** A metric that functions write. */
  #own(metricName: string, statistic: string, period = FIVE_MINUTES): cloudwatch.Metric {
    return new cloudwatch.Metric({
      namespace: METRIC.namespace,
      metricName,
      dimensionsMap: { [METRIC.dimension]: this.#props.stackName },
      statistic,
      period,
    });
  }

  #alarmed(metric: MetricWithAlarmSupport, { name, says, section, from, periods = 1 }: Call) {
    const threshold: CustomThreshold = {
      threshold: from,
      comparisonOperator: cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
      evaluationPeriods: periods,
      datapointsToAlarm: periods,
      treatMissingDataOverride: cloudwatch.TreatMissingData.NOT_BREACHING,
      alarmNameOverride: `${this.#props.stackName}-${name}`,
      alarmDescriptionOverride: `${says} docs/runbook.md#${section}`,
      period: 'period' in metric ? (metric.period as Duration) : undefined,
    };
    return [{ metric, alarmFriendlyName: name, addAlarm: { [name]: threshold } }];
  }
}

const iteratorAge = (reader: IFunction) =>
  new cloudwatch.Metric({
    namespace: 'AWS/Lambda',
    metricName: 'IteratorAge',
    dimensionsMap: { FunctionName: reader.functionName },
    statistic: 'Maximum',
    period: FIVE_MINUTES,
  });

const waiting = (queue: IQueue) =>
  queue.metricApproximateNumberOfMessagesVisible({ statistic: 'Maximum', period: FIVE_MINUTES });

// No key is locked after failed attempts: a stranger could lock out a pipeline, and 256 bits can't be guessed.
const REJECTED_AUTHENTICATIONS: Call = {
  name: 'RejectedAuthentications',
  says: 'Many calls failed with invalid_client: a pipeline uses an old secret, or somebody is guessing secrets.',
  section: 'rejected-authentications',
  from: 100,
};

const FAILED_SWEEPS: Call = {
  name: 'FailedSweeps',
  says: 'The daily check of all keys or the hourly recording of rejected calls failed, so events are missing.',
  section: 'failed-sweeps',
  from: 1,
};

// Not Lambda's metric Errors, which counts every 401 of a REST API.
const FAILED_CHECKS: Call = {
  name: 'FailedChecks',
  says: 'Checks fail with 500, so calls with valid tokens fail.',
  section: 'failed-checks',
  from: 5,
};

const SLOW_CHECKS: Call = {
  name: 'SlowChecks',
  says: 'One check in a hundred takes half a second or more.',
  section: 'slow-checks',
  from: 500,
  periods: 3,
};

const THROTTLED_CHECKS: Call = {
  name: 'ThrottledChecks',
  says: 'Lambda throttles checks, so calls with valid tokens fail.',
  section: 'throttled-checks',
  from: 1,
};

const OLD_PURGE_MARKERS: Call = {
  name: 'OldPurgeMarkers',
  says: 'A purge has not finished for an hour. The deleted items are still in the table; their credentials are rejected.',
  section: 'old-purge-markers',
  from: 1,
  // Each sweep continues the purge. A marker that four sweeps in a row find makes no progress.
  periods: 4,
};

const OLD_STREAM_RECORDS: Call = {
  name: 'OldStreamRecords',
  says: 'The purge is an hour or more behind the stream, which keeps records for 24 hours.',
  section: 'old-stream-records',
  from: Duration.hours(1).toMilliseconds(),
  periods: 3,
};

const FAILED_STREAM_BATCHES: Call = {
  name: 'FailedStreamBatches',
  says: 'The purge could not process a batch of the stream. The batch is in the dead-letter queue.',
  section: 'failed-stream-batches',
  from: 1,
};

const FAILED_CONTINUATIONS: Call = {
  name: 'FailedContinuations',
  says: 'A purge that ran out of time could not be continued. Its message is in the dead-letter queue.',
  section: 'failed-continuations',
  from: 1,
};

const ORPHANS_FOUND: Call = {
  name: 'OrphansFound',
  says: 'Items of a deleted Deployment were left and no purge was pending. Reconciliation has started one.',
  section: 'orphans-found',
  from: 1,
};

const MALFORMED_ITEMS: Call = {
  name: 'MalformedItems',
  says: 'An item of the table is malformed, so somebody or another program has changed it.',
  section: 'malformed-items',
  from: 1,
};

const FAILED_RECONCILIATION: Call = {
  name: 'FailedReconciliation',
  says: 'The weekly reconciliation makes no progress.',
  section: 'failed-reconciliation',
  from: 1,
  // Each event starts the slice again. A slice that fails four times in a row needs a person.
  periods: 4,
};

const OLD_SOURCE_CHANGES: Call = {
  name: 'OldSourceChanges',
  says: 'Changes of the source of Deployments are applied late. What is deleted there still has access here.',
  section: 'old-source-changes',
  from: FIVE_MINUTES.toMilliseconds(),
  periods: 3,
};

const REJECTED_CHANGES: Call = {
  name: 'RejectedChanges',
  says: 'Changes of the source of Deployments could not be applied. They are in the dead-letter queue.',
  section: 'rejected-changes',
  from: 1,
};

const CORRECTED_DEPLOYMENTS: Call = {
  name: 'CorrectedDeployments',
  says: 'Deployments differed from their source and were corrected, so changes of its stream were lost.',
  section: 'corrected-deployments',
  from: 1,
};

const DELAYED_EVENTS: Call = {
  name: 'DelayedEvents',
  says: 'Events reach the bus an hour late or more. The stream keeps them for 24 hours.',
  section: 'delayed-events',
  from: Duration.hours(1).toMilliseconds(),
  periods: 3,
};

const UNDELIVERED_EVENTS: Call = {
  name: 'UndeliveredEvents',
  says: 'Events could not be sent to the bus. They are in the history, but not delivered to its targets.',
  section: 'undelivered-events',
  from: 1,
};
