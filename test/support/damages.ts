import { isDeepStrictEqual } from 'node:util';

type Item = Record<string, unknown>;

/** Values for a damaged attribute: none, or one that has the wrong type, is empty or is out of range. */
export const DAMAGES = [
  undefined,
  '',
  'x',
  -1,
  0.5,
  7,
  8.64e15 + 1,
  Number.MAX_SAFE_INTEGER,
  true,
  null,
  [],
  [7],
  ['x'],
  {},
  { x: 'x' },
  new Set(['x']),
  new Uint8Array([1]),
];

const isMap = (value: unknown): value is Item =>
  typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype;

/**
 * Returns copies of the item, each with one attribute damaged. The copies cover every depth and each kind of damage.
 * The item's keys are never damaged.
 */
export function damagesOf(item: Item, at = ''): { title: string; item: Item }[] {
  return Object.entries(item)
    .filter(([name]) => name !== 'pk' && name !== 'sk')
    .flatMap(([name, before]) => {
      const path = at + name;
      const within = isMap(before)
        ? damagesOf(before, `${path}.`).map(({ title, item: value }) => ({
            title,
            item: { ...item, [name]: value },
          }))
        : [];
      const whole = DAMAGES.filter((value) => !isDeepStrictEqual(value, before)).map((value) => ({
        title: `${path}: ${value instanceof Set ? 'a set' : JSON.stringify(value)}`,
        item: { ...item, [name]: value },
      }));
      return [...whole, ...within];
    });
}
