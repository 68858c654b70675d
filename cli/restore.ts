import { parseArgs } from 'node:util';
import { causeOf } from '../functions/domain/errors.ts';
import { allEvents } from '../functions/table/restore.ts';
import { readArchive } from './archive.ts';
import { openTable, runCommand, UsageError } from './command.ts';
import { type RestoreReport, restore } from './restoration.ts';

const HELP = `Copies the data that point-in-time recovery restored to the service's table. Revoked access stays revoked.
Stop the functions first. docs/runbook.md, "Restore the table", has all steps.

  npm run restore -- --from <restored table> --into <the service's table> --point <time> [--dry-run]

  --from       the table that point-in-time recovery created. It is only read
  --into       the service's table: the stack's output TableName. Give the same name as for --from if the service's
               table was gone and the restored table has its name
  --point      the moment that was restored, in RFC 3339: 2030-01-01T12:00:00Z
  --archive    a file or folder with archived events (docs/keys.md, "Events"). They are used in addition to the
               events in the table --into
  --disable-all        disable every key. Use it if neither the old table nor an archive has the events since --point
  --ignore-principal   the sub of a person, or the ARN of an IAM role or user, whose changes since --point are the
               damage. They are not reapplied. Can be given more than once
  --dry-run    print the changes, but write nothing

The restore revokes every access token and every temporary token. Keys keep working, but those that were
deleted, disabled, reported as leaked, rotated or restricted since --point become so again. A secret that the table --into no
longer has stays retired. If the command is interrupted, run it again, and it continues. After it has finished, another run
changes nothing.

The command prints each key that a person must check. If "its new secret is lost", rotate the key. If "its old secret was
retired", rotate the key if the pipeline still uses the old secret. All other printed keys are disabled until somebody
enables them. The command uses the Region, credentials and endpoint of the AWS SDK's environment.`;

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
    from === undefined && '--from is missing. Give the restored table.',
    into === undefined && "--into is missing. Give the service's table: the stack's output TableName.",
    Number.isNaN(point) && '--point must be the restored moment in RFC 3339, such as 2030-01-01T12:00:00Z.',
    from !== undefined &&
      from === into &&
      archive === undefined &&
      !values['disable-all'] &&
      '--from and --into are the same table: also give --archive with the events since --point, or use --disable-all.',
  ].filter((fault) => fault !== false);
  if (from === undefined || into === undefined || faults.length > 0) throw new UsageError(faults.join('\n'));
  return { ...values, from, into, archive, point };
}

function print({ counts, otherLives }: RestoreReport, isDryRun: boolean): void {
  console.log(isDryRun ? 'Dry run: nothing was written.' : 'Done.');
  for (const [name, number] of Object.entries(counts)) console.log(`${String(number).padStart(8)} ${name}`);
  if (otherLives.length > 0) {
    console.log(
      '\nThese Deployments were registered again since. Their keys are disabled, and their previous generation in the backup is not restored:',
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
  if (!report) return console.log('This restore has already finished. Nothing was changed.');
  print(report, options['dry-run']);
}

await runCommand('restore', run, (error) => `${causeOf(error)}\nRun the command again to continue.`);
