/** Pattern of a scope. It does not limit the length. */
export const SCOPE = /^[a-z][a-z0-9-]*(:[a-z][a-z0-9-]*)*$/;

/** Maximum number of scopes per key. */
export const MAX_SCOPES = 16;
/** The maximum length of a scope, in characters. */
export const MAX_SCOPE_LENGTH = 64;

/**
 * Words that cannot be scopes: a token's first scope is `deployment:<id>`, and `any` in requiredScopes means that no
 * scope is required.
 */
const RESERVED = /^(deployment(:|$)|any$)/;

/**
 * Reports whether a stack can define this scope, such as `airflow:read`. The first word must not be `deployment`: with
 * a scope such as `deployment:etl`, a token could claim another Deployment. The scope must not be `any` either.
 */
export function isScope(text: string): boolean {
  return text.length <= MAX_SCOPE_LENGTH && SCOPE.test(text) && !RESERVED.test(text);
}

/** Returns the first scope of every token, which names its Deployment. */
export function deploymentScope(deploymentId: string): string {
  return `deployment:${deploymentId}`;
}

/**
 * Narrows a token's scopes to the requested scopes.
 * @param requested the `scope` parameter (RFC 6749 §3.3): scopes separated by single spaces
 * @param allowed scopes that the key has and the stack defines
 * @returns the scopes to which the token is limited, even if its key gets more scopes later; undefined if the list is
 *   malformed, or names another Deployment or a scope that the key does not have
 */
export function narrowScopes(
  requested: string,
  allowed: readonly string[],
  deploymentId: string,
): string[] | undefined {
  const words = requested.split(' ').filter((word) => word !== deploymentScope(deploymentId));
  return words.every((word) => allowed.includes(word))
    ? allowed.filter((scope) => words.includes(scope))
    : undefined;
}

/**
 * Returns the token's effective scopes: its scopes that the key still has and the stack still defines. Removing a scope
 * from the key or the stack therefore also affects existing tokens.
 * @param granted the token's own, narrowed scopes; undefined for a token that has all scopes of its key
 * @param ofKey the key's scopes; undefined for a temporary token
 * @param known scopes that the stack defines
 */
export function effectiveScopes(
  granted: readonly string[] | undefined,
  ofKey: readonly string[] | undefined,
  known: readonly string[],
): string[] {
  return known.filter((scope) => (!granted || granted.includes(scope)) && (!ofKey || ofKey.includes(scope)));
}

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
const parameterPattern = new RegExp(`^\\{(?<name>${PARAMETER})(?<greedy>\\+?)\\}$`);
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
  const [method, template, ...rest] = route.split(' ');
  const path = template === undefined || rest.length > 0 ? undefined : writtenPath(template);
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
    const { name, greedy } = parameterPattern.exec(segment)?.groups ?? {};
    if (name) return greedy ? `:${name}...` : `:${name}`;
    return literalPattern.test(segment) ? segment : undefined;
  });
  return root === '' && !written.includes(undefined) ? `/${written.join('/')}` : undefined;
}

/** Reports whether text is the name of a path parameter, without braces. */
export function isParameterName(text: string): boolean {
  return parameterNamePattern.test(text);
}
