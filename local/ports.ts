import { UsageError } from './options.ts';
import { printable } from './terminal.ts';

const DEFAULT_PORT = 8787;

/**
 * Returns the port of the local stack's API: PORT, or 8787.
 *
 * @throws UsageError if PORT is not a valid port
 */
export function port(): number {
  return read('PORT') ?? DEFAULT_PORT;
}

/**
 * Returns the port of the development issuer: ISSUER_PORT, or the API's port + 1.
 *
 * @throws UsageError if ISSUER_PORT is not a valid port
 */
export function issuerPort(): number {
  const api = port();
  return read('ISSUER_PORT') ?? (api === 0 ? 0 : api + 1);
}

function read(name: string): number | undefined {
  const text = process.env[name];
  if (text === undefined || text === '') return undefined;
  const value = Number(text);
  if (Number.isInteger(value) && value >= 0 && value <= 65_534) return value;
  throw new UsageError(`${name} must be a whole number from 0 to 65534, not ${printable(text)}.`);
}
