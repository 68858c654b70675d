import { managementHandler } from './http/management.ts';
import { rejectedCallCounter } from './operations/record-rejected-calls.ts';
import { accessRequirement } from './operations/require-access.ts';
import { deploymentRoutes } from './routes/manage-deployments.ts';
import { readAwsAccess, readDeploymentsSource, readManagementConfig } from './runtime/config.ts';
import { newLogger } from './runtime/logger.ts';
import { failureReport } from './runtime/report.ts';
import { openTable } from './runtime/table.ts';
import { httpsTransport } from './table/https-transport.ts';
import { CALL_RETRIES } from './table/table.ts';

const { people, platformPrincipals, ...config } = readManagementConfig();
const logger = newLogger('manage-deployments');
const table = openTable(config, httpsTransport(readAwsAccess()), CALL_RETRIES, logger);

/** Lambda handler that registers, changes, lists and deletes Deployments. */
export const handler = managementHandler(deploymentRoutes(table, Date.now, readDeploymentsSource()), {
  logger,
  people,
  platformPrincipals,
  requireAccess: accessRequirement(table),
  onFailed: failureReport(),
  onRejected: rejectedCallCounter(table, Date.now),
});
