/** The minimum and maximum length of a text, in characters. */
type Lengths = readonly [least: number, most: number];

/** Lengths of the name of a Deployment or key. */
export const NAME: Lengths = [1, 100];
/** Lengths of the description of a key. */
export const DESCRIPTION: Lengths = [0, 500];
/** Lengths of a group. */
export const GROUP: Lengths = [1, 128];
/** Maximum number of groups of a Deployment. */
export const MAX_GROUPS = 20;

/**
 * The characters that names, descriptions and groups can contain. The pattern excludes control characters and all line
 * breaks (Unicode classifies U+2028 and U+2029 as separators). It also excludes characters that are invisible or change
 * the direction of text: format characters, and characters that Unicode allows a renderer to ignore, such as zero-width
 * spaces and variation selectors. The first and last character must not be white space or a blank Braille pattern.
 */
export const PLAIN_TEXT =
  /^(?![\s\u2800])[^\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]*(?<![\s\u2800])$/u;

/** Returns the rule for plain text, worded to follow a field's name in an error message. */
export function plainTextRule(least: number, most: number): string {
  return (
    `must be ${least} to ${most} characters, without control, zero-width and bidirectional formatting characters, ` +
    'and without white space at the start or end'
  );
}

/** Reports whether text is plain and within its length limits, which count characters, not UTF-16 units. */
export function isPlainText(text: string, least: number, most: number): boolean {
  return hasLength(text, least, most) && text.isWellFormed() && PLAIN_TEXT.test(text);
}

/** Do not count the characters of text that is certainly too long: a character has at most two UTF-16 units. */
export function hasLength(text: string, least: number, most: number): boolean {
  if (text.length > 2 * most) return false;
  const length = [...text].length;
  return length >= least && length <= most;
}
