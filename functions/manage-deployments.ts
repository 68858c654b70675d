import { managementHandler } from './http/management.ts';
import { rejectedCallCounter } from './operations/record-rejected-calls.ts';
import { deploymentRoutes } from './routes/manage-deployments.ts';
import { readDeploymentsSource, readManagementConfig } from './runtime/config.ts';
import { newLogger } from './runtime/logger.ts';
import { openTable } from './runtime/table.ts';
import { CALL_PATIENCE } from './table/faults.ts';

const { people, platformPrincipals, ...config } = readManagementConfig();
const logger = newLogger('manage-deployments');
const table = openTable(config, CALL_PATIENCE, logger);

/** Registers, changes, lists and deletes Deployments. */
export const handler = managementHandler(deploymentRoutes(table, Date.now, readDeploymentsSource()), {
  logger,
  people,
  platformPrincipals,
  onRejected: rejectedCallCounter(table, Date.now),
});
