import {
  type CompareDependencies,
  type Compared,
  compareRegistrations,
  compareRows,
} from '../functions/jobs/reconcile-source.ts';

/** The progress of a backfill. */
export interface Position {
  /** The source and the service's table. A later run compares them to check that the position is its own. */
  of: string;
  part: 'rows' | 'registrations';
  after: Record<string, unknown> | undefined;
}

/** The options and callbacks of a backfill. */
export interface Backfill extends CompareDependencies {
  /** True to also delete Deployments that were registered from the source and have no row there any more. */
  prunes: boolean;
  /** Where to start: the position at which an earlier run was interrupted. */
  begin: Position;
  /** Receives the position before each page, and undefined when the backfill has finished. */
  onPosition: (position: Position | undefined) => void;
  /** Receives the total counts after each page. */
  onProgress: (counts: Compared['counts']) => void;
}

/**
 * Registers the Deployments that the source has and the service lacks, page by page. Pages can be repeated safely, so a
 * run that continues from the last reported position misses nothing. The stream can run at the same time.
 */
export async function backfill({
  prunes,
  begin,
  onPosition,
  onProgress,
  ...comparison
}: Backfill): Promise<void> {
  const sums = { looked: 0, refused: 0, registered: 0, edited: 0, deleted: 0 };
  const parts = prunes ? (['rows', 'registrations'] as const) : (['rows'] as const);
  const compare = { rows: compareRows, registrations: compareRegistrations };
  for (const part of parts.slice(Math.max(0, (parts as readonly string[]).indexOf(begin.part)))) {
    let after = part === begin.part ? begin.after : undefined;
    do {
      onPosition({ ...begin, part, after });
      const { counts, next } = await compare[part](after, comparison);
      for (const name of Object.keys(sums) as (keyof typeof sums)[]) sums[name] += counts[name];
      onProgress(sums);
      after = next;
    } while (after);
  }
  onPosition(undefined);
}
