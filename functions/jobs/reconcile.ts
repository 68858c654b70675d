import { type Clock, DAY_MILLIS, type EpochMillis } from '../domain/expiry.ts';
import { readDeployment } from '../table/deployments.ts';
import { beginPurge, type DeploymentGeneration } from '../table/purge.ts';
import {
  dropGroupEntry,
  isBeingPurged,
  isStillThere,
  listedGenerations,
  missingInGroups,
  type PassProgress,
  presentGenerations,
  presentGroups,
  readPassProgress,
  rewriteEntries,
  type ScannedItem,
  scanGenerations,
  writePassProgress,
} from '../table/reconcile.ts';
import type { Table } from '../table/retried-calls.ts';
import { groupEntryKey, type Item, NO_GENERATION, passKey } from '../table/schema.ts';

/** Time reserved for the last page of a slice and the work after it, in milliseconds. */
export const RESERVE = 60_000;

/** A data source that a pass reads page by page. `Count` is the union of the names of its counts. */
export interface Reconciler<Count extends string = string> {
  /** Name under which the pass stores its position. */
  name: string;
  /**
   * Reads a page and repairs the problems in it. Reading a page again is harmless.
   * @param after position at which the previous page ended; undefined for the first page
   * @throws MalformedPosition if nothing can be read from that position
   */
  page: (after: Item | undefined) => Promise<{ counts: Record<Count, number>; next: Item | undefined }>;
}

/** Thrown when the stored position of a pass is not valid for the data that the pass reads. */
export class MalformedPosition extends Error {
  override readonly name = 'MalformedPosition';
}

/** Fields of the log line about a slice: the name of the pass, and the sums of the counts of all pages. */
type SliceFields<Count extends string> = { pass: string; pages: number } & Record<Count, number>;

export interface ReconcileDependencies<Count extends string> {
  table: Table;
  clock: Clock;
  /** Reports whether there is time for one more page. */
  hasTime: () => boolean;
  /** Called at the end of each slice. */
  log: (message: string, fields: SliceFields<Count>) => void;
}

/** Time from the start of one pass to the start of the next pass, in milliseconds: one week. */
const INTERVAL = 7 * DAY_MILLIS;
/** Maximum number of pages in one slice. In the service's own table, this number of pages holds 250,000 items. */
export const PAGES = 250;

/**
 * Runs one slice of a weekly pass, or does nothing if no slice is due. A slice that fails is run again. Running a slice
 * twice is safe, because every step is repeatable.
 */
export async function reconcile<Count extends string>(
  { name, page }: Reconciler<Count>,
  { table, clock, hasTime, log }: ReconcileDependencies<Count>,
): Promise<void> {
  const pass = dueSlice(await readPassProgress(table, name), clock());
  if (!pass) return;
  let sums: Record<Count, number> | undefined;
  let pages = 0;
  let { after } = pass;
  do {
    const { counts, next } = await page(after).catch((error) => {
      // The pass restarts from the beginning, because a malformed position must not block this pass or any later pass.
      const isOfPosition = error instanceof MalformedPosition || error.name === 'ValidationException';
      if (after === undefined || !isOfPosition) throw error;
      table.onMalformed(passKey(name));
      return page(undefined);
    });
    sums = sums ? sumOf(sums, counts) : counts;
    pages++;
    after = next;
  } while (after && pages < PAGES && hasTime());
  await writePassProgress(table, name, { startedAt: pass.startedAt, after });
  log(after ? 'reconciliation continues later' : 'reconciled', { pass: name, pages, ...sums });
}

function sumOf<Count extends string>(one: Record<Count, number>, other: Record<Count, number>) {
  const sum = { ...one };
  for (const name of Object.keys(other) as Count[]) sum[name] += other[name];
  return sum;
}

/** Returns the position at which to continue: in the current pass, or at the start of the next pass if it is due. */
function dueSlice(last: PassProgress | undefined, now: EpochMillis): PassProgress | undefined {
  if (last?.after) return last;
  // A start time in the future counts as malformed.
  return last && Math.abs(now - last.startedAt) < INTERVAL ? undefined : { startedAt: now, after: undefined };
}

/**
 * Reconciles the service's whole table. Finds items of deleted generations that no purge will delete, and writes a
 * purge marker for each such generation. Also adds Deployments that are missing from the directory or
 * from a group, and deletes entries in groups to which their Deployment does not belong.
 */
export function ownTable({
  table,
  clock,
}: {
  table: Table;
  clock: Clock;
}): Reconciler<'items' | 'orphans' | 'dropped' | 'listed'> {
  return {
    name: 'TABLE',
    page: async (after) => {
      const { found, next } = await scanGenerations(table, after);
      return { counts: { items: found.length, ...(await reconcilePage(found, table, clock())) }, next };
    },
  };
}

/** An item that seems to belong to a deleted generation. */
interface OrphanCandidate extends DeploymentGeneration {
  item: ScannedItem;
}

/** The items of a page, by what the pass does with them. */
interface SortedPage {
  /** The items of Deployments, by Deployment ID. */
  deployments: Map<string, ScannedItem>;
  groupEntries: ScannedItem[];
  /** At most one item of each generation, by Deployment ID and generation. */
  candidates: Map<string, OrphanCandidate>;
}

async function reconcilePage(
  found: ScannedItem[],
  table: Table,
  now: EpochMillis,
): Promise<{ orphans: number; dropped: number; listed: number }> {
  const { deployments, groupEntries, candidates } = sorted(found, table.onMalformed);
  const orphans = await markOrphans([...candidates.values()], table, now);
  const dropped = await dropGroupEntries(groupEntries, table);
  return { orphans, dropped, listed: await listUnlisted(deployments, table) };
}

function sorted(found: ScannedItem[], onMalformed: Table['onMalformed']): SortedPage {
  const page: SortedPage = { deployments: new Map(), groupEntries: [], candidates: new Map() };
  for (const item of found) {
    const { key, deploymentId, generation, kind } = item;
    const isDamaged = kind === 'deployment' && generation === NO_GENERATION;
    if (deploymentId === undefined || isDamaged) onMalformed(key);
    else if (kind === 'deployment') page.deployments.set(deploymentId, item);
    else if (kind === 'group entry') page.groupEntries.push(item);
    // Nearly all items of a Deployment directly follow the Deployment's own item and belong to the same generation.
    else if (kind === 'entry' || page.deployments.get(deploymentId)?.generation !== generation) {
      addCandidate(page.candidates, { deploymentId, generation, item });
    }
  }
  return page;
}

/**
 * Adds an item to the candidates. Prefers any other item to a directory entry, because registering the Deployment again
 * overwrites its directory entry.
 */
function addCandidate(candidates: Map<string, OrphanCandidate>, candidate: OrphanCandidate): void {
  const target = `${candidate.deploymentId}#${candidate.generation}`;
  const isPreferred = candidate.item.kind === 'belonging';
  if (isPreferred || !candidates.has(target)) candidates.set(target, candidate);
}

/** Writes a purge marker for each generation that is certainly deleted. Returns the number of markers. */
async function markOrphans(candidates: OrphanCandidate[], table: Table, now: EpochMillis): Promise<number> {
  const present = await presentGenerations(table, [...new Set(candidates.map((it) => it.deploymentId))]);
  let orphans = 0;
  for (const { item, ...target } of candidates) {
    const current = present.get(target.deploymentId);
    // Someone might repair a malformed Deployment item by hand, so its generation does not count as deleted.
    const isOver =
      current && (!current.isThere || (current.generation ?? target.generation) !== target.generation);
    if (!isOver) continue;
    // Look for the marker before the item, because a purge deletes all items before it removes its marker.
    if ((await isBeingPurged(table, target)) || !(await isStillThere(table, item))) continue;
    await beginPurge(table, target, now);
    orphans++;
  }
  return orphans;
}

/** Deletes the entries in groups to which their Deployment does not belong. Returns the number of deleted entries. */
async function dropGroupEntries(entries: ScannedItem[], table: Table): Promise<number> {
  const present = await presentGroups(table, [...new Set(entries.map(({ key }) => key.sk))]);
  let dropped = 0;
  for (const { key } of entries) {
    const isInGroup = present.get(key.sk)?.some((group) => groupEntryKey(group, key.sk).pk === key.pk);
    if (!isInGroup && (await dropGroupEntry(table, key))) dropped++;
  }
  return dropped;
}

/**
 * Adds each Deployment whose current generation is missing from the directory or from one of its groups. Returns the
 * number of added Deployments.
 */
async function listUnlisted(deployments: ReadonlyMap<string, ScannedItem>, table: Table): Promise<number> {
  const entries = await listedGenerations(table, [...deployments.keys()]);
  const unlisted = [...deployments].filter(([id, { generation }]) => entries.get(id) !== generation);
  const grouped = [...deployments].map(([id, { generation, groups }]) => ({ id, generation, groups }));
  const missing = new Set([...unlisted.map(([id]) => id), ...(await missingInGroups(table, grouped))]);
  let listed = 0;
  for (const id of missing) {
    const deployment = await readDeployment(table, id);
    if (deployment && (await rewriteEntries(table, deployment))) listed++;
  }
  return listed;
}
