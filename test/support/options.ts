import { type ParseArgsConfig, parseArgs } from 'node:util';

type Options = NonNullable<ParseArgsConfig['options']>;

/**
 * The options of a developer's script, as `parseArgs` has them. Ends the process for --help, and for one that is unknown.
 * @param help what the script does and how it is called
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
 * Options that are numbers above 0: a run of "no" minutes would find nothing wrong.
 * @param defaults an option of which several may be given has a list
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
