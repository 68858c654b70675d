import { allEvents } from '../functions/table/restore.ts';
import { readArchive } from './archive.ts';
import { repeatable, UsageError } from './failure.ts';
import { type RestoreReport, restore } from './restoration.ts';
import { openPaced, openTable } from './table.ts';
import { readMoment } from './times.ts';

/** The options of the `restore` command. */
export interface RestoreOptions {
  readonly from: string;
  readonly into: string;
  readonly point: string;
  readonly archive?: string;
  readonly disableAll?: true;
  readonly ignorePrincipal: string[];
  readonly again?: true;
  readonly writeUnits?: string;
  readonly dryRun?: true;
}

/**
 * Returns the time to which the backup was restored. @throws UsageError if the time is malformed, or if the events
 * since that time are missing
 */
function readPoint({ from, into, point, archive, disableAll }: RestoreOptions): number {
  const time = readMoment(point, '--point');
  if (from === into && archive === undefined && !disableAll) {
    throw new UsageError(
      '--from and --into are the same table: also give --archive with the events since --point, or use --disable-all.',
    );
  }
  return time;
}

function print({ counts, otherGenerations, unfollowed, unmatched }: RestoreReport, isDryRun: boolean): void {
  console.log(isDryRun ? 'Dry run: nothing was written.' : 'Done.');
  for (const [name, number] of Object.entries(counts)) console.log(`${String(number).padStart(8)} ${name}`);
  if (otherGenerations.length > 0) {
    console.log(
      '\nThese Deployments were registered again since. Their keys are disabled, and their previous generation in the backup is not restored:',
    );
    for (const id of otherGenerations) console.log(`  ${id}`);
  }
  if (unfollowed.length > 0) {
    console.log(
      '\nThe registrations of these Deployments are lost, so backfill --prune does not list them. Delete those that have no row in the followed table:',
    );
    for (const id of unfollowed) console.log(`  ${id}`);
  }
  for (const principal of unmatched) {
    console.error(
      `Warning: --ignore-principal ${principal} matches no change since --point. Check the spelling, or the "principal" of the events.`,
    );
  }
}

async function run(options: RestoreOptions): Promise<void> {
  const point = readPoint(options);
  const [from, into] = [openTable(options.from), await openPaced(options.into, options.writeUnits)];
  const archive = options.archive === undefined ? undefined : readArchive(options.archive);
  const report = await restore({
    from,
    into,
    point,
    history: async (id) => {
      const { events, malformed } = await allEvents(into, id);
      const archived = archive?.get(id) ?? [];
      return {
        events: [...events, ...archived],
        malformed: malformed.filter((eventId) => !archived.some((event) => event.id === eventId)),
      };
    },
    ignored: options.ignorePrincipal,
    disablesAll: options.disableAll ?? false,
    archive: options.archive,
    again: options.again ?? false,
    isDryRun: options.dryRun ?? false,
    clock: Date.now,
    onProgress: (done, all) => {
      if (done % 100 === 0 || done === all) console.error(`${done} of ${all} Deployments`);
    },
    onDoubt: (keyId, why) => console.log(`${keyId}: ${why}`),
  });
  if (!report) {
    return console.log(
      'This restore has already finished. Nothing was changed. To restore the backup once more with other options, add --again.',
    );
  }
  print(report, options.dryRun ?? false);
}

/** Runs the `restore` command. @throws Failure that says what to do */
export async function runRestore(options: RestoreOptions): Promise<void> {
  try {
    await run(options);
  } catch (error) {
    throw repeatable(error);
  }
}
