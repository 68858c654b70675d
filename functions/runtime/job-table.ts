import { pacedPort } from '../table/paced.ts';
import { sdkTransport } from '../table/sdk-transport.ts';
import type { RetryPolicy, Table } from '../table/table.ts';
import type { JobConfig } from './config.ts';
import type { ErrorLog } from './malformed.ts';
import { openTable } from './table.ts';

/**
 * Time in which a job that is limited can write one page of items, in seconds. Jobs reserve at least 10 s for their
 * last page.
 */
const PAGE_SECONDS = 5;

/** Opens the table for a job. If the capacity is provisioned, limits the job's write units as the stack specifies. */
export function openJobTable(config: JobConfig, retryPolicy: RetryPolicy, log: ErrorLog): Table {
  const { writeUnits } = config;
  if (writeUnits === undefined) return openTable(config, sdkTransport(), retryPolicy, log);
  const table = openTable(config, pacedPort(sdkTransport(), writeUnits), retryPolicy, log);
  return { ...table, pageSize: Math.max(1, Math.floor(writeUnits * PAGE_SECONDS)) };
}
