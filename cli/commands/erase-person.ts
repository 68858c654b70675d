import type { Command } from 'commander';
import { addCommand } from '../command.ts';
import type { ErasePersonOptions } from '../erase-person.ts';

/** Adds `erase-person`, which removes a person's data from the table. */
export function addErasePerson(program: Command): void {
  const command = addCommand(program, 'erase-person', {
    summary: "Erase a person's data from the service's table",
    description: `Erases a person from the service's table (docs/data.md). The command deletes the person's temporary tokens, and
replaces their sub with "erased" in keys, events, stored responses and records of ended access. Their keys keep working.
Ended access stays ended. The command scans the whole table until it finds nothing, and prints how many items it changed.

First remove the person at your issuer, or end their access with --block, so that they can't write anything new. The command
writes the event person.erased, with a hash of the sub, and a restore of an older backup then erases the person again. If
the command is interrupted, run it again. The command takes the Region, credentials and endpoint from the AWS SDK's environment
variables, and needs the permissions DescribeTable, Scan, Query, PutItem, UpdateItem, DeleteItem and BatchWriteItem on the
table.`,
    examples: [
      'erase-person 2f1c9a36-ada --table Keys-Table --dry-run',
      'erase-person 2f1c9a36-ada --table Keys-Table --yes',
    ],
  });
  command
    .argument('<sub>', 'The `sub` of the person at your issuer, as createdBy and the events show it.')
    .requiredOption('--table <name>', "The service's table: the stack's output TableName.")
    .option(
      '--write-units <number>',
      'The maximum number of write units per second. Default: a quarter of the provisioned capacity, or no limit on demand.',
    )
    .option('--dry-run', 'Print how many items name the person, but write nothing.')
    .option('--yes', 'Do not ask.')
    .action(async (sub: string, options: ErasePersonOptions) => {
      const { runErasePerson } = await import('../erase-person.ts');
      await runErasePerson(sub, options);
    });
}
