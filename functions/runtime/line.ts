import { redacting } from './redact.ts';

/**
 * Writes one log line in the format of the logger, without loading the logger. For functions that run on every call.
 */
export function writeLine(
  level: 'INFO' | 'WARN' | 'ERROR',
  message: string,
  fields: Record<string, unknown> = {},
): void {
  const line = { level, message, timestamp: new Date().toISOString(), ...fields };
  process.stdout.write(`${JSON.stringify(line, redacting)}\n`);
}
