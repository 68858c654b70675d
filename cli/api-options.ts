import type { Command } from 'commander';
import { jsonOption, urlOption } from './command.ts';

/** Adds the options that all commands for the management API share. */
export function addApiOptions(command: Command): Command {
  return command
    .addOption(urlOption())
    .option(
      '--sigv4',
      'Sign the call with AWS credentials and send it to /platform, instead of using a sign-in.',
    )
    .option(
      '--region <region>',
      "The stack's Region, for --sigv4. Default: the Region in the URL, or AWS_REGION.",
    )
    .addOption(jsonOption());
}

/** Collects the values of an option that the user can give more than once. */
export const collect = (value: string, before: string[] | undefined): string[] => [...(before ?? []), value];
