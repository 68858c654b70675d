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
  /** Name of the stack, which all metrics of the functions have as dimension. */
  readonly stackName: string;
  /** ARN of the topic that every alarm tells. @default none */
  readonly topicArn?: string;
  readonly authorize: IFunction;
  readonly whoami: IFunction;
  readonly purge: IFunction;
  readonly sweepKeys: IFunction;
  readonly reconcile: IFunction;
  readonly publishEvents: IFunction;
  /** The platform's table that Deployments come from. @default there is none */
  readonly followed?:
    | { readonly sync: { readonly function: IFunction }; readonly failures: IQueue }
    | undefined;
  readonly tableName: string;
  /** Where things wait for a person: empty in a healthy stack. */
  readonly failureQueues: { readonly stream: IQueue; readonly continuation: IQueue; readonly events: IQueue };
}

/** When somebody is called, and where the runbook says what to do. */
interface Call {
  /** The alarm's name, after the stack's. */
  readonly name: string;
  /** What has happened, in a sentence. */
  readonly says: string;
  /** The section of docs/runbook.md. */
  readonly section: string;
  /** The value from which on it calls. */
  readonly from: number;
  /** How many periods in a row. @default 1 */
  readonly periods?: number;
}

const FIVE_MINUTES = Duration.minutes(5);
const QUARTER = Duration.minutes(15);

/** A dashboard of how the service does, and the alarms that call a person. docs/runbook.md has a section for each. */
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
        // Dashboards are global to an account: in a second Region the stack's name alone would be taken.
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
      expression: `a + w - FILL(f, 0) - FILL(${refused}, 0)`,
      usingMetrics: {
        a: invocations[0] as cloudwatch.Metric,
        w: invocations[1] as cloudwatch.Metric,
        f: failed,
      },
      period: FIVE_MINUTES,
    });
    // DynamoDB counts them: nearly all single updates are slides and notes of a last use. Others count a rejected
    // management call or begin a purge.
    const updates = new cloudwatch.Metric({
      namespace: 'AWS/DynamoDB',
      metricName: 'SuccessfulRequestLatency',
      dimensionsMap: { TableName: tableName, Operation: 'UpdateItem' },
      statistic: 'SampleCount',
      period: FIVE_MINUTES,
      label: 'Updates: slides and notes of a last use',
    });
    const spared = new cloudwatch.MathExpression({
      label: 'Allowed checks without one, at least',
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
      expression: 'a + w',
      usingMetrics: {
        a: authorize.metricThrottles({ period: FIVE_MINUTES }),
        w: whoami.metricThrottles({ period: FIVE_MINUTES }),
      },
      period: FIVE_MINUTES,
    });
    const slowest = authorize.metricDuration({ statistic: 'p99', period: FIVE_MINUTES, label: 'p99' });
    return [
      { title: 'Checks', metrics: [allowed, ...this.#alarmed(failed, FAILED_CHECKS)] },
      { title: 'Refused, by reason', metrics: [byReason] },
      { title: 'Slides', metrics: [updates, spared] },
      { title: 'Duration of the authorizer', metrics: this.#alarmed(slowest, SLOW_CHECKS) },
      { title: 'Throttled', metrics: this.#alarmed(throttled, THROTTLED_CHECKS) },
    ];
  }

  #tokens(): CustomMetricGroup[] {
    const refused = this.#own(METRIC.refusedAuthentications, 'Sum');
    const unswept = this.#props.sweepKeys.metricErrors({ period: FIVE_MINUTES, label: 'Failed' });
    return [
      { title: 'Issued', metrics: [this.#own(METRIC.tokensIssued, 'Sum')] },
      { title: 'Refused authentications', metrics: this.#alarmed(refused, REFUSED_AUTHENTICATIONS) },
      { title: 'Daily looks at every key', metrics: this.#alarmed(unswept, FAILED_SWEEPS) },
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
        title: 'Given up by the stream',
        metrics: this.#alarmed(waiting(failureQueues.stream), GIVEN_UP_RECORDS),
      },
      {
        title: 'Given up by the queue',
        metrics: this.#alarmed(waiting(failureQueues.continuation), GIVEN_UP_CONTINUATIONS),
      },
      { title: 'Orphans found', metrics: this.#alarmed(orphans, ORPHANS_FOUND) },
      { title: 'Malformed items', metrics: this.#alarmed(malformed, MALFORMED_ITEMS) },
      { title: 'Failed slices of reconciliation', metrics: this.#alarmed(failed, FAILED_RECONCILIATION) },
      { title: 'Delay of events', metrics: this.#alarmed(delay, DELAYED_EVENTS) },
      { title: 'Events not told', metrics: this.#alarmed(waiting(failureQueues.events), UNTOLD_EVENTS) },
    ];
  }

  #source({ sync, failures }: NonNullable<MonitoringProps['followed']>): CustomMetricGroup[] {
    const mended = this.#own(METRIC.deploymentsMended, 'Sum', QUARTER);
    return [
      { title: 'Age of the stream', metrics: this.#alarmed(iteratorAge(sync.function), OLD_SOURCE_CHANGES) },
      { title: 'Changes set aside', metrics: this.#alarmed(waiting(failures), REFUSED_CHANGES) },
      { title: 'Deployments mended', metrics: this.#alarmed(mended, MENDED_DEPLOYMENTS) },
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

// Nobody is locked out: that would let a stranger lock out an honest pipeline, and guessing 256 bits is hopeless.
const REFUSED_AUTHENTICATIONS: Call = {
  name: 'RefusedAuthentications',
  says: 'Many wrong secrets: a pipeline with an old one, or somebody guessing.',
  section: 'refused-authentications',
  from: 100,
};

const FAILED_SWEEPS: Call = {
  name: 'FailedSweeps',
  says: 'The daily look at every key failed: nobody is told of keys that expire or are idle.',
  section: 'failed-sweeps',
  from: 1,
};

// Not Lambda's own Errors: there a REST API's every 401 is one.
const FAILED_CHECKS: Call = {
  name: 'FailedChecks',
  says: 'Checks end in 500: good tokens are not let in.',
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
  says: 'Lambda turns checks away: good tokens are not let in.',
  section: 'throttled-checks',
  from: 1,
};

const OLD_PURGE_MARKERS: Call = {
  name: 'OldPurgeMarkers',
  says: 'Purges do not end: what is deleted stays in the table, refused.',
  section: 'old-purge-markers',
  from: 1,
  // Each sweep puts them back on their way: one that is there four times in a row does not move.
  periods: 4,
};

const OLD_STREAM_RECORDS: Call = {
  name: 'OldStreamRecords',
  says: 'The purge is behind the stream, which forgets after 24 hours.',
  section: 'old-stream-records',
  from: Duration.hours(1).toMilliseconds(),
  periods: 3,
};

const GIVEN_UP_RECORDS: Call = {
  name: 'GivenUpRecords',
  says: 'The purge has given up records of the stream.',
  section: 'given-up-records',
  from: 1,
};

const GIVEN_UP_CONTINUATIONS: Call = {
  name: 'GivenUpContinuations',
  says: 'The purge has given up what it had put off.',
  section: 'given-up-continuations',
  from: 1,
};

const ORPHANS_FOUND: Call = {
  name: 'OrphansFound',
  says: 'A Deployment was gone, its items were left, and no purge was on its way: one is now.',
  section: 'orphans-found',
  from: 1,
};

const MALFORMED_ITEMS: Call = {
  name: 'MalformedItems',
  says: 'An item of the table is malformed: somebody has damaged it.',
  section: 'malformed-items',
  from: 1,
};

const FAILED_RECONCILIATION: Call = {
  name: 'FailedReconciliation',
  says: 'The weekly look for what deleted Deployments left behind does not move.',
  section: 'failed-reconciliation',
  from: 1,
  // Each event begins the slice again: one that fails four times in a row does not pass by itself.
  periods: 4,
};

const OLD_SOURCE_CHANGES: Call = {
  name: 'OldSourceChanges',
  says: 'The source of Deployments is followed late: what is deleted there still has access here.',
  section: 'old-source-changes',
  from: FIVE_MINUTES.toMilliseconds(),
  periods: 3,
};

const REFUSED_CHANGES: Call = {
  name: 'RefusedChanges',
  says: 'Changes in the source of Deployments were set aside.',
  section: 'refused-changes',
  from: 1,
};

const MENDED_DEPLOYMENTS: Call = {
  name: 'MendedDeployments',
  says: 'Deployments were not what their source says, and no change of its stream had said so.',
  section: 'mended-deployments',
  from: 1,
};

const DELAYED_EVENTS: Call = {
  name: 'DelayedEvents',
  says: 'Events reach the bus an hour late or more. The stream keeps them for 24 hours.',
  section: 'delayed-events',
  from: Duration.hours(1).toMilliseconds(),
  periods: 3,
};

const UNTOLD_EVENTS: Call = {
  name: 'UntoldEvents',
  says: 'Events could not be put on the bus: they are in the history, and nobody was told.',
  section: 'untold-events',
  from: 1,
};
