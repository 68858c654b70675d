import { type Patience, type Table, tableClient } from '../table/client.ts';

/** The function's table: its client is made once, at start, and kept over calls. */
export function openTable(
  { tableName }: { tableName: string },
  patience: Patience,
  log: { error: (message: string, fields: Record<string, string>) => void },
): Table {
  return {
    client: tableClient(patience),
    tableName,
    // By its keys alone, and the hash in a token's key left out: never by its content.
    onMalformed: ({ pk, sk }) => log.error('malformed item', { pk, sk: sk.replace(/#[\w-]{43}$/, '#…') }),
  };
}
