import { CHECK_LENGTH, parseCredential, parseKeyId, RANDOM_LENGTH, ULID } from './identifiers.ts';

/** The start of a credential. */
const BEGIN = /dk[stx]_/g;
/** The maximum number of characters before the `_` that precedes the ULID: `dks_` and a Deployment ID. */
const MAX_BEGIN = 4 + 64;

/**
 * Returns every secret and token in a text, each of them once. A credential is any substring with the right form and a
 * valid check, whatever surrounds it.
 *
 * The end of a credential has a fixed form and length, so no two ends overlap and the search takes linear time. One end
 * can have several possible starts, because a Deployment ID may look like the start of a credential.
 */
export function findCredentials(text: string): string[] {
  const ends = new RegExp(`_${ULID}_[0-9A-Za-z]{${RANDOM_LENGTH + CHECK_LENGTH}}`, 'g');
  const found = new Set<string>();
  for (const { 0: end, index } of text.matchAll(ends)) {
    const before = text.slice(Math.max(0, index - MAX_BEGIN), index);
    for (const { index: begin } of before.matchAll(BEGIN)) {
      const candidate = before.slice(begin) + end;
      if (parseCredential(candidate)) found.add(candidate);
    }
  }
  return [...found];
}

/**
 * Whatever follows the ULID of a credential, even if it was mistyped or cut off. A ULID does not match, because a key
 * ID ends in one.
 */
const RANDOM = new RegExp(`(${ULID}_)(?!${ULID}(?![\\w-]))[^\\s"'\\\\&]+`, 'gi');
/** A credential whose ULID was mistyped. */
const MALFORMED = /(dk[stx]_)[^\s"'\\&]+/gi;
/** One more character than a ULID has. */
const LONGER_THAN_ULID = /[0-9A-Za-z]{27}/;

/**
 * Removes the secret part of credentials from a text. It also finds credentials that `findCredentials` does not:
 * mistyped, cut off, or in another case. Removes everything up to the next space, quote, backslash or `&`. Leaves a
 * text that is a key ID unchanged, whatever its Deployment ID looks like.
 */
export function redactCredentials(text: string): string {
  if (parseKeyId(text)) return text;
  return text
    .replace(RANDOM, '$1…')
    .replace(MALFORMED, (run, prefix) => (LONGER_THAN_ULID.test(run) ? `${prefix}…` : run));
}
