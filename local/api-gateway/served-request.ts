/**
 * The parts of a request that are safe to display. They do not contain text from the caller, and therefore cannot
 * contain a secret.
 */
export interface ServedRequest {
  readonly method: string;
  /**
   * The path of the route. If no route matches, the requested path, in which `…` replaces every segment that no route
   * contains.
   */
  readonly path: string;
  readonly status: number;
  /** The code of the problem or OAuth error, if the response has one. */
  readonly code?: string | undefined;
  readonly milliseconds: number;
}

const MOST_SEGMENTS = 8;

/**
 * Replaces those segments of a path that occur in no route with `…`.
 *
 *     withoutUnknown('/oauth/dks_etl_…', ['/oauth/token']) // '/oauth/…'
 */
export function withoutUnknown(path: string, routes: readonly string[]): string {
  const known = new Set(routes.flatMap((route) => route.split('/')));
  const segments = path
    .split('/')
    .slice(1)
    .map((segment) => (known.has(segment) && !segment.startsWith('{') ? segment : '…'))
    // Use a single `…` for several unknown segments in a row.
    .filter((segment, index, all) => segment !== '…' || all[index - 1] !== '…');
  if (segments.length > MOST_SEGMENTS) segments.splice(MOST_SEGMENTS, Number.POSITIVE_INFINITY, '…');
  return `/${segments.join('/')}`;
}

/** Error codes are in snake case, without digits. No credential has this form. */
const CODE = /^[a-z]+(_[a-z]+){0,5}$/;
const CHALLENGE = /\berror="([a-z_]+)"/;

interface ErrorResponse {
  readonly status: number;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: string | Buffer;
}

/**
 * Returns the code in an error response, from its problem details, its OAuth error or its `WWW-Authenticate` challenge.
 */
export function codeOf({ status, headers, body }: ErrorResponse): string | undefined {
  if (status < 400) return undefined;
  const { code, error } = fieldsOf(body);
  const challenge = headers.find(([name]) => /^(x-amzn-remapped-)?www-authenticate$/i.test(name))?.[1] ?? '';
  return [code, error, CHALLENGE.exec(challenge)?.[1]].find(
    (it): it is string => typeof it === 'string' && it.length <= 40 && CODE.test(it),
  );
}

function fieldsOf(body: string | Buffer): { code?: unknown; error?: unknown } {
  try {
    return JSON.parse(body.toString()) ?? {};
  } catch {
    return {};
  }
}
