import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { idAt, type Json, LOGGED, resourceAt, SOURCE, templateOf } from '../support/template.ts';

const template = templateOf({});
const runbook = readFileSync(new URL('../../docs/runbook.md', import.meta.url), 'utf8');
const alarms: Json[] = Object.values(template.findResources('AWS::CloudWatch::Alarm')).map(
  (alarm: Json) => alarm.Properties,
);
const nameOf = (alarm: Json): string => alarm.AlarmName.replace('deployment-api-keys-development-', '');

/** The heading's anchor, as GitHub generates it. */
const anchorOf = (heading: string) =>
  heading
    .toLowerCase()
    .replaceAll(/[^\w\- ]/g, '')
    .replaceAll(' ', '-');
const sections = new Map(
  runbook
    .split(/^## /m)
    .slice(1)
    .map((section) => [anchorOf(section.slice(0, section.indexOf('\n'))), section]),
);

describe('the alarms', () => {
  it('the alarms are exactly these, with these thresholds', () => {
    const said = alarms.map((alarm) => [
      nameOf(alarm),
      `${alarm.ComparisonOperator} ${alarm.Threshold} in ${alarm.DatapointsToAlarm} of ${alarm.EvaluationPeriods}`,
    ]);
    const from = (value: number, periods = 1) =>
      `GreaterThanOrEqualToThreshold ${value} in ${periods} of ${periods}`;
    expect(Object.fromEntries(said)).toStrictEqual({
      RejectedAuthentications: from(100),
      FailedSweeps: from(1),
      FailedChecks: from(5),
      SlowChecks: from(500, 3),
      ThrottledChecks: from(1),
      OldPurgeMarkers: from(1, 4),
      OldStreamRecords: from(3_600_000, 3),
      FailedStreamBatches: from(1),
      FailedContinuations: from(1),
      OrphansFound: from(1),
      MalformedItems: from(1),
      FailedReconciliation: from(1, 4),
      DelayedEvents: from(3_600_000, 3),
      UndeliveredEvents: from(1),
    });
  });

  it.each(alarms.map((alarm) => [nameOf(alarm), alarm]))(
    '%s links to a runbook section that says what it means, how to check and what to do',
    (_, alarm) => {
      const [, anchor = ''] = / docs\/runbook\.md#([\w-]+)/.exec(alarm.AlarmDescription) ?? [];
      const section = sections.get(anchor);
      for (const part of ['**What it means.**', '**How to investigate.**', '**What to do.**']) {
        expect(section).toContain(part);
      }
    },
  );

  it('the alarms stay quiet without data, because an idle stack measures nothing', () => {
    expect(new Set(alarms.map((alarm) => alarm.TreatMissingData))).toStrictEqual(new Set(['notBreaching']));
  });

  it('the alarm for throttled checks fires when only one of the two functions has data', () => {
    const { Metrics } = alarms.find((alarm) => nameOf(alarm) === 'ThrottledChecks');
    const [expression] = Metrics.flatMap((metric: Json) => metric.Expression ?? []);
    // A sum has no data where a summand has none.
    expect(expression).toBe('FILL(a, 0) + FILL(w, 0)');
  });

  it('the alarms watch background work: undelivered events and the daily check of all keys', () => {
    const watched = (name: string) => alarms.find((alarm) => nameOf(alarm) === name);
    expect(watched('UndeliveredEvents')).toMatchObject({
      Namespace: 'AWS/SQS',
      MetricName: 'ApproximateNumberOfMessagesVisible',
      Dimensions: [
        {
          Name: 'QueueName',
          Value: { 'Fn::GetAtt': [idAt(template, 'EventBus/StreamFailures'), 'QueueName'] },
        },
      ],
    });
    expect(watched('FailedSweeps').Metrics[0].MetricStat).toMatchObject({
      Metric: {
        Namespace: 'AWS/Lambda',
        MetricName: 'Errors',
        Dimensions: [{ Name: 'FunctionName', Value: { Ref: idAt(template, 'SweepKeys/Function') } }],
      },
      Stat: 'Sum',
    });
  });

  it.each(['RejectedAuthentications', 'FailedChecks', 'OldPurgeMarkers', 'OrphansFound', 'MalformedItems'])(
    "%s watches only its own stack's metric",
    (name) => {
      const ofStage = (stage: string): Json =>
        Object.values<Json>(templateOf({ stage }).findResources('AWS::CloudWatch::Alarm'))
          .map((alarm) => alarm.Properties)
          .find((alarm) => alarm.AlarmName.endsWith(`-${name}`));
      for (const stage of ['development', 'production']) {
        expect(
          ofStage(stage).Dimensions ?? ofStage(stage).Metrics[0].MetricStat.Metric.Dimensions,
        ).toStrictEqual([{ Name: 'stack', Value: `deployment-api-keys-${stage}` }]);
      }
    },
  );
});

describe('the alarms of a followed table', () => {
  it('the alarms of a followed table are three more, each with its section of the runbook', () => {
    const followed: Json[] = Object.values(
      templateOf({ deploymentsSource: SOURCE }).findResources('AWS::CloudWatch::Alarm'),
    ).map((alarm: Json) => alarm.Properties);
    const own = new Set(alarms.map(nameOf));
    const more = followed.filter((alarm) => !own.has(nameOf(alarm)));
    expect(more.map((alarm) => [nameOf(alarm), alarm.Threshold, alarm.EvaluationPeriods])).toStrictEqual([
      ['OldSourceChanges', 300_000, 3],
      ['RejectedChanges', 1, 1],
      ['CorrectedDeployments', 1, 1],
    ]);
    for (const { AlarmDescription } of more) {
      const [, anchor = ''] = / docs\/runbook\.md#([\w-]+)/.exec(AlarmDescription) ?? [];
      for (const part of ['**What it means.**', '**How to investigate.**', '**What to do.**']) {
        expect(sections.get(anchor), anchor).toContain(part);
      }
    }
  });
});

describe('the dashboard', () => {
  it('is one dashboard that shows issued, allowed, denied, extended and purged tokens', () => {
    const dashboards: Json[] = Object.values(template.findResources('AWS::CloudWatch::Dashboard'));
    expect(dashboards).toHaveLength(1);
    const body = JSON.stringify(dashboards[0].Properties.DashboardBody);
    for (const title of [
      'Checks',
      'Denied, by reason',
      'Extensions',
      'Issued',
      'Items purged',
      'Lag of the purge',
    ]) {
      expect(body).toContain(`\\"title\\":\\"${title}\\"`);
    }
  });
});

describe('the access log', () => {
  const { AccessLogSettings: settings } = resourceAt(template, 'Api/Default/DefaultStage').Properties;

  it('has its own log group', () => {
    expect(settings.DestinationArn).toStrictEqual({ 'Fn::GetAtt': [idAt(template, 'Api/AccessLog'), 'Arn'] });
  });

  it('contains the route and never the path, a query or a header, any of which could contain a secret', () => {
    expect(Object.values(JSON.parse(settings.Format)).toSorted()).toStrictEqual(LOGGED);
  });
});
