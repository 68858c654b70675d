import { authorizer } from './routes/authorize.ts';
import { readAwsAccess, readTokenConfig } from './runtime/config.ts';
import { checkReport, errorLine, malformedReport } from './runtime/report.ts';
import { checkStore, rehearseCheck } from './table/checks.ts';
import { httpsTransport } from './table/https-transport.ts';
import { CHECK_RETRIES, openTable } from './table/retried-calls.ts';

const { rules, ...config } = readTokenConfig();
const table = openTable(config, httpsTransport(readAwsAccess()), CHECK_RETRIES, malformedReport(errorLine));

/** The Lambda authorizer for other APIs, which checks a token and extends its expiry. */
export const handler = authorizer({
  store: checkStore(table, config.issuer),
  clock: Date.now,
  rules,
  report: checkReport(),
});

/** Rehearses calls during Lambda's init phase, before the first call. */
export const warmUp = () =>
  rehearseCheck(table, { issuer: config.issuer, rules }, (rehearsal, authorization) =>
    authorizer(rehearsal)({
      version: '2.0',
      type: 'REQUEST',
      routeArn: 'arn:aws:execute-api:region:account:api/stage/GET/deployments/0',
      routeKey: 'GET /deployments/{deploymentId}',
      pathParameters: { deploymentId: '0' },
      headers: { authorization },
      requestContext: { http: { method: 'GET' } },
    } as never),
  );
