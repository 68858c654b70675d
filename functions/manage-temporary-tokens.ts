import { managementHandler } from './http/management.ts';
import { rejectedCallCounter } from './operations/record-rejected-calls.ts';
import { temporaryTokenRoutes } from './routes/manage-temporary-tokens.ts';
import { readAwsAccess, readManagementConfig, readScopes } from './runtime/config.ts';
import { newLogger } from './runtime/logger.ts';
import { failureReport, malformedReport } from './runtime/report.ts';
import { httpsTransport } from './table/https-transport.ts';
import { accessRequirement } from './table/people.ts';
import { CALL_RETRIES, openTable } from './table/retried-calls.ts';

const { callers, ...config } = readManagementConfig();
const logger = newLogger('manage-temporary-tokens');
const table = openTable(config, httpsTransport(readAwsAccess()), CALL_RETRIES, malformedReport(logger));

/** Lambda handler that issues, lists and revokes signed-in people's temporary tokens. */
export const handler = managementHandler(
  temporaryTokenRoutes(table, { clock: Date.now, scopes: readScopes() }),
  {
    logger,
    ...callers,
    requireAccess: accessRequirement(table),
    onFailed: failureReport(),
    onRejected: rejectedCallCounter(table, Date.now),
  },
);
