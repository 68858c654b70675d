import type { Restoration } from '../../cli/restoration.ts';
import { allEvents } from '../../functions/table/restore.ts';
import type { Table } from '../../functions/table/retried-calls.ts';
import { type Sent, watched } from './store.ts';

type Required = 'from' | 'into' | 'point' | 'clock';

/**
 * Returns options for a restore. By default, it ignores no one, disables only keys that must be disabled, and reads
 * later events from the target table.
 */
export function restoration(given: Pick<Restoration, Required> & Partial<Restoration>): Restoration {
  return {
    history: (id) => allEvents(given.into, id),
    ignored: [],
    disablesAll: false,
    isDryRun: false,
    onProgress: () => {},
    onDoubt: () => {},
    ...given,
  };
}

/** Returns a table on which all writes after the first few fail, as if the process had been killed. */
export function stoppingAfter(writes: number, table: Table): Table {
  let left = writes;
  const stop = (when: 'before' | 'after', { operation }: Sent) => {
    const isWrite = !/^(Get|BatchGet|Query|Scan|Describe)/.test(operation);
    if (when === 'before' && isWrite && --left < 0) throw new Error('killed');
  };
  return { ...table, port: watched(table.port, stop) };
}
