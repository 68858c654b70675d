import { erasureData } from '../functions/domain/erasure.ts';
import { newEvent } from '../functions/domain/events.ts';
import type { Clock } from '../functions/domain/expiry.ts';
import { ERASED, isSub, MAX_SUB_LENGTH, OF_PEOPLE, systemActor } from '../functions/domain/people.ts';
import { type ErasedKind, erasePeople, putErasureEvent } from '../functions/table/erasure.ts';
import { markedJobs } from '../functions/table/people.ts';
import type { Table } from '../functions/table/retried-calls.ts';
import { confirm } from './confirm.ts';
import { Failure, repeatable, UsageError } from './failure.ts';
import { openPaced } from './table.ts';

/** The options of the `erase-person` command. */
export interface ErasePersonOptions {
  readonly table: string;
  readonly writeUnits?: string;
  readonly dryRun?: true;
  readonly yes?: true;
}

/**
 * Erases a person from the table: replaces their `sub` everywhere, and deletes their temporary tokens. First records
 * the erasure as an event, so that an interrupted erasure is known, and a restore erases the person again.
 * @returns the number of changed or deleted items of each kind
 * @throws Failure if a job is still looking for the person's keys, which it could no longer find
 */
export async function erasePerson(
  table: Table,
  sub: string,
  { clock, isDryRun }: { clock: Clock; isDryRun: boolean },
): Promise<Record<ErasedKind, number>> {
  for await (const job of markedJobs(table)) {
    if (job.sub !== sub) continue;
    throw new Failure(
      "The job that looks for this person's keys has not finished. Wait for it (people find), and run the command again.",
    );
  }
  if (!isDryRun) {
    const actor = systemActor('erase-person');
    await putErasureEvent(table, newEvent('person.erased', OF_PEOPLE, actor, clock(), erasureData(sub)));
  }
  return erasePeople(table, (value) => value === sub, isDryRun);
}

async function run(sub: string, options: ErasePersonOptions): Promise<void> {
  if (!isSub(sub) || sub === ERASED) {
    throw new UsageError(`The sub of a person has 1 to ${MAX_SUB_LENGTH} printable ASCII characters.`);
  }
  const { dryRun: isDryRun = false } = options;
  const table = await openPaced(options.table, options.writeUnits);
  const consequence =
    `${sub} is erased from ${options.table}: their keys keep working but no longer name them, and their temporary tokens ` +
    "lose access immediately. This can't be undone.";
  if (!isDryRun) await confirm(consequence, sub, options.yes);
  const counts = await erasePerson(table, sub, { clock: Date.now, isDryRun });
  console.log(isDryRun ? 'Dry run: nothing was written.' : 'Done.');
  for (const [kind, count] of Object.entries(counts)) console.log(`${String(count).padStart(8)} ${kind}`);
}

/** Runs the `erase-person` command. @throws Failure that says what to do */
export async function runErasePerson(sub: string, options: ErasePersonOptions): Promise<void> {
  try {
    await run(sub, options);
  } catch (error) {
    throw repeatable(error);
  }
}
