import { type ParseArgsConfig, parseArgs } from 'node:util';

type Options = NonNullable<ParseArgsConfig['options']>;

/**
 * Reads the options of a developer's script with `parseArgs`. Ends the process at --help and at an unknown option.
 *
 * @param help description of the script and its usage
 */
export function readOptions<const T extends Options>(help: string, options: T) {
  if (process.argv.includes('--help') || process.argv.includes('-h')) {
    console.log(help);
    process.exit();
  }
  try {
    return parseArgs({ options }).values;
  } catch (error) {
    return refuse(error as Error, help);
  }
}

/**
 * Reads options that must be numbers above 0. Without this check, a run of "no" minutes would report success.
 *
 * @param defaults default values; a list if the option can be given more than once
 */
export function numericOptions<T extends Record<string, number | number[]>>(help: string, defaults: T): T {
  const options = Object.entries(defaults).map(([name, value]) => [
    name,
    { type: 'string', multiple: Array.isArray(value) },
  ]);
  const given = readOptions(help, Object.fromEntries(options)) as Record<string, string | string[]>;
  const numbers = Object.entries(given).map(([name, text]) => {
    const read = (one: string) => {
      if (Number(one) > 0) return Number(one);
      return refuse(new Error(`--${name} is to be a number above 0, not "${one}".`), help);
    };
    return [name, Array.isArray(text) ? text.map(read) : read(text)];
  });
  return { ...defaults, ...Object.fromEntries(numbers) };
}

function refuse({ message }: Error, help: string): never {
  console.error(`${message}\n\n${help}`);
  process.exit(1);
}
