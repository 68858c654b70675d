/**
 * The check that the middleware for Express, Fastify and Hono runs: one call to GET /whoami for each call to the API.
 * Nothing is cached, because a cached result keeps a revoked token working.
 */

/** The options of a guard, including its requirements for a token. */
export interface GuardOptions<Request> {
  /** URL of the service, such as `https://keys.example.com`. Plain HTTP is possible only on a loopback address. */
  url: string;
  /** Scopes that the token must have. With an empty list, any valid token is enough. */
  scopes: readonly string[];
  /**
   * The Deployment that the call concerns: the name of a path parameter, or a function that returns the Deployment's
   * ID. With `false`, the handler must compare the caller's `deploymentId` with that Deployment.
   */
  deployment: string | false | ((request: Request) => string | undefined);
  /** Time limit for the check, in milliseconds. @default 3000 */
  timeout?: number | undefined;
}

/** The holder of a valid token, as GET /whoami describes it. */
export interface Caller {
  /** ID of the API key, or the person's `sub`. */
  principalId: string;
  principalType: 'api_key' | 'person';
  deploymentId: string;
  /** `deployment:<id>` and the scopes, separated by spaces. */
  scope: string;
  /** RFC 3339, UTC. */
  issuedAt: string;
  /** RFC 3339, UTC: when the token expires unless it is used again. */
  expiresAt: string;
}

/** The response to a call that the guard rejects. Its body is JSON. */
export interface Rejection {
  status: 401 | 403 | 503;
  headers: Record<string, string>;
  body: { message: string };
}

/** The parts of a call that the check needs. */
export interface GuardedCall {
  /** Every value of the Authorization header, in order. */
  authorization: readonly string[];
  userAgent: string | undefined;
  /** Returns the path parameter with the given name. */
  parameter: (name: string) => string | undefined;
}

const LOOPBACK = /^(localhost|127(\.\d+){3}|\[::1\])$/;
const callers = new WeakMap<object, Caller>();

/**
 * Returns a function that checks calls. If a call must be rejected, that function returns the response to send;
 * otherwise, it returns undefined. After an allowed call, `callerOf` returns the caller.
 * @throws TypeError for invalid options
 */
export function openGuard<Request extends object>(options: GuardOptions<Request>) {
  const { scopes, deployment, timeout = 3000 } = options;
  const whoami = new URL('whoami', `${options.url.replace(/\/+$/, '')}/`);
  const isSecure = whoami.protocol === 'https:' || LOOPBACK.test(whoami.hostname);
  if (!isSecure) throw new TypeError(`url: "${options.url}" must begin with https://.`);
  if (!Array.isArray(scopes) || scopes.some((scope) => typeof scope !== 'string' || !/^\S+$/.test(scope)))
    throw new TypeError(
      'scopes: must be a list of scopes, such as ["code:deploy"], or [] for any valid token.',
    );
  if (deployment !== false && !deployment)
    throw new TypeError('deployment: must be a path parameter, a function, or false.');
  if (scopes.length > 0) whoami.searchParams.set('scope', scopes.join(' '));

  return async (request: Request, call: GuardedCall): Promise<Rejection | undefined> => {
    if (call.authorization.length === 0) return rejection(401, 'Bearer');
    const [authorization = '', ...others] = call.authorization;
    if (others.length > 0) return rejection(401, 'Bearer error="invalid_token"');
    const requirement = new URL(whoami);
    const deploymentId = deployment === false ? undefined : deploymentOf(request, deployment, call);
    if (deploymentId !== undefined) requirement.searchParams.set('deployment', deploymentId);
    try {
      const response = await fetch(requirement, {
        headers: { authorization, ...(call.userAgent && { 'user-agent': call.userAgent }) },
        cache: 'no-store',
        redirect: 'error',
        signal: AbortSignal.timeout(timeout),
      });
      const rejected = await rejectionBy(response);
      if (rejected) return rejected;
      const caller = (await response.json()) as Caller;
      if (!meets(caller, scopes, deploymentId)) return rejection(503);
      callers.set(request, Object.freeze(caller));
      return undefined;
    } catch {
      // The service is down or slow, or the response is not from this service.
      return rejection(503);
    }
  };
}

/**
 * Returns the caller of a guarded call.
 * @param request the request that Express or Fastify passes to the handler, or Hono's context
 * @throws Error if no guard has allowed this call
 */
export function callerOf(request: object): Caller {
  const caller = callers.get(request);
  if (!caller) throw new Error('No guard has allowed this call: add the guard to the route.');
  return caller;
}

function deploymentOf<Request>(
  request: Request,
  deployment: string | ((request: Request) => string | undefined),
  { parameter }: GuardedCall,
): string {
  const id = typeof deployment === 'string' ? parameter(deployment) : deployment(request);
  if (!id) throw new Error(`The guard found no Deployment in the call: check its option "deployment".`);
  return id;
}

/**
 * Reports whether the response describes a caller who meets the requirements. Another server may have responded in the
 * service's place, so the response can contain anything.
 */
function meets(caller: Caller, scopes: readonly string[], deploymentId: string | undefined): boolean {
  const granted = caller.scope.split(' ');
  const isOfDeployment = deploymentId === undefined || caller.deploymentId === deploymentId;
  return isOfDeployment && scopes.every((scope) => granted.includes(scope)) && Boolean(caller.principalId);
}

/** Returns the response to a call whose token the service rejects or cannot check; undefined for a valid token. */
async function rejectionBy(response: Response): Promise<Rejection | undefined> {
  const { status } = response;
  if (status === 200) return undefined;
  if (status !== 401 && status !== 403) return rejection(503);
  await response.body?.cancel();
  return rejection(status, response.headers.get('www-authenticate') ?? 'Bearer');
}

const MESSAGES = { 401: 'Unauthorized', 403: 'Forbidden', 503: 'Service Unavailable' };

function rejection(status: Rejection['status'], challenge?: string): Rejection {
  return {
    status,
    headers: {
      'Cache-Control': 'no-store',
      ...(challenge ? { 'WWW-Authenticate': challenge } : { 'Retry-After': '1' }),
    },
    body: { message: MESSAGES[status] },
  };
}
