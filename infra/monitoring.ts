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
import { FIVE_MINUTES, type ServiceMetricName, serviceMetric } from './metrics.ts';

export interface MonitoringProps {
  /** Name of the stack: the dimension of all metrics that the functions write. */
  readonly stackName: string;
  /** ARN of the SNS topic that every alarm notifies. @default alarms notify no one */
  readonly topicArn?: string | undefined;
  readonly authorize: IFunction;
  readonly whoami: IFunction;
  readonly purge: IFunction;
  readonly sweepKeys: IFunction;
  readonly reconcile: IFunction;
  /** The job that finds the keys of people whose access was ended. */
  readonly endAccess: IFunction;
  readonly publishEvents: IFunction;
  /** The functions behind public routes, such as `/oauth/token`, except `whoami`. At most 10, because an alarm can watch 10 metrics. */
  readonly publicRoutes: readonly IFunction[];
  /** The functions behind routes for people, and the console: at most 10 functions. */
  readonly routesForPeople: readonly IFunction[];
  /** The followed table of Deployments. @default none */
  readonly followed?:
    | { readonly sync: { readonly function: IFunction }; readonly failures: IQueue }
    | undefined;
  readonly tableName: string;
  /** The dead-letter queues, which are empty in a healthy stack. */
  readonly failureQueues: {
    readonly stream: IQueue;
    readonly continuation: IQueue;
    readonly events: IQueue;
    readonly people: IQueue;
  };
}

/** An alarm's condition, and the runbook section that says what to do. */
interface AlarmDefinition {
  /** Name of the alarm, without the stack's name. */
  readonly name: string;
  /** Description of the problem, as a sentence. */
  readonly says: string;
  /** Name of the section in docs/runbook.md. */
  readonly section: string;
  /** The alarm's threshold. The alarm fires if the metric is at least this value. */
  readonly from: number;
  /** Number of consecutive periods above the threshold before the alarm fires. @default 1 */
  readonly periods?: number;
  /** Whether the alarm fires if the metric is below `from` or has no data. @default false */
  readonly isHeartbeat?: boolean;
}

const FIFTEEN_MINUTES = Duration.minutes(15);

/** The dashboard and the alarms of the service. docs/runbook.md has a section for each alarm. */
export class Monitoring extends Construct {
  readonly #props: MonitoringProps;

  constructor(scope: Construct, id: string, props: MonitoringProps) {
    super(scope, id);
    this.#props = props;
    const { stackName, topicArn } = props;
    const topic = topicArn === undefined ? undefined : Topic.fromTopicArn(this, 'Topic', topicArn);
    const monitoring = new MonitoringFacade(this, 'Default', {
      metricFactoryDefaults: { namespace: METRIC.namespace },
      alarmFactoryDefaults: {
        alarmNamePrefix: stackName,
        actionsEnabled: true,
        datapointsToAlarm: 1,
        ...(topic && { action: new SnsAlarmActionStrategy({ onAlarmTopic: topic }) }),
      },
      dashboardFactory: new DefaultDashboardFactory(this, 'Dashboards', {
        // Dashboard names are unique within an account across Regions, so in a second Region, a dashboard named only
        // after the stack would conflict with the first.
        dashboardNamePrefix: `${stackName}-${Stack.of(this).region}`,
        createDashboard: true,
        createSummaryDashboard: false,
        createAlarmDashboard: false,
      }),
    });
    monitoring
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
      .monitorCustom({
        humanReadableName: 'Calls',
        alarmFriendlyName: 'Calls',
        metricGroups: this.#calls(),
      })
      .monitorCustom({
        humanReadableName: 'Schedules',
        alarmFriendlyName: 'Schedules',
        metricGroups: this.#schedules(),
      })
      .monitorCustom({ humanReadableName: 'Purge', alarmFriendlyName: 'Purge', metricGroups: this.#purge() })
      .monitorCustom({
        humanReadableName: 'People',
        alarmFriendlyName: 'People',
        metricGroups: [
          {
            title: 'Failed jobs about people',
            metrics: this.#alarmed(waiting(props.failureQueues.people), FAILED_PEOPLE_JOBS),
          },
        ],
      });
    if (props.followed) {
      monitoring.monitorCustom({
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
    // Computes the number of allowed checks, because logging each allowed check would cost about as much as invoking
    // the function for the check.
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
    // DynamoDB counts the extensions: nearly all single updates extend a token or record a last use. All other single
    // updates count a rejected management call or begin a purge.
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
    const throttled = sum('Throttled', [authorize, whoami], throttles);
    const slowest = greatest('p99 of the slower function', [authorize, whoami], p99);
    return [
      { title: 'Checks', metrics: [allowed, ...this.#alarmed(failed, FAILED_CHECKS)] },
      { title: 'Denied, by reason', metrics: [byReason] },
      { title: 'Extensions', metrics: [updates, spared] },
      { title: 'Duration of checks', metrics: this.#alarmed(slowest, SLOW_CHECKS) },
      { title: 'Throttled', metrics: this.#alarmed(throttled, THROTTLED_CHECKS) },
    ];
  }

  /** Alarms for failures, and for the errors, throttles and latency of the functions behind routes. */
  #calls(): CustomMetricGroup[] {
    const { whoami, publicRoutes, routesForPeople } = this.#props;
    const failed = this.#own(METRIC.callsFailed, 'Sum');
    const throttleEvents = (metricName: string) =>
      new cloudwatch.Metric({
        namespace: 'AWS/DynamoDB',
        metricName,
        dimensionsMap: { TableName: this.#props.tableName },
        statistic: 'Sum',
        period: FIVE_MINUTES,
      });
    const throttledTable = new cloudwatch.MathExpression({
      label: 'Throttled',
      expression: 'FILL(r, 0) + FILL(w, 0)',
      usingMetrics: { r: throttleEvents('ReadThrottleEvents'), w: throttleEvents('WriteThrottleEvents') },
      period: FIVE_MINUTES,
    });
    return [
      { title: 'Failed calls', metrics: this.#alarmed(failed, FAILED_CALLS) },
      { title: 'Throttled requests to the table', metrics: this.#alarmed(throttledTable, THROTTLED_TABLE) },
      // The alarms on checks watch whoami's throttles and latency. The alarm on crashes also watches whoami, because a
      // crashed function writes no metric for a failed check. The authorizer cannot have an alarm on crashes, because
      // Lambda counts every 401 from a REST API as an error.
      ...this.#functions('Public routes', 'Functions', publicRoutes, [...publicRoutes, whoami]),
      ...this.#functions('Routes for people', 'Management', routesForPeople),
    ];
  }

  /**
   * Alarms for the errors, throttles and latency of several functions together.
   * @param crashing the functions whose errors the alarm counts
   */
  #functions(
    title: string,
    name: string,
    functions: readonly IFunction[],
    crashing = functions,
  ): CustomMetricGroup[] {
    const crashed = sum('Crashed', crashing, (it) => it.metricErrors({ period: FIVE_MINUTES }));
    const throttled = sum('Throttled', functions, throttles);
    const slowest = greatest('p99 of the slowest function', functions, p99);
    const alarmed = (metric: cloudwatch.MathExpression, call: AlarmDefinition) =>
      this.#alarmed(metric, { ...call, name: `${call.name}${name}` });
    return [
      { title: `${title}: crashed functions`, metrics: alarmed(crashed, CRASHED) },
      { title: `${title}: throttled calls`, metrics: alarmed(throttled, THROTTLED) },
      { title: `${title}: duration of calls`, metrics: alarmed(slowest, SLOW) },
    ];
  }

  /**
   * Alarms that fire when a schedule stops invoking its function. A disabled or deleted rule causes no error anywhere.
   */
  #schedules(): CustomMetricGroup[] {
    const { sweepKeys, reconcile, endAccess } = this.#props;
    // The stream and the queue also invoke the purge. Only the purge's sweep of markers writes this metric, on every
    // run.
    const purged = this.#own(METRIC.oldPurgeMarkers, 'SampleCount', Duration.hours(1));
    const hourly = sweepKeys.metricInvocations({ period: Duration.hours(1), statistic: 'Sum' });
    const daily = this.#own(METRIC.keysSwept, 'SampleCount', Duration.hours(1));
    const reconciled = reconcile.metricInvocations({ period: Duration.hours(1), statistic: 'Sum' });
    // A queue also invokes `endAccess`, but only in the minutes after a person's access was ended.
    const people = endAccess.metricInvocations({ period: Duration.hours(1), statistic: 'Sum' });
    return [
      { title: 'Sweeps of purge markers', metrics: this.#alarmed(purged, MISSING_PURGE_SWEEPS) },
      { title: 'Recordings of rejected calls', metrics: this.#alarmed(hourly, MISSING_HOURLY_SWEEPS) },
      { title: 'Sweeps of all keys', metrics: this.#alarmed(daily, MISSING_KEY_SWEEPS) },
      { title: 'Runs of reconciliation', metrics: this.#alarmed(reconciled, MISSING_RECONCILIATION) },
      { title: 'Runs of jobs about people', metrics: this.#alarmed(people, MISSING_PEOPLE_JOBS) },
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
    const markers = this.#own(METRIC.oldPurgeMarkers, 'Maximum', FIFTEEN_MINUTES);
    const orphans = this.#own(METRIC.orphansFound, 'Sum', FIFTEEN_MINUTES);
    const malformed = this.#own(METRIC.malformedItems, 'Sum', FIFTEEN_MINUTES);
    const failed = reconcile.metricErrors({ period: FIFTEEN_MINUTES });
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
    const corrected = this.#own(METRIC.deploymentsCorrected, 'Sum', FIFTEEN_MINUTES);
    // The period is twice the interval between runs of reconciliation, each of which reports stopped deletions.
    const stopped = this.#own(METRIC.deletionsStopped, 'Sum', Duration.minutes(30));
    return [
      { title: 'Age of the stream', metrics: this.#alarmed(iteratorAge(sync.function), OLD_SOURCE_CHANGES) },
      { title: 'Stopped deletions', metrics: this.#alarmed(stopped, STOPPED_DELETIONS) },
      { title: 'Rejected changes', metrics: this.#alarmed(waiting(failures), REJECTED_CHANGES) },
      { title: 'Corrected Deployments', metrics: this.#alarmed(corrected, CORRECTED_DEPLOYMENTS) },
    ];
  }

  /** Returns one of the metrics that the service's functions write. */
  #own(metricName: ServiceMetricName, statistic: string, period = FIVE_MINUTES): cloudwatch.Metric {
    return serviceMetric(this.#props.stackName, metricName, { statistic, period });
  }

  #alarmed(
    watched: MetricWithAlarmSupport,
    { name, says, section, from, periods = 1, isHeartbeat = false }: AlarmDefinition,
  ) {
    const metric = isHeartbeat ? filled(watched as cloudwatch.Metric) : watched;
    const threshold: CustomThreshold = {
      threshold: from,
      comparisonOperator: isHeartbeat
        ? cloudwatch.ComparisonOperator.LESS_THAN_THRESHOLD
        : cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
      evaluationPeriods: periods,
      datapointsToAlarm: periods,
      treatMissingDataOverride: isHeartbeat
        ? cloudwatch.TreatMissingData.BREACHING
        : cloudwatch.TreatMissingData.NOT_BREACHING,
      alarmNameOverride: `${this.#props.stackName}-${name}`,
      alarmDescriptionOverride: `${says} docs/runbook.md#${section}`,
      ...('period' in metric && { period: metric.period as Duration }),
    };
    return [{ metric, alarmFriendlyName: name, addAlarm: { [name]: threshold } }];
  }
}

type MetricOf = (it: IFunction) => cloudwatch.Metric;

const throttles: MetricOf = (it) => it.metricThrottles({ period: FIVE_MINUTES });
const p99: MetricOf = (it) => it.metricDuration({ statistic: 'p99', period: FIVE_MINUTES });

/**
 * Returns an expression over one metric of several functions.
 * @param expression builds the expression from the functions' values. Without FILL, these would have data only for
 * periods in which every function was called
 */
const over = (
  label: string,
  functions: readonly IFunction[],
  metricOf: MetricOf,
  expression: (values: string[]) => string,
) =>
  new cloudwatch.MathExpression({
    label,
    expression: expression(functions.map((_, n) => `FILL(f${n}, 0)`)),
    usingMetrics: Object.fromEntries(functions.map((it, n) => [`f${n}`, metricOf(it)])),
    period: FIVE_MINUTES,
  });

const sum = (label: string, functions: readonly IFunction[], metricOf: MetricOf) =>
  over(label, functions, metricOf, (values) => values.join(' + '));

const greatest = (label: string, functions: readonly IFunction[], metricOf: MetricOf) =>
  over(label, functions, metricOf, (values) => `MAX([${values.join(', ')}])`);

/**
 * Returns a metric with the value 0 in each period without data. CloudWatch replaces missing values with values from
 * periods before those of the alarm, so an alarm on the metric itself would fire several periods late.
 */
const filled = (metric: cloudwatch.Metric) =>
  new cloudwatch.MathExpression({
    label: metric.label ?? metric.metricName,
    expression: 'FILL(runs, 0)',
    usingMetrics: { runs: metric },
    period: metric.period,
  });

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

// The service does not lock a key after failed attempts, because a stranger could then lock out a pipeline, and because
// no one can guess 256 bits.
const REJECTED_AUTHENTICATIONS: AlarmDefinition = {
  name: 'RejectedAuthentications',
  says: 'Many calls failed with invalid_client: a pipeline uses an old secret, or somebody is guessing secrets.',
  section: 'rejected-authentications',
  from: 100,
};

const FAILED_SWEEPS: AlarmDefinition = {
  name: 'FailedSweeps',
  says: 'The daily check of all keys or the hourly recording of rejected calls failed, so events are missing.',
  section: 'failed-sweeps',
  from: 1,
};

// Lambda's `Errors` metric is not used here, because it counts every 401 from a REST API.
const FAILED_CHECKS: AlarmDefinition = {
  name: 'FailedChecks',
  says: 'Checks fail with 500, so calls with valid tokens fail.',
  section: 'failed-checks',
  from: 5,
};

const SLOW_CHECKS: AlarmDefinition = {
  name: 'SlowChecks',
  says: 'One check in a hundred takes half a second or more.',
  section: 'slow-checks',
  from: 500,
  periods: 3,
};

const THROTTLED_CHECKS: AlarmDefinition = {
  name: 'ThrottledChecks',
  says: 'Lambda throttles checks, so calls with valid tokens fail.',
  section: 'throttled-checks',
  from: 1,
};

const OLD_PURGE_MARKERS: AlarmDefinition = {
  name: 'OldPurgeMarkers',
  says: 'A purge has not finished for an hour. The deleted items are still in the table; their credentials are rejected.',
  section: 'old-purge-markers',
  from: 1,
  // Each sweep continues a purge. If four sweeps in a row find the same marker, the marker's purge is not making
  // progress.
  periods: 4,
};

const OLD_STREAM_RECORDS: AlarmDefinition = {
  name: 'OldStreamRecords',
  says: 'The purge is an hour or more behind the stream, which keeps records for 24 hours.',
  section: 'old-stream-records',
  from: Duration.hours(1).toMilliseconds(),
  periods: 3,
};

const FAILED_STREAM_BATCHES: AlarmDefinition = {
  name: 'FailedStreamBatches',
  says: 'The purge could not process a batch of the stream. The batch is in the dead-letter queue.',
  section: 'failed-stream-batches',
  from: 1,
};

const FAILED_CONTINUATIONS: AlarmDefinition = {
  name: 'FailedContinuations',
  says: 'A purge that ran out of time could not be continued. Its message is in the dead-letter queue.',
  section: 'failed-continuations',
  from: 1,
};

const ORPHANS_FOUND: AlarmDefinition = {
  name: 'OrphansFound',
  says: 'Items of a deleted Deployment were left and no purge was pending. Reconciliation has started one.',
  section: 'orphans-found',
  from: 1,
};

const MALFORMED_ITEMS: AlarmDefinition = {
  name: 'MalformedItems',
  says: 'An item of the table is malformed, so somebody or another program has changed it.',
  section: 'malformed-items',
  from: 1,
};

const FAILED_RECONCILIATION: AlarmDefinition = {
  name: 'FailedReconciliation',
  says: 'The weekly reconciliation makes no progress.',
  section: 'failed-reconciliation',
  from: 1,
  // Each scheduled event restarts the slice. If a slice fails four times in a row, a person must act.
  periods: 4,
};

const OLD_SOURCE_CHANGES: AlarmDefinition = {
  name: 'OldSourceChanges',
  says: 'Changes of the source of Deployments are applied late. What is deleted there still has access here.',
  section: 'old-source-changes',
  from: FIVE_MINUTES.toMilliseconds(),
  periods: 3,
};

const STOPPED_DELETIONS: AlarmDefinition = {
  name: 'StoppedDeletions',
  says: 'The source of Deployments lost many rows. Their Deployments are kept until a person compares both tables.',
  section: 'the-platforms-table-lost-rows',
  from: 1,
};

const REJECTED_CHANGES: AlarmDefinition = {
  name: 'RejectedChanges',
  says: 'Changes of the source of Deployments could not be applied. They are in the dead-letter queue.',
  section: 'rejected-changes',
  from: 1,
};

const CORRECTED_DEPLOYMENTS: AlarmDefinition = {
  name: 'CorrectedDeployments',
  says: 'Deployments differed from their source and were corrected, so changes of its stream were lost.',
  section: 'corrected-deployments',
  from: 1,
};

const DELAYED_EVENTS: AlarmDefinition = {
  name: 'DelayedEvents',
  says: 'Events reach the bus an hour late or more. The stream keeps them for 24 hours.',
  section: 'delayed-events',
  from: Duration.hours(1).toMilliseconds(),
  periods: 3,
};

const UNDELIVERED_EVENTS: AlarmDefinition = {
  name: 'UndeliveredEvents',
  says: 'Events could not be sent to the bus. They are in the history, but not delivered to its targets.',
  section: 'undelivered-events',
  from: 1,
};

const FAILED_PEOPLE_JOBS: AlarmDefinition = {
  name: 'FailedPeopleJobs',
  says: 'The job about the keys of a person whose access was ended failed five times, so their keys may still work.',
  section: 'failed-jobs-about-people',
  from: 1,
};

// Lambda's `Errors` metric is not used here, because it does not count 500 and 503 responses.
const FAILED_CALLS: AlarmDefinition = {
  name: 'FailedCalls',
  says: 'Calls of the API are answered with 500 or 503, so pipelines get no tokens or changes of keys fail.',
  section: 'failed-calls',
  from: 5,
};

const THROTTLED_TABLE: AlarmDefinition = {
  name: 'ThrottledTable',
  says: 'DynamoDB throttles requests to the table, so checks and exchanges are slow or fail.',
  section: 'throttled-table',
  from: 10,
};

/**
 * The alarm on crashes. The code appends the monitored functions to the names of the alarms on crashes, throttles and
 * latency.
 */
const CRASHED: AlarmDefinition = {
  name: 'Crashed',
  says: 'A function behind a route crashed, or ran out of time or memory.',
  section: 'failed-calls',
  from: 1,
};

const THROTTLED: AlarmDefinition = {
  name: 'Throttled',
  says: 'Lambda throttles calls of the API, so they fail.',
  section: 'throttled-calls',
  from: 1,
};

const SLOW: AlarmDefinition = {
  name: 'Slow',
  says: 'One call in a hundred takes three seconds or more in one of the functions behind the API.',
  section: 'slow-calls',
  from: 3000,
  periods: 3,
};

const MISSING_PURGE_SWEEPS: AlarmDefinition = {
  name: 'MissingPurgeSweeps',
  says: 'The schedule of the purge has not run for two hours. Purges that were interrupted do not continue.',
  section: 'missing-runs',
  from: 1,
  periods: 2,
  isHeartbeat: true,
};

const MISSING_HOURLY_SWEEPS: AlarmDefinition = {
  name: 'MissingHourlySweeps',
  says: 'The hourly recording of rejected calls has not run for three hours.',
  section: 'missing-runs',
  from: 1,
  periods: 3,
  isHeartbeat: true,
};

const MISSING_KEY_SWEEPS: AlarmDefinition = {
  name: 'MissingKeySweeps',
  says: 'The daily check of all keys has not finished for 26 hours, so nobody hears of keys that expire.',
  section: 'missing-runs',
  from: 1,
  // The time between two checks can exceed a day by the duration of a check and its retries. CloudWatch allows such a
  // long range only if each period is at least an hour.
  periods: 26,
  isHeartbeat: true,
};

const MISSING_RECONCILIATION: AlarmDefinition = {
  name: 'MissingReconciliation',
  says: 'The schedule of reconciliation has not run for two hours.',
  section: 'missing-runs',
  from: 1,
  periods: 2,
  isHeartbeat: true,
};

const MISSING_PEOPLE_JOBS: AlarmDefinition = {
  name: 'MissingPeopleJobs',
  says: 'The schedule of the jobs about people has not run for two hours. Jobs that were interrupted do not continue.',
  section: 'missing-runs',
  from: 1,
  periods: 2,
  isHeartbeat: true,
};
