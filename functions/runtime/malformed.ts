import type { OnMalformed } from '../table/schema.ts';

/** Where a function writes what an operator must see. */
export interface ErrorLog {
  error: (message: string, fields: Record<string, string>) => void;
}

/** Logs an item of a wrong shape by its keys, the hash in a token's key left out: never by its content. */
export function logMalformed(log: ErrorLog): OnMalformed {
  return ({ pk, sk }) => log.error('malformed item', { pk, sk: sk.replace(/#[\w-]{43}$/, '#…') });
}
