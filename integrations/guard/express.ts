import type { Request, RequestHandler } from 'express';
import { type GuardOptions, openGuard } from './guard.ts';

export { type Caller, callerOf } from './guard.ts';

/**
 * Returns Express middleware that allows only calls that have a valid access token.
 * @throws TypeError for invalid options
 * @example
 * ```
 * const guard = expressGuard({ url, scopes: ['code:deploy'], deployment: 'deploymentId' });
 * app.post('/deployments/:deploymentId/deploys', guard, (request, response) => {
 *   response.json({ deployedBy: callerOf(request).principalId });
 * });
 * ```
 */
export function expressGuard(options: GuardOptions<Request>): RequestHandler {
  const check = openGuard(options);
  return (request, response, next) => {
    const { authorization = [], 'user-agent': agents = [] } = request.headersDistinct;
    const parameter = (name: string) => String(request.params[name] ?? '');
    check(request, { authorization, userAgent: agents[0], parameter }).then((rejection) => {
      if (!rejection) return next();
      response.status(rejection.status).set(rejection.headers).json(rejection.body);
    }, next);
  };
}
