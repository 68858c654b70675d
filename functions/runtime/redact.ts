import { redactCredentials } from '../domain/credentials-in-text.ts';

/** Matches text that might be a JWT, based on its length and its dot. */
const JWT = /eyJ[\w.-]*/g;
const WITH_HEADER_AND_PAYLOAD = /^eyJ[\w-]{12,}\./;
/** Matches the credentials in an Authorization header. */
const AUTHORIZATION = /(Basic|Bearer)(\s|\+|%20)+[^\s",]+/gi;

/**
 * Removes secrets and tokens from text: this service's credentials, JWTs, and the credentials in an Authorization
 * header. The text before them does not matter. This is only the last line of defence; callers must not pass secrets in
 * the first place.
 */
export function redact(text: string): string {
  return redactCredentials(text)
    .replace(AUTHORIZATION, '$1…')
    .replace(JWT, (run) => (WITH_HEADER_AND_PAYLOAD.test(run) ? 'eyJ…' : run));
}

/**
 * A replacer for JSON.stringify that redacts every string and property name before they are escaped. An escaped line
 * break ends in a letter. If a secret directly followed that letter, the redactor would not find the secret.
 */
export function redacting(_name: string, value: unknown): unknown {
  if (typeof value === 'string') return redact(value);
  if (!isNamed(value) || Object.keys(value).every((name) => redact(name) === name)) return value;
  return Object.fromEntries(Object.entries(value).map(([name, it]) => [redact(name), it]));
}

/**
 * Reports whether a value is an object that the log shows with its property names. The logger formats errors itself.
 */
function isNamed(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Error);
}
