/**
 * Parses CSV text (RFC 4180). The first line contains the names of the columns.
 *
 * @returns the rows, each with its fields by column name and the number of its first line, counted from 1
 * @throws Error for a misplaced or unclosed quote, or for a row whose number of fields differs from that of the first
 * line
 */
export function parseCsv(text: string): { line: number; fields: Record<string, string> }[] {
  const [header, ...rows] = recordsOf(text.replace(/^\uFEFF/, ''), ',');
  const names = header?.values.map((name) => name.trim()) ?? [];
  return rows.map(({ line, values }) => {
    if (values.length !== names.length) {
      throw new Error(`Line ${line} has ${values.length} fields, but the first line has ${names.length}.`);
    }
    return { line, fields: Object.fromEntries(names.map((name, at) => [name, values[at] ?? ''])) };
  });
}

/**
 * Parses a list in a CSV field. Semicolons separate the values, and white space around a value is removed. A value that
 * contains a semicolon must be quoted, just as a field that contains a comma must be quoted.
 *
 * @throws Error for a misplaced or unclosed quote
 */
export function parseList(text: string): string[] {
  return recordsOf(text, ';')
    .flatMap(({ values }) => values)
    .map((value) => value.trim())
    .filter((value) => value !== '');
}

/** Formats a value as a CSV field, quoted if necessary. */
export function csvField(value: string): string {
  return /[",\r\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value;
}

function recordsOf(text: string, separator: ',' | ';'): { line: number; values: string[] }[] {
  const records: { line: number; values: string[] }[] = [];
  let values: string[] = [];
  let line = 1;
  let begin = 1;
  // Matches a field, quoted or not, and the separator or line end after it.
  const field = new RegExp(`(?:"((?:[^"]|"")*)"|([^"${separator}\\r\\n]*))(${separator}|\\r?\\n|$)`, 'y');
  while (field.lastIndex < text.length || values.length > 0) {
    const at = field.lastIndex;
    const match = field.exec(text);
    if (!match) throw new Error(`Line ${line} has a misplaced or unclosed quote.`);
    const [whole, quoted, bare = '', end] = match;
    values.push(quoted === undefined ? bare : quoted.replaceAll('""', '"'));
    line += whole.split('\n').length - 1;
    if (end === separator) continue;
    // Skip empty lines.
    if (values.length > 1 || values[0] !== '') records.push({ line: begin, values });
    values = [];
    begin = line;
    if (field.lastIndex === at) break;
  }
  return records;
}
