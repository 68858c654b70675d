import { oauthHandler } from './http/oauth.ts';
import { introspectRoute } from './routes/introspect.ts';
import { readMaxIdleDays, readPublicUrl, readTokenConfig } from './runtime/config.ts';
import { newLogger } from './runtime/logger.ts';
import { clientReport } from './runtime/report.ts';
import { openTokenStore } from './runtime/token-store.ts';

const { rules, ...config } = readTokenConfig();
const logger = newLogger('introspect');

/** POST /oauth/introspect */
export const handler = oauthHandler(
  {
    'POST /oauth/introspect': introspectRoute(openTokenStore(config, logger), {
      clock: Date.now,
      rules,
      maxIdleDays: readMaxIdleDays(),
    }),
  },
  { logger, onRefusedClient: clientReport(), publicUrl: readPublicUrl() },
);
