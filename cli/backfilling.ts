import {
  type CompareDependencies,
  type Compared,
  compareRegistrations,
  compareRows,
} from '../functions/jobs/reconcile-source.ts';
import { resetDeletions } from '../functions/table/deletion-count.ts';
import { Failure } from './failure.ts';

/** The progress of a backfill. */
export interface Position {
  /**
   * Names of the source table and the service's table. A later run compares these names to check that the position
   * belongs to the same tables.
   */
  of: string;
  part: 'rows' | 'registrations';
  after: Record<string, unknown> | undefined;
}

/** The options and callbacks of a backfill. */
export interface Backfill extends Omit<CompareDependencies, 'maxMissing'> {
  /**
   * The maximum number of Deployments that a run is allowed to delete. If the number of Deployments without a row
   * exceeds this maximum, the run does not delete any.
   * @default 5, and at most half of the Deployments
   */
  most?: number | undefined;
  /** True to also delete Deployments that were registered from the source and no longer have a row there. */
  prunes: boolean;
  /** The position to start from: where an earlier run was interrupted. */
  begin: Position;
  /** Receives the position before each page, and undefined when the backfill has finished. */
  onPosition: (position: Position | undefined) => void;
  /** Receives the total counts after each page. */
  onProgress: (counts: Compared['counts']) => void;
}

/**
 * The changes that a run has made or would make, and the maximum number of deletions. The maximum is undefined if the
 * run does not prune.
 */
export interface Backfilled {
  counts: Compared['counts'];
  most: number | undefined;
}

/**
 * Thrown when a run would delete more Deployments than a person allowed, perhaps because the source is empty or is the
 * wrong table.
 */
class TooManyDeletions extends Failure {}

/** The maximum number of Deployments that a run deletes, unless a person allows a different number. */
const FEW = 5;

/**
 * Registers the Deployments that the source has and the service lacks, page by page. Pages can be repeated safely, so a
 * run that continues from the last reported position does not miss a Deployment. The function that follows the table's
 * stream can run at the same time. With `prunes`, the run applies the deletions that the limit blocked, if their rows
 * are really gone, and then lifts the block on later deletions.
 * @throws TooManyDeletions before anything is deleted
 */
export async function backfill(options: Backfill): Promise<Backfilled> {
  const { prunes, begin, onPosition } = options;
  const sums = { read: 0, refused: 0, malformed: 0, registered: 0, edited: 0, deleted: 0, stopped: 0 };
  let most: number | undefined;
  if (!prunes || begin.part !== 'registrations') await compareAll('rows', options, 0, sums);
  if (prunes) {
    most = await allowDeletions(options);
    await compareAll('registrations', options, most, sums);
  }
  onPosition(undefined);
  return { counts: sums, most };
}

/** Returns the position at which a part starts: where an earlier run was interrupted, or the beginning. */
const startOf = (part: Position['part'], begin: Position): Position['after'] =>
  part === begin.part ? begin.after : undefined;

/**
 * Compares a part page by page, starting at its position.
 *
 * @param most maximum number of deletions in the whole run
 * @param sums counts of the whole run, to which the function adds those of each page
 */
async function compareAll(
  part: Position['part'],
  { begin, onPosition, onProgress, ...comparison }: Backfill,
  most: number,
  sums: Compared['counts'],
): Promise<void> {
  const compare = part === 'rows' ? compareRows : compareRegistrations;
  let after = startOf(part, begin);
  do {
    onPosition({ ...begin, part, after });
    // Rows can also disappear after they have been counted.
    const maxMissing = comparison.isDryRun ? Number.POSITIVE_INFINITY : most - sums.deleted;
    const { counts, next } = await compare(after, { ...comparison, maxMissing });
    for (const name of Object.keys(sums) as (keyof typeof sums)[]) sums[name] += counts[name];
    onProgress(sums);
    after = next;
  } while (after);
}

/**
 * Returns the maximum number of deletions, and lifts the block on deletions unless this is a dry run.
 *
 * @throws TooManyDeletions if more Deployments than that have no row in the source
 */
async function allowDeletions({ most: given, begin, ...comparison }: Backfill): Promise<number> {
  const { present, gone } = await missing(startOf('registrations', begin), comparison);
  const most = given ?? Math.min(FEW, Math.max(1, Math.floor(present / 2)));
  if (comparison.isDryRun) return most;
  if (gone > most) throw tooMany(gone, most);
  // A person has confirmed the deletions. Record the confirmation before the comparison, because the comparison finds
  // all deletions that were stopped until now.
  await resetDeletions(comparison.table);
  return most;
}

/** Counts the Deployments in the source, and the registered Deployments without a row there. Changes nothing. */
async function missing(
  begin: Position['after'],
  { table, from, clock }: Pick<CompareDependencies, 'table' | 'from' | 'clock'>,
): Promise<{ present: number; gone: number }> {
  const maxMissing = Number.POSITIVE_INFINITY;
  const dryRun = { table, from, clock, onRejectedRow: () => {}, isDryRun: true, maxMissing };
  const sums = { present: 0, gone: 0 };
  let after = begin;
  do {
    const { counts, next } = await compareRegistrations(after, dryRun);
    sums.present += counts.read;
    sums.gone += counts.deleted;
    after = next;
  } while (after);
  return sums;
}

const tooMany = (gone: number, most: number) =>
  new TooManyDeletions(
    `${gone} Deployments have no row in the source, and ${most} deletions are allowed. None was deleted.\n` +
      'Check that --source names the right table and that the table is complete. If these Deployments are to be deleted, ' +
      `list them with --dry-run, and run the command again with --most ${gone}.`,
  );
