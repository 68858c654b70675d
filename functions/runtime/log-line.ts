import { redacting } from './redact.ts';

/**
 * Writes one log line in the logger's format without loading the logger. Use it in functions that run on every call.
 */
export function writeLine(
  level: 'INFO' | 'WARN' | 'ERROR',
  message: string,
  fields: Record<string, unknown> = {},
): void {
  const line = { level, message, timestamp: new Date().toISOString(), ...fields };
  process.stdout.write(`${JSON.stringify(line, redacting)}\n`);
}

/** An `ErrorLog` that writes its lines with `writeLine`. */
export const errorLine = {
  error: writeLine.bind(undefined, 'ERROR'),
};
