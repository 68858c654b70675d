import { provisionedWrites } from '../functions/table/restore.ts';
import type { RetryPolicy, Table } from '../functions/table/retried-calls.ts';
import { pacedTable, sdkTransport, type Time } from '../functions/table/sdk-transport.ts';
import { UsageError } from './failure.ts';

/** Retry policy for calls to DynamoDB. No client waits for a command, so a command retries longer than a function. */
export const RETRIES: RetryPolicy = { attemptTimeout: 5000, attempts: 8 };

/** Opens one of the service's tables. Prints the keys of malformed items, which the command skips. */
export function openTable(tableName: string): Table {
  return {
    port: sdkTransport(),
    tableName,
    retryPolicy: RETRIES,
    onMalformed: ({ pk, sk }) => console.error(`Skipped a malformed item of ${tableName}: ${pk} ${sk}`),
  };
}

/**
 * Opens a table and limits the write units used per second. The default is a quarter of the provisioned capacity, so
 * that calls from pipelines still succeed; only this default needs the permission DescribeTable.
 * @param writeUnits the option `--write-units`
 * @param table the table, which is opened by default
 * @param time the clock; the default is the real one
 * @throws UsageError
 */
export async function openPaced(
  tableName: string,
  writeUnits: string | undefined,
  table = openTable(tableName),
  time?: Time,
): Promise<Table> {
  if (writeUnits !== undefined && !/^[1-9]\d{0,4}$/.test(writeUnits)) {
    throw new UsageError('--write-units must be a whole number from 1 to 99999.');
  }
  const limit = writeUnits === undefined ? ((await provisionedWrites(table)) ?? 0) / 4 : Number(writeUnits);
  if (limit === 0) return table;
  console.error(`Writing at most ${limit} write units per second.`);
  return pacedTable(table, limit, time);
}
