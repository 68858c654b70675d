import { BatchWriteCommand, PutCommand, ScanCommand } from '@aws-sdk/lib-dynamodb';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { restore } from '../../cli/restoration.ts';

import { identityOf } from '../../functions/table/restore.ts';
import { damagesOf } from '../support/damages.ts';
import { createTable } from '../support/engine.ts';
import { someOf } from '../support/generated.ts';
import { inProcess, must, partsOf, startTable } from '../support/in-process.ts';
import { restoration } from '../support/interrupted.ts';
import type { CreatedKey } from '../support/stack.ts';
import type { TestTable } from '../support/store.ts';

/**
 * Row 65 of docs/faults.md, for a restore. The tests damage one attribute of one of a Deployment's items, in the backup
 * or in the current table. The restore must finish, restore the other Deployment, and keep every credential revoked
 * that was revoked after the backup.
 */
const engine = await startTable();
afterAll(() => engine.stop());
const service = inProcess(engine);
const admin = { as: 'admin' };
const { table } = service;

type Item = Record<string, unknown>;
type Kind = (item: Item) => boolean;

async function itemsOf({ client, tableName }: TestTable): Promise<Item[]> {
  const { Items = [] } = await client.send(new ScanCommand({ TableName: tableName }));
  return Items;
}
/** Writes items to a table in batches. */
async function write(tableName: string, requests: object[]): Promise<void> {
  for (let at = 0; at < requests.length; at += 25) {
    const RequestItems = { [tableName]: requests.slice(at, at + 25) };
    await table.client.send(new BatchWriteCommand({ RequestItems }));
  }
}
const putAll = (tableName: string, items: Item[]) =>
  write(
    tableName,
    items.map((Item) => ({ PutRequest: { Item } })),
  );
const clear = async () => {
  const items = await itemsOf(table);
  await write(
    'keys',
    items.map(({ pk, sk }) => ({ DeleteRequest: { Key: { pk, sk } } })),
  );
};
const put = (tableName: string, Item: Item) =>
  table.client.send(new PutCommand({ TableName: tableName, Item }));
const pathOf = ({ id }: CreatedKey) => `/deployments/${partsOf(id).deploymentId}/api-keys/${id}`;

const edit = async (name: keyof typeof revoked, json: object) =>
  must(await service.call('PATCH', pathOf(revoked[name]), { ...admin, json }), 200);

const POINT = service.time.now + 1000;
const NAMES = ['deleted', 'leaked', 'narrowed', 'switchedOff', 'switchedOn', 'rotated'] as const;
const revoked = {} as Record<(typeof NAMES)[number], CreatedKey>;
let backup: Item[];
let today: Item[];
let sequence = 0;

beforeAll(async () => {
  for (const id of ['bad', 'good']) await service.register(id);
  for (const name of NAMES) revoked[name] = await service.createKey('bad', { name });
  await service.createKey('good');
  await edit('switchedOn', { enabled: false });
  backup = await itemsOf(table);
  service.time.now += 100_000;
  must(await service.call('DELETE', pathOf(revoked.deleted), admin), 204);
  await service.leak(revoked.leaked.secret);
  const networks = ['203.0.113.0/24'];
  await edit('narrowed', { networks });
  await edit('switchedOff', { networks, enabled: false });
  await edit('switchedOn', { networks, enabled: true });
  const rotation = { ...admin, json: { retireOld: 'now' } };
  must(await service.call('POST', `${pathOf(revoked.rotated)}/rotate`, rotation), 200);
  today = await itemsOf(table);
});

/** Restores a backup into a separate table. @returns the problems that the test found in that table */
async function faultsOf(title: string, from: Item[], into: Item[]): Promise<string[]> {
  const tables = [`from-${++sequence}`, `into-${sequence}`].map((tableName) => ({ ...table, tableName }));
  const [source, target] = tables as [TestTable, TestTable];
  for (const { tableName } of tables) await createTable(table.client as never, tableName);
  await putAll(source.tableName, from);
  await putAll(target.tableName, into);
  const doubts: string[] = [];
  const report = await restore(
    restoration({
      from: source,
      into: target,
      point: POINT,
      clock: () => service.time.now,
      onDoubt: (keyId) => doubts.push(keyId),
    }),
  ).catch((error) => error as Error);
  if (!report || report instanceof Error) return [`${title}: ${report}`];
  const after = await itemsOf(target);
  const isGoodBack = after.some(
    ({ pk, sk, restoredBy }) => pk === 'DEPLOYMENT#good' && sk === 'DEPLOYMENT' && restoredBy,
  );
  // The service now uses the restored items, so exchanging each secret shows whether it is accepted.
  await clear();
  await putAll('keys', after);
  const working: string[] = [];
  for (const [name, key] of Object.entries(revoked)) {
    if ((await service.exchange(key)).status === 200) working.push(`${name} works`);
  }
  return [...(isGoodBack ? [] : ['the other Deployment is not restored']), ...working].map(
    (it) => `${title}: ${it}`,
  );
}

const isKeyOfBad: Kind = ({ pk, sk }) => pk === 'DEPLOYMENT#bad' && String(sk).startsWith('KEY#');

/**
 * Reports whether the damage is detectable. A rotation can keep the old secret for 7 s, so a damaged value of 7 s looks
 * valid.
 */
const isMalformed = ({ title }: { title: string }) => title !== 'data.retireOld: 7';

const KINDS: Record<string, Kind> = {
  'the Deployment': ({ pk, sk }) => pk === 'DEPLOYMENT#bad' && sk === 'DEPLOYMENT',
  'a deleted key': ({ sk }) => sk === `KEY#${partsOf(revoked.deleted.id).ulid}`,
  'a leaked key': ({ sk }) => sk === `KEY#${partsOf(revoked.leaked.id).ulid}`,
  'a rotated key': ({ sk }) => sk === `KEY#${partsOf(revoked.rotated.id).ulid}`,
  'the event of a deletion': ({ pk, type }) => pk === 'EVENTS#bad' && type === 'api_key.deleted',
  'the event of a leak': ({ pk, type }) => pk === 'EVENTS#bad' && type === 'api_key.leaked',
  'the event of an edit': ({ pk, type }) => pk === 'EVENTS#bad' && type === 'api_key.edited',
  'the event of an edit that disables': ({ pk, type }) => pk === 'EVENTS#bad' && type === 'api_key.disabled',
  'the event of an edit that enables': ({ pk, type }) => pk === 'EVENTS#bad' && type === 'api_key.enabled',
  'the event of a rotation': ({ pk, type }) => pk === 'EVENTS#bad' && type === 'api_key.rotated',
};

/** Returns pairs of a backup and a current table. One item of the kind is damaged in one of the two tables. */
function damagedTables(kind: string): { title: string; from: Item[]; into: Item[] }[] {
  // The events in the current table count, not those in the backup. If the key items are missing, only events show a
  // key's history.
  const isEvent = kind.includes('event');
  const current = isEvent ? today.filter((item) => !isKeyOfBad(item)) : today;
  const ofToday = damagedCopies(current, kind).map(({ title, items }) => ({
    title: `today: ${title}`,
    from: backup,
    into: items,
  }));
  if (isEvent) return ofToday;
  const ofBackup = damagedCopies(backup, kind).map(({ title, items }) => ({
    title: `backup: ${title}`,
    from: items,
    into: current,
  }));
  return [...ofBackup, ...ofToday];
}

/** Returns copies of the items. In each copy, the first item of the kind is damaged. */
function damagedCopies(items: Item[], kind: string): { title: string; items: Item[] }[] {
  const good = items.find(KINDS[kind] as Kind);
  if (!good) return [];
  return someOf(damagesOf(good).filter(isMalformed)).map(({ title, item }) => ({
    title,
    items: items.map((one) => (one === good ? item : one)),
  }));
}

describe('A restore with a malformed item brings back no revoked access', { timeout: 600_000 }, () => {
  it.each(Object.keys(KINDS))(
    '#65: with damage to %s, a restore finishes, restores the other Deployment and brings back no revoked access',
    async (kind) => {
      const faults: string[] = [];
      for (const { title, from, into } of damagedTables(kind))
        faults.push(...(await faultsOf(title, from, into)));
      expect(faults).toEqual([]);
    },
  );

  it('#65: a restore runs even if the record of an earlier restore is malformed', async () => {
    const into = { ...table, tableName: 'recorded' };
    const from = { ...table, tableName: 'recorded-from' };
    for (const { tableName } of [from, into]) await createTable(table.client as never, tableName);
    await putAll(from.tableName, backup);
    await putAll(into.tableName, today);
    const started = { point: POINT, ignored: [], disablesAll: false };
    const areOptions = (options: unknown) => {
      const { point, ignored, disablesAll, archive } = (options ?? started) as Record<string, unknown>;
      return (
        Number.isSafeInteger(point) &&
        Number(point) >= 0 &&
        Number(point) <= 8.64e15 &&
        Array.isArray(ignored) &&
        ignored.every((it) => typeof it === 'string') &&
        typeof disablesAll === 'boolean' &&
        ['undefined', 'string'].includes(typeof archive)
      );
    };
    const key = { pk: 'RESTORES', sk: await identityOf(from) };
    for (const { title, item } of damagesOf({
      ...key,
      startedAt: POINT,
      finishedAt: POINT,
      options: started,
    })) {
      await put(into.tableName, item);
      const options = restoration({ from, into, point: POINT, clock: () => service.time.now });
      const isFinished =
        typeof item.finishedAt === 'number' &&
        Number.isSafeInteger(item.finishedAt) &&
        item.finishedAt > 0 &&
        item.finishedAt <= 8.64e15 &&
        item.startedAt !== undefined &&
        areOptions(item.options);
      const report = await restore(options);
      if (isFinished) continue;
      expect(report, title).toMatchObject({ otherGenerations: [] });
      const [record] = (await itemsOf(into)).filter(({ pk }) => pk === 'RESTORES');
      expect(record, title).toMatchObject({ finishedAt: expect.any(Number) });
    }
  });
});
