import type { OnMalformed } from '../table/schema.ts';
import { counted, ofStack } from './metric.ts';
import * as METRIC from './metric-names.ts';

/** Where a function writes what an operator must see. */
export interface ErrorLog {
  error: (message: string, fields: Record<string, unknown>) => void;
}

/**
 * Logs a malformed item by its keys, without the hash in a token's key and never by its content, and counts it for the
 * alarm.
 */
export function logMalformed(
  log: ErrorLog,
  env: Record<string, string | undefined> = process.env,
): OnMalformed {
  const dimension = ofStack(env);
  return ({ pk, sk }) =>
    log.error('malformed item', {
      pk,
      sk: sk.replace(/#[\w-]{43}$/, '#…'),
      ...counted(METRIC.malformedItems, dimension),
    });
}
