import type { Template } from '../template.ts';
import type { CloudWatch, MetricName } from './cloudwatch.ts';
import { evaluate, type Series } from './metric-math.ts';

/** An alarm's state and the values that decided it. */
export interface AlarmStatus {
  /** Name of the alarm, with the stack's name. */
  readonly name: string;
  readonly state: 'OK' | 'ALARM';
  /** The alarm's condition, such as `>= 5 in 1 of 1 periods of 300 s`. */
  readonly condition: string;
  /** The values of the evaluated periods, newest first; null for a period without data. */
  readonly values: readonly (number | null)[];
  readonly description: string;
}

interface MetricProperties {
  readonly Namespace: string;
  readonly MetricName: string;
  readonly Dimensions?: readonly { readonly Name: string; readonly Value: string }[] | undefined;
}

interface Query {
  readonly Id: string;
  readonly Expression?: string;
  readonly MetricStat?: { readonly Metric: MetricProperties; readonly Period: number; readonly Stat: string };
  readonly ReturnData?: boolean;
}

interface AlarmProperties extends Partial<MetricProperties> {
  readonly AlarmName: string;
  readonly AlarmDescription?: string;
  readonly Statistic?: string;
  readonly ExtendedStatistic?: string;
  readonly Period?: number;
  readonly Metrics?: readonly Query[];
  readonly Threshold: number;
  readonly ComparisonOperator: string;
  readonly EvaluationPeriods: number;
  readonly DatapointsToAlarm?: number;
  readonly TreatMissingData?: string | undefined;
}

const MINUTE = 60_000;
/**
 * Number of periods before the alarm's own periods from which CloudWatch takes values if newer values are missing. AWS
 * does not publish the number. This one is from the example in its guide, "How alarm state is evaluated when data is
 * missing".
 */
const EARLIER = 2;

const OPERATORS: Record<string, { sign: string; breaches: (value: number, threshold: number) => boolean }> = {
  GreaterThanOrEqualToThreshold: { sign: '>=', breaches: (value, threshold) => value >= threshold },
  GreaterThanThreshold: { sign: '>', breaches: (value, threshold) => value > threshold },
  LessThanThreshold: { sign: '<', breaches: (value, threshold) => value < threshold },
  LessThanOrEqualToThreshold: { sign: '<=', breaches: (value, threshold) => value <= threshold },
};

/** One of the template's alarms, which the emulator evaluates when someone asks. */
export class Alarm {
  readonly #properties: AlarmProperties;
  readonly #cloudWatch: CloudWatch;

  constructor(properties: AlarmProperties, cloudWatch: CloudWatch) {
    this.#properties = properties;
    this.#cloudWatch = cloudWatch;
  }

  /**
   * Evaluates the alarm over a sliding window that ends with the current minute. The result does not depend on earlier
   * states.
   *
   * @throws Error for a setting or an expression that is not emulated
   */
  evaluate(): AlarmStatus {
    const { AlarmName, AlarmDescription = '', Threshold, ComparisonOperator } = this.#properties;
    const { EvaluationPeriods, DatapointsToAlarm = EvaluationPeriods } = this.#properties;
    const operator = OPERATORS[ComparisonOperator];
    if (!operator) throw new Error(`The local runner does not know the comparison ${ComparisonOperator}.`);
    const { period, values } = this.#values(EvaluationPeriods + EARLIER);
    const breaching = this.#decisive(values).map(
      (value) => value === undefined || operator.breaches(value, Threshold),
    );
    const isFiring = breaching.filter(Boolean).length >= DatapointsToAlarm;
    return {
      name: AlarmName,
      state: isFiring ? 'ALARM' : 'OK',
      condition: `${operator.sign} ${Threshold} in ${DatapointsToAlarm} of ${EvaluationPeriods} periods of ${period} s`,
      values: values.slice(0, EvaluationPeriods).map((value) => value ?? null),
      description: AlarmDescription,
    };
  }

  /**
   * Returns the values that decide about the state: the newest values that exist, also from earlier periods. If there
   * are too few, and missing values count as breaching, each missing value is undefined.
   */
  #decisive(values: Series): Series {
    const { EvaluationPeriods, TreatMissingData = 'missing' } = this.#properties;
    if (!/^(breaching|notBreaching)$/.test(TreatMissingData)) {
      throw new Error(`The local runner has no alarms that treat missing data as ${TreatMissingData}.`);
    }
    const existing = values.filter((value) => value !== undefined).slice(0, EvaluationPeriods);
    const missing = TreatMissingData === 'breaching' ? EvaluationPeriods - existing.length : 0;
    return [...existing, ...Array.from({ length: missing }, () => undefined)];
  }

  /** Returns the period in seconds, and the values of the newest periods, newest first. */
  #values(count: number): { period: number; values: Series } {
    const { Metrics, Namespace, MetricName, Dimensions, Statistic, ExtendedStatistic, Period } =
      this.#properties;
    if (Metrics === undefined) {
      const metric = { Namespace: Namespace ?? '', MetricName: MetricName ?? '', Dimensions };
      const period = Period ?? 0;
      return { period, values: this.#series(metric, Statistic ?? ExtendedStatistic ?? '', period, count) };
    }
    const series = new Map<string, Series>();
    let period = 0;
    for (const { Id, MetricStat } of Metrics) {
      if (!MetricStat) continue;
      period = MetricStat.Period;
      series.set(Id, this.#series(MetricStat.Metric, MetricStat.Stat, period, count));
    }
    for (const { Id, Expression } of Metrics) {
      if (Expression !== undefined) series.set(Id, evaluate(Expression, series));
    }
    const returned = Metrics.find(({ ReturnData }) => ReturnData !== false);
    return { period, values: series.get(returned?.Id ?? '') ?? [] };
  }

  #series(metric: MetricProperties, statistic: string, period: number, count: number): Series {
    const end = (Math.floor(this.#cloudWatch.now / MINUTE) + 1) * MINUTE;
    const named: MetricName = {
      namespace: metric.Namespace,
      name: metric.MetricName,
      dimensions: Object.fromEntries((metric.Dimensions ?? []).map(({ Name, Value }) => [Name, Value])),
    };
    return Array.from({ length: count }, (_, n) => {
      const until = end - n * period * 1000;
      return aggregate(this.#cloudWatch.values(named, until - period * 1000, until), statistic);
    });
  }
}

/** Returns a statistic of the values in one period; undefined if there are no values. */
function aggregate(values: readonly number[], statistic: string): number | undefined {
  if (values.length === 0) return undefined;
  const sum = values.reduce((total, value) => total + value, 0);
  const [, percentile] = /^p(\d+(?:\.\d+)?)$/.exec(statistic) ?? [];
  if (percentile !== undefined) {
    const rank = Math.ceil((Number(percentile) / 100) * values.length);
    return values.toSorted((a, b) => a - b)[Math.max(rank, 1) - 1];
  }
  switch (statistic) {
    case 'Sum':
      return sum;
    case 'Average':
      return sum / values.length;
    case 'SampleCount':
      return values.length;
    case 'Maximum':
      return Math.max(...values);
    case 'Minimum':
      return Math.min(...values);
    default:
      throw new Error(`The local runner does not know the statistic ${statistic}.`);
  }
}

/** Creates the template's alarms. */
export const createAlarms = (template: Template, cloudWatch: CloudWatch): Alarm[] =>
  template
    .ofType('AWS::CloudWatch::Alarm')
    .map((resource) => new Alarm(template.properties<AlarmProperties>(resource), cloudWatch));
