/** Everything, as CI tries it: `npm run test:slow`. */
const ALL = process.env.GENERATED === 'all';

/** Every fifth of what a test tries in all its combinations, or all. */
export function someOf<T>(all: readonly T[]): readonly T[] {
  return ALL ? all : all.filter((_, n) => n % 5 === 0);
}

/** The first of what a test tries one after the other, or all. */
export function firstOf<T>(all: readonly T[]): readonly T[] {
  return ALL ? all : all.slice(0, 1);
}

/** How many of that many generated inputs a run tries: a fifth of them, or all. */
export function sample(all: number): number {
  return ALL ? all : all / 5;
}
