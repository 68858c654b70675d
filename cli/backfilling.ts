import {
  type CompareDependencies,
  type Compared,
  compareRegistrations,
  compareRows,
} from '../functions/jobs/reconcile-source.ts';

/** How far a backfill has come. */
export interface Position {
  /** The source and the service's table, by which another run knows its own position. */
  of: string;
  part: 'rows' | 'registrations';
  after: Record<string, unknown> | undefined;
}

export interface Backfill extends CompareDependencies {
  /** Whether what is registered from the source, and has no row there, is deleted too. */
  prunes: boolean;
  /** Where an earlier run was interrupted. */
  begin: Position;
  /** Told after each page how far it has come; undefined: all is done. */
  onPosition: (position: Position | undefined) => void;
  /** Told after each page of all counts so far. */
  onProgress: (counts: Compared['counts']) => void;
}

/**
 * Registers what is in the source and not here, page by page. Every page can be repeated, so a run that goes on from
 * the last position that it told of misses nothing. The stream may run meanwhile.
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
