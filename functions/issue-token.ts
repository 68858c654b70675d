import { oauthHandler } from './http/oauth.ts';
import { tokenRoute } from './routes/issue-token.ts';
import { readMaxIdleDays, readPublicUrl, readTokenConfig, readTrustedIssuers } from './runtime/config.ts';
import { newLogger } from './runtime/logger.ts';
import { clientReport, issueReport } from './runtime/report.ts';
import { openIssuers } from './runtime/subject-tokens.ts';
import { openTokenStore } from './runtime/token-store.ts';

const { rules, ...config } = readTokenConfig();
const logger = newLogger('issue-token');
const store = openTokenStore(config, logger);

/** POST /oauth/token */
export const handler = oauthHandler(
  {
    'POST /oauth/token': tokenRoute(store, {
      clock: Date.now,
      rules,
      maxIdleDays: readMaxIdleDays(),
      onIssued: issueReport(),
      trust: { issuers: readTrustedIssuers(), verify: openIssuers(Date.now) },
    }),
  },
  { logger, onRefusedClient: clientReport(), acceptsJson: true, publicUrl: readPublicUrl() },
);
