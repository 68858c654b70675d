import { DeleteCommand, PutCommand, ScanCommand } from '@aws-sdk/lib-dynamodb';
import { beforeAll, describe, expect, it } from 'vitest';
import { restore } from '../../cli/restoration.ts';
import { createTable } from '../support/engine.ts';
import { DAY } from '../support/in-process.ts';
import { restoration } from '../support/interrupted.ts';
import { rowOf, startFollowing } from '../support/platform-table.ts';
import type { CreatedKey } from '../support/stack.ts';

/** Row 66 of docs/faults.md: follows the section "The platform's table lost rows" of docs/runbook.md, step by step. */
const { platform, service, table, clock, ...following } = await startFollowing();
const IDS = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'];
const keys: CreatedKey[] = [];

const follow = async () =>
  following.sync(await platform.records(), { source: { ...platform.source, deletions: undefined } });
const prune = async (isDryRun: boolean, of = table) => {
  const deleted: string[] = [];
  await following.prune({
    table: of,
    isDryRun,
    onRepaired: (id, outcome) => deleted.push(`${outcome} ${id}`),
  });
  return deleted;
};
/** Creates the table that point-in-time recovery would create at this time. @returns the options for restoring it */
const backUp = async (tableName: string) => {
  const { Items = [] } = await table.client.send(new ScanCommand({ TableName: 'keys' }));
  await createTable(table.client as never, tableName);
  for (const Item of Items) await table.client.send(new PutCommand({ TableName: tableName, Item }));
  return restoration({ from: { ...table, tableName }, into: table, point: clock(), clock });
};
const registrationOf = async (id: string) =>
  (await service.partition('SOURCES')).find(({ sk }) => sk === id) as Record<string, unknown>;
const works = async () => {
  const statuses = await Promise.all(keys.map((key) => service.exchange(key)));
  return IDS.filter((_, n) => statuses[n]?.status === 200);
};

beforeAll(async () => {
  for (const id of IDS) await platform.put(rowOf(id));
  await follow();
  for (const id of IDS) keys.push(await service.createKey(id));
});

describe('The runbook repairs a followed table that lost its rows by mistake', () => {
  it("#66: the runbook's steps bring back all Deployments and their keys after rows of a followed table were deleted by accident", async () => {
    const options = await backUp('restored');
    service.time.now += 60 * 60_000;
    for (const id of IDS) await platform.remove(id);
    await follow();
    expect(await works()).toEqual(IDS.slice(3));

    // Step 2 of the runbook: point-in-time recovery creates a table, and the restore ignores the deletions.
    const report = await restore({ ...options, ignored: ['source'] });
    expect(report).toMatchObject({
      otherGenerations: [],
      counts: { 'keys restored': 8, 'keys disabled': 0 },
    });
    expect(await works()).toEqual(IDS);

    // Step 3 of the runbook: the operator puts the rows back.
    for (const id of IDS) await platform.put(rowOf(id));
    await follow();
    expect(await works()).toEqual(IDS);

    // Step 4 of the runbook: the backfill finds no Deployment without a row.
    expect(await prune(true)).toEqual([]);
    expect(await prune(false)).toEqual([]);
    expect(await works()).toEqual(IDS);
    expect(await service.partition('PURGES')).toEqual([]);

    // From now on, the service applies changes in the rows to these Deployments again.
    service.time.now += 2 * DAY;
    await platform.remove('a');
    await follow();
    expect((await works()).length).toBe(7);
  });

  it('#66: if a restore ignores deletions by the followed table, Deployments whose rows stay missing are listed and deleted', async () => {
    service.time.now += 2 * DAY;
    const options = await backUp('restored-2');
    const before = await registrationOf('b');
    service.time.now += 60 * 60_000;
    for (const id of ['b', 'c']) await platform.remove(id);
    await follow();
    expect(await works()).toEqual(IDS.slice(3));
    const deleted = await registrationOf('b');
    expect(deleted).toMatchObject({ isPresent: false, expiresAt: expect.any(Number) });

    // Neither a dry run nor a restore that repeats the deletions changes the registrations.
    await restore({ ...options, ignored: ['source'], isDryRun: true });
    expect(await registrationOf('b')).toEqual(deleted);
    expect(await restore(options)).toMatchObject({ counts: { 'Deployments deleted since': 2 } });
    expect(await registrationOf('b')).toEqual(deleted);
    expect(await works()).toEqual(IDS.slice(3));

    const again = { ...options, ignored: ['source'], again: true };
    expect(await restore(again)).toMatchObject({ unfollowed: [], unmatched: [] });
    const { expiresAt: _, ...others } = deleted;
    expect(await registrationOf('b')).toEqual({ ...others, isPresent: true, generation: before.generation });
    const restored = await registrationOf('b');
    await restore(again);
    expect(await registrationOf('b')).toEqual(restored);

    // The service is still stopped. It reads the stream only after the operator confirms the restore.
    await platform.put(rowOf('c'));
    expect(await works()).toEqual(IDS.slice(1));
    expect(await prune(true)).toEqual(['deleted b']);
    expect(await prune(false)).toEqual(['deleted b']);
    await follow();
    expect(await works()).toEqual(IDS.slice(2));
    expect(await prune(true)).toEqual([]);
  });

  it('#66: a restore replaces a lost or malformed registration with the one in the backup', async () => {
    service.time.now += 2 * DAY;
    const options = await backUp('restored-3');
    service.time.now += 60 * 60_000;
    await platform.remove('c');
    await follow();
    const deleted = await registrationOf('c');
    const { row: __, ...malformed } = deleted;
    const Key = { pk: 'SOURCES', sk: 'c' };
    for (const Item of [undefined, malformed]) {
      if (Item) await table.client.send(new PutCommand({ TableName: 'keys', Item }));
      else await table.client.send(new DeleteCommand({ TableName: 'keys', Key }));
      const report = await restore({ ...options, ignored: ['source'], again: true });
      expect(report?.unfollowed).toEqual([]);
      expect(await prune(true)).toEqual(['deleted c']);
      // The malformed item still says which change was applied last, so that no older change is applied again.
      if (Item) expect((await registrationOf('c')).lastChange).toBe(deleted.lastChange);
    }
    // The report names this Deployment because the Deployment has no registration at all.
    for (const TableName of ['keys', 'restored-3']) {
      await table.client.send(new DeleteCommand({ TableName, Key }));
    }
    const report = await restore({ ...options, ignored: ['source'], again: true });
    expect(report?.unfollowed).toEqual(['c']);
    expect(await registrationOf('c')).toBeUndefined();
  });

  it('#66: a restore to a new table detects a deleted row even without the events since the backup', async () => {
    const options = await backUp('restored-4');
    await platform.remove('d');
    await createTable(table.client as never, 'new');
    const into = { ...table, tableName: 'new' };
    await restore({ ...options, into, history: async () => ({ events: [], malformed: [] }) });
    expect(await prune(true, into)).toContain('deleted d');
  });
});
