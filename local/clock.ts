import { hrtime } from 'node:process';

const FROZEN = 0;
const OFFSET = 1;
const RUNNING = -1n;

/**
 * The clock for functions, gateways, the issuer, TTL and schedules, in epoch milliseconds. It follows the machine's
 * clock until it is frozen or advanced. It never runs backwards unless it is frozen at an earlier time. Its state is in
 * shared memory, so worker threads can read it directly.
 */
export class Clock {
  /** The shared memory that another thread needs to read the same clock. */
  readonly memory: SharedArrayBuffer;
  readonly #cells: BigInt64Array;

  /** Creates a clock. @param memory memory of another thread's clock, which this clock then shares */
  constructor(memory = new SharedArrayBuffer(16)) {
    this.memory = memory;
    this.#cells = new BigInt64Array(memory);
    const isNew = Atomics.load(this.#cells, FROZEN) === 0n;
    if (isNew) Atomics.store(this.#cells, FROZEN, RUNNING);
  }

  /** Returns the current time in epoch milliseconds. */
  now = (): number => {
    const frozen = Atomics.load(this.#cells, FROZEN);
    return frozen === RUNNING ? realNow() + Number(Atomics.load(this.#cells, OFFSET)) : Number(frozen);
  };

  /**
   * Difference between this clock and the machine's clock, in milliseconds. The difference is positive if this clock is
   * ahead.
   */
  get drift(): number {
    return this.now() - realNow();
  }

  /** Stops the clock. @param at time at which to stop it, in epoch milliseconds. Default: the current time */
  freeze(at: number = this.now()): void {
    Atomics.store(this.#cells, FROZEN, BigInt(at));
  }

  /** Moves the clock forward, whether it is frozen or running. @param seconds how far to move the clock, in seconds */
  advance(seconds: number): void {
    const milliseconds = BigInt(Math.round(seconds * 1000));
    const cell = Atomics.load(this.#cells, FROZEN) === RUNNING ? OFFSET : FROZEN;
    Atomics.add(this.#cells, cell, milliseconds);
  }

  /** Lets a frozen clock run again from its current time. */
  release(): void {
    Atomics.store(this.#cells, OFFSET, BigInt(this.drift));
    Atomics.store(this.#cells, FROZEN, RUNNING);
  }
}

/**
 * Returns the process's monotonic time in milliseconds. This time is the same in every thread, and does not depend on
 * the stack's clock.
 */
export const monotonicNow = (): number => Number(hrtime.bigint() / 1_000_000n);

/** The original Date.now, saved before a thread replaces its Date with a Date that reads a Clock. */
const realNow = Date.now;
