/**
 * Which scopes each route of an API requires, as its stage variable `requiredScopes` says:
 *
 *     POST/deploys=code:deploy&GET/deployments/:deploymentId/dags=airflow:read,airflow:write&GET/ping=any
 *
 * Stage variables take nothing but `A-Za-z0-9-._~:/?#&=,`, so a parameter is written `:name`, and one that takes
 * the rest of the path `:name...`. Scopes between commas are all required; `any` asks for a good token alone and
 * must be written. Method `ANY` stands for the methods that the path does not name; `default` is an HTTP API's
 * `$default` route.
 */
import { isScope } from './scopes.ts';

/** Written for a route that requires no scope. `isScope` reserves it. */
const ANY_SCOPE = 'any';
const DEFAULT_ROUTE = 'default';

/** The path parameter that names the Deployment, unless the stage variable `deploymentParameter` names another. */
export const DEPLOYMENT_PARAMETER = 'deploymentId';

const PARAMETER = '[A-Za-z0-9_-]+';
const LITERAL = '[A-Za-z0-9._~-][A-Za-z0-9._~:-]*';
const METHOD = 'GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS|ANY';
const routePattern = new RegExp(
  `^(?:(?:${METHOD})(?:/|(?:/(?:${LITERAL}|:${PARAMETER}))+(?:/:${PARAMETER}\\.\\.\\.)?|/:${PARAMETER}\\.\\.\\.)|${DEFAULT_ROUTE})$`,
);
const literalPattern = new RegExp(`^${LITERAL}$`);
const parameterPattern = new RegExp(`^\\{(${PARAMETER})(\\+?)\\}$`);
const parameterNamePattern = new RegExp(`^${PARAMETER}$`);

/** Scopes by route; parsed, so that nothing half understood is ever enforced. */
export type RequiredScopes = ReadonlyMap<string, readonly string[]>;

/**
 * Parse the stage variable, strictly and whole.
 * @returns undefined when any part of it is malformed, or a route stands in it twice
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
 * The scopes that a call must have.
 * @param method of the call itself, such as `GET`
 * @param template the route's path as API Gateway has it, `/deployments/{deploymentId}`; undefined for `$default`
 * @returns undefined when no rule is for this route: it must not be let through
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
 * A route as the stage variable writes it: `POST/deploys/:id` for `POST /deploys/{id}`, `default` for `$default`.
 * @returns undefined for a route that it cannot write
 */
export function writtenRoute(route: string): string | undefined {
  if (route === '$default') return DEFAULT_ROUTE;
  const [method = '', template = '', ...rest] = route.split(' ');
  const path = rest.length === 0 ? writtenPath(template) : undefined;
  return path !== undefined && routePattern.test(method + path) ? method + path : undefined;
}

/** A path with its parameters as the stage variable writes them; undefined for one that it cannot write. */
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

/** True for the name of a path parameter, without braces. */
export function isParameterName(text: string): boolean {
  return parameterNamePattern.test(text);
}
