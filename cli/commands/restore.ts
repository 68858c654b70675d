import type { Command } from 'commander';
import { addCommand } from '../command.ts';
import type { RestoreOptions } from '../restore.ts';

/** Adds `restore`, which copies restored data back to the service's table. */
export function addRestore(program: Command): void {
  const command = addCommand(program, 'restore', {
    summary: "Copy the data that point-in-time recovery restored to the service's table",
    description: `Copies the data that point-in-time recovery restored to the service's table. Revoked access stays revoked.
Stop the functions first. The section "Restore the table" in docs/runbook.md has all steps.

The restore revokes every access token and every temporary token. Keys keep working, except that the restore repeats every
deletion, disabling, leak report, rotation and restriction of a key since --point. A secret that the table --into no longer
has stays retired. If the command is interrupted, run it again with the same options to continue; it rejects other options.
After it has finished, another run changes nothing. If an option was wrong, add --again.

The command prints each key that a person must check. If "its new secret is lost", rotate the key. If "its old secret was
retired", rotate the key if the pipeline still uses the old secret. All other printed keys are disabled until someone enables
them. The command takes the Region, credentials and endpoint from the AWS SDK's environment variables.`,
    examples: [
      'restore --from Keys-Restored --into Keys-Table --point 2030-01-01T12:00:00Z --dry-run',
      'restore --from Keys-Restored --into Keys-Table --point 2030-01-01T12:00:00Z --archive events/',
    ],
  });
  command
    .requiredOption(
      '--from <table>',
      'The table that point-in-time recovery created. The command only reads it.',
    )
    .requiredOption(
      '--into <table>',
      "The service's table: the stack's output TableName. Give the same name as for --from if the service's table was gone and the restored table has its name.",
    )
    .requiredOption('--point <time>', 'The moment that was restored, in RFC 3339: 2030-01-01T12:00:00Z.')
    .option(
      '--archive <path>',
      'A file or folder with archived events (docs/keys.md, "Events"). The restore uses these events in addition to those in the table --into.',
    )
    .option(
      '--disable-all',
      'Disable every key. Use it if neither the old table nor an archive has the events since --point.',
    )
    .option(
      '--ignore-principal <principal>',
      'The sub of a person, or the ARN of an IAM role or user, whose changes since --point are the damage, or source for deletions by a followed table. The restore does not reapply these changes. Can be given more than once.',
      (value: string, before: string[]) => [...before, value],
      [],
    )
    .option(
      '--again',
      'Restore the same backup again, with other options, after an earlier restore has finished.',
    )
    .option(
      '--write-units <number>',
      'The maximum number of write units per second. Default: a quarter of the provisioned capacity, or no limit on demand.',
    )
    .option('--dry-run', 'Print the changes, but write nothing.')
    .action(async (options: RestoreOptions) => {
      const { runRestore } = await import('../restore.ts');
      await runRestore(options);
    });
}
