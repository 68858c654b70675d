import { type Table, tableClient } from '../table/client.ts';
import type { Patience } from '../table/faults.ts';
import { type ErrorLog, logMalformed } from './malformed.ts';

/** Opens the function's table. The client is created once and reused across invocations. */
export function openTable({ tableName }: { tableName: string }, patience: Patience, log: ErrorLog): Table {
  return { client: tableClient(patience), tableName, onMalformed: logMalformed(log) };
}
