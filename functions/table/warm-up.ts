import type { CheckRules, CheckStore } from '../domain/check.ts';
import type { Clock } from '../domain/expiry.ts';
import { formatCredential, RANDOM_LENGTH } from '../domain/identifiers.ts';
import { hashOf } from '../domain/secrets.ts';
import { checkStore } from './checks.ts';
import type { Port } from './port.ts';
import { type CheckedKeys, checkedKeys, deploymentKey, type Item } from './schema.ts';
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

/** What a check needs, with a report that writes nothing. */
interface Rehearsal {
  store: CheckStore;
  clock: Clock;
  rules: CheckRules;
  report: { denied: () => void; failed: () => void };
}

/**
 * Makes three calls with a token that does not exist, and keeps only the connection to the table. The first call of a
 * client then runs almost no code for the first time. The first rehearsed call opens the connection, and the third
 * reuses it. The second reads items that were never stored, so that the code for an allowed call also runs.
 * @param call makes a call of the function with the given Authorization header
 * @returns a promise that resolves after at most 500 ms
 * @throws any error of `call`, such as ServiceError 503 if the table did not respond
 */
export async function rehearseCheck(
  table: Table,
  { issuer, rules }: { issuer: string; rules: CheckRules },
  call: (rehearsal: Rehearsal, authorization: string) => Promise<unknown>,
): Promise<void> {
  const credential = { kind: 'token', deploymentId: '0', ulid: '0'.repeat(26) } as const;
  const token = formatCredential(credential, '0'.repeat(RANDOM_LENGTH));
  const retryPolicy = { attempts: 1, attemptTimeout: LIMIT / 2 };
  const limited: Table = { ...table, retryPolicy, onMalformed: () => {} };
  const output = {
    Responses: { [table.tableName]: inventedItems(checkedKeys(credential, hashOf(token)), rules) },
  };
  const invented: Table = { ...limited, port: (async () => ({ kind: 'done', output })) as Port };
  const report = { denied: () => {}, failed: () => {} };
  for (const one of [limited, invented, limited]) {
    await call({ store: checkStore(one, issuer), clock: Date.now, rules, report }, `Bearer ${token}`);
  }
}

/** Returns the items of a token that is valid now and was just used, so that its check writes nothing. */
function inventedItems(keys: CheckedKeys, { tokenLifetime, scopes }: CheckRules): Item[] {
  const now = Date.now();
  const generation = '0'.repeat(26);
  const issuedAt = Math.floor(now / 1000);
  return [
    { ...keys.deployment, generation },
    { ...keys.key, generation, epoch: 0, enabled: true, scopes, lastUsedAt: now },
    { ...keys.presented, generation, epoch: 0, issuedAt, expiresAt: issuedAt + tokenLifetime },
  ];
}
