import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { causeOf } from '../functions/domain/errors.ts';
import { type Table, tableClient } from '../functions/table/client.ts';
import { openSource } from '../functions/table/source-rows.ts';
import { ConfigError, type DeploymentsSource, readConfig } from '../infra/config.ts';
import { backfill, type Position } from './backfilling.ts';

const HELP = `Registers the Deployments that were in your table before the stack followed it.
docs/deployments-source.md says how it is set up. Deploy the stack with the setting first: the stream may run meanwhile.

  npm run backfill -- --table <TableName> [--dry-run]

  --table      the table that the service uses, the stack's output TableName
  --source     the setting deploymentsSource as JSON; default: what cdk.json has as context
  --dry-run    say what would be done, and write nothing
  --prune      delete, too, what the stack registered from your table and that has no row there any more. Its keys
               and tokens go with it
  --position   the file that keeps how far it has come. Default: .backfill.json

Interrupted, it goes on where it was when it is run again; run again when it is done, it finds nothing to do. Region,
credentials and endpoint are those of the AWS SDK's environment. It needs DescribeTable, Scan and GetItem on your
table, and GetItem, BatchGetItem, Query, PutItem, UpdateItem and DeleteItem on the service's.`;

class UsageError extends Error {}

const PATIENCE = { attemptTimeout: 5000, attempts: 8 };

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
  if (table === undefined) throw new UsageError("--table: name the service's table, the output TableName.");
  const { deploymentsSource } = readConfig({ deploymentsSource: values.source ?? ofCdkJson() });
  if (!deploymentsSource) {
    throw new UsageError(
      '--source: give the setting deploymentsSource as JSON, or put it in the context of cdk.json.',
    );
  }
  return { ...rest, table, source: deploymentsSource };
}

const ofCdkJson = (): string | DeploymentsSource | undefined =>
  JSON.parse(readFileSync(new URL('../cdk.json', import.meta.url), 'utf8')).context?.deploymentsSource;

/** @throws UsageError for the position of another backfill */
function positionIn(file: string, of: string): Position {
  if (!existsSync(file)) return { of, part: 'rows', after: undefined };
  const position: Position = JSON.parse(readFileSync(file, 'utf8'));
  if (position.of === of) return position;
  throw new UsageError(
    `--position: ${file} is of another backfill, of ${position.of}. Remove it, or name another.`,
  );
}

/** Whole or not at all, also where it is killed. */
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
  const table: Table = {
    client: tableClient(PATIENCE),
    tableName: options.table,
    onMalformed: ({ pk, sk }) => console.error(`An item of ${options.table} has a wrong shape: ${pk} ${sk}`),
  };
  const of = `${source.table} into ${options.table}`;
  const begin: Position = isDryRun ? { of, part: 'rows', after: undefined } : positionIn(file, of);
  if (begin.after) console.error('It goes on where it was interrupted.');
  await backfill({
    table,
    from: openSource(source, PATIENCE),
    clock: Date.now,
    isDryRun,
    prunes: prune,
    // A person has asked for it.
    mostGone: Number.POSITIVE_INFINITY,
    begin,
    onPosition: (position) => {
      if (!isDryRun) keep(file, position);
    },
    onRefused: (key, reason) => console.log(`refused: the row ${JSON.stringify(key)}: ${reason}`),
    onMended: (id, outcome) => console.log(`${outcome}: ${id}`),
    onProgress: ({ looked, registered, edited, deleted, refused }) =>
      console.error(
        `${looked} looked at, ${registered} registered, ${edited} changed, ${deleted} deleted, ${refused} refused`,
      ),
  });
  console.log(isDryRun ? 'This is what would be done. Nothing was written.' : 'Done.');
}

function describe(error: unknown): string {
  if (error instanceof ConfigError) return error.message;
  const isUsage =
    error instanceof UsageError || (error as { code?: string }).code?.startsWith('ERR_PARSE_ARGS');
  if (isUsage) return `${(error as Error).message}\n\nnpm run backfill -- --help says more.`;
  if ((error as Error).name === 'ResourceNotFoundException') {
    return `${causeOf(error)}\n--table must be the stack's output TableName, and the Region that of both tables.`;
  }
  return `${causeOf(error)}\nRun it again: it goes on where it was.`;
}

try {
  await run();
} catch (error) {
  console.error(describe(error));
  process.exitCode = 1;
}
