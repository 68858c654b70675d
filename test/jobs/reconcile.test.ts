import { DeleteCommand, PutCommand, ScanCommand } from '@aws-sdk/lib-dynamodb';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { newUlid } from '../../functions/domain/credentials.ts';
import { purgeFromQueue, sweepMarkers } from '../../functions/jobs/purge.ts';
import { ownTable, PAGES, reconcile } from '../../functions/jobs/reconcile.ts';
import type { Table } from '../../functions/table/retried-calls.ts';
import { NO_GENERATION } from '../../functions/table/schema.ts';
import { inProcess, startTable } from '../support/in-process.ts';
import { fill } from '../support/many-items.ts';
import { startMeter } from '../support/meter.ts';
import type { CreatedKey } from '../support/stack.ts';
import { tableOn } from '../support/store.ts';

const HOUR = 3_600_000;
const WEEK = 7 * 24 * HOUR;
const LATER = 6 * 60_000;

const engine = await startTable();
const meter = await startMeter(engine.endpoint, { scans: true });
afterAll(async () => {
  await meter.stop();
  await engine.stop();
});

const service = inProcess(engine, { endpoint: meter.endpoint });
const { table, time } = service;
const admin = { as: 'admin' };

/** The tests share one table. Each test starts with an empty table and runs in its own week. */
beforeEach(async () => {
  service.around = undefined;
  const { Items = [] } = await table.client.send(new ScanCommand({ TableName: 'keys' }));
  for (const { pk, sk } of Items) await remove(pk, sk);
  service.malformed.length = 0;
  service.deferred.length = 0;
});

const remove = (pk: string, sk: string) =>
  table.client.send(new DeleteCommand({ TableName: 'keys', Key: { pk, sk } }));
const put = (Item: Record<string, unknown>) => table.client.send(new PutCommand({ TableName: 'keys', Item }));

/**
 * Runs one slice of a reconciliation pass.
 * @returns the slice's log entry, or undefined if no slice was due
 */
async function slice(hasTime = () => true, of: Table = table) {
  let entry: Record<string, string | number> | undefined;
  const log = (message: string, fields: Record<string, string | number>) => {
    entry = { message, ...fields };
  };
  const clock = () => time.now;
  await reconcile(ownTable({ table: of, clock }), { table: of, clock, hasTime, log });
  return entry;
}

/** Runs the purges for the markers that reconciliation wrote, as the schedule and the queue would. */
async function purgeMarked(): Promise<void> {
  time.now += LATER;
  await sweepMarkers(service.purge);
  for (let task = service.deferred.shift(); task; task = service.deferred.shift()) {
    const record = { messageId: 'm', body: JSON.stringify(task) } as never;
    expect(await purgeFromQueue([record], () => true, service.purge)).toEqual({ batchItemFailures: [] });
  }
}

const sortKeys = async (pk: string) => (await service.partition(pk)).map(({ sk }) => String(sk));
const kindsOf = async (id: string) => (await sortKeys(`DEPLOYMENT#${id}`)).map((sk) => sk.replace(/#.*/, ''));
const generationOf = async (id: string) =>
  String((await service.partition(`DEPLOYMENT#${id}`)).find(({ sk }) => sk === 'DEPLOYMENT')?.generation);

async function deploymentWithToken(id: string): Promise<{ key: CreatedKey; token: string }> {
  await service.register(id);
  const key = await service.createKey(id);
  return { key, token: await service.exchangeForToken(key) };
}

describe('Reconciliation finds items of generations that have ended', () => {
  it("reconciliation purges a generation whose Deployment was deleted by hand, and keeps the generation's events", async () => {
    await deploymentWithToken('gone');
    const { token } = await deploymentWithToken('stays');
    await remove('DEPLOYMENT#gone', 'DEPLOYMENT');
    expect(await slice()).toEqual({
      message: 'reconciled',
      pass: 'TABLE',
      pages: 1,
      items: 9,
      orphans: 1,
      dropped: 0,
      listed: 0,
    });
    expect(await sortKeys('DEPLOYMENTS')).toEqual(['stays']);
    await purgeMarked();
    expect(await sortKeys('DEPLOYMENT#gone')).toEqual([]);
    expect(await sortKeys('PURGES')).toEqual([]);
    expect((await service.partition('EVENTS#gone')).map(({ type }) => type).sort()).toEqual([
      'api_key.created',
      'deployment.purged',
      'deployment.registered',
    ]);
    expect(await kindsOf('stays')).toEqual(['DEPLOYMENT', 'KEY', 'TOKEN']);
    expect(await service.use(token)).toBe(200);
  });

  it('reconciliation purges items of an earlier generation and keeps those of the current generation', async () => {
    await deploymentWithToken('again');
    const older = await generationOf('again');
    await remove('DEPLOYMENT#again', 'DEPLOYMENT');
    const { key, token } = await deploymentWithToken('again');
    expect(await slice()).toMatchObject({ orphans: 1 });
    expect(await sortKeys('PURGES')).toEqual([`again#${older}`]);
    await purgeMarked();
    expect(await kindsOf('again')).toEqual(['DEPLOYMENT', 'KEY', 'TOKEN']);
    expect(await service.use(token)).toBe(200);
    expect(await service.use(await service.exchangeForToken(key))).toBe(200);
    expect(await sortKeys('DEPLOYMENTS')).toEqual(['again']);
  });

  it('reconciliation purges items without a valid generation, but no other items of the Deployment', async () => {
    const { token } = await deploymentWithToken('odd');
    await put({ pk: 'DEPLOYMENT#odd', sk: `KEY#${newUlid(1)}`, generation: 7 });
    await put({ pk: 'DEPLOYMENT#odd', sk: `KEY#${newUlid(2)}` });
    expect(await slice()).toMatchObject({ orphans: 1 });
    expect(await sortKeys('PURGES')).toEqual([`odd#${NO_GENERATION}`]);
    await purgeMarked();
    expect(await kindsOf('odd')).toEqual(['DEPLOYMENT', 'KEY', 'TOKEN']);
    expect(await service.use(token)).toBe(200);
  });

  it('reconciliation deletes a directory entry that is the only item left of a generation', async () => {
    await service.register('listed');
    await remove('DEPLOYMENT#listed', 'DEPLOYMENT');
    expect(await slice()).toMatchObject({ orphans: 1 });
    expect(await sortKeys('DEPLOYMENTS')).toEqual([]);
    await purgeMarked();
    expect(await sortKeys('PURGES')).toEqual([]);
  });

  it('a second reconciliation pass finds nothing left of a generation that the first pass purged', async () => {
    await deploymentWithToken('once');
    await remove('DEPLOYMENT#once', 'DEPLOYMENT');
    expect(await slice()).toMatchObject({ orphans: 1 });
    time.now += WEEK;
    // The marker is waiting for its purge.
    expect(await slice()).toMatchObject({ orphans: 0, items: 2 });
    await purgeMarked();
    time.now += WEEK;
    expect(await slice()).toMatchObject({ orphans: 0, items: 0 });
    expect(await sortKeys('PURGES')).toEqual([]);
  });
});

describe('Reconciliation does not purge items of current generations', () => {
  const unmarked = async (listed = 0) => {
    expect(await slice()).toMatchObject({ orphans: 0, listed });
    expect(await sortKeys('PURGES')).toEqual([]);
  };

  it('reconciliation purges no items of a current generation, whether they are valid, used or expired', async () => {
    const { token } = await deploymentWithToken('living');
    await service.call('POST', '/deployments/living/temporary-tokens', { ...admin, json: {} });
    await service.call('POST', '/deployments/living/api-keys', {
      ...admin,
      json: { name: 'x' },
      headers: { 'idempotency-key': 'a' },
    });
    time.now += 26 * HOUR;
    const before = await service.partition('DEPLOYMENT#living');
    await unmarked();
    expect(await service.partition('DEPLOYMENT#living')).toEqual(before);
    expect(await service.use(token)).toBe(401);
  });

  it('reconciliation writes no new marker while the purge of a generation is still running', async () => {
    await deploymentWithToken('purged');
    await service.call('DELETE', '/deployments/purged', admin);
    const before = await service.partition('PURGES');
    expect(await slice()).toMatchObject({ orphans: 0 });
    expect(await service.partition('PURGES')).toEqual(before);
  });

  it('reconciliation writes no new marker when the purge of a generation ends during the pass', async () => {
    await deploymentWithToken('ended');
    const generation = await generationOf('ended');
    await service.call('DELETE', '/deployments/ended', admin);
    service.once('after', 'Scan', async () => {
      const body = JSON.stringify({ deploymentId: 'ended', generation });
      await purgeFromQueue([{ messageId: 'm', body } as never], () => true, service.purge);
    });
    await unmarked();
  });

  it('reconciliation does not purge a Deployment that was registered during the pass', async () => {
    await deploymentWithToken('former');
    const former = await service.partition('DEPLOYMENT#former');
    // An eventually consistent read may return the key and the token but not yet the Deployment.
    await remove('DEPLOYMENT#former', 'DEPLOYMENT');
    service.once('after', 'Scan', async () => {
      await put(former.find(({ sk }) => sk === 'DEPLOYMENT') ?? {});
    });
    await unmarked();
    expect(await kindsOf('former')).toEqual(['DEPLOYMENT', 'KEY', 'TOKEN']);
  });

  it('reconciliation does not purge a Deployment whose item is damaged, and reports the item', async () => {
    await deploymentWithToken('damaged');
    await put({ pk: 'DEPLOYMENT#damaged', sk: 'DEPLOYMENT', name: 'x' });
    await unmarked();
    expect(service.malformed).toContainEqual({ pk: 'DEPLOYMENT#damaged', sk: 'DEPLOYMENT' });
    expect(await kindsOf('damaged')).toEqual(['DEPLOYMENT', 'KEY', 'TOKEN']);
  });

  it('reconciliation reports items with an invalid Deployment ID instead of purging them', async () => {
    await put({ pk: 'DEPLOYMENT#no such id', sk: 'KEY#x', generation: newUlid(1) });
    await unmarked();
    expect(service.malformed).toEqual([{ pk: 'DEPLOYMENT#no such id', sk: 'KEY#x' }]);
  });
});

describe('A Deployment can be registered again while reconciliation handles its earlier generation', () => {
  it.each(['BatchGetItem', 'GetItem', 'UpdateItem'] as const)(
    'a Deployment keeps its items if it is registered again during reconciliation, after the %s call',
    async (name) => {
      await deploymentWithToken('anew');
      await remove('DEPLOYMENT#anew', 'DEPLOYMENT');
      let fresh: { key: CreatedKey; token: string } | undefined;
      service.once('after', name, async () => {
        fresh = await deploymentWithToken('anew');
      });
      await slice();
      expect(fresh).toBeDefined();
      await purgeMarked();
      expect(await kindsOf('anew')).toEqual(['DEPLOYMENT', 'KEY', 'TOKEN']);
      expect(await sortKeys('DEPLOYMENTS')).toEqual(['anew']);
      expect(await service.use(fresh?.token ?? '')).toBe(200);
    },
  );
});

describe('Reconciliation repairs the directory', () => {
  const entry = async (id: string) => (await service.partition('DEPLOYMENTS')).find(({ sk }) => sk === id);

  it('reconciliation restores a missing directory entry unchanged', async () => {
    await service.register('lost', { name: 'Lost', groups: ['a'] });
    const before = await entry('lost');
    await remove('DEPLOYMENTS', 'lost');
    expect(await slice()).toMatchObject({ orphans: 0, listed: 1 });
    expect(await entry('lost')).toEqual(before);
  });

  it('reconciliation replaces a directory entry from an earlier generation', async () => {
    await service.register('stale', { name: 'Stale' });
    const before = await entry('stale');
    await put({ ...before, name: 'Older', generation: newUlid(1) });
    expect(await slice()).toMatchObject({ orphans: 1, listed: 1 });
    expect(await entry('stale')).toEqual(before);
  });

  it('reconciliation replaces a directory entry of which any attribute is malformed', async () => {
    await service.register('odd', { name: 'Odd', groups: ['a'] });
    const before = await entry('odd');
    for (const wrong of [{ name: 7 }, { groups: ['a', 7] }, { groups: 'a' }, { createdAt: -1 }]) {
      await put({ ...before, ...wrong });
      expect(await slice()).toMatchObject({ orphans: 0, listed: 1 });
      expect(await entry('odd')).toEqual(before);
      time.now += WEEK;
    }
  });

  it('a Deployment that is edited while its directory entry is repaired is listed with its new values', async () => {
    await service.register('edited', { name: 'Before' });
    await remove('DEPLOYMENTS', 'edited');
    service.once('before', 'TransactWriteItems', async () => {
      await service.register('edited', { name: 'After' });
    });
    expect(await slice()).toMatchObject({ listed: 0 });
    expect(await entry('edited')).toMatchObject({ name: 'After' });
  });

  it('a Deployment that is deleted while its directory entry is repaired is not listed', async () => {
    await service.register('deleted');
    await remove('DEPLOYMENTS', 'deleted');
    service.once('before', 'TransactWriteItems', async () => {
      await service.call('DELETE', '/deployments/deleted', admin);
    });
    expect(await slice()).toMatchObject({ listed: 0 });
    expect(await entry('deleted')).toBeUndefined();
  });
});

describe('A reconciliation pass reads the whole table once a week', () => {
  it('a reconciliation pass starts once a week, and other runs only read the position of the last pass', async () => {
    expect(await slice()).toMatchObject({ message: 'reconciled' });
    time.now += WEEK - 1;
    meter.take();
    expect(await slice()).toBeUndefined();
    expect(meter.take()).toMatchObject({ calls: ['GetItem'], read: 1, written: 0 });
    time.now += 1;
    expect(await slice()).toMatchObject({ message: 'reconciled' });
  });

  it.each([
    ['a week ahead', () => time.now + WEEK],
    ['the latest time that is well-formed', () => 8.64e15],
  ])(
    'a reconciliation pass starts when the start of the last pass lies in the future: %s',
    async (_, startedAt) => {
      await put({ pk: 'RECONCILIATION', sk: 'TABLE', startedAt: startedAt() });
      expect(await slice()).toMatchObject({ message: 'reconciled' });
    },
  );

  it('a reconciliation pass continues from slice to slice, even after a crash', {
    timeout: 60_000,
  }, async () => {
    const generation = newUlid(1);
    await fill(table, { deploymentId: 'large', generation, keys: 1, tokens: 2500 });
    const messages: unknown[] = [];
    const began = time.now;
    let crashes = 0;
    for (let n = 0; n < 3; n++) {
      service.around = (when, command) => {
        // The run fails after it has read its page and before it has written its position.
        if (when === 'before' && command.operation === 'PutItem' && crashes++ % 2 === 0)
          throw new Error('dead');
      };
      await expect(slice(() => false)).rejects.toThrow('dead');
      messages.push((await slice(() => false))?.message);
      time.now += 15 * 60_000;
    }
    service.around = undefined;
    expect(messages).toEqual([
      'reconciliation continues later',
      'reconciliation continues later',
      'reconciled',
    ]);
    expect(await sortKeys('PURGES')).toEqual([`large#${generation}`]);
    // The week between two passes counts from the start of the first one.
    time.now = began + WEEK - 1;
    expect(await slice()).toBeUndefined();
    await purgeMarked();
    expect(await sortKeys('DEPLOYMENT#large')).toEqual([]);
  });

  it(`a reconciliation pass reads at most ${PAGES} pages per slice, regardless of the table's size`, async () => {
    let scans = 0;
    const endless = {
      send: async (command: object) => {
        if (!(command instanceof ScanCommand)) return {};
        scans++;
        return { Items: [], LastEvaluatedKey: { pk: 'EVENTS#x', sk: String(scans) } };
      },
    };
    expect(await slice(() => true, tableOn(endless))).toMatchObject({ pages: PAGES });
    expect(scans).toBe(PAGES);
  });

  it('a reconciliation pass costs about 20 read units for each 1,000 tokens', {
    timeout: 60_000,
  }, async () => {
    for (const id of ['a', 'b', 'c']) await service.register(id);
    await fill(table, { deploymentId: 'a', generation: await generationOf('a'), keys: 10, tokens: 2000 });
    meter.take();
    expect(await slice()).toMatchObject({ pages: 3, orphans: 0 });
    const { read, written } = meter.take();
    expect(written).toBe(1);
    // Subtracts the reads of the position, of the Deployments, and of their entries in the directory and in groups.
    // Also subtracts two more reads of the Deployment "a", because two pages start in the middle of its items.
    const scanned = read - 1 - 4 * 3 - 2;
    // See docs/cost.md: about 20,000 units for a million tokens.
    expect(scanned / 2000).toBeGreaterThan(0.019);
    expect(scanned / 2000).toBeLessThan(0.021);
  });
});
