/** True to try everything, as CI does with `npm run test:slow`. */
const ALL = process.env.GENERATED === 'all';

/**
 * Returns every nineteenth combination, or all of them. Because 19 is a prime, the selection covers each value of each
 * dimension.
 */
export function someOf<T>(all: readonly T[]): readonly T[] {
  return ALL ? all : all.filter((_, n) => n % 19 === 0);
}

/** Returns the first case in a sequence, or all its cases. */
export function firstOf<T>(all: readonly T[]): readonly T[] {
  return ALL ? all : all.slice(0, 1);
}

/** Returns how many generated inputs to try: a tenth of the given number, or all of it. */
export function sample(all: number): number {
  return ALL ? all : Math.ceil(all / 10);
}
