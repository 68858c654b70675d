import { Logger } from '@aws-lambda-powertools/logger';
import { redact } from './redact.ts';

/** The log of a function: one JSON object a line, every string in it redacted. */
export function newLogger(service: string): Logger {
  return new Logger({
    serviceName: service,
    logLevel: 'INFO',
    jsonReplacerFn: (_key, value) => (typeof value === 'string' ? redact(value) : value),
  });
}
