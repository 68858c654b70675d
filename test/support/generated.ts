/**
 * How many inputs the tests try, from the environment variable GENERATED: `all` in the nightly run, `some` in `npm run
 * test:slow`, and `few` in `npm test`.
 */
const AMOUNT = amountOf(process.env.GENERATED);

function amountOf(text = 'few'): 'few' | 'some' | 'all' {
  if (text === 'few' || text === 'some' || text === 'all') return text;
  throw new Error(`GENERATED must be few, some or all, not ${text}.`);
}

/**
 * Returns every nineteenth combination, every fifth, or all of them. Because 19 and 5 are primes, the selection covers
 * each value of each dimension.
 */
export function someOf<T>(all: readonly T[]): readonly T[] {
  const step = { few: 19, some: 5, all: 1 }[AMOUNT];
  return all.filter((_, n) => n % step === 0);
}

/** Returns the first case of a sequence in `npm test`, or all its cases in slower runs. */
export function firstOf<T>(all: readonly T[]): readonly T[] {
  return AMOUNT === 'few' ? all.slice(0, 1) : all;
}

/** Returns the first case of a sequence, or all its cases in the nightly run. */
export function firstUntilNight<T>(all: readonly T[]): readonly T[] {
  return AMOUNT === 'all' ? all : all.slice(0, 1);
}

/** Returns how many generated inputs to try: a tenth of the given number, a third, or all of it. */
export function sample(all: number): number {
  return Math.ceil(all / { few: 10, some: 3, all: 1 }[AMOUNT]);
}
