import { describe, expect, it } from 'vitest';
import { Alarm } from '../../../local/aws/alarms.ts';
import { CloudWatch } from '../../../local/aws/cloudwatch.ts';
import { evaluate } from '../../../local/aws/metric-math.ts';
import { Clock } from '../../../local/clock.ts';
import { Fixture } from '../../support/fixture.ts';
import { runStack } from '../../support/stack.ts';

const NOON = Date.parse('2030-01-01T12:00:00Z');
const METRIC = { namespace: 'Test', name: 'Failed', dimensions: { stack: 'keys' } };
const BASE = {
  AlarmName: 'keys-Failed',
  Namespace: 'Test',
  MetricName: 'Failed',
  Dimensions: [{ Name: 'stack', Value: 'keys' }],
  Statistic: 'Sum',
  Period: 300,
  Threshold: 1,
  ComparisonOperator: 'GreaterThanOrEqualToThreshold',
  EvaluationPeriods: 3,
  TreatMissingData: 'notBreaching',
};

/** Returns a CloudWatch whose clock is frozen at noon. */
function newCloudWatch() {
  const clock = new Clock();
  clock.freeze(NOON);
  return { clock, cloudWatch: new CloudWatch(clock) };
}

/**
 * Returns the state of an alarm after five periods, oldest first: `0` for a value within the threshold, `X` for a value
 * that breaches it, `-` for a period without data.
 */
function stateAfter(periods: string, more: object): string {
  const { cloudWatch } = newCloudWatch();
  for (const [n, period] of periods.split(' ').entries()) {
    if (period !== '-') cloudWatch.put(METRIC, period === 'X' ? 1 : 0, NOON - (4 - n) * 300_000);
  }
  return new Alarm({ ...BASE, ...more }, cloudWatch).evaluate().state;
}

describe('an emulated alarm', () => {
  // Source: CloudWatch User Guide, "How alarm state is evaluated when data is missing".
  it.each([
    ['0 - X - X', 3, 'OK', 'OK'],
    ['- - - - 0', 3, 'OK', 'OK'],
    ['- - - - -', 3, 'ALARM', 'OK'],
    ['0 X X - X', 3, 'ALARM', 'ALARM'],
    ['- - X - -', 3, 'ALARM', 'OK'],
    ['0 - X - X', 2, 'ALARM', 'ALARM'],
    ['0 0 X 0 X', 2, 'ALARM', 'ALARM'],
    ['0 - X - -', 2, 'ALARM', 'OK'],
    ['- - - - 0', 2, 'ALARM', 'OK'],
    ['- - - X -', 2, 'ALARM', 'OK'],
  ])(
    'an alarm evaluates the periods %s, of which %i of 3 must breach: the state is %s if missing data is breaching, and %s if not',
    (periods, DatapointsToAlarm, breaching, notBreaching) => {
      const state = (TreatMissingData: string) =>
        stateAfter(periods, { DatapointsToAlarm, TreatMissingData });
      expect([state('breaching'), state('notBreaching')]).toEqual([breaching, notBreaching]);
    },
  );

  it('an alarm evaluates a sliding window that ends with the current minute', () => {
    const { clock, cloudWatch } = newCloudWatch();
    const alarm = new Alarm({ ...BASE, EvaluationPeriods: 1, Threshold: 2 }, cloudWatch);
    cloudWatch.put(METRIC, 1);
    clock.advance(4 * 60);
    cloudWatch.put(METRIC, 1);
    expect(alarm.evaluate()).toEqual({
      name: 'keys-Failed',
      state: 'ALARM',
      condition: '>= 2 in 1 of 1 periods of 300 s',
      values: [2],
      description: '',
    });
    clock.advance(60);
    expect(alarm.evaluate()).toMatchObject({ state: 'OK', values: [1] });
  });

  it.each([
    ['Sum', 10],
    ['Average', 2.5],
    ['SampleCount', 4],
    ['Maximum', 4],
    ['Minimum', 1],
    ['p99', 4],
    ['p50', 2],
  ])('an alarm on the statistic %s of 3, 1, 4 and 2 evaluates %d', (Statistic, value) => {
    const { cloudWatch } = newCloudWatch();
    for (const sample of [3, 1, 4, 2]) cloudWatch.put(METRIC, sample);
    const alarm = new Alarm({ ...BASE, Statistic, EvaluationPeriods: 1 }, cloudWatch);
    expect(alarm.evaluate().values).toEqual([value]);
  });

  it('an alarm watches only the metric whose dimensions exactly match its own', () => {
    const { cloudWatch } = newCloudWatch();
    cloudWatch.put({ ...METRIC, dimensions: { stack: 'other' } }, 1);
    cloudWatch.put({ ...METRIC, dimensions: { stack: 'keys', reason: 'expired' } }, 1);
    const alarm = new Alarm({ ...BASE, EvaluationPeriods: 1 }, cloudWatch);
    expect(alarm.evaluate()).toMatchObject({ state: 'OK', values: [null] });
  });

  it.each([
    [{ TreatMissingData: undefined }, 'The local runner has no alarms that treat missing data as missing.'],
    [{ TreatMissingData: 'ignore' }, 'The local runner has no alarms that treat missing data as ignore.'],
    [{ ComparisonOperator: 'Unlike' }, 'The local runner does not know the comparison Unlike.'],
  ])('an alarm with %j is not emulated', (more, message) => {
    const { cloudWatch } = newCloudWatch();
    expect(() => new Alarm({ ...BASE, ...more }, cloudWatch).evaluate()).toThrow(message);
  });

  it('an alarm on a statistic that is not emulated cannot be evaluated', () => {
    const { cloudWatch } = newCloudWatch();
    cloudWatch.put(METRIC, 1);
    const alarm = new Alarm({ ...BASE, Statistic: 'TM99' }, cloudWatch);
    expect(() => alarm.evaluate()).toThrow('The local runner does not know the statistic TM99.');
  });
});

describe('emulated metric math', () => {
  const metrics = new Map([
    ['a', [1, undefined, 3]],
    ['b', [10, 20, undefined]],
  ]);

  it.each([
    ['a', [1, undefined, 3]],
    ['FILL(a, 0) + FILL(b, 0)', [11, 20, 3]],
    ['a + b', [11, undefined, undefined]],
    ['2 * (a - 1) / 4', [0, undefined, 1]],
    ['MAX([FILL(a, 0), b])', [10, 20, 3]],
    ['MAX([a])', [1, undefined, 3]],
  ])('the expression %s evaluates to %j', (expression, values) => {
    expect(evaluate(expression, metrics)).toEqual(values);
  });

  it.each([
    ['c', '"c"'],
    ['SUM([a, b])', '"SUM"'],
    ['a b', '"b"'],
    ['FILL(a, REPEAT)', '"REPEAT"'],
    ['MAX(a)', '"MAX"'],
    ['(a', '""'],
    ['1', '""'],
  ])('the expression %s is not emulated', (expression, token) => {
    expect(() => evaluate(expression, metrics)).toThrow(
      `The local runner does not know ${token} in the expression ${expression}.`,
    );
  });
});

describe('emulated metrics', () => {
  it('records the metrics in the log of a function, under their own time and with each set of dimensions', () => {
    const { cloudWatch } = newCloudWatch();
    const line = {
      _aws: {
        Timestamp: NOON - 60_000,
        CloudWatchMetrics: [
          {
            Namespace: 'Test',
            Dimensions: [['stack'], ['stack', 'reason']],
            Metrics: [{ Name: 'Failed', Unit: 'Count' }, { Name: 'Lag' }],
          },
        ],
      },
      stack: 'keys',
      reason: 'expired',
      Failed: 1,
      Lag: [5, 7],
    };
    cloudWatch.readOutput(`a line of text with "_aws"\n${JSON.stringify(line)}\n{"message":"no metric"}\n`);
    const values = (name: string, dimensions: Record<string, string>, from = 0) =>
      cloudWatch.values({ namespace: 'Test', name, dimensions }, from, NOON);
    expect(values('Failed', { stack: 'keys' })).toEqual([1]);
    expect(values('Failed', { stack: 'keys' }, NOON - 59_999)).toEqual([]);
    expect(values('Lag', { reason: 'expired', stack: 'keys' })).toEqual([5, 7]);
  });

  it('records invocations, errors, durations and throttles of a function', async () => {
    const alarm = (MetricName: string, Statistic: string) => ({
      ...BASE,
      AlarmName: MetricName,
      Namespace: 'AWS/Lambda',
      MetricName,
      Dimensions: [{ Name: 'FunctionName', Value: { Ref: 'Tick' } }],
      Statistic,
      EvaluationPeriods: 1,
    });
    const fixture = new Fixture().function(
      'Tick',
      'exports.handler = async ({ fails }) => { if (fails) throw new Error("no"); return 1; };',
    );
    for (const [name, statistic] of [
      ['Invocations', 'Sum'],
      ['Errors', 'Sum'],
      ['Throttles', 'Sum'],
      ['Duration', 'SampleCount'],
    ] as const) {
      fixture.add(name, 'AWS::CloudWatch::Alarm', alarm(name, statistic));
    }
    const stack = await runStack({ synthesise: fixture.synthesise });
    const values = () => stack.alarms().map(({ name, values: [value] }) => [name, value]);
    await stack.invoke('tick', {});
    await expect(stack.invoke('tick', { fails: true })).rejects.toThrow('Error: no');
    expect(values()).toEqual([
      ['Invocations', 2],
      ['Errors', 1],
      ['Throttles', 0],
      ['Duration', 2],
    ]);
    stack.reserveConcurrency('tick', 0);
    await expect(stack.invoke('tick', {})).rejects.toThrow('TooManyRequestsException: Rate Exceeded.');
    stack.reserveConcurrency('tick', undefined);
    await stack.invoke('tick', {});
    expect(values()).toEqual([
      ['Invocations', 3],
      ['Errors', 1],
      ['Throttles', 1],
      ['Duration', 3],
    ]);
  });
});
