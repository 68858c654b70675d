import type { Command } from 'commander';
import { addCommand, serviceUrl, urlOption } from '../command.ts';
import type { MigrateOptions } from '../migrate.ts';

/** Adds `migrate`, which creates API keys from a CSV file. */
export function addMigrate(program: Command): void {
  const command = addCommand(program, 'migrate', {
    summary: 'Create API keys from a CSV file, to move pipelines from an older key service',
    description: `Creates API keys from a CSV file, to move pipelines from an older key service. See docs/migrating.md.

The first line of the file names the columns: deployment, name, and optionally oldId, description, scopes (separated by
spaces), expiresAt (RFC 3339) and groups (separated by semicolons, only for --register; a group can contain spaces, and
must be quoted if it contains a semicolon).

The command reads an administrator's access token from MIGRATE_TOKEN, or from the first line of standard input. It prints
no secrets. If the command is interrupted, run it again: it never creates the keys of rows in --secrets twice, and it creates
no other key twice within 24 hours. The command rotates a key that an earlier run created but that is missing from --secrets. If such
a key is already in use, the command stops and rotates no key.`,
    examples: [
      'migrate keys.csv --url https://keys.example.com --secrets new-keys.csv --dry-run',
      'migrate keys.csv --url https://keys.example.com --secrets new-keys.csv --register',
    ],
  });
  command
    .argument('<file>', 'The CSV file with the keys to create.')
    .addOption(urlOption())
    .requiredOption(
      '--secrets <file>',
      'The file for IDs and secrets, created with mode 0600. The command adds each key to the file as soon as the key is created, and skips rows whose key is already in the file.',
    )
    .option(
      '--register',
      'Register the missing Deployments, each with the groups in all its rows. A Deployment that exists keeps its groups.',
    )
    .option(
      '--dry-run',
      'Check the file and the Deployments, and print which keys would be created or rotated. Changes nothing.',
    )
    .action(async (file: string, options: MigrateOptions) => {
      const { runMigrate } = await import('../migrate.ts');
      await runMigrate(file, serviceUrl(options.url), options);
    });
}
