import { type CheckRules, check } from '../domain/check.ts';
import { formatCredential, RANDOM_LENGTH } from '../domain/identifiers.ts';
import { checkStore } from './checks.ts';
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

/**
 * Makes two checks of a token that does not exist, and keeps only the connection to the table. The first call then runs
 * almost no code for the first time. The second check is for the code that reuses a connection. Together, they reduce the
 * CPU time of the first call by a third.
 * @param issuer the issuer that signs people in
 * @returns a promise that resolves after at most 500 ms
 * @throws ServiceError 503 if the table did not respond
 */
export async function rehearseCheck(table: Table, issuer: string, rules: CheckRules): Promise<void> {
  const store = checkStore({ ...table, retryPolicy: { attempts: 1, attemptTimeout: LIMIT / 2 } }, issuer);
  const credential = { kind: 'token', deploymentId: '0', ulid: '0'.repeat(26) } as const;
  const token = formatCredential(credential, '0'.repeat(RANDOM_LENGTH));
  for (let n = 0; n < 2; n++) await check(token, { store, clock: Date.now, rules });
}
