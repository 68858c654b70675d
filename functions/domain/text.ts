/**
 * What names, descriptions and groups are made of: no control characters; none that are invisible or that change the
 * direction of others (format characters and what Unicode lets a renderer ignore, such as zero-width spaces and
 * variation selectors); no white space or blank pattern at either end.
 */
export const PLAIN_TEXT = /^(?![\s\u2800])[^\p{Cc}\p{Cf}\p{Default_Ignorable_Code_Point}]*(?<![\s\u2800])$/u;

/** The rule in words, to read after the name of what breaks it. */
export function plainTextRule(least: number, most: number): string {
  return (
    `must be ${least} to ${most} characters, without control, zero-width and bidirectional formatting characters, ` +
    'and without white space at the start or end'
  );
}

/** Reports whether text is plain. Its length is counted in characters, not in UTF-16 units. */
export function isPlainText(text: string, least: number, most: number): boolean {
  return hasLength(text, least, most) && text.isWellFormed() && PLAIN_TEXT.test(text);
}

/** Counts only what cannot be too long anyway: a character is at most two units. */
export function hasLength(text: string, least: number, most: number): boolean {
  if (text.length > 2 * most) return false;
  const length = [...text].length;
  return length >= least && length <= most;
}
