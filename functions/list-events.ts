import { managementHandler } from './http/management.ts';
import { rejectedCallCounter } from './operations/record-rejected-calls.ts';
import { eventRoutes } from './routes/list-events.ts';
import { readManagementConfig } from './runtime/config.ts';
import { newLogger } from './runtime/logger.ts';
import { openTable } from './runtime/table.ts';
import { CALL_PATIENCE } from './table/faults.ts';

const { people, platformPrincipals, ...config } = readManagementConfig();
const logger = newLogger('list-events');
const table = openTable(config, CALL_PATIENCE, logger);

/** GET …/events */
export const handler = managementHandler(eventRoutes(table, Date.now), {
  logger,
  people,
  platformPrincipals,
  onRejected: rejectedCallCounter(table, Date.now),
});
