import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import type { DeploymentsSource } from '../functions/domain/deployments-source.ts';
import { causeOf } from '../functions/domain/errors.ts';
import { openSource } from '../functions/table/source-rows.ts';
import { ConfigError, readSettings } from '../infra/settings.ts';
import { backfill, type Position } from './backfilling.ts';
import { openTable, RETRIES, runCommand, UsageError } from './command.ts';

const HELP = `Registers the Deployments that were in your table before you connected it to the stack.
Deploy the stack with the setting deploymentsSource first (docs/deployments-source.md). The stream can run at the same time.

  npm run backfill -- --table <TableName> [--dry-run]

  --table      the service's table: the stack's output TableName
  --source     the setting deploymentsSource as JSON. Default: the value in the context of cdk.json
  --dry-run    print the changes, but write nothing
  --prune      also delete each Deployment that the stack registered from your table and that has no row there any
               more, with its keys and tokens
  --position   the file that stores the progress. Default: .backfill.json

If the command is interrupted, run it again, and it continues. After it has finished, another run changes nothing. It uses
the Region, credentials and endpoint of the AWS SDK's environment. It needs DescribeTable, Scan and GetItem on your table, and
GetItem, BatchGetItem, Query, PutItem, UpdateItem and DeleteItem on the service's table.`;

function readArguments(args: string[]) {
  const { values } = parseArgs({
    args,
    options: {
      table: { type: 'string' },
      source: { type: 'string' },
      'dry-run': { type: 'boolean', default: false },
      prune: { type: 'boolean', default: false },
      position: { type: 'string', default: '.backfill.json' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) return undefined;
  const { table, ...rest } = values;
  if (table === undefined)
    throw new UsageError("--table is missing. Give the service's table: the stack's output TableName.");
  const { deploymentsSource } = readSettings({ deploymentsSource: values.source ?? ofCdkJson() });
  if (!deploymentsSource) {
    throw new UsageError(
      '--source is missing. Give the setting deploymentsSource as JSON, or add it to the context in cdk.json.',
    );
  }
  return { ...rest, table, source: deploymentsSource };
}

const ofCdkJson = (): string | DeploymentsSource | undefined =>
  JSON.parse(readFileSync(new URL('../cdk.json', import.meta.url), 'utf8')).context?.deploymentsSource;

/** Reads the position of an interrupted backfill. @throws UsageError if the file belongs to another backfill */
function positionIn(file: string, of: string): Position {
  if (!existsSync(file)) return { of, part: 'rows', after: undefined };
  const position: Position = JSON.parse(readFileSync(file, 'utf8'));
  if (position.of === of) return position;
  throw new UsageError(
    `--position: ${file} belongs to another backfill (${position.of}). Delete the file, or give another path.`,
  );
}

/** Stores the position atomically, so that a killed run leaves no partial file. */
function keep(file: string, position: Position | undefined): void {
  if (position) {
    writeFileSync(`${file}.new`, JSON.stringify(position));
    renameSync(`${file}.new`, file);
  } else {
    rmSync(file, { force: true });
  }
}

async function run(): Promise<void> {
  const options = readArguments(process.argv.slice(2));
  if (!options) return console.log(HELP);
  const { source, prune, position: file, 'dry-run': isDryRun } = options;
  const of = `${source.table} into ${options.table}`;
  const begin: Position = isDryRun ? { of, part: 'rows', after: undefined } : positionIn(file, of);
  if (begin.after) console.error('Continuing from the last interrupted run.');
  await backfill({
    table: openTable(options.table),
    from: openSource(source, RETRIES),
    clock: Date.now,
    isDryRun,
    prunes: prune,
    // No limit: a person asked for the deletions.
    mostGone: Number.POSITIVE_INFINITY,
    begin,
    onPosition: (position) => {
      if (!isDryRun) keep(file, position);
    },
    onRefused: (key, reason) => console.log(`rejected: row ${JSON.stringify(key)}: ${reason}`),
    onMended: (id, outcome) => console.log(`${outcome}: ${id}`),
    onProgress: ({ looked, registered, edited, deleted, refused }) =>
      console.error(
        `${looked} read, ${registered} registered, ${edited} changed, ${deleted} deleted, ${refused} rejected`,
      ),
  });
  console.log(isDryRun ? 'Dry run: nothing was written.' : 'Done.');
}

function describe(error: unknown): string {
  if (error instanceof ConfigError) return error.message;
  if ((error as Error).name === 'ResourceNotFoundException') {
    return `${causeOf(error)}\nCheck that --table is the stack's output TableName, and that the Region is that of both tables.`;
  }
  return `${causeOf(error)}\nRun the command again to continue.`;
}

await runCommand('backfill', run, describe);
