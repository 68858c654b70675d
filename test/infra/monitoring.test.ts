import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { idAt, type Json, LOGGED, resourceAt, SOURCE, templateOf } from '../support/template.ts';

const template = templateOf({});
const runbook = readFileSync(new URL('../../docs/runbook.md', import.meta.url), 'utf8');
const alarms: Json[] = Object.values(template.findResources('AWS::CloudWatch::Alarm')).map(
  (alarm: Json) => alarm.Properties,
);
const nameOf = (alarm: Json): string => alarm.AlarmName.replace('deployment-api-keys-development-', '');

/** Returns the anchor that GitHub generates for a heading. */
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

describe("The stack's alarms cover every function, queue and schedule", () => {
  it('the stack has exactly the listed alarms, with the listed thresholds', () => {
    const said = alarms.map((alarm) => [
      nameOf(alarm),
      `${alarm.ComparisonOperator} ${alarm.Threshold} in ${alarm.DatapointsToAlarm} of ${alarm.EvaluationPeriods}`,
    ]);
    const from = (value: number, periods = 1) =>
      `GreaterThanOrEqualToThreshold ${value} in ${periods} of ${periods}`;
    const below = (value: number, periods: number) =>
      `LessThanThreshold ${value} in ${periods} of ${periods}`;
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
      FailedPeopleJobs: from(1),
      FailedCalls: from(5),
      ThrottledTable: from(10),
      CrashedFunctions: from(1),
      ThrottledFunctions: from(1),
      SlowFunctions: from(3000, 3),
      CrashedManagement: from(1),
      ThrottledManagement: from(1),
      SlowManagement: from(3000, 3),
      MissingPurgeSweeps: below(1, 2),
      MissingHourlySweeps: below(1, 3),
      MissingKeySweeps: below(1, 26),
      MissingReconciliation: below(1, 2),
      MissingPeopleJobs: below(1, 2),
    });
  });

  it.each(alarms.map((alarm) => [nameOf(alarm), alarm]))(
    'the alarm %s links to a runbook section that explains what it means, how to check and what to do',
    (name, alarm) => {
      const [, anchor = ''] = / docs\/runbook\.md#([\w-]+)/.exec(alarm.AlarmDescription) ?? [];
      const section = sections.get(anchor);
      // An engineer on call searches the runbook for the name of the alarm.
      expect(section).toMatch(new RegExp(`\\*\\*Alarms?:\\*\\* .*\`${name}\``));
      for (const part of ['**What it means:**', '**How to investigate:**', '**What to do:**']) {
        expect(section).toContain(part);
      }
    },
  );

  it('alarms on schedules fire if data is missing, and other alarms do not, because an idle stack sends no data', () => {
    const firing = alarms.filter(({ TreatMissingData }) => TreatMissingData === 'breaching').map(nameOf);
    expect(firing.toSorted()).toStrictEqual([
      'MissingHourlySweeps',
      'MissingKeySweeps',
      'MissingPeopleJobs',
      'MissingPurgeSweeps',
      'MissingReconciliation',
    ]);
    const others = alarms.filter((alarm) => !firing.includes(nameOf(alarm)));
    expect(new Set(others.map((alarm) => alarm.TreatMissingData))).toStrictEqual(new Set(['notBreaching']));
  });

  it('the alarms for errors, throttles and latency watch every function that serves a route', () => {
    const { Resources } = template.toJSON();
    const integrated = Object.values<Json>(Resources)
      .filter(({ Type }) => Type === 'AWS::ApiGatewayV2::Integration')
      .map(({ Properties }) => Properties.IntegrationUri['Fn::GetAtt'][0]);
    const behindRoutes = new Set(integrated);
    const alarmsOnChecks: Record<string, string> = { Throttled: 'ThrottledChecks', Slow: 'SlowChecks' };
    for (const kind of ['Crashed', 'Throttled', 'Slow']) {
      const names = [`${kind}Functions`, `${kind}Management`, ...[alarmsOnChecks[kind] ?? []].flat()];
      const watched = names.map((name) => {
        const { Metrics } = alarms.find((alarm) => nameOf(alarm) === name);
        return Metrics.flatMap(
          ({ MetricStat }: Json) => MetricStat?.Metric.Dimensions.map(({ Value }: Json) => Value.Ref) ?? [],
        );
      });
      // An alarm can watch at most 10 metrics.
      expect(Math.max(...watched.map(({ length }) => length)), kind).toBeLessThanOrEqual(10);
      const serving = watched.flat().filter((id) => id !== idAt(template, 'Authorize/Function'));
      expect(new Set(serving), kind).toStrictEqual(behindRoutes);
      expect(serving, kind).toHaveLength(behindRoutes.size);
    }
  });

  it('every dead-letter queue has an alarm that fires while it contains a message', () => {
    const { Resources } = templateOf({ deploymentsSource: SOURCE }).toJSON();
    const queues = Object.entries<Json>(Resources).filter(([, { Type }]) => Type === 'AWS::SQS::Queue');
    const sources = queues.flatMap(
      ([, { Properties }]) => Properties.RedrivePolicy?.deadLetterTargetArn ?? [],
    );
    const mappings = Object.values<Json>(Resources).filter(
      ({ Type }) => Type === 'AWS::Lambda::EventSourceMapping',
    );
    const onFailure = mappings.flatMap(
      ({ Properties }) => Properties.DestinationConfig?.OnFailure.Destination ?? [],
    );
    const deadLetters = new Set([...sources, ...onFailure].map((arn) => arn['Fn::GetAtt'][0]));
    const watched = Object.values<Json>(Resources)
      .filter(
        ({ Type, Properties }) => Type === 'AWS::CloudWatch::Alarm' && Properties.Namespace === 'AWS/SQS',
      )
      .map(({ Properties }) => [Properties.MetricName, Properties.Dimensions[0].Value['Fn::GetAtt'][0]]);
    expect(deadLetters.size).toBe(5);
    expect(watched.toSorted()).toStrictEqual(
      [...deadLetters].map((queue) => ['ApproximateNumberOfMessagesVisible', queue]).toSorted(),
    );
  });

  it('every schedule has an alarm that fires when its function is no longer invoked', () => {
    const { Resources } = template.toJSON();
    const scheduled = Object.values<Json>(Resources)
      .filter(({ Type, Properties }) => Type === 'AWS::Events::Rule' && Properties.ScheduleExpression)
      .flatMap(({ Properties }) => Properties.Targets.map(({ Arn }: Json) => Arn['Fn::GetAtt'][0]));
    const heartbeats = alarms
      .filter(({ TreatMissingData }) => TreatMissingData === 'breaching')
      .flatMap((alarm) => alarm.Metrics[1].MetricStat.Metric.Dimensions)
      .flatMap(({ Name, Value }) => (Name === 'FunctionName' ? Value.Ref : []));
    // The purge and the daily check of all keys write their own metrics, because schedules are not the only source of
    // their invocations.
    const own = [idAt(template, 'Purge/Function')];
    expect(new Set([...heartbeats, ...own])).toStrictEqual(new Set(scheduled));
  });

  it('docs/cost.md states how many metrics the alarms watch, because each of them costs money', () => {
    const watched = alarms.flatMap(({ Metrics = [{ MetricStat: {} }] }) =>
      Metrics.filter(({ MetricStat }: Json) => MetricStat !== undefined),
    );
    const page = readFileSync(new URL('../../docs/cost.md', import.meta.url), 'utf8');
    expect(page.replaceAll(/\s+/g, ' ')).toContain(`the alarms watch ${watched.length} metrics`);
  });

  it('each alarm watches at most ten metrics, and its expression returns a single result', () => {
    for (const alarm of alarms) {
      const metrics: Json[] = alarm.Metrics ?? [];
      expect(metrics.filter(({ MetricStat }) => MetricStat).length, nameOf(alarm)).toBeLessThanOrEqual(10);
      expect(
        metrics.filter(({ ReturnData }) => ReturnData !== false).length,
        nameOf(alarm),
      ).toBeLessThanOrEqual(1);
    }
  });

  it('the alarm for throttled authorizer calls fires even if only one of the two functions has data', () => {
    const { Metrics } = alarms.find((alarm) => nameOf(alarm) === 'ThrottledChecks');
    const [expression] = Metrics.flatMap((metric: Json) => metric.Expression ?? []);
    // A sum has no data for a period in which one of its terms has no data.
    expect(expression).toBe('FILL(f0, 0) + FILL(f1, 0)');
  });

  it('alarms watch undelivered events and failures of the daily check of all keys', () => {
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
    "the alarm %s watches only its own stack's metric",
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

describe('A followed table has alarms of its own', () => {
  it('a followed table adds four alarms, each with a section in the runbook', () => {
    const followed: Json[] = Object.values(
      templateOf({ deploymentsSource: SOURCE }).findResources('AWS::CloudWatch::Alarm'),
    ).map((alarm: Json) => alarm.Properties);
    const own = new Set(alarms.map(nameOf));
    const more = followed.filter((alarm) => !own.has(nameOf(alarm)));
    expect(more.map((alarm) => [nameOf(alarm), alarm.Threshold, alarm.EvaluationPeriods])).toStrictEqual([
      ['OldSourceChanges', 300_000, 3],
      ['StoppedDeletions', 1, 1],
      ['RejectedChanges', 1, 1],
      ['CorrectedDeployments', 1, 1],
    ]);
    for (const { AlarmDescription } of more) {
      const [, anchor = ''] = / docs\/runbook\.md#([\w-]+)/.exec(AlarmDescription) ?? [];
      for (const part of ['**What it means:**', '**How to investigate:**', '**What to do:**']) {
        expect(sections.get(anchor), anchor).toContain(part);
      }
    }
  });
});

describe('The stack has a CloudWatch dashboard', () => {
  it('the stack creates a single dashboard, which shows issued, allowed, denied, extended and purged tokens', () => {
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

describe('The API writes an access log without secrets', () => {
  const { AccessLogSettings: settings } = resourceAt(template, 'Api/Default/DefaultStage').Properties;

  it("the API's access log has its own log group", () => {
    expect(settings.DestinationArn).toStrictEqual({ 'Fn::GetAtt': [idAt(template, 'Api/AccessLog'), 'Arn'] });
  });

  it("the name of the access log's group lets API Gateway write to the group without a resource policy", () => {
    const { LogGroupName } = resourceAt(template, 'Api/AccessLog').Properties;
    expect(LogGroupName['Fn::Join'][1][0]).toBe('/aws/vendedlogs/apis/deployment-api-keys-development-');
  });

  it('the access log contains the route but no path, query or header, because these could contain a secret', () => {
    expect(Object.values(JSON.parse(settings.Format)).toSorted()).toStrictEqual(LOGGED);
  });
});
