import { oauthHandler } from './http/oauth.ts';
import { revokeRoute } from './routes/revoke.ts';
import { readAwsAccess, readMaxIdleDays, readTableConfig } from './runtime/config.ts';
import { newLogger } from './runtime/logger.ts';
import { clientReport, failureReport, malformedReport } from './runtime/report.ts';
import { httpsTransport } from './table/https-transport.ts';
import { CALL_RETRIES, openConnection, openTable } from './table/retried-calls.ts';

const logger = newLogger('revoke');
const table = openTable(
  readTableConfig(),
  httpsTransport(readAwsAccess()),
  CALL_RETRIES,
  malformedReport(logger),
);

/** POST /oauth/revoke */
export const handler = oauthHandler(
  { 'POST /oauth/revoke': revokeRoute(table, Date.now, readMaxIdleDays()) },
  { logger, onFailed: failureReport(), onRejectedClient: clientReport(), acceptsNoSecret: true },
);

/** Opens the connection to the table during Lambda's init phase, before the first call. */
export const warmUp = () => openConnection(table);
