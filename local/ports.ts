const DEFAULT_PORT = 8787;

/**
 * The port of the local stack's API: PORT, or 8787.
 *
 * @throws Error when PORT is no port
 */
export function port(): number {
  return read('PORT') ?? DEFAULT_PORT;
}

/**
 * The port of the development issuer: ISSUER_PORT, or the one after the API's.
 *
 * @throws Error when ISSUER_PORT is no port
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
  throw new Error(`${name} must be a number from 0 to 65534; it is ${text}.`);
}
