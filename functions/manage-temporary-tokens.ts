import { managementHandler } from './http/management.ts';
import { rejectedCallCounter } from './operations/record-rejected-calls.ts';
import { temporaryTokenRoutes } from './routes/manage-temporary-tokens.ts';
import { readManagementConfig, readScopes } from './runtime/config.ts';
import { newLogger } from './runtime/logger.ts';
import { openTable } from './runtime/table.ts';
import { CALL_PATIENCE } from './table/faults.ts';

const { people, platformPrincipals, ...config } = readManagementConfig();
const logger = newLogger('manage-temporary-tokens');
const table = openTable(config, CALL_PATIENCE, logger);

/** Issues, lists and revokes temporary tokens of signed-in people. */
export const handler = managementHandler(
  temporaryTokenRoutes(table, { clock: Date.now, scopes: readScopes() }),
  { logger, people, platformPrincipals, onRejected: rejectedCallCounter(table, Date.now) },
);
