import { parseArgs } from 'node:util';

/**
 * The options of a script that runs for long, all of them numbers above 0. Ends the process for --help, and where one is
 * wrong: a run of "no" minutes would find nothing wrong either.
 * @param help what the script does and how it is called
 * @param defaults an option of which several may be given has a list
 */
export function numericOptions<T extends Record<string, number | number[]>>(help: string, defaults: T): T {
  const options = Object.fromEntries(
    Object.entries(defaults).map(([name, value]) => [
      name,
      { type: 'string' as const, multiple: Array.isArray(value) },
    ]),
  );
  try {
    const { values } = parseArgs({ options: { ...options, help: { type: 'boolean', short: 'h' } } });
    const { help: isAsked, ...given } = values;
    if (isAsked) {
      console.log(help);
      process.exit();
    }
    const numbers = Object.entries(given).map(([name, texts]) => {
      const read = (text: string) => {
        if (!(Number(text) > 0)) throw new Error(`--${name} is to be a number above 0, not "${text}".`);
        return Number(text);
      };
      return [name, Array.isArray(texts) ? (texts as string[]).map(read) : read(String(texts))];
    });
    return { ...defaults, ...Object.fromEntries(numbers) };
  } catch (error) {
    console.error(`${(error as Error).message}\n\n${help}`);
    process.exit(1);
  }
}
