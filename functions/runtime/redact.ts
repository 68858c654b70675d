import { redactCredentials } from '../domain/credentials-in-text.ts';

/** What may be a JWT, judged by its length and its full stop. */
const JWT = /eyJ[\w.-]*/g;
const WITH_HEADER_AND_PAYLOAD = /^eyJ[\w-]{12,}\./;
/** The credentials of an Authorization header. */
const AUTHORIZATION = /(Basic|Bearer)(?:\s|\+|%20)+[^\s",]+/gi;

/**
 * The text without secrets and tokens: ours, JWTs and the credentials of an Authorization header, whatever stands before
 * them. It is the last line of defence: what calls it must not be given a secret in the first place.
 */
export function redact(text: string): string {
  return redactCredentials(text)
    .replace(AUTHORIZATION, '$1…')
    .replace(JWT, (run) => (WITH_HEADER_AND_PAYLOAD.test(run) ? 'eyJ…' : run));
}

/**
 * A replacer for JSON.stringify that redacts every string and property name before they are escaped: an escaped line
 * break ends in a letter, which would then stand before the secret.
 */
export function redacting(_name: string, value: unknown): unknown {
  if (typeof value === 'string') return redact(value);
  if (!isNamed(value) || Object.keys(value).every((name) => redact(name) === name)) return value;
  return Object.fromEntries(Object.entries(value).map(([name, it]) => [redact(name), it]));
}

/** An object that is written by the names of its properties. The logger has a form of its own for errors. */
function isNamed(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Error);
}
