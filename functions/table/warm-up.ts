import { deploymentKey } from './schema.ts';
import type { Table } from './table.ts';

/** How long the init phase waits for the table, in milliseconds. */
const LIMIT = 500;

/**
 * Opens the connection to the table, and keeps only that connection. A function calls this during the init phase, in
 * which Lambda gives it more CPU than for its first call. Reads the item of a Deployment with an empty ID. Such a
 * Deployment cannot exist.
 * @returns a promise that resolves after at most 500 ms, whether or not there was a response
 */
export async function openConnection({ port, tableName }: Table): Promise<void> {
  await port('BatchGetItem', { RequestItems: { [tableName]: { Keys: [deploymentKey('')] } } }, LIMIT);
}
