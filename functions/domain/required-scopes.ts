/**
 * Parses the `requiredScopes` stage variable, which lists the scopes that each route of an API requires:
 *
 *     POST/deploys=code:deploy&GET/deployments/:deploymentId/dags=airflow:read,airflow:write&GET/ping=any
 *
 * Stage variables may only contain `A-Za-z0-9-._~:/?#&=,`. A path parameter is therefore written `:name`, and a
 * parameter that matches the rest of the path is written `:name...`. All of a route's comma-separated scopes are
 * required. `any` accepts every valid token, and must be given explicitly for a route that requires no scopes. Method
 * `ANY` stands for the methods that the path does not list, and `default` for the `$default` route of an HTTP API.
 */
import { isScope } from './scopes.ts';

/** Marks a route that does not require a scope. `isScope` reserves the word. */
const ANY_SCOPE = 'any';
const DEFAULT_ROUTE = 'default';

/**
 * The path parameter that names the Deployment, unless the `deploymentParameter` stage variable names a different
 * parameter.
 */
export const DEPLOYMENT_PARAMETER = 'deploymentId';

const PARAMETER = '[A-Za-z0-9_-]+';
const LITERAL = '[A-Za-z0-9._~-][A-Za-z0-9._~:-]*';
const METHOD = 'GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS|ANY';
const routePattern = new RegExp(
  `^((${METHOD})(/|(/(${LITERAL}|:${PARAMETER}))+(/:${PARAMETER}\\.\\.\\.)?|/:${PARAMETER}\\.\\.\\.)|${DEFAULT_ROUTE})$`,
);
const literalPattern = new RegExp(`^${LITERAL}$`);
const parameterPattern = new RegExp(`^\\{(${PARAMETER})(\\+?)\\}$`);
const parameterNamePattern = new RegExp(`^${PARAMETER}$`);

/** Required scopes by route. */
export type RequiredScopes = ReadonlyMap<string, readonly string[]>;

/**
 * Parses the stage variable strictly.
 * @returns undefined if any part of the variable is malformed, or if it lists a route twice
 */
export function parseRequiredScopes(text: string): RequiredScopes | undefined {
  const required = new Map<string, readonly string[]>();
  for (const rule of text.split('&')) {
    const [route = '', words, ...rest] = rule.split('=');
    const scopes = words === undefined || rest.length > 0 ? undefined : parseScopes(words);
    if (!scopes || !routePattern.test(route) || required.has(route)) return undefined;
    required.set(route, scopes);
  }
  return required;
}

function parseScopes(words: string): string[] | undefined {
  if (words === ANY_SCOPE) return [];
  const scopes = words.split(',');
  return scopes.every(isScope) ? scopes : undefined;
}

/**
 * Returns the scopes that a call's token must have.
 * @param method HTTP method of the call, such as `GET`
 * @param template the route's path as API Gateway writes it, `/deployments/{deploymentId}`; undefined for `$default`
 * @returns undefined if no rule matches the route; the caller must then deny the call
 */
export function scopesFor(
  required: RequiredScopes,
  method: string,
  template: string | undefined,
): readonly string[] | undefined {
  if (template === undefined) return required.get(DEFAULT_ROUTE);
  const path = writtenPath(template);
  return path === undefined ? undefined : (required.get(method + path) ?? required.get(`ANY${path}`));
}

/**
 * Returns a route in the notation of the stage variable: `POST/deploys/:id` for `POST /deploys/{id}`, `default` for
 * `$default`.
 * @returns undefined if this notation cannot express the route
 */
export function writtenRoute(route: string): string | undefined {
  if (route === '$default') return DEFAULT_ROUTE;
  const [method = '', template = '', ...rest] = route.split(' ');
  const path = rest.length === 0 ? writtenPath(template) : undefined;
  return path !== undefined && routePattern.test(method + path) ? method + path : undefined;
}

/**
 * Returns a path with its parameters in the notation of the stage variable, or undefined if this notation cannot
 * express the path.
 */
function writtenPath(template: string): string | undefined {
  if (template === '/') return template;
  const [root, ...segments] = template.split('/');
  const written = segments.map((segment) => {
    const [, name, isGreedy] = parameterPattern.exec(segment) ?? [];
    if (name) return isGreedy ? `:${name}...` : `:${name}`;
    return literalPattern.test(segment) ? segment : undefined;
  });
  return root === '' && !written.includes(undefined) ? `/${written.join('/')}` : undefined;
}

/** Reports whether text is the name of a path parameter, without braces. */
export function isParameterName(text: string): boolean {
  return parameterNamePattern.test(text);
}
