import { Logger } from '@aws-lambda-powertools/logger';
import { redacting } from './redact.ts';

/** The log of a function: one JSON object a line, with every string and property name in it redacted. */
export function newLogger(service: string): Logger {
  return new Logger({
    serviceName: service,
    logLevel: 'INFO',
    jsonReplacerFn: (name, value) => redacting(name, value instanceof Error ? described(value) : value),
  });
}

/** Of an error only what says what went wrong: its other properties can hold a request, or items of the table. */
function described(error: Error & { code?: unknown; $metadata?: unknown }): object {
  const { name, message, stack, cause, code, $metadata } = error;
  return { name, message, code, stack, cause, $metadata };
}
