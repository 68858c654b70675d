/**
 * Matches a request's path against the path of a route or resource: `/things/{id}`, `/files/{path+}`. API Gateway
 * ignores additional slashes at the beginning of a request's path, and one slash at its end.
 *
 * @returns the path parameters as they appear in the path, or undefined if the path does not match
 */
export function matchPath(template: string, path: string): Record<string, string> | undefined {
  const wanted = template.split('/');
  const given = withOneLeadingSlash(path)
    .replace(/(?<=.)\/$/, '')
    .split('/');
  if (isGreedy(template) ? given.length < wanted.length : given.length !== wanted.length) return undefined;

  const parameters: Record<string, string> = {};
  for (const [index, segment] of wanted.entries()) {
    const rest = segment.endsWith('+}') ? given.slice(index).join('/') : (given[index] ?? '');
    const name = /^\{([\w.:-]+)\+?\}$/.exec(segment)?.[1];
    if (name === undefined ? segment !== rest : rest === '') return undefined;
    if (name !== undefined) parameters[name] = rest;
  }
  return parameters;
}

/** Replaces the slashes at the beginning of a path with a single slash. */
export const withOneLeadingSlash = (path: string): string => path.replace(/^\/+/, '/');

/** Returns whether the path ends with a greedy parameter, such as `{path+}`. */
export const isGreedy = (template: string): boolean => template.endsWith('+}');

/** Ranks each segment, most specific first: 0 for a literal, 1 for a parameter, 2 for a greedy parameter. */
export const specificityOf = (template: string): number[] =>
  template.split('/').map((segment) => (segment.endsWith('+}') ? 2 : segment.startsWith('{') ? 1 : 0));

/** Compares two lists by their first different number, for sorting. */
export function compareNumbers(a: readonly number[], b: readonly number[]): number {
  const differs = a.findIndex((number, index) => number !== b[index]);
  return differs === -1 ? 0 : (a[differs] ?? 0) - (b[differs] ?? 0);
}
