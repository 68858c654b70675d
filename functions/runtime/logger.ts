import { Logger } from '@aws-lambda-powertools/logger';
import { redacting } from './report.ts';

/** Returns a function's logger. It writes one JSON object per line, and redacts every string and property name. */
export function newLogger(service: string): Logger {
  return new Logger({
    serviceName: service,
    logLevel: 'INFO',
    jsonReplacerFn: (name, value) => redacting(name, value instanceof Error ? described(value) : value),
  });
}

/**
 * Returns the properties of an error that describe the problem. Other properties can contain a request or items from
 * the table.
 */
function described(error: Error & { code?: unknown; $metadata?: unknown }): object {
  const { name, message, stack, cause, code, $metadata } = error;
  return { name, message, code, stack, cause, $metadata };
}
