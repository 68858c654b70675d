import { type Table, tableClient } from '../functions/table/client.ts';

/** The arguments of a command are wrong, or one is missing. */
export class UsageError extends Error {}

/** Retry policy for calls to DynamoDB. No client waits for a command, so it retries longer than a function. */
export const RETRIES = { attemptTimeout: 5000, attempts: 8 };

/** Returns a table of the service. Prints the keys of malformed items, which the command skips. */
export function openTable(tableName: string): Table {
  return {
    client: tableClient(RETRIES),
    tableName,
    onMalformed: ({ pk, sk }) => console.error(`Skipped a malformed item of ${tableName}: ${pk} ${sk}`),
  };
}

/**
 * Runs a command. If it fails, prints why to standard error and exits with 1.
 *
 * @param name the script in package.json
 * @param describe returns what to print for an error that the arguments have not caused
 */
export async function runCommand(
  name: string,
  run: () => Promise<void>,
  describe: (error: unknown) => string,
): Promise<void> {
  try {
    await run();
  } catch (error) {
    console.error(
      isUsageError(error) ? `${error.message}\n\nRun npm run ${name} -- --help for usage.` : describe(error),
    );
    process.exitCode = 1;
  }
}

const isUsageError = (error: unknown): error is Error =>
  error instanceof UsageError ||
  (error instanceof Error && 'code' in error && String(error.code).startsWith('ERR_PARSE_ARGS'));
