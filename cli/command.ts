import { type Command, type CommanderError, type CommandOptions, Option } from 'commander';
import { paint, printable, withoutSecrets } from '../local/terminal.ts';
import { EXIT, Failure, UsageError } from './failure.ts';
import { readServiceUrl } from './service-url.ts';

export const NAME = 'deployment-api-keys';

/** The help texts of a command. The reference in docs/cli.md contains these texts. */
export interface CommandTexts {
  /** A one-line description of the command. */
  readonly summary: string;
  /** A longer description, for the command's own help. */
  readonly description?: string;
  /** Command lines without the `deployment-api-keys` prefix. They work unchanged once the prefix is added. */
  readonly examples: readonly string[];
}

const examplesOf = new WeakMap<Command, readonly string[]>();

/** Returns the examples of a command as complete command lines. A line that begins with `$ ` is printed unchanged. */
export function commandExamples(command: Command): string[] {
  const whole = (line: string) => (line.startsWith('$ ') ? line.slice(2) : `${NAME} ${line}`);
  return (examplesOf.get(command) ?? []).map(whole);
}

/**
 * Adds a command as a subcommand of another command.
 *
 *     addCommand(program, 'token', { summary: 'Print an access token', examples: ['token --key-id …'] });
 */
export function addCommand(
  parent: Command,
  nameAndArguments: string,
  texts: CommandTexts,
  options: CommandOptions = {},
): Command {
  const command = parent.command(nameAndArguments, options);
  command.summary(texts.summary).description(texts.description ?? `${texts.summary}.`);
  return withTexts(command, texts.examples);
}

/** Adds the examples and the common error handling to a command. */
export function withTexts(command: Command, examples: readonly string[]): Command {
  examplesOf.set(command, examples);
  command.addHelpText('after', () => {
    const title = paint(process.stdout, 'bold', 'Examples:');
    return `\n${title}\n${commandExamples(command)
      .map((line) => `  ${line}`)
      .join('\n')}`;
  });
  command.helpOption('-h, --help', 'Show this help.');
  const path = [command.name()];
  for (let above = command.parent; above; above = above.parent) path.unshift(above.name());
  return command.showHelpAfterError(`Run ${path.join(' ')} --help for usage.`);
}

/** The URL of the service. */
export const urlOption = () =>
  new Option(
    '--url <url>',
    "URL of the service: the stack's output ApiUrl. Default: the stack of the sign-in.",
  ).env('DEPLOYMENT_KEYS_URL');

/** Prints a value as JSON, for programs. */
export const jsonOption = () => new Option('--json', 'Print JSON, for programs.');

/**
 * Returns the URL of the service from the option, the environment or a sign-in.
 *
 * @throws UsageError if there is no URL
 */
export function serviceUrl(given: string | undefined, ofSignIn?: string): string {
  if (given !== undefined) return readServiceUrl(given, '--url (or DEPLOYMENT_KEYS_URL)');
  if (ofSignIn !== undefined) return ofSignIn;
  throw new UsageError(
    "The URL of the service is missing. Use --url, set DEPLOYMENT_KEYS_URL, or sign in. It is the stack's output ApiUrl.",
  );
}

/** Reports an error on standard error. @returns the exit code */
export function report(error: unknown): number {
  if (isOfCommander(error)) return error.exitCode === 0 ? 0 : EXIT.usage;
  const label = paint(process.stderr, 'red', 'error:');
  if (error instanceof Failure) {
    console.error(`${label} ${withoutSecrets(error.message)}`);
    return error.exitCode;
  }
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
  const lines = withoutSecrets(text).split('\n').map(printable).join('\n');
  console.error(`${label} unexpected. ${NAME} should have explained this; please report it.\n${lines}`);
  return EXIT.failed;
}

/** Commander has already printed the help, the version or the error. */
const isOfCommander = (error: unknown): error is CommanderError =>
  error instanceof Error && String((error as Partial<CommanderError>).code).startsWith('commander.');
