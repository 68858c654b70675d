import middy from '@middy/core';
import type { APIGatewayProxyEventV2 } from 'aws-lambda';
import { type Answer, answers, asProblem, invocation } from './http/answer.ts';
import { jsonBody } from './http/body.ts';
import { leakInput, parseInput } from './http/schemas.ts';
import { reportLeak } from './routes/report-leak.ts';
import { readTokenConfig } from './runtime/config.ts';
import { newLogger } from './runtime/logger.ts';
import { openTable } from './runtime/table.ts';
import { CALL_PATIENCE } from './table/faults.ts';

const { rules, ...config } = readTokenConfig();
const logger = newLogger('report-leak');
const table = openTable(config, CALL_PATIENCE, logger);
const dependencies = { clock: Date.now, rules };

/** Milliseconds reserved for the last credentials of a report. */
const RESERVE = 7000;

/** POST /leaks. The answer does not reveal whether a credential was valid. */
export const handler = middy<APIGatewayProxyEventV2>()
  .use(invocation(logger))
  .use(answers(logger, asProblem))
  .handler(async (event, context): Promise<Answer> => {
    const { credential } = parseInput(leakInput, jsonBody(event));
    const { requestId, http } = event.requestContext;
    const hasTime = () => context.getRemainingTimeInMillis() > RESERVE;
    await reportLeak(table, credential, { address: http.sourceIp, requestId }, { ...dependencies, hasTime });
    return { status: 202 };
  });
