import { invalidFields } from '../domain/errors.ts';
import { MAX_NAMED, pageInput, shownName } from './schemas.ts';

/** The query parameters of each management route that has any, by route key without /platform. */
const PARAMETERS: ReadonlyMap<string, readonly string[]> = new Map(
  [
    'GET /deployments',
    'GET /deployments/{deploymentId}/api-keys',
    'GET /deployments/{deploymentId}/temporary-tokens',
    'GET /deployments/{deploymentId}/events',
  ].map((routeKey) => [routeKey, Object.keys(pageInput.shape)]),
);

/**
 * The query parameters of a signature (SigV4) belong to no route. Clients write some of them in lower case, like the
 * headers that they replace.
 */
const SIGNATURE = /^X-Amz-/i;

/**
 * Rejects query parameters that the route does not have, because a misspelled one must not be ignored. Also rejects
 * repeated ones, because it would be unclear which value counts.
 *
 * @param rawQueryString the query as it was sent: API Gateway joins the values of a repeated parameter with commas
 * @param routeKey without /platform
 * @throws ServiceError 400 that names the parameters, at most 20
 */
export function requireKnownParameters(rawQueryString: string, routeKey: string): void {
  const known = PARAMETERS.get(routeKey) ?? [];
  const names = [...new URLSearchParams(rawQueryString).keys()];
  const repeated = known.filter((name) => names.indexOf(name) !== names.lastIndexOf(name));
  const unknown = new Set(names.filter((name) => !known.includes(name) && !SIGNATURE.test(name)));
  const errors = [
    ...repeated.map((field) => ({ field, rule: 'must be given only once' })),
    ...[...unknown].map((name) => ({ field: shownName(name), rule: 'is not a parameter of this request' })),
  ];
  if (errors.length > 0) throw invalidFields(errors.slice(0, MAX_NAMED));
}
