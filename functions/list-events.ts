import { managementHandler } from './http/management.ts';
import { rejectedCallCounter } from './operations/record-rejected-calls.ts';
import { accessRequirement } from './operations/require-access.ts';
import { eventRoutes } from './routes/list-events.ts';
import { readAwsAccess, readManagementConfig } from './runtime/config.ts';
import { newLogger } from './runtime/logger.ts';
import { failureReport } from './runtime/report.ts';
import { openTable } from './runtime/table.ts';
import { httpsTransport } from './table/https-transport.ts';
import { CALL_RETRIES } from './table/table.ts';

const { people, platformPrincipals, ...config } = readManagementConfig();
const logger = newLogger('list-events');
const table = openTable(config, httpsTransport(readAwsAccess()), CALL_RETRIES, logger);

/** GET …/events */
export const handler = managementHandler(eventRoutes(table, Date.now), {
  logger,
  people,
  platformPrincipals,
  requireAccess: accessRequirement(table),
  onFailed: failureReport(),
  onRejected: rejectedCallCounter(table, Date.now),
});
