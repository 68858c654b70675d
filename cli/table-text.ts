import { paint, printable } from '../local/terminal.ts';

/**
 * Formats rows as aligned columns, with the column names at the top. Escapes every character that a terminal would act
 * on.
 *
 *     tableText(['ID', 'NAME'], [['etl', 'Nightly loads']])
 */
function tableText(names: readonly string[], rows: readonly (readonly string[])[]): string {
  const cells = rows.map((row) => row.map(printable));
  const widths = names.map((name, at) => Math.max(name.length, ...cells.map((row) => row[at]?.length ?? 0)));
  const line = (row: readonly string[]) =>
    row
      .map((cell, at) => cell.padEnd(widths[at] ?? 0))
      .join('  ')
      .trimEnd();
  return [paint(process.stdout, 'bold', line(names)), ...cells.map(line)].join('\n');
}

/** Prints a table, or a sentence if the table has no rows. */
export function printTable(
  names: readonly string[],
  rows: readonly (readonly string[])[],
  none: string,
): void {
  // Print the sentence to standard error, so that a program that counts the lines on standard output counts none.
  if (rows.length === 0) console.error(none);
  else console.log(tableText(names, rows));
}

/** Prints names and values, one per line. Omits names without a value. */
export function printFields(fields: Readonly<Record<string, string | undefined>>): void {
  const shown = Object.entries(fields).filter((entry): entry is [string, string] => entry[1] !== undefined);
  const width = Math.max(...shown.map(([name]) => name.length)) + 2;
  for (const [name, value] of shown) {
    console.log(`${paint(process.stdout, 'dim', name.padEnd(width))}${printable(value)}`);
  }
}

/** Waits until standard output has taken everything. Never resolves if that fails: `runProgram` then ends the process. */
export const printed = (): Promise<void> =>
  new Promise((resolve) => {
    process.stdout.write('', (error) => {
      if (!error) resolve();
    });
  });
