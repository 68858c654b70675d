import { type Table, tableClient } from '../table/client.ts';
import type { Patience } from '../table/faults.ts';
import { type ErrorLog, logMalformed } from './malformed.ts';

/** The function's table: its client is made once, at start, and kept over calls. */
export function openTable({ tableName }: { tableName: string }, patience: Patience, log: ErrorLog): Table {
  return { client: tableClient(patience), tableName, onMalformed: logMalformed(log) };
}
