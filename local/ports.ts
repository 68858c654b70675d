import { UsageError } from './options.ts';
import { printable } from './terminal.ts';

const DEFAULT_PORT = 8787;
const MAX_PORT = 65_535;

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

/**
 * Returns the port of the endpoint for operators: OPERATIONS_PORT, or the API's port + 9. The example APIs use the
 * ports in between.
 *
 * @throws UsageError if OPERATIONS_PORT is not a valid port
 */
export function operationsPort(): number {
  const api = port();
  return read('OPERATIONS_PORT') ?? (api === 0 ? 0 : Math.min(api + 9, MAX_PORT));
}

function read(name: string): number | undefined {
  const text = process.env[name];
  if (text === undefined || text === '') return undefined;
  const value = Number(text);
  if (Number.isInteger(value) && value >= 0 && value < MAX_PORT) return value;
  throw new UsageError(`${name} must be a whole number from 0 to 65534, not ${printable(text)}.`);
}
