/**
 * Matches a request's path with the path of a route or resource: `/things/{id}`, `/files/{path+}`.
 *
 * @returns the path parameters, as they stand in the path; undefined when it is another one
 */
export function matchPath(template: string, path: string): Record<string, string> | undefined {
  const wanted = template.split('/');
  const given = path.split('/');
  const isGreedy = wanted.at(-1)?.endsWith('+}') ?? false;
  if (isGreedy ? given.length < wanted.length : given.length !== wanted.length) return undefined;

  const parameters: Record<string, string> = {};
  for (const [index, segment] of wanted.entries()) {
    const rest = segment.endsWith('+}') ? given.slice(index).join('/') : (given[index] ?? '');
    const name = /^\{([\w.:-]+)\+?\}$/.exec(segment)?.[1];
    if (name === undefined ? segment !== rest : rest === '') return undefined;
    if (name !== undefined) parameters[name] = rest;
  }
  return parameters;
}

/** One digit a segment, the more specific path first: a literal goes before a parameter, that before a greedy one. */
export const rankOf = (template: string): number[] =>
  template.split('/').map((segment) => (segment.endsWith('+}') ? 2 : segment.startsWith('{') ? 1 : 0));
