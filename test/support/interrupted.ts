import type { DynamoDBDocumentClient } from '@aws-sdk/lib-dynamodb';
import type { Restoration } from '../../cli/restoration.ts';
import type { Table } from '../../functions/table/client.ts';
import { allEvents } from '../../functions/table/restore.ts';

type Required = 'from' | 'into' | 'point' | 'clock';

/**
 * Returns the options of a restore that ignores nobody, disables only what it must and reads later events from the
 * table that it restores into, unless `given` says otherwise.
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

/** Returns a table on which every write after the first few fails, as after the process was killed. */
export function stoppingAfter(writes: number, table: Table): Table {
  let left = writes;
  const send = (command: object) => {
    if (/^(Put|Transact|BatchWrite|Delete|Update)/.test(command.constructor.name) && --left < 0) {
      throw new Error('killed');
    }
    return table.client.send(command as never);
  };
  return { ...table, client: { send } as unknown as DynamoDBDocumentClient };
}
