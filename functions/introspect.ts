import { oauthHandler } from './http/oauth.ts';
import { introspectRoute } from './routes/introspect.ts';
import { readAwsAccess, readMaxIdleDays, readPublicUrl, readTokenConfig } from './runtime/config.ts';
import { newLogger } from './runtime/logger.ts';
import { clientReport, failureReport, malformedReport } from './runtime/report.ts';
import { httpsTransport } from './table/https-transport.ts';
import { CALL_RETRIES, openConnection, openTable } from './table/retried-calls.ts';

const { rules, ...config } = readTokenConfig();
const logger = newLogger('introspect');
const table = openTable(config, httpsTransport(readAwsAccess()), CALL_RETRIES, malformedReport(logger));

/** POST /oauth/introspect */
export const handler = oauthHandler(
  {
    'POST /oauth/introspect': introspectRoute(table, {
      clock: Date.now,
      rules,
      peopleIssuer: config.issuer,
      maxIdleDays: readMaxIdleDays(),
    }),
  },
  { logger, onFailed: failureReport(), onRejectedClient: clientReport(), publicUrl: readPublicUrl() },
);

/** Opens the connection to the table during Lambda's init phase, before the first call. */
export const warmUp = () => openConnection(table);
