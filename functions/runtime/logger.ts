import { Logger } from '@aws-lambda-powertools/logger';
import { redacting } from './redact.ts';

/** Returns a function's logger. It writes one JSON object per line, and redacts every string and property name. */
export function newLogger(service: string): Logger {
  return new Logger({
    serviceName: service,
    logLevel: 'INFO',
    jsonReplacerFn: (name, value) => redacting(name, value instanceof Error ? described(value) : value),
  });
}

/** Returns the properties of an error that say what went wrong. Others can contain a request or items of the table. */
function described(error: Error & { code?: unknown; $metadata?: unknown }): object {
  const { name, message, stack, cause, code, $metadata } = error;
  return { name, message, code, stack, cause, $metadata };
}
