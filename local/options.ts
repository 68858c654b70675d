import { type ParseArgsConfig, parseArgs } from 'node:util';
import leven from 'leven';
import { printable } from './terminal.ts';

type Options = NonNullable<ParseArgsConfig['options']>;

/**
 * A mistake in the way a command was called. The message contains everything that the user needs, so the error is
 * printed without a stack trace.
 */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/**
 * Reads the options of a command that npm runs.
 *
 *     const { fresh } = readOptions('npm start', { fresh: { type: 'boolean', default: false } });
 *
 * @throws UsageError for an unknown option, with the option that was probably intended, and for an option that npm
 * itself consumed because `--` was missing
 */
export function readOptions<const T extends Options>(command: string, options: T) {
  for (const name of Object.keys(options)) {
    // Ignore `json` and `help`: npm has its own options with these names, and a user's npm configuration may set them.
    const isOfNpm = name === 'json' || name === 'help';
    if (!isOfNpm && process.env[`npm_config_${name}`] !== undefined) {
      throw new UsageError(`npm read --${name} as an option of its own. Run ${command} -- --${name}`);
    }
  }
  try {
    return parseArgs({ options }).values;
  } catch (error) {
    throw new UsageError(
      `${describe(error as Error, options)}\nRun ${command} -- --help to list the options.`,
    );
  }
}

/** Describes the wrong argument and the argument that was probably intended. */
function describe({ message }: Error, options: Options): string {
  const { tokens } = parseArgs({ options, strict: false, allowPositionals: true, tokens: true });
  for (const token of tokens) {
    if (token.kind === 'option' && !Object.hasOwn(options, token.name)) {
      return `Unknown option ${printable(token.rawName)}.${suggestion(token.name, Object.keys(options), '--')}`;
    }
    if (token.kind === 'positional') {
      return `Unexpected argument ${printable(token.value)}.${suggestion(token.value, Object.keys(options), '--')}`;
    }
  }
  return printable(message);
}

/** Returns ` Did you mean …?` with the most similar name, or an empty string if no name is similar. */
export function suggestion(given: string, names: readonly string[], prefix = ''): string {
  // Compare only the first 64 characters, because no option or name is longer.
  const text = given.slice(0, 64).toLowerCase();
  const [best] = names
    .map((name) => ({ name, distance: text !== '' && name.startsWith(text) ? 0 : leven(text, name) }))
    .filter(({ name, distance }) => distance <= Math.ceil(name.length / 3))
    .toSorted((a, b) => a.distance - b.distance);
  return best ? ` Did you mean ${prefix}${best.name}?` : '';
}
