import { revokeRoute } from './handlers/revoke.ts';
import { oauthHandler } from './http/oauth.ts';
import { readMaxIdleDays, readTableConfig } from './runtime/config.ts';
import { newLogger } from './runtime/logger.ts';
import { clientReport } from './runtime/report.ts';
import { openTable } from './runtime/table.ts';
import { CALL_PATIENCE } from './table/client.ts';

const logger = newLogger('revoke');
const table = openTable(readTableConfig(), CALL_PATIENCE, logger);

/** POST /oauth/revoke */
export const handler = oauthHandler(
  { 'POST /oauth/revoke': revokeRoute(table, Date.now, readMaxIdleDays()) },
  { logger, onRefusedClient: clientReport() },
);
