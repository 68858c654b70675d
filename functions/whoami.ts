import { whoami } from './routes/whoami.ts';
import { readAwsAccess, readTokenConfig } from './runtime/config.ts';
import { checkReport, errorLine, malformedReport } from './runtime/report.ts';
import { checkStore, rehearseCheck } from './table/checks.ts';
import { httpsTransport } from './table/https-transport.ts';
import { CHECK_RETRIES, openTable } from './table/retried-calls.ts';

const { rules, ...config } = readTokenConfig();
const table = openTable(config, httpsTransport(readAwsAccess()), CHECK_RETRIES, malformedReport(errorLine));

/** GET /whoami */
export const handler = whoami({
  store: checkStore(table, config.issuer),
  clock: Date.now,
  rules,
  report: checkReport(),
});

/** Rehearses calls during Lambda's init phase, before the first call. */
export const warmUp = () =>
  rehearseCheck(table, { issuer: config.issuer, rules }, (rehearsal, authorization) =>
    whoami(rehearsal)({
      headers: { authorization },
      rawQueryString: 'deployment=0',
      requestContext: { http: {} },
    } as never),
  );
