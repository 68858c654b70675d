import { managementHandler } from './http/management.ts';
import { rejectedCallCounter } from './operations/record-rejected-calls.ts';
import { eventRoutes } from './routes/list-events.ts';
import { readAwsAccess, readManagementConfig } from './runtime/config.ts';
import { newLogger } from './runtime/logger.ts';
import { failureReport, malformedReport } from './runtime/report.ts';
import { httpsTransport } from './table/https-transport.ts';
import { accessRequirement } from './table/people.ts';
import { CALL_RETRIES, openTable } from './table/retried-calls.ts';

const { callers, ...config } = readManagementConfig();
const logger = newLogger('list-events');
const table = openTable(config, httpsTransport(readAwsAccess()), CALL_RETRIES, malformedReport(logger));

/** GET …/events */
export const handler = managementHandler(eventRoutes(table, Date.now), {
  logger,
  ...callers,
  requireAccess: accessRequirement(table),
  onFailed: failureReport(),
  onRejected: rejectedCallCounter(table, Date.now),
});
