import type { Port } from '../table/port.ts';
import type { RetryPolicy, Table } from '../table/table.ts';
import type { TableConfig } from './config.ts';
import { type ErrorLog, logMalformed } from './malformed.ts';

/** Opens the function's table. The function creates the connection once and reuses it across invocations. */
export function openTable(
  { tableName }: TableConfig,
  port: Port,
  retryPolicy: RetryPolicy,
  log: ErrorLog,
): Table {
  return { port, tableName, retryPolicy, onMalformed: logMalformed(log) };
}
