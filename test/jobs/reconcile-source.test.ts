import { GetItemCommand } from '@aws-sdk/client-dynamodb';
import { DeleteCommand, ScanCommand } from '@aws-sdk/lib-dynamodb';
import type { DynamoDBRecord } from 'aws-lambda';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import {
  type CompareDependencies,
  compareRegistrations,
  compareRows,
} from '../../functions/jobs/reconcile-source.ts';
import { syncFromStream } from '../../functions/jobs/sync-deployments.ts';
import { inProcess, startTable } from '../support/in-process.ts';
import { makePlatformTable, rowOf } from '../support/platform-table.ts';

const engine = await startTable();
const platform = await makePlatformTable(engine.endpoint);
afterAll(() => engine.stop());

let around: ((when: 'before' | 'after', command: object) => void | Promise<void>) | undefined;
const service = inProcess(engine, {
  source: platform.source,
  around: (when, command) => around?.(when, command),
});
const { table } = service;
const clock = () => service.time.now;

const refused: string[] = [];
const mended: string[] = [];
beforeEach(async () => {
  around = undefined;
  const { Items: items = [] } = await table.client.send(new ScanCommand({ TableName: 'keys' }));
  for (const { pk, sk } of items) {
    await table.client.send(new DeleteCommand({ TableName: 'keys', Key: { pk, sk } }));
  }
  for (const id of ['a', 'b', 'c', 'x']) await platform.remove(id);
  await platform.records();
  refused.length = 0;
  mended.length = 0;
});

const dependencies: CompareDependencies = {
  table,
  from: platform.from,
  clock,
  onRefused: (key, reason) => refused.push(`${key.key?.S}: ${reason}`),
  onMended: (id, outcome) => mended.push(`${id} ${outcome}`),
  mostGone: 2,
};
const rows = (more: Partial<CompareDependencies> = {}) =>
  compareRows(undefined, { ...dependencies, ...more });
const registrations = (more: Partial<CompareDependencies> = {}) =>
  compareRegistrations(undefined, { ...dependencies, ...more });
const sync = async (records: DynamoDBRecord[]) => {
  const log = () => {};
  const done = await syncFromStream(records, {
    table,
    source: platform.source,
    clock,
    setAside: async () => {},
    log,
  });
  expect(done).toEqual({ batchItemFailures: [] });
};
const follow = async () => sync(await platform.records());
const listed = async () => (await service.partition('DEPLOYMENTS')).map(({ sk, name }) => `${sk}: ${name}`);
const generationOf = async (id: string) =>
  (await service.partition(`DEPLOYMENT#${id}`)).find(({ sk }) => sk === 'DEPLOYMENT')?.generation;
const none = { looked: 0, refused: 0, registered: 0, edited: 0, deleted: 0 };

/** Does something once, just before the first transaction. */
const beforeTransaction = (something: () => Promise<unknown>) => {
  around = async (when, command) => {
    if (when !== 'before' || command.constructor.name !== 'TransactWriteCommand') return;
    around = undefined;
    await something();
  };
};

describe('rows beside what is registered', () => {
  it('are registered where nobody has heard of them; those that are none, deleted or refused are not', async () => {
    await platform.put(rowOf('a', { label: { S: 'A' } }));
    await platform.put(rowOf('b'));
    await platform.put(rowOf('c', { status: { S: 'deleted' } }));
    await platform.put(rowOf('x', { deployment: { S: 'no such id' } }));
    expect((await rows()).counts).toEqual({ ...none, looked: 2, refused: 1, registered: 2 });
    expect(await listed()).toEqual(['a: A', 'b: b']);
    expect(refused).toEqual([expect.stringMatching(/^row-x: deployment must be text of the form/)]);
    // What the stream brings of them later is nothing new.
    const generation = await generationOf('a');
    await follow();
    expect(await generationOf('a')).toBe(generation);
    expect((await rows()).counts).toEqual({ ...none, looked: 2, refused: 1 });
  });

  it('change nothing in a dry run, which tells the same', async () => {
    await platform.put(rowOf('a'));
    const before = await table.client.send(new ScanCommand({ TableName: 'keys' }));
    expect((await rows({ isDryRun: true })).counts).toMatchObject({ registered: 1 });
    expect(mended).toEqual(['a registered']);
    expect((await table.client.send(new ScanCommand({ TableName: 'keys' }))).Items).toEqual(before.Items);
  });

  it('change what differs, and register again what was removed here by hand', async () => {
    await platform.put(rowOf('a', { label: { S: 'old' } }));
    await platform.put(rowOf('b'));
    await follow();
    await platform.put(rowOf('a', { label: { S: 'new' } }));
    await platform.records();
    const Key = { pk: 'DEPLOYMENT#b', sk: 'DEPLOYMENT' };
    await table.client.send(new DeleteCommand({ TableName: 'keys', Key }));
    expect((await rows()).counts).toEqual({ ...none, looked: 2, registered: 1, edited: 1 });
    expect(await listed()).toEqual(['a: new', 'b: b']);
  });

  it('take over what people registered', async () => {
    await service.register('a', { name: 'a' });
    await platform.put(rowOf('a'));
    expect((await rows()).counts).toEqual({ ...none, looked: 1 });
    expect((await service.call('DELETE', '/deployments/a', { as: 'admin' })).status).toBe(409);
  });

  it('register again, in another life, what came back while its stream was lost', async () => {
    await platform.put(rowOf('a'));
    await platform.remove('a');
    const [insert, removal] = (await platform.records()) as [DynamoDBRecord, DynamoDBRecord];
    await sync([insert, removal]);
    await platform.put(rowOf('a'));
    const lost = await platform.records();
    expect((await rows()).counts).toMatchObject({ registered: 1 });
    const generation = await generationOf('a');
    // All that was before stays before it, and the lost change, should it come yet, is of the same row.
    await sync([insert, removal, ...lost]);
    expect(await generationOf('a')).toBe(generation);
    await platform.remove('a');
    await follow();
    expect(await listed()).toEqual([]);
    await sync([insert, ...lost]);
    expect(await listed()).toEqual([]);
  });

  describe('while the stream runs', () => {
    it('a row that goes after it was read is not registered when the stream says so first', async () => {
      await platform.put(rowOf('a'));
      beforeTransaction(async () => {
        await platform.remove('a');
        await follow();
      });
      expect((await rows()).counts).toMatchObject({ registered: 0 });
      expect(await listed()).toEqual([]);
    });

    it('a row that goes after it was read is deleted when the stream says so later', async () => {
      await platform.put(rowOf('a'));
      beforeTransaction(() => platform.remove('a'));
      expect((await rows()).counts).toMatchObject({ registered: 1 });
      await follow();
      expect(await listed()).toEqual([]);
    });

    it('a row that went before it is confirmed is left to the stream, whatever the page said', async () => {
      await platform.put(rowOf('a'));
      around = async (when, command) => {
        if (when !== 'after' || command.constructor.name !== 'BatchGetCommand') return;
        around = undefined;
        await platform.remove('a');
      };
      expect((await rows()).counts).toMatchObject({ registered: 0 });
      expect(await service.partition('SOURCES')).toEqual([]);
    });

    it('a row that goes just after it is confirmed is not revived from the note that the stream then left', async () => {
      await platform.put(rowOf('a'));
      const { client } = platform.from;
      const send = async (command: object) => {
        const output = await client.send(command as never);
        if (command instanceof GetItemCommand) {
          await platform.remove('a');
          await follow();
        }
        return output;
      };
      const from = { ...platform.from, client: { send } as unknown as typeof client };
      expect((await rows({ from })).counts).toMatchObject({ registered: 0 });
      expect(await listed()).toEqual([]);
    });

    it('a row that the stream registers first is not registered twice', async () => {
      await platform.put(rowOf('a'));
      beforeTransaction(follow);
      expect((await rows()).counts).toMatchObject({ registered: 0 });
      expect(await listed()).toEqual(['a: a']);
      expect((await service.partition('EVENTS#a')).map(({ type }) => type)).toEqual([
        'deployment.registered',
      ]);
    });

    it('a change that the stream brings first is not undone', async () => {
      await platform.put(rowOf('a', { label: { S: 'one' } }));
      await follow();
      await platform.put(rowOf('a', { label: { S: 'two' } }));
      beforeTransaction(async () => {
        await platform.put(rowOf('a', { label: { S: 'three' } }));
        await follow();
      });
      await rows();
      expect(await listed()).toEqual(['a: three']);
    });
  });
});

describe('what is registered beside the rows', () => {
  it('is deleted where its row is gone, and its access ends', async () => {
    for (const id of ['a', 'b', 'c']) await platform.put(rowOf(id));
    await follow();
    const token = await service.swap(await service.makeKey('a'));
    await platform.remove('a');
    await platform.put(rowOf('b', { status: { S: 'archived' } }));
    const lost = await platform.records();
    expect((await registrations()).counts).toEqual({ ...none, looked: 3, deleted: 2 });
    expect(await listed()).toEqual(['c: c']);
    expect(await service.use(token)).toBe(401);
    await sync(lost);
    expect(await listed()).toEqual(['c: c']);
    expect((await registrations()).counts).toEqual({ ...none, looked: 1 });
  });

  it('is left alone, all of it, when more is gone than a stream loses', async () => {
    for (const id of ['a', 'b', 'c']) await platform.put(rowOf(id));
    await follow();
    for (const id of ['a', 'b', 'c']) await platform.remove(id);
    await platform.records();
    await expect(registrations()).rejects.toThrow('3 Deployments are gone from the source');
    expect(await listed()).toHaveLength(3);
    expect((await registrations({ mostGone: 3, isDryRun: true })).counts).toMatchObject({ deleted: 3 });
    expect(await listed()).toHaveLength(3);
    expect((await registrations({ mostGone: 3 })).counts).toMatchObject({ deleted: 3 });
    expect(await listed()).toEqual([]);
  });

  it('is not deleted when its row comes back and the stream says so first', async () => {
    await platform.put(rowOf('a'));
    await follow();
    await platform.remove('a');
    await platform.records();
    beforeTransaction(async () => {
      await platform.put(rowOf('a', { label: { S: 'back' } }));
      await follow();
    });
    expect((await registrations()).counts).toMatchObject({ deleted: 0 });
    expect(await listed()).toEqual(['a: back']);
  });

  it('is not deleted for a name that our rules refuse', async () => {
    await platform.put(rowOf('a'));
    await follow();
    await platform.put(rowOf('a', { label: { S: '' } }));
    await platform.records();
    expect((await registrations()).counts).toEqual({ ...none, looked: 1 });
  });

  it('is nobody’s but the source’s: what people made is not looked at', async () => {
    await service.register('a');
    expect((await registrations()).counts).toEqual(none);
    expect(await listed()).toHaveLength(1);
  });
});
