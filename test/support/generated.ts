/** Every generated input, as CI tries them: `npm run test:generated`. */
const ALL = process.env.GENERATED === 'all';

/** How many of that many generated inputs a run tries: a fifth of them, or all. */
export function sample(all: number): number {
  return ALL ? all : all / 5;
}
