import { introspectRoute } from './handlers/introspect.ts';
import { oauthHandler } from './http/oauth.ts';
import { readMaxIdleDays, readPublicUrl, readTokenConfig } from './runtime/config.ts';
import { newLogger } from './runtime/logger.ts';
import { clientReport } from './runtime/report.ts';
import { openTable } from './runtime/table.ts';
import { checkStore } from './table/check.ts';
import { CALL_PATIENCE } from './table/client.ts';

const { rules, ...config } = readTokenConfig();
const logger = newLogger('introspect');
const table = openTable(config, CALL_PATIENCE, logger);

/** POST /oauth/introspect */
export const handler = oauthHandler(
  {
    'POST /oauth/introspect': introspectRoute(table, {
      store: checkStore(table),
      clock: Date.now,
      rules,
      maxIdleDays: readMaxIdleDays(),
    }),
  },
  { logger, onRefusedClient: clientReport(), publicUrl: readPublicUrl() },
);
