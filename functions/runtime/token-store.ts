import { CALL_PATIENCE } from '../table/faults.ts';
import { leanTokenStore, type TokenStore } from '../table/lean-tokens.ts';
import { openWire } from '../table/wire.ts';
import { readAccess } from './config.ts';
import { type ErrorLog, logMalformed } from './malformed.ts';

/** Returns the store of the functions that pipelines call. Its connection is reused across invocations. */
export function openTokenStore({ tableName }: { tableName: string }, log: ErrorLog): TokenStore {
  return leanTokenStore(openWire(readAccess(), CALL_PATIENCE), { tableName, onMalformed: logMalformed(log) });
}
