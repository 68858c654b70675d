import type { Context, MiddlewareHandler } from 'hono';
import { type GuardOptions, openGuard } from './guard.ts';

export { type Caller, callerOf } from './guard.ts';

/**
 * Returns Hono middleware that allows only calls that have a valid access token.
 * @throws TypeError for invalid options
 * @example
 * ```
 * const guard = honoGuard({ url, scopes: ['code:deploy'], deployment: 'deploymentId' });
 * app.post('/deployments/:deploymentId/deploys', guard, (context) =>
 *   context.json({ deployedBy: callerOf(context).principalId }),
 * );
 * ```
 */
export function honoGuard(options: GuardOptions<Context>): MiddlewareHandler {
  const check = openGuard(options);
  return async (context, next) => {
    const { req } = context;
    // Repeated headers are joined with a comma, which the service does not accept in a token.
    const authorization = req.header('authorization');
    const rejection = await check(context, {
      authorization: authorization === undefined ? [] : [authorization],
      userAgent: req.header('user-agent'),
      parameter: (name) => req.param(name),
    });
    if (rejection) return context.json(rejection.body, rejection.status, rejection.headers);
    await next();
  };
}
