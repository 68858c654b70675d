import { UsageError } from './options.ts';
import { printable } from './terminal.ts';

const DEFAULT_PORT = 8787;
const MAX_PORT = 65_535;
/** Distance from the API's port to the last port of the stack. The example APIs use the ports in between. */
const LAST = 9;

/**
 * Returns the port of the local stack's API: PORT, or 8787.
 *
 * @throws UsageError if PORT is not a valid port, or leaves no room for the ports after it
 */
export function port(): number {
  return read('PORT', MAX_PORT - LAST) ?? DEFAULT_PORT;
}

/**
 * Returns the port of the development issuer: ISSUER_PORT, or the API's port + 1.
 *
 * @throws UsageError if ISSUER_PORT or PORT is not valid
 */
export function issuerPort(): number {
  const api = port();
  return read('ISSUER_PORT', MAX_PORT) ?? (api === 0 ? 0 : api + 1);
}

/**
 * Returns the port of the endpoint for operators: OPERATIONS_PORT, or the API's port + 9.
 *
 * @throws UsageError if OPERATIONS_PORT or PORT is not valid
 */
export function operationsPort(): number {
  const api = port();
  return read('OPERATIONS_PORT', MAX_PORT) ?? (api === 0 ? 0 : api + LAST);
}

function read(name: string, most: number): number | undefined {
  const text = process.env[name];
  if (text === undefined || text === '') return undefined;
  const value = Number(text);
  if (Number.isInteger(value) && value >= 0 && value <= most) return value;
  const reason = most < MAX_PORT ? ' The stack also uses the ports after it.' : '';
  throw new UsageError(`${name} must be a whole number from 0 to ${most}, not ${printable(text)}.${reason}`);
}
