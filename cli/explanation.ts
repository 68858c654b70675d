import type { components } from '../functions/openapi/api-types.ts';

/** The service's explanation of whether a key's trust rules match a CI's OIDC token. */
export type Explanation = components['schemas']['Explanation'];

type Difference = Explanation['rules'][number]['differences'][number];

/** Returns a difference as one line: `The claim sub is not exactly the expected text. Expected: a; actual: b`. */
export function differenceText({ detail, expected, actual }: Difference): string {
  if (expected === undefined) return detail;
  const wanted = typeof expected === 'string' ? expected : `${expected.prefix}…`;
  return `${detail} Expected: ${wanted}; actual: ${actual ?? 'not shown or absent'}`;
}
