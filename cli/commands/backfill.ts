import type { Command } from 'commander';
import type { BackfillOptions } from '../backfill.ts';
import { addCommand } from '../command.ts';
import { UsageError } from '../failure.ts';

/** Adds `backfill`, which registers the Deployments that a followed table lists. */
export function addBackfill(program: Command): void {
  const command = addCommand(program, 'backfill', {
    summary: 'Register the Deployments that were in your table before you connected it',
    description: `Registers the Deployments that were in your table before you connected it to the stack. Deploy the stack with the
setting deploymentsSource first (docs/deployments-source.md). The command can run while the stack processes the table's stream.

If the command is interrupted, run it again to continue. After it has finished, another run changes nothing. The command
takes the Region, credentials and endpoint from the AWS SDK's environment variables. The command needs the permissions DescribeTable,
Scan and GetItem on your table, and GetItem, BatchGetItem, Query, PutItem, UpdateItem and DeleteItem on the service's table.`,
    examples: ['backfill --table Keys-Table --dry-run', 'backfill --table Keys-Table --prune --dry-run'],
  });
  command
    .requiredOption('--table <name>', "The service's table: the stack's output TableName.")
    .option(
      '--source <json>',
      'The setting deploymentsSource as JSON. Default: the value in the context of cdk.json.',
    )
    .option('--dry-run', 'Print the changes, but write nothing.')
    .option(
      '--prune',
      'Also delete each Deployment that the stack registered from your table and that no longer has a row there, with its keys and tokens. List them with --dry-run first.',
    )
    .option(
      '--most <number>',
      'The maximum number of Deployments that --prune may delete. If more Deployments have no row, it deletes none. Default: 5, and at most half of the Deployments.',
    )
    .option('--position <file>', 'The file that stores the progress.', '.backfill.json')
    .action(async (options: BackfillOptions) => {
      const { runBackfill } = await import('../backfill.ts').catch((error) => {
        if (error.code !== 'ERR_MODULE_NOT_FOUND') throw error;
        throw new UsageError(
          'backfill reads the settings of an app, and needs its package: npm install aws-cdk-lib',
        );
      });
      await runBackfill(options);
    });
}
