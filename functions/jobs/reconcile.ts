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
import { type Item, NO_LIFE } from '../table/schema.ts';

/** Something that is looked through page by page. */
export interface Look {
  /** The name under which its position is kept. */
  name: string;
  /**
   * Looks at a page, and mends what it finds; it can be repeated.
   * @param after where the page before ended; undefined: from the start
   */
  page: (after: Item | undefined) => Promise<{ counts: Record<string, number>; next: Item | undefined }>;
}

export interface ReconcileDependencies {
  table: Table;
  clock: Clock;
  /** True while there is time for a further page. */
  hasTime: () => boolean;
  /** Told of the end of each slice. */
  log: (message: string, fields: Record<string, string | number>) => void;
}

/** A pass begins a week after the one before began, in milliseconds. */
const INTERVAL = 7 * 24 * 60 * 60 * 1000;
/** Most pages that one slice reads: of our own table, a quarter of a million items. */
export const PAGES = 250;

/**
 * One slice of a weekly pass, or nothing when none is due. A slice that fails or comes twice is read again: every
 * step can be repeated.
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
    const { counts, next } = await page(after);
    for (const [count, value] of Object.entries({ ...counts, pages: 1 })) {
      sums[count] = (sums[count] ?? 0) + value;
    }
    after = next;
  } while (after && Number(sums.pages) < PAGES && hasTime());
  await writePass(table, name, { startedAt: pass.startedAt, after });
  log(after ? 'reconciliation goes on later' : 'reconciled', { pass: name, ...sums });
}

/** Where to go on: in the pass that is under way, or at the start of the next when that is due. */
function dueSlice(last: Pass | undefined, now: number): Pass | undefined {
  if (last?.after) return last;
  return last && now - last.startedAt < INTERVAL ? undefined : { startedAt: now, after: undefined };
}

/**
 * The whole table. It finds what belongs to a life that is over and that no purge is about to delete, and leaves a
 * marker for it, so that the purge does; and Deployments that the directory does not list, which it lists.
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

/** An item of a life that seems to be over. */
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
    // Nearly all others come just after their Deployment's item, and are of its life.
    else if (kind === 'entry' || deployments.get(deploymentId) !== generation) {
      const life = `${deploymentId}#${generation}`;
      // An entry is overwritten when the Deployment is made again; anything else is a better witness.
      if (kind === 'belonging' || !suspects.has(life)) suspects.set(life, { deploymentId, generation, item });
    }
  }
  const orphans = await markOrphans([...suspects.values()], table, now);
  return { orphans, listed: await listUnlisted(deployments, table) };
}

/** Leave a marker for each life that is over for certain. @returns how many */
async function markOrphans(suspects: Suspect[], table: Table, now: number): Promise<number> {
  const present = await presentLives(table, [...new Set(suspects.map((it) => it.deploymentId))]);
  let orphans = 0;
  for (const { item, ...life } of suspects) {
    const current = present.get(life.deploymentId);
    // Whose own item is damaged may be mended by hand: its life is not known to be over.
    const isOver =
      current && (!current.isThere || (current.generation ?? life.generation) !== life.generation);
    if (!isOver) continue;
    // In this order: a purge that has ended has deleted the item before it removed its marker.
    if ((await isBeingPurged(table, life)) || !(await isStillThere(table, item))) continue;
    await beginPurge(table, life, now);
    orphans++;
  }
  return orphans;
}

/** List each Deployment that the directory does not have in its present life. @returns how many */
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
