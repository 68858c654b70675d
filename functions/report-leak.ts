import middy from '@middy/core';
import type { APIGatewayProxyEventV2 } from 'aws-lambda';
import { type Answer, answers, asProblem, invocation } from './http/answer.ts';
import { jsonBody } from './http/body.ts';
import { leakInput, parseInput } from './http/schemas.ts';
import { RESERVE, reportLeak } from './routes/report-leak.ts';
import { readAwsAccess, readTokenConfig } from './runtime/config.ts';
import { newLogger } from './runtime/logger.ts';
import { failureReport, malformedReport } from './runtime/report.ts';
import { httpsTransport } from './table/https-transport.ts';
import { CALL_RETRIES, openTable } from './table/retried-calls.ts';

const { rules, ...config } = readTokenConfig();
const logger = newLogger('report-leak');
const table = openTable(config, httpsTransport(readAwsAccess()), CALL_RETRIES, malformedReport(logger));
const dependencies = { clock: Date.now, rules };

/** Lambda handler for POST /leaks. The response does not reveal whether a credential was valid. */
export const handler = middy<APIGatewayProxyEventV2>()
  .use(invocation(logger))
  .use(answers(logger, asProblem, failureReport()))
  .handler(async (event, context): Promise<Answer> => {
    const { credential } = parseInput(leakInput, jsonBody(event));
    const { requestId, http } = event.requestContext;
    const hasTime = () => context.getRemainingTimeInMillis() > RESERVE;
    await reportLeak(table, credential, { address: http.sourceIp, requestId }, { ...dependencies, hasTime });
    return { status: 202 };
  });
