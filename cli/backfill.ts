import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import type { DeploymentsSource } from '../functions/domain/deployments-source.ts';
import { causeOf } from '../functions/domain/errors.ts';
import { openSource } from '../functions/table/source-rows.ts';
import { ConfigError, readSettings } from '../infra/settings.ts';
import { backfill, type Position } from './backfilling.ts';
import { Failure, repeatable, UsageError } from './failure.ts';
import { openTable, RETRIES } from './table.ts';

/** The options of the `backfill` command. */
export interface BackfillOptions {
  readonly table: string;
  readonly source?: string;
  readonly dryRun?: true;
  readonly prune?: true;
  /** A whole number, as text. */
  readonly most?: string;
  readonly position: string;
}

function readSource(given: string | undefined): DeploymentsSource {
  const { deploymentsSource } = readSettings({ deploymentsSource: given ?? ofCdkJson() });
  if (deploymentsSource) return deploymentsSource;
  throw new UsageError(
    '--source is missing. Give the setting deploymentsSource as JSON, or add it to the context in cdk.json.',
  );
}

/** Reads the `deploymentsSource` setting from cdk.json in the current folder, which is the app's folder. */
const ofCdkJson = (): string | DeploymentsSource | undefined =>
  existsSync('cdk.json')
    ? JSON.parse(readFileSync('cdk.json', 'utf8')).context?.deploymentsSource
    : undefined;

/** Reads the position of an interrupted backfill. @throws UsageError if the file belongs to a different backfill */
function positionIn(file: string, of: string): Position {
  if (!existsSync(file)) return { of, part: 'rows', after: undefined };
  const position: Position = JSON.parse(readFileSync(file, 'utf8'));
  if (position.of === of) return position;
  throw new UsageError(
    `--position: ${file} belongs to another backfill (${position.of}). Delete the file, or give another path.`,
  );
}

/** Stores the position atomically, so that a run that is killed leaves no partial file behind. */
function keep(file: string, position: Position | undefined): void {
  if (position) {
    writeFileSync(`${file}.new`, JSON.stringify(position));
    renameSync(`${file}.new`, file);
  } else {
    rmSync(file, { force: true });
  }
}

/** Returns the value of `--most`. @throws UsageError if the value is not a whole number */
function readMost(given: string | undefined): number | undefined {
  if (given === undefined || /^\d{1,9}$/.test(given)) return given === undefined ? undefined : Number(given);
  throw new UsageError(`--most must be a whole number, not ${JSON.stringify(given)}.`);
}

async function run(options: BackfillOptions): Promise<void> {
  const { position: file, prune = false, dryRun: isDryRun = false } = options;
  const most = readMost(options.most);
  const source = readSource(options.source);
  const of = `${source.table} into ${options.table}`;
  const begin: Position = isDryRun ? { of, part: 'rows', after: undefined } : positionIn(file, of);
  if (begin.after) console.error('Continuing from the last interrupted run.');
  const { counts, most: allowed } = await backfill({
    table: openTable(options.table),
    from: openSource(source, RETRIES),
    clock: Date.now,
    isDryRun,
    prunes: prune,
    most,
    begin,
    onPosition: (position) => {
      if (!isDryRun) keep(file, position);
    },
    onRejectedRow: (key, reason) => console.log(`rejected: row ${JSON.stringify(key)}: ${reason}`),
    onRepaired: (id, outcome) => console.log(`${outcome}: ${id}`),
    onProgress: ({ read, registered, edited, deleted, refused, malformed }) =>
      console.error(
        `${read} read, ${registered} registered, ${edited} changed, ${deleted} deleted, ${refused} rejected, ${malformed} malformed`,
      ),
  });
  console.log(isDryRun ? 'Dry run: nothing was written.' : 'Done.');
  if (allowed !== undefined && counts.deleted > allowed) {
    console.log(
      `Without --dry-run, the command deletes none of the ${counts.deleted} Deployments, because ${allowed} deletions are allowed. ` +
        `To delete them, add --most ${counts.deleted}.`,
    );
  }
}

/** Runs the `backfill` command. @throws Failure that says what to do */
export async function runBackfill(options: BackfillOptions): Promise<void> {
  try {
    await run(options);
  } catch (error) {
    throw described(error);
  }
}

function described(error: unknown): Failure {
  if (error instanceof ConfigError) return new UsageError(error.message);
  if ((error as Error).name === 'ResourceNotFoundException') {
    return new Failure(
      `${causeOf(error)}\nCheck that --table is the stack's output TableName, and that the Region is that of both tables.`,
    );
  }
  return repeatable(error);
}
