import type { Clock } from '../domain/expiry.ts';
import { allDeployments, readDeployment } from '../table/deployments.ts';
import { GROUPS_PASS, readPassProgress, rewriteEntries, writePassProgress } from '../table/reconcile.ts';
import { type Table, untilUnchanged } from '../table/retried-calls.ts';
import { directoryKey } from '../table/schema.ts';

interface Dependencies {
  table: Table;
  clock: Clock;
  /** Reports whether there is time for one more Deployment. */
  hasTime: () => boolean;
}

/** Number of attempts for a Deployment that other calls change at the same time. */
const ATTEMPTS = 5;

/**
 * Writes the entries in groups of Deployments that an earlier version registered. Until all of them have been written,
 * members' listings read the directory. Does nothing afterwards: each change of a Deployment writes its entries, and
 * reconciliation repairs them.
 * @returns the number of Deployments whose entries were written; undefined if there was nothing to do
 * @throws Error if time runs out. The next run continues after the last completed Deployment
 */
export async function writeGroupEntries({
  table,
  clock,
  hasTime,
}: Dependencies): Promise<number | undefined> {
  const pass = await readPassProgress(table, GROUPS_PASS);
  if (pass && pass.after === undefined) return undefined;
  const startedAt = pass?.startedAt ?? clock();
  let written = 0;
  let done = typeof pass?.after?.sk === 'string' ? pass.after.sk : undefined;
  for await (const { id } of allDeployments(table, done)) {
    if (!hasTime()) {
      const after = done === undefined ? undefined : { ...directoryKey(done) };
      if (after) await writePassProgress(table, GROUPS_PASS, { startedAt, after });
      throw new Error('no time left to write the entries of groups');
    }
    if (await write(id)) written++;
    done = id;
  }
  await writePassProgress(table, GROUPS_PASS, { startedAt, after: undefined });
  return written;

  /**
   * Writes the entries of a Deployment.
   * @returns false if the Deployment has no groups, does not exist or is malformed
   */
  async function write(id: string): Promise<boolean> {
    const isWritten = await untilUnchanged(ATTEMPTS, () => writeOnce(id));
    if (isWritten === undefined) throw new Error('a Deployment is being changed all the time');
    return isWritten;
  }

  /** Reads a Deployment, and writes its entries. @returns undefined if another call changed the Deployment first */
  async function writeOnce(id: string): Promise<boolean | undefined> {
    const deployment = await readDeployment(table, id);
    if (!deployment || deployment.groups.length === 0) return false;
    return (await rewriteEntries(table, deployment)) || undefined;
  }
}
