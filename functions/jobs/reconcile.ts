import type { Clock } from '../domain/expiry.ts';
import type { Table } from '../table/client.ts';
import { readDeployment } from '../table/deployments.ts';
import { beginPurge, type Life } from '../table/purge.ts';
import {
  type Found,
  isBeingPurged,
  isStillThere,
  listAgain,
  listedLives,
  type Pass,
  presentLives,
  readPass,
  scanPage,
  writePass,
} from '../table/reconcile.ts';
import { type Item, NO_LIFE, passKey } from '../table/schema.ts';

/** Something that a pass reads page by page. */
export interface Look {
  /** Name under which the pass stores its position. */
  name: string;
  /**
   * Reads a page and repairs what it finds. Repeating it is harmless.
   * @param after where the previous page ended; undefined means the start
   */
  page: (after: Item | undefined) => Promise<{ counts: Record<string, number>; next: Item | undefined }>;
}

export interface ReconcileDependencies {
  table: Table;
  clock: Clock;
  /** Whether there is time for another page. */
  hasTime: () => boolean;
  /** Called at the end of each slice. */
  log: (message: string, fields: Record<string, string | number>) => void;
}

/** Time from the start of one pass to the start of the next, in milliseconds: one week. */
const INTERVAL = 7 * 24 * 60 * 60 * 1000;
/** The maximum number of pages in one slice. For the service's own table, these are 250,000 items. */
export const PAGES = 250;

/**
 * Runs one slice of a weekly pass, or nothing if none is due. A slice that fails or runs twice is read again, because
 * every step can be repeated.
 */
export async function reconcile(
  { name, page }: Look,
  { table, clock, hasTime, log }: ReconcileDependencies,
): Promise<void> {
  const pass = dueSlice(await readPass(table, name), clock());
  if (!pass) return;
  const sums: Record<string, number> = { pages: 0 };
  let { after } = pass;
  do {
    const { counts, next } = await page(after).catch((error) => {
      // The position is malformed. It must not stop this pass and all later ones: it starts again.
      if (after === undefined || error.name !== 'ValidationException') throw error;
      table.onMalformed(passKey(name));
      return page(undefined);
    });
    for (const [count, value] of Object.entries({ ...counts, pages: 1 })) {
      sums[count] = (sums[count] ?? 0) + value;
    }
    after = next;
  } while (after && Number(sums.pages) < PAGES && hasTime());
  await writePass(table, name, { startedAt: pass.startedAt, after });
  log(after ? 'reconciliation continues later' : 'reconciled', { pass: name, ...sums });
}

/** Returns where to continue: in the current pass, or at the start of the next one if it is due. */
function dueSlice(last: Pass | undefined, now: number): Pass | undefined {
  if (last?.after) return last;
  // A time in the future is a malformed one.
  return last && Math.abs(now - last.startedAt) < INTERVAL ? undefined : { startedAt: now, after: undefined };
}

/**
 * Reconciles the service's whole table. It finds items of deleted generations that no purge will delete, and writes a
 * purge marker for them. It also adds Deployments that are missing from the directory.
 */
export function ownTable({ table, clock }: { table: Table; clock: Clock }): Look {
  return {
    name: 'TABLE',
    page: async (after) => {
      const { found, next } = await scanPage(table, after);
      return { counts: { items: found.length, ...(await judgePage(found, table, clock())) }, next };
    },
  };
}

/** An item that seems to belong to a deleted generation. */
interface Suspect extends Life {
  item: Found;
}

async function judgePage(
  found: Found[],
  table: Table,
  now: number,
): Promise<{ orphans: number; listed: number }> {
  const deployments = new Map<string, string>();
  const suspects = new Map<string, Suspect>();
  for (const item of found) {
    const { key, deploymentId, generation, kind } = item;
    const isDamaged = kind === 'deployment' && generation === NO_LIFE;
    if (deploymentId === undefined || isDamaged) table.onMalformed(key);
    else if (kind === 'deployment') deployments.set(deploymentId, generation);
    // Nearly all other items directly follow their Deployment's item and belong to its generation.
    else if (kind === 'entry' || deployments.get(deploymentId) !== generation) {
      const life = `${deploymentId}#${generation}`;
      // Prefers other items to directory entries, which are overwritten when the Deployment is registered again.
      if (kind === 'belonging' || !suspects.has(life)) suspects.set(life, { deploymentId, generation, item });
    }
  }
  const orphans = await markOrphans([...suspects.values()], table, now);
  return { orphans, listed: await listUnlisted(deployments, table) };
}

/** Writes a purge marker for each generation that is certainly deleted. Returns how many. */
async function markOrphans(suspects: Suspect[], table: Table, now: number): Promise<number> {
  const present = await presentLives(table, [...new Set(suspects.map((it) => it.deploymentId))]);
  let orphans = 0;
  for (const { item, ...life } of suspects) {
    const current = present.get(life.deploymentId);
    // A malformed Deployment item may be repaired by hand, so its generation does not count as deleted.
    const isOver =
      current && (!current.isThere || (current.generation ?? life.generation) !== life.generation);
    if (!isOver) continue;
    // The order matters: a purge deletes all items before it removes its marker.
    if ((await isBeingPurged(table, life)) || !(await isStillThere(table, item))) continue;
    await beginPurge(table, life, now);
    orphans++;
  }
  return orphans;
}

/** Adds each Deployment whose current generation is missing from the directory. Returns how many. */
async function listUnlisted(deployments: ReadonlyMap<string, string>, table: Table): Promise<number> {
  const entries = await listedLives(table, [...deployments.keys()]);
  const missing = [...deployments].filter(([id, generation]) => entries.get(id) !== generation);
  let listed = 0;
  for (const [id] of missing) {
    const deployment = await readDeployment(table, id);
    if (deployment && (await listAgain(table, deployment))) listed++;
  }
  return listed;
}
