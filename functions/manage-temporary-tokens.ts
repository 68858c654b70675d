import { managementHandler } from './http/management.ts';
import { rejectedCallCounter } from './operations/record-rejected-calls.ts';
import { accessRequirement } from './operations/require-access.ts';
import { temporaryTokenRoutes } from './routes/manage-temporary-tokens.ts';
import { readAwsAccess, readManagementConfig, readScopes } from './runtime/config.ts';
import { newLogger } from './runtime/logger.ts';
import { failureReport } from './runtime/report.ts';
import { openTable } from './runtime/table.ts';
import { httpsTransport } from './table/https-transport.ts';
import { CALL_RETRIES } from './table/table.ts';

const { people, platformPrincipals, ...config } = readManagementConfig();
const logger = newLogger('manage-temporary-tokens');
const table = openTable(config, httpsTransport(readAwsAccess()), CALL_RETRIES, logger);

/** Lambda handler that issues, lists and revokes signed-in people's temporary tokens. */
export const handler = managementHandler(
  temporaryTokenRoutes(table, { clock: Date.now, scopes: readScopes() }),
  {
    logger,
    people,
    platformPrincipals,
    requireAccess: accessRequirement(table),
    onFailed: failureReport(),
    onRejected: rejectedCallCounter(table, Date.now),
  },
);
