import { invalidFields } from '../domain/errors.ts';
import { deploymentsInput, eventsInput, keysInput, MAX_NAMED, pageInput, shownName } from './schemas.ts';

/** The query parameters of the management routes, by route key without /platform. */
const PARAMETERS: ReadonlyMap<string, readonly string[]> = new Map(
  Object.entries({
    'GET /deployments': deploymentsInput,
    'GET /deployments/{deploymentId}/api-keys': keysInput,
    'GET /deployments/{deploymentId}/api-keys/{keyId}/tokens': pageInput,
    'GET /deployments/{deploymentId}/temporary-tokens': pageInput,
    'GET /deployments/{deploymentId}/events': eventsInput,
    'GET /people': pageInput,
    'GET /people/events': pageInput,
  }).map(([routeKey, input]) => [routeKey, Object.keys(input.shape)]),
);

/**
 * The query parameters of a SigV4 signature, which do not belong to any route. Clients write some of them in lower
 * case, like the headers that they replace.
 */
const SIGNATURE = /^X-Amz-/i;

/**
 * Rejects query parameters that the route does not have, because a misspelled parameter must not be ignored. Also
 * rejects repeated parameters, because it would be unclear which value to use.
 *
 * @param rawQueryString the query string as sent, because API Gateway joins the values of a repeated parameter with
 * commas
 * @param routeKey route key without /platform
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
