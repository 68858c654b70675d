import { Logger } from '@aws-lambda-powertools/logger';
import { injectLambdaContext } from '@aws-lambda-powertools/logger/middleware';
import { Metrics } from '@aws-lambda-powertools/metrics';
import { logMetrics } from '@aws-lambda-powertools/metrics/middleware';
import { Tracer } from '@aws-lambda-powertools/tracer';
import { captureLambdaHandler } from '@aws-lambda-powertools/tracer/middleware';
import middy from '@middy/core';
import { z } from 'zod';
import { handler as check } from './naive.ts';

const event = z.object({ headers: z.object({ authorization: z.string() }) });

/** The authorizer function on a typical Lambda stack: Middy, Zod and three Powertools utilities. */
export const handler = middy()
  .use(injectLambdaContext(new Logger({ serviceName: 'bench' })))
  .use(logMetrics(new Metrics({ namespace: 'bench', serviceName: 'bench' })))
  .use(captureLambdaHandler(new Tracer({ serviceName: 'bench', enabled: false })))
  .handler(async (input: unknown) => check(event.parse(input)));
