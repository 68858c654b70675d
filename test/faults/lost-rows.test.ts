import { PutCommand, ScanCommand } from '@aws-sdk/lib-dynamodb';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { backfill } from '../../cli/backfilling.ts';
import { restore } from '../../cli/restoration.ts';
import { syncFromStream } from '../../functions/jobs/sync-deployments.ts';
import { makeTable } from '../support/engine.ts';
import { DAY, inProcess, startTable } from '../support/in-process.ts';
import { restoration } from '../support/interrupted.ts';
import { makePlatformTable, rowOf } from '../support/platform-table.ts';
import type { CreatedKey } from '../support/stack.ts';

/** Row 66: the section "The platform's table lost rows" of docs/runbook.md, step by step. */
const engine = await startTable();
afterAll(() => engine.stop());
const platform = await makePlatformTable(engine.endpoint);
const service = inProcess(engine, { source: platform.source });
const { table } = service;
const clock = () => service.time.now;
const POINT = clock();
const IDS = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'];
const keys: CreatedKey[] = [];

const follow = async () =>
  syncFromStream(await platform.records(), {
    table,
    source: { ...platform.source, deletions: undefined },
    clock,
    setAside: async () => {},
    log: () => {},
    onOutcome: () => {},
  });
const prune = async (isDryRun: boolean) => {
  const deleted: string[] = [];
  await backfill({
    table,
    from: platform.from,
    clock,
    isDryRun,
    onRefused: () => {},
    most: 100,
    prunes: true,
    begin: { of: '', part: 'rows', after: undefined },
    onPosition: () => {},
    onProgress: () => {},
    onMended: (id, outcome) => deleted.push(`${outcome} ${id}`),
  });
  return deleted;
};
const works = async () => {
  const statuses = await Promise.all(keys.map((key) => service.exchange(key)));
  return IDS.filter((_, n) => statuses[n]?.status === 200);
};

beforeAll(async () => {
  for (const id of IDS) await platform.put(rowOf(id));
  await follow();
  for (const id of IDS) keys.push(await service.makeKey(id));
});

describe('a followed table that lost its rows by mistake', () => {
  it("#66: the runbook's steps bring back all Deployments with their keys after a followed table lost rows by mistake", async () => {
    const { Items: backup = [] } = await table.client.send(new ScanCommand({ TableName: 'keys' }));
    service.time.now += 60 * 60_000;
    for (const id of IDS) await platform.remove(id);
    await follow();
    expect(await works()).toEqual(IDS.slice(3));

    // Step 2: point-in-time recovery creates a table, and the restore ignores the deletions.
    await makeTable(table.client as never, 'restored');
    for (const Item of backup) await table.client.send(new PutCommand({ TableName: 'restored', Item }));
    const options = restoration({
      from: { ...table, tableName: 'restored' },
      into: table,
      point: POINT,
      clock,
    });
    const report = await restore({ ...options, ignored: ['source'] });
    expect(report).toMatchObject({ otherLives: [], counts: { 'keys restored': 8, 'keys disabled': 0 } });
    expect(await works()).toEqual(IDS);

    // Step 3.
    for (const id of IDS) await platform.put(rowOf(id));
    await follow();
    expect(await works()).toEqual(IDS);

    // Step 4.
    expect(await prune(true)).toEqual([]);
    expect(await prune(false)).toEqual([]);
    expect(await works()).toEqual(IDS);
    expect(await service.partition('PURGES')).toEqual([]);

    // From now on, the service again applies changes in the rows to these Deployments.
    service.time.now += 2 * DAY;
    await platform.remove('a');
    await follow();
    expect((await works()).length).toBe(7);
  });
});
