/**
 * The rows of a CSV text (RFC 4180) by the names in its first line.
 *
 * @returns each row with the line on which it begins
 * @throws Error for a quote that is never closed, or a row with another number of fields than the first
 */
export function parseCsv(text: string): { line: number; fields: Record<string, string> }[] {
  const [header, ...rows] = recordsOf(text.replace(/^\uFEFF/, ''), ',');
  const names = header?.values.map((name) => name.trim()) ?? [];
  return rows.map(({ line, values }) => {
    if (values.length !== names.length) {
      throw new Error(`Line ${line} has ${values.length} fields, the first line ${names.length}.`);
    }
    return { line, fields: Object.fromEntries(names.map((name, at) => [name, values[at] ?? ''])) };
  });
}

/**
 * The values of a list within a field, between semicolons, each without white space around it. One that holds a semicolon
 * is quoted, as a field that holds a comma is.
 *
 * @throws Error for a quote in the wrong place, or one that is never closed
 */
export function parseList(text: string): string[] {
  return recordsOf(text, ';')
    .flatMap(({ values }) => values)
    .map((value) => value.trim())
    .filter((value) => value !== '');
}

/** One value as a field of CSV. */
export function csvField(value: string): string {
  return /[",\r\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value;
}

function recordsOf(text: string, separator: ',' | ';'): { line: number; values: string[] }[] {
  const records: { line: number; values: string[] }[] = [];
  let values: string[] = [];
  let line = 1;
  let begin = 1;
  // A field, quoted or not, and what ends it.
  const field = new RegExp(`(?:"((?:[^"]|"")*)"|([^"${separator}\\r\\n]*))(${separator}|\\r?\\n|$)`, 'y');
  while (field.lastIndex < text.length || values.length > 0) {
    const at = field.lastIndex;
    const match = field.exec(text);
    if (!match) throw new Error(`Line ${line} has a quote in the wrong place, or one that is never closed.`);
    const [whole, quoted, bare = '', end] = match;
    values.push(quoted === undefined ? bare : quoted.replaceAll('""', '"'));
    line += whole.split('\n').length - 1;
    if (end === separator) continue;
    // An empty line is no record.
    if (values.length > 1 || values[0] !== '') records.push({ line: begin, values });
    values = [];
    begin = line;
    if (field.lastIndex === at) break;
  }
  return records;
}
