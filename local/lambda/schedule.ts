import { randomUUID } from 'node:crypto';
import type { Clock } from '../clock.ts';
import { ACCOUNT, REGION } from '../template.ts';
import type { InvocationResult, LocalFunction } from './worker-pool.ts';

const UNITS: Record<string, number> = { minute: 60_000, hour: 3_600_000, day: 86_400_000 };
const TICK = 100;

/** A function that an EventBridge rule invokes. */
export interface ScheduleTarget {
  readonly function: LocalFunction;
  /** JSON to send to the function instead of the event. @default the event */
  readonly input: string | undefined;
}

/**
 * An EventBridge rule with a schedule that follows the stack's clock: advancing the clock by an hour makes an hourly
 * rule due.
 */
export class Schedule {
  /** Construct path of the rule. */
  readonly name: string;
  /** How often the schedule runs, such as `rate(15 minutes)`. */
  readonly expression: string;
  readonly #interval: number;
  readonly #clock: Clock;
  readonly #targets: readonly ScheduleTarget[];
  readonly #ruleArn: string;
  /** Whether the rule is enabled. A disabled rule does not run by itself. */
  isEnabled = true;
  #due: number;
  #timer?: NodeJS.Timeout;
  #underWay: Promise<unknown> = Promise.resolve();

  /** Creates the schedule. @throws Error for a schedule expression other than `rate(…)` */
  constructor(
    name: string,
    ruleArn: string,
    expression: string,
    targets: readonly ScheduleTarget[],
    clock: Clock,
  ) {
    const { count, unit = '' } =
      /^rate\((?<count>\d+) (?<unit>minute|hour|day)s?\)$/.exec(expression)?.groups ?? {};
    if (count === undefined) throw new Error(`The local runner does not know the schedule ${expression}.`);
    this.name = name;
    this.expression = expression;
    this.#interval = Number(count) * (UNITS[unit] ?? 0);
    this.#ruleArn = ruleArn;
    this.#targets = targets;
    this.#clock = clock;
    this.#due = clock.now() + this.#interval;
  }

  /** Names of the functions that the schedule invokes. */
  get functions(): readonly string[] {
    return this.#targets.map(({ function: { name } }) => name);
  }

  start(): void {
    this.#timer = setInterval(() => {
      if (!this.isEnabled || this.#clock.now() < this.#due) return;
      // After a large jump of the clock, send one event for all missed runs.
      this.#due = this.#clock.now() + this.#interval;
      void this.fire();
    }, TICK);
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#underWay;
  }

  /** Sends the event now, regardless of the schedule, and waits for the functions. */
  fire(): Promise<InvocationResult[]> {
    const event = {
      version: '0',
      id: randomUUID(),
      'detail-type': 'Scheduled Event',
      source: 'aws.events',
      account: ACCOUNT,
      time: new Date(this.#clock.now()).toISOString().replace(/\.\d+/, ''),
      region: REGION,
      resources: [this.#ruleArn],
      detail: {},
    };
    const outcomes = Promise.all(
      this.#targets.map(({ function: target, input }) =>
        target.pool.invoke(input === undefined ? event : JSON.parse(input)),
      ),
    );
    this.#underWay = outcomes;
    return outcomes;
  }
}
