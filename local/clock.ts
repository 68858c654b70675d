import { hrtime } from 'node:process';

const FROZEN = 0;
const OFFSET = 1;
const RUNNING = -1n;

/**
 * The time that functions, gateway, issuer, TTL and schedules see, in epoch milliseconds. It is the machine's
 * own until somebody freezes or advances it, and never goes backwards unless frozen at an earlier time. It lives
 * in shared memory, so that worker threads read it without asking.
 */
export class Clock {
  /** What another thread needs to read the same clock. */
  readonly memory: SharedArrayBuffer;
  readonly #cells: BigInt64Array;

  /** @param memory that of another thread's clock, so that both are one. */
  constructor(memory = new SharedArrayBuffer(16)) {
    this.memory = memory;
    this.#cells = new BigInt64Array(memory);
    const isNew = Atomics.load(this.#cells, FROZEN) === 0n;
    if (isNew) Atomics.store(this.#cells, FROZEN, RUNNING);
  }

  /** Epoch milliseconds. */
  now = (): number => {
    const frozen = Atomics.load(this.#cells, FROZEN);
    return frozen === RUNNING ? realNow() + Number(Atomics.load(this.#cells, OFFSET)) : Number(frozen);
  };

  /** How far this clock is from the machine's, in milliseconds. */
  get drift(): number {
    return this.now() - realNow();
  }

  /** Stops the clock. @param at epoch milliseconds; default: where it stands. */
  freeze(at: number = this.now()): void {
    Atomics.store(this.#cells, FROZEN, BigInt(at));
  }

  /** Moves the clock on, frozen or running. */
  advance(seconds: number): void {
    const milliseconds = BigInt(Math.round(seconds * 1000));
    const cell = Atomics.load(this.#cells, FROZEN) === RUNNING ? OFFSET : FROZEN;
    Atomics.add(this.#cells, cell, milliseconds);
  }

  /** Lets the clock run on from where it stands. */
  release(): void {
    Atomics.store(this.#cells, OFFSET, BigInt(this.drift));
    Atomics.store(this.#cells, FROZEN, RUNNING);
  }
}

/** This process's monotonic clock, in milliseconds: the same in every thread, and never virtual. */
export const monotonicNow = (): number => Number(hrtime.bigint() / 1_000_000n);

/** Kept before any thread replaces its Date by one that reads a Clock. */
const realNow = Date.now;
