import { pacedTable } from '../table/paced.ts';
import { sdkTransport } from '../table/sdk-transport.ts';
import type { RetryPolicy, Table } from '../table/table.ts';
import type { JobConfig } from './config.ts';
import { type ErrorLog, openTable } from './table.ts';

/** Opens the table for a job. If the capacity is provisioned, limits the job's write units as the stack specifies. */
export function openJobTable(config: JobConfig, retryPolicy: RetryPolicy, log: ErrorLog): Table {
  const { writeUnits } = config;
  const table = openTable(config, sdkTransport(), retryPolicy, log);
  return writeUnits === undefined ? table : pacedTable(table, writeUnits);
}
