import { redacting } from './redact.ts';

/**
 * One line of log as the logger of the other functions writes it, without its weight: for the functions in
 * front of every call.
 */
export function writeLine(
  level: 'INFO' | 'WARN' | 'ERROR',
  message: string,
  fields: Record<string, unknown> = {},
): void {
  const line = { level, message, timestamp: new Date().toISOString(), ...fields };
  process.stdout.write(`${JSON.stringify(line, redacting)}\n`);
}
