import type { Command } from 'commander';
import { addCommand } from '../command.ts';
import type { EndTokensOptions } from '../end-tokens.ts';

/** Adds `end-tokens`, which revokes the tokens that a changed setting leaves valid. */
export function addEndTokens(program: Command): void {
  const command = addCommand(program, 'end-tokens', {
    summary: 'Revoke the tokens that were issued before a moment, or that stay valid for too long',
    description: `Revokes tokens that keep their expiry when a setting changes (docs/settings.md), in the whole stack or in one
Deployment. The next check rejects them, and they never become valid again. Keys and secrets keep working, so pipelines
exchange them for new tokens. Choose the tokens with exactly one of these options:

--issued-before revokes the access tokens and the temporary tokens that were issued before a moment.
--longer-than revokes the access tokens that are still valid for more than this number of seconds. After you shorten
tokenLifetime, pass the new tokenLifetime plus slideInterval.

For each key, the command first writes the event api_key.tokens_revoked. For each temporary token, it writes the event
temporary_token.revoked. If the command is interrupted, run it again. The command reads the whole table, or the partition of
the Deployment. The command takes the Region, credentials and endpoint from the AWS SDK's environment variables, and needs the
permissions Scan, Query, PutItem, DeleteItem and BatchWriteItem on the table. Without --write-units, it also needs
DescribeTable.`,
    examples: [
      'end-tokens --table Keys-Table --issued-before 2030-01-01T12:00:00Z --dry-run',
      'end-tokens --table Keys-Table --longer-than 3900 --deployment etl',
    ],
  });
  command
    .requiredOption('--table <name>', "The service's table: the stack's output TableName.")
    .option('--issued-before <time>', 'The moment, in RFC 3339: 2030-01-01T12:00:00Z.')
    .option('--longer-than <seconds>', 'The longest remaining time that an access token may have.')
    .option('--deployment <id>', 'Revoke only tokens of this Deployment. Default: all Deployments.')
    .option(
      '--write-units <number>',
      'The maximum number of write units per second. Default: a quarter of the provisioned capacity, or no limit on demand.',
    )
    .option('--dry-run', 'Print how many tokens each key would lose, but write nothing.')
    .option('--yes', 'Do not ask.')
    .action(async (options: EndTokensOptions) => {
      const { runEndTokens } = await import('../end-tokens.ts');
      await runEndTokens(options);
    });
}
