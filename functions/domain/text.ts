/**
 * The characters that names, descriptions and groups may contain. Excluded are control characters, all line breaks
 * (Unicode counts U+2028 and U+2029 among the separators), invisible characters and those that change the direction of
 * text: format characters, and what Unicode lets a renderer ignore, such as zero-width spaces and variation selectors. White space and blank Braille patterns are not allowed at the start or
 * end.
 */
export const PLAIN_TEXT =
  /^(?![\s\u2800])[^\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]*(?<![\s\u2800])$/u;

/** Returns the rule as an error message states it after the name of the field. */
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

/** Counts characters only in text that may be short enough: a character has at most two UTF-16 units. */
export function hasLength(text: string, least: number, most: number): boolean {
  if (text.length > 2 * most) return false;
  const length = [...text].length;
  return length >= least && length <= most;
}
