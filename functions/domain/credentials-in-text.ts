import { CHECK_LENGTH, parseCredential, parseKeyId, RANDOM_LENGTH, ULID } from './identifiers.ts';

/** How a credential begins. */
const BEGIN = /dk[stx]_/g;
/** The most characters before the `_` that precedes its ULID: `dks_` and a Deployment ID. */
const MAX_BEGIN = 4 + 64;

/**
 * Every secret and token in a text, each once: any part of it that has the form and a valid check, whatever stands before
 * and after.
 *
 * How a credential ends has a fixed form and length, so no two ends overlap, and the search takes a time proportional to
 * the text. One end can have several beginnings: a Deployment ID may look like the beginning of a credential.
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

/** What follows the ULID of a credential, however it was mistyped or cut; but not a ULID, which ends a key's ID. */
const RANDOM = new RegExp(`(${ULID}_)(?!${ULID}(?![\\w-]))[^\\s"'\\\\&]+`, 'gi');
/** A credential whose ULID was mistyped. */
const MALFORMED = /(dk[stx]_)[^\s"'\\&]+/gi;
/** One more character than a ULID has. */
const LONGER_THAN_ULID = /[0-9A-Za-z]{27}/;

/**
 * The text without what is secret in credentials, also in those that `findCredentials` does not find: mistyped, cut, in
 * another case. What follows is removed too, up to the next space, quote, backslash or `&`. A text that is a key's ID stays
 * as it is, whatever its Deployment ID looks like.
 */
export function redactCredentials(text: string): string {
  if (parseKeyId(text)) return text;
  return text
    .replace(RANDOM, '$1…')
    .replace(MALFORMED, (run, prefix) => (LONGER_THAN_ULID.test(run) ? `${prefix}…` : run));
}
