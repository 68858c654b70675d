import { tokenRoute } from './handlers/token.ts';
import { oauthHandler } from './http/oauth.ts';
import { readMaxIdleDays, readPublicUrl, readTokenConfig, readTrustedIssuers } from './runtime/config.ts';
import { newLogger } from './runtime/logger.ts';
import { clientReport, issueReport } from './runtime/report.ts';
import { openTable } from './runtime/table.ts';
import { openIssuers } from './runtime/trusted-issuers.ts';
import { CALL_PATIENCE } from './table/client.ts';

const { rules, ...config } = readTokenConfig();
const logger = newLogger('issue-token');
const table = openTable(config, CALL_PATIENCE, logger);

/** POST /oauth/token */
export const handler = oauthHandler(
  {
    'POST /oauth/token': tokenRoute(table, {
      clock: Date.now,
      rules,
      maxIdleDays: readMaxIdleDays(),
      onIssued: issueReport(),
      trust: { issuers: readTrustedIssuers(), verify: openIssuers(Date.now) },
    }),
  },
  { logger, onRefusedClient: clientReport(), acceptsJson: true, publicUrl: readPublicUrl() },
);
