import type { CheckStore } from '../domain/check.ts';
import { CHECK_PATIENCE } from '../table/faults.ts';
import { leanCheckStore } from '../table/lean-check.ts';
import { openWire } from '../table/wire.ts';
import { readAccess, type TableConfig } from './config.ts';
import { writeLine } from './line.ts';
import { logMalformed } from './malformed.ts';

/** Returns the store of the functions that run on every call. Its connection is reused across invocations. */
export function openCheckStore({ tableName }: TableConfig): CheckStore {
  const onMalformed = logMalformed({ error: (message, fields) => writeLine('ERROR', message, fields) });
  return leanCheckStore(openWire(readAccess(), CHECK_PATIENCE), { tableName, onMalformed });
}
