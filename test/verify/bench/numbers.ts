/** Returns the median. For an even number of values, returns the upper of the two middle ones. */
export function median(numbers: readonly number[]): number {
  return numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? Number.NaN;
}

/** Median, minimum and maximum over the passes of a measurement. */
export interface Spread {
  median: number;
  min: number;
  max: number;
}

export function spread(numbers: readonly number[]): Spread {
  return { median: median(numbers), min: Math.min(...numbers), max: Math.max(...numbers) };
}

/** Adds a number to the list with the given name. */
export function push(lists: Record<string, number[]>, name: string | number, number: number): void {
  lists[name] = [...(lists[name] ?? []), number];
}
