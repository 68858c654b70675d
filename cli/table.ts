import { sdkTransport } from '../functions/table/sdk-transport.ts';
import type { RetryPolicy, Table } from '../functions/table/table.ts';

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
