import { managementHandler } from './http/management.ts';
import { rejectedCallCounter } from './operations/record-rejected-calls.ts';
import { peopleRoutes } from './routes/manage-people.ts';
import { readAwsAccess, readManagementConfig, readPeopleQueueUrl } from './runtime/config.ts';
import { newLogger } from './runtime/logger.ts';
import { openQueue } from './runtime/queue.ts';
import { failureReport, malformedReport } from './runtime/report.ts';
import { httpsTransport } from './table/https-transport.ts';
import { accessRequirement } from './table/people.ts';
import { CALL_RETRIES, openTable } from './table/retried-calls.ts';

const { callers, ...config } = readManagementConfig();
const logger = newLogger('manage-people');
const table = openTable(config, httpsTransport(readAwsAccess()), CALL_RETRIES, malformedReport(logger));
const queue = openQueue(readPeopleQueueUrl());

/** Lambda handler that ends and restores people's access, and lists people. */
export const handler = managementHandler(
  peopleRoutes(table, {
    clock: Date.now,
    issuer: callers.people.issuer,
    // Ignore the error, because the person's access has already been ended, and a schedule starts the job if the queue
    // does not.
    startJob: (person) => queue(person).catch((error) => logger.error('job not started', error as Error)),
  }),
  {
    logger,
    ...callers,
    requireAccess: accessRequirement(table),
    onFailed: failureReport(),
    onRejected: rejectedCallCounter(table, Date.now),
  },
);
