import { managementHandler } from './http/management.ts';
import { rejectedCallCounter } from './operations/record-rejected-calls.ts';
import { keyRoutes } from './routes/manage-keys.ts';
import { readManagementConfig, readMaxIdleDays, readScopes, readTrustedIssuers } from './runtime/config.ts';
import { newLogger } from './runtime/logger.ts';
import { openTable } from './runtime/table.ts';
import { CALL_PATIENCE } from './table/faults.ts';

const { people, platformPrincipals, ...config } = readManagementConfig();
const logger = newLogger('manage-keys');
const table = openTable(config, CALL_PATIENCE, logger);

/** Creates, lists, gets, edits, rotates and deletes API keys of a Deployment. */
export const handler = managementHandler(
  keyRoutes(table, {
    clock: Date.now,
    scopes: readScopes(),
    maxIdleDays: readMaxIdleDays(),
    issuers: readTrustedIssuers(),
  }),
  {
    logger,
    people,
    platformPrincipals,
    onRejected: rejectedCallCounter(table, Date.now),
  },
);
