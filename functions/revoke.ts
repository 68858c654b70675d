import { oauthHandler } from './http/oauth.ts';
import { revokeRoute } from './routes/revoke.ts';
import { readMaxIdleDays, readTableConfig } from './runtime/config.ts';
import { newLogger } from './runtime/logger.ts';
import { clientReport } from './runtime/report.ts';
import { openTokenStore } from './runtime/token-store.ts';

const logger = newLogger('revoke');
const store = openTokenStore(readTableConfig(), logger);

/** POST /oauth/revoke */
export const handler = oauthHandler(
  { 'POST /oauth/revoke': revokeRoute(store, Date.now, readMaxIdleDays()) },
  { logger, onRefusedClient: clientReport(), acceptsNoSecret: true },
);
