import type { Clock } from '../clock.ts';

/** Identifies a metric: its namespace, its name and all its dimensions. */
export interface MetricName {
  readonly namespace: string;
  readonly name: string;
  readonly dimensions: Readonly<Record<string, string>>;
}

/** A value of a metric at a time, in epoch milliseconds of the stack's clock. */
interface Sample {
  readonly at: number;
  readonly value: number;
}

/** The metric definition in a log line in CloudWatch's embedded metric format. */
interface Embedded {
  readonly Timestamp: number;
  readonly CloudWatchMetrics: readonly {
    readonly Namespace: string;
    readonly Dimensions: readonly (readonly string[])[];
    readonly Metrics: readonly { readonly Name: string }[];
  }[];
}

/** How long samples are kept, in milliseconds: a day longer than the longest range that an alarm can watch. */
const KEPT = 8 * 24 * 60 * 60_000;

/**
 * An in-memory CloudWatch that keeps the samples of metrics: those that functions write to their logs, and those that
 * AWS services would record.
 */
export class CloudWatch {
  readonly #clock: Clock;
  readonly #samples = new Map<string, Sample[]>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The time of the stack's clock, in epoch milliseconds. */
  get now(): number {
    return this.#clock.now();
  }

  /** Records a value. @param at time in epoch milliseconds of the stack's clock. Default: now */
  put(metric: MetricName, value: number, at = this.now): void {
    const key = keyOf(metric);
    const samples = this.#samples.get(key) ?? [];
    samples.push({ at, value });
    const first = samples.findIndex((sample) => sample.at > at - KEPT);
    samples.splice(0, first);
    this.#samples.set(key, samples);
  }

  /** Records the metrics in a function's output. Lines that are not in the embedded metric format have none. */
  readOutput(text: string): void {
    for (const line of text.split('\n')) {
      if (!line.includes('"_aws"')) continue;
      for (const { metric, value, at } of valuesIn(parsed(line))) this.put(metric, value, at);
    }
  }

  /** Returns a metric's values from a time up to, but not including, another time. */
  values(metric: MetricName, from: number, until: number): number[] {
    const samples = this.#samples.get(keyOf(metric)) ?? [];
    return samples.filter(({ at }) => at >= from && at < until).map(({ value }) => value);
  }
}

const keyOf = ({ namespace, name, dimensions }: MetricName) =>
  JSON.stringify([namespace, name, ...Object.entries(dimensions).sort()]);

/** Returns the values of all metrics that a log line's fields define. */
function valuesIn(fields: Record<string, unknown>) {
  const { Timestamp: at, CloudWatchMetrics = [] } = (fields._aws ?? {}) as Partial<Embedded>;
  return CloudWatchMetrics.flatMap((definition) =>
    metricsOf(definition, fields).flatMap((metric) =>
      [fields[metric.name]].flat().map((value) => ({ metric, value: Number(value), at })),
    ),
  );
}

/** Returns each metric of a definition, once for each set of dimensions. */
function metricsOf(
  { Namespace: namespace, Dimensions, Metrics }: Embedded['CloudWatchMetrics'][number],
  fields: Record<string, unknown>,
): MetricName[] {
  return Dimensions.flatMap((names) => {
    const dimensions = Object.fromEntries(names.map((name) => [name, String(fields[name])]));
    return Metrics.map(({ Name }) => ({ namespace, name: Name, dimensions }));
  });
}

/** Returns the fields of a line of JSON; no fields if the line is not JSON. */
function parsed(line: string): Record<string, unknown> {
  try {
    return JSON.parse(line) as Record<string, unknown>;
  } catch {
    return {};
  }
}
