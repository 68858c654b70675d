import { oauthHandler } from './http/oauth.ts';
import { tokenRoute } from './routes/issue-token.ts';
import {
  readAwsAccess,
  readIssuerKeys,
  readMaxIdleDays,
  readPublicUrl,
  readTokenConfig,
  readTrustedIssuers,
} from './runtime/config.ts';
import { newLogger } from './runtime/logger.ts';
import { clientReport, failureReport, issueReport, malformedReport } from './runtime/report.ts';
import { openTokenVerifier } from './runtime/subject-tokens.ts';
import { httpsTransport } from './table/https-transport.ts';
import { CALL_RETRIES, openConnection, openTable } from './table/retried-calls.ts';

const { rules, ...config } = readTokenConfig();
const issuers = readTrustedIssuers();
const logger = newLogger('issue-token');
const table = openTable(config, httpsTransport(readAwsAccess()), CALL_RETRIES, malformedReport(logger));

/** POST /oauth/token */
export const handler = oauthHandler(
  {
    'POST /oauth/token': tokenRoute(table, {
      clock: Date.now,
      rules,
      maxIdleDays: readMaxIdleDays(),
      onIssued: issueReport(),
      trust: { issuers, verify: openTokenVerifier(Date.now, { issuers, inlineKeys: readIssuerKeys() }) },
    }),
  },
  {
    logger,
    onFailed: failureReport(),
    onRejectedClient: clientReport(),
    acceptsJson: true,
    publicUrl: readPublicUrl(),
  },
);

/** Opens the connection to the table during Lambda's init phase, before the first call. */
export const warmUp = () => openConnection(table);
