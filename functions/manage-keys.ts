import { managementHandler } from './http/management.ts';
import { rejectedCallCounter } from './operations/record-rejected-calls.ts';
import { accessTokenRoutes } from './routes/manage-access-tokens.ts';
import { keyRoutes } from './routes/manage-keys.ts';
import {
  readAwsAccess,
  readIssuerKeys,
  readKeyPolicy,
  readManagementConfig,
  readMaxIdleDays,
  readPublicUrl,
  readTokenConfig,
  readTrustedIssuers,
} from './runtime/config.ts';
import { newLogger } from './runtime/logger.ts';
import { failureReport, malformedReport } from './runtime/report.ts';
import { openTokenVerifier } from './runtime/subject-tokens.ts';
import { httpsTransport } from './table/https-transport.ts';
import { accessRequirement } from './table/people.ts';
import { CALL_RETRIES, openTable } from './table/retried-calls.ts';

const { callers, ...config } = readManagementConfig();
const { rules } = readTokenConfig();
const issuers = readTrustedIssuers();
const logger = newLogger('manage-keys');
const table = openTable(config, httpsTransport(readAwsAccess()), CALL_RETRIES, malformedReport(logger));

/**
 * Lambda handler that creates, lists, gets, edits, rotates and deletes a Deployment's API keys, explains their trust
 * rules, and lists and revokes their tokens.
 */
export const handler = managementHandler(
  {
    ...keyRoutes(table, {
      clock: Date.now,
      scopes: rules.scopes,
      maxIdleDays: readMaxIdleDays(),
      trust: { issuers, verify: openTokenVerifier(Date.now, { issuers, inlineKeys: readIssuerKeys() }) },
      policy: readKeyPolicy(),
    }),
    ...accessTokenRoutes(table, { clock: Date.now, rules }),
  },
  {
    logger,
    ...callers,
    publicUrl: readPublicUrl(),
    requireAccess: accessRequirement(table),
    onFailed: failureReport(),
    onRejected: rejectedCallCounter(table, Date.now),
  },
);
