import { managementHandler } from './http/management.ts';
import { rejectedCallCounter } from './operations/record-rejected-calls.ts';
import { deploymentRoutes } from './routes/manage-deployments.ts';
import { readAwsAccess, readDeploymentsSource, readManagementConfig } from './runtime/config.ts';
import { newLogger } from './runtime/logger.ts';
import { failureReport, malformedReport } from './runtime/report.ts';
import { httpsTransport } from './table/https-transport.ts';
import { accessRequirement } from './table/people.ts';
import { CALL_RETRIES, openTable } from './table/retried-calls.ts';

const { callers, ...config } = readManagementConfig();
const logger = newLogger('manage-deployments');
const table = openTable(config, httpsTransport(readAwsAccess()), CALL_RETRIES, malformedReport(logger));

/** Lambda handler that registers, changes, lists and deletes Deployments. */
export const handler = managementHandler(
  deploymentRoutes(table, { clock: Date.now, source: readDeploymentsSource() }),
  {
    logger,
    ...callers,
    requireAccess: accessRequirement(table),
    onFailed: failureReport(),
    onRejected: rejectedCallCounter(table, Date.now),
  },
);
