import type { FastifyRequest, onRequestAsyncHookHandler } from 'fastify';
import { type GuardOptions, openGuard } from './guard.ts';

export { type Caller, callerOf } from './guard.ts';

/**
 * Returns an `onRequest` hook for Fastify that allows only calls that have a valid access token. The hook runs before
 * the body is parsed.
 * @throws TypeError for invalid options
 * @example
 * ```
 * const onRequest = fastifyGuard({ url, scopes: ['code:deploy'], deployment: 'deploymentId' });
 * app.post('/deployments/:deploymentId/deploys', { onRequest }, async (request) => {
 *   return { deployedBy: callerOf(request).principalId };
 * });
 * ```
 */
export function fastifyGuard(options: GuardOptions<FastifyRequest>): onRequestAsyncHookHandler {
  const check = openGuard(options);
  return async (request, reply) => {
    const { authorization = [], 'user-agent': agents = [] } = request.raw.headersDistinct;
    const parameter = (name: string) => (request.params as Record<string, string | undefined>)[name];
    const rejection = await check(request, { authorization, userAgent: agents[0], parameter });
    if (rejection) return reply.code(rejection.status).headers(rejection.headers).send(rejection.body);
  };
}
