import { parseArgs } from 'node:util';
import { ServiceError } from '../functions/domain/errors.ts';
import { type Table, tableClient } from '../functions/table/client.ts';
import { allEvents } from '../functions/table/restore.ts';
import { readArchive } from './archive.ts';
import { type RestoreReport, restore } from './restoration.ts';

const HELP = `Brings back what point-in-time recovery has restored, so that nothing dead comes back to life.
docs/runbook.md, "Restore the table", has the steps around it. Stop the functions first.

  npm run restore -- --from <restored table> --into <the service's table> --point <time> [--dry-run]

  --from       the table that point-in-time recovery made; it is only read
  --into       the table that the service uses, the stack's output TableName. The same name twice: the restored
               table has the service's own name, because that table was gone
  --point      the moment that was restored, RFC 3339: 2030-01-01T12:00:00Z
  --archive    events kept elsewhere (docs/keys.md, "Events"): a file, or a folder with files. They count beside
               those of the table --into
  --disable-all        disable every key: for when neither the old table nor an archive tells what happened since
  --ignore-principal   the sub of a person, or the ARN of an IAM role or user, whose changes since are the damage and are not
               applied again. May be given more than once
  --dry-run    say what would be done, and write nothing

Every access token and every temporary token is revoked. Keys keep working; those that were deleted, disabled, leaked,
rotated or narrowed since are so again, and a secret that the table --into no longer has stays retired. Run it again after
an interruption: it continues. Run it again when it is done: it does nothing.

Keys that a person must look at are printed as they are found. Where "its new secret is lost", rotate the key. Where "its
old secret was retired", rotate it if the pipeline still uses the old one. All others are disabled until somebody
enables them. Region, credentials and endpoint are those of the AWS SDK's environment.`;

class UsageError extends Error {}

function readArguments(args: string[]) {
  const { values } = parseArgs({
    args,
    options: {
      from: { type: 'string' },
      into: { type: 'string' },
      point: { type: 'string' },
      archive: { type: 'string' },
      'disable-all': { type: 'boolean', default: false },
      'ignore-principal': { type: 'string', multiple: true, default: [] },
      'dry-run': { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) return undefined;
  const { from, into, archive } = values;
  const point = /^\d{4}-\d\d-\d\dT.*(Z|[+-]\d\d:\d\d)$/.test(values.point ?? '')
    ? Date.parse(values.point ?? '')
    : Number.NaN;
  const faults = [
    from === undefined && '--from: name the restored table.',
    into === undefined && "--into: name the service's table.",
    Number.isNaN(point) && '--point: give the restored moment in RFC 3339, such as 2030-01-01T12:00:00Z.',
    from !== undefined &&
      from === into &&
      archive === undefined &&
      !values['disable-all'] &&
      'The old table is gone: give --archive with the events since, or --disable-all.',
  ].filter((fault) => fault !== false);
  if (from === undefined || into === undefined || faults.length > 0) throw new UsageError(faults.join('\n'));
  return { ...values, from, into, archive, point };
}

function openTable(tableName: string): Table {
  return {
    client: tableClient({ attemptTimeout: 5000, attempts: 8 }),
    tableName,
    onMalformed: ({ pk, sk }) => console.error(`An item of ${tableName} has a wrong shape: ${pk} ${sk}`),
  };
}

function print({ counts, otherLives }: RestoreReport, isDryRun: boolean): void {
  console.log(isDryRun ? 'This is what would be done. Nothing was written.' : 'Done.');
  for (const [name, number] of Object.entries(counts)) console.log(`${String(number).padStart(8)} ${name}`);
  if (otherLives.length > 0) {
    console.log(
      '\nRegistered anew since. They stay, with their keys disabled, and the life in the backup does not come:',
    );
    for (const id of otherLives) console.log(`  ${id}`);
  }
}

async function run(): Promise<void> {
  const options = readArguments(process.argv.slice(2));
  if (!options) return console.log(HELP);
  const [from, into] = [openTable(options.from), openTable(options.into)];
  const archive = options.archive === undefined ? undefined : readArchive(options.archive);
  const report = await restore({
    from,
    into,
    point: options.point,
    history: async (id) => [...(await allEvents(into, id)), ...(archive?.get(id) ?? [])],
    ignored: options['ignore-principal'],
    disablesAll: options['disable-all'],
    isDryRun: options['dry-run'],
    clock: Date.now,
    onProgress: (done, all) => {
      if (done % 100 === 0 || done === all) console.error(`${done} of ${all} Deployments`);
    },
    onDoubt: (keyId, why) => console.log(`${keyId}: ${why}`),
  });
  if (!report) return console.log('This restore was finished before. Nothing was done.');
  print(report, options['dry-run']);
}

function describe(error: unknown): string {
  const isUsage =
    error instanceof UsageError || (error as { code?: string }).code?.startsWith('ERR_PARSE_ARGS');
  if (isUsage) return `${(error as Error).message}\n\nnpm run restore -- --help says more.`;
  const cause = error instanceof ServiceError ? error.cause : error;
  return `${cause instanceof Error ? `${cause.name}: ${cause.message}` : cause}\nRun it again: it goes on where it was.`;
}

try {
  await run();
} catch (error) {
  console.error(describe(error));
  process.exitCode = 1;
}
