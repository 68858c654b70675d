import type { Port } from '../table/port.ts';
import type { OnMalformed } from '../table/schema.ts';
import type { RetryPolicy, Table } from '../table/table.ts';
import type { TableConfig } from './config.ts';
import { counted, ofStack } from './log-line.ts';
import * as METRIC from './metric-names.ts';

/** The log to which a function writes errors that an operator must see. */
export interface ErrorLog {
  error: (message: string, fields: Record<string, unknown>) => void;
}

/** Opens the function's table. The function creates the connection once and reuses it across invocations. */
export function openTable(
  { tableName }: TableConfig,
  port: Port,
  retryPolicy: RetryPolicy,
  log: ErrorLog,
): Table {
  return { port, tableName, retryPolicy, onMalformed: logMalformed(log) };
}

/**
 * Returns a function that logs a malformed item and counts it for the alarm. The log line contains the item's primary
 * key without the hash of a token, and never contains the item's content.
 */
export function logMalformed(
  log: ErrorLog,
  env: Record<string, string | undefined> = process.env,
): OnMalformed {
  const dimension = ofStack(env);
  return ({ pk, sk }) =>
    log.error('malformed item', {
      pk,
      sk: sk.replace(/#[\w-]{43}$/, '#…'),
      ...counted(METRIC.malformedItems, dimension),
    });
}
