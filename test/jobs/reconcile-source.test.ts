import { GetItemCommand } from '@aws-sdk/client-dynamodb';
import { DeleteCommand, ScanCommand } from '@aws-sdk/lib-dynamodb';
import type { DynamoDBRecord } from 'aws-lambda';
import { beforeEach, describe, expect, it } from 'vitest';
import {
  type CompareDependencies,
  compareRegistrations,
  compareRows,
} from '../../functions/jobs/reconcile-source.ts';
import { rowOf, startFollowing } from '../support/platform-table.ts';

const { platform, service, table, clock, sync: apply } = await startFollowing();

const refused: string[] = [];
const repaired: string[] = [];
beforeEach(async () => {
  service.around = undefined;
  const { Items: items = [] } = await table.client.send(new ScanCommand({ TableName: 'keys' }));
  for (const { pk, sk } of items) {
    await table.client.send(new DeleteCommand({ TableName: 'keys', Key: { pk, sk } }));
  }
  for (const id of ['a', 'b', 'c', 'x']) await platform.remove(id);
  await platform.records();
  refused.length = 0;
  repaired.length = 0;
});

const dependencies: CompareDependencies = {
  table,
  from: platform.from,
  clock,
  onRejectedRow: (key, reason) => refused.push(`${key.key?.S}: ${reason}`),
  onRepaired: (id, outcome) => repaired.push(`${id} ${outcome}`),
  maxMissing: 2,
};
const rows = (more: Partial<CompareDependencies> = {}) =>
  compareRows(undefined, { ...dependencies, ...more });
const registrations = (more: Partial<CompareDependencies> = {}) =>
  compareRegistrations(undefined, { ...dependencies, ...more });
const sync = async (records: DynamoDBRecord[]) => {
  expect(await apply(records)).toEqual({ batchItemFailures: [] });
};
const follow = async () => sync(await platform.records());
const listed = async () => (await service.partition('DEPLOYMENTS')).map(({ sk, name }) => `${sk}: ${name}`);
const generationOf = async (id: string) =>
  (await service.partition(`DEPLOYMENT#${id}`)).find(({ sk }) => sk === 'DEPLOYMENT')?.generation;
const none = { read: 0, refused: 0, malformed: 0, registered: 0, edited: 0, deleted: 0, stopped: 0 };

/** Runs the function once, just before the next transaction. */
const beforeTransaction = (run: () => Promise<unknown>) => service.once('before', 'TransactWriteItems', run);

describe('Reconciliation compares the rows of a followed table with the Deployments', () => {
  it('reconciliation registers the Deployments of unknown rows if the rows are valid and not deleted', async () => {
    await platform.put(rowOf('a', { label: { S: 'A' } }));
    await platform.put(rowOf('b'));
    await platform.put(rowOf('c', { status: { S: 'deleted' } }));
    await platform.put(rowOf('x', { deployment: { S: 'no such id' } }));
    expect((await rows()).counts).toEqual({ ...none, read: 2, refused: 1, registered: 2 });
    expect(await listed()).toEqual(['a: A', 'b: b']);
    expect(refused).toEqual([expect.stringMatching(/^row-x: deployment must be text of the form/)]);
    // The stream records about these rows arrive after the reconciliation and change nothing.
    const generation = await generationOf('a');
    await follow();
    expect(await generationOf('a')).toBe(generation);
    expect((await rows()).counts).toEqual({ ...none, read: 2, refused: 1 });
  });

  it('a reconciliation dry run reports the same changes as a real run, and writes nothing', async () => {
    await platform.put(rowOf('a'));
    const before = await table.client.send(new ScanCommand({ TableName: 'keys' }));
    expect((await rows({ isDryRun: true })).counts).toMatchObject({ registered: 1 });
    expect(repaired).toEqual(['a registered']);
    expect((await table.client.send(new ScanCommand({ TableName: 'keys' }))).Items).toEqual(before.Items);
  });

  it('reconciliation updates Deployments that differ from their rows, and restores Deployments that were deleted by hand', async () => {
    await platform.put(rowOf('a', { label: { S: 'old' } }));
    await platform.put(rowOf('b'));
    await follow();
    await platform.put(rowOf('a', { label: { S: 'new' } }));
    await platform.records();
    const Key = { pk: 'DEPLOYMENT#b', sk: 'DEPLOYMENT' };
    await table.client.send(new DeleteCommand({ TableName: 'keys', Key }));
    expect((await rows()).counts).toEqual({ ...none, read: 2, registered: 1, edited: 1 });
    expect(await listed()).toEqual(['a: new', 'b: b']);
  });

  it('reconciliation takes over Deployments that people registered if the followed table has rows for them', async () => {
    await service.register('a', { name: 'a' });
    await platform.put(rowOf('a'));
    expect((await rows()).counts).toEqual({ ...none, read: 1 });
    expect((await service.call('DELETE', '/deployments/a', { as: 'admin' })).status).toBe(409);
  });

  it('reconciliation registers a new generation for a row that was recreated while stream records were lost', async () => {
    await platform.put(rowOf('a'));
    await platform.remove('a');
    const [insert, removal] = (await platform.records()) as [DynamoDBRecord, DynamoDBRecord];
    await sync([insert, removal]);
    await platform.put(rowOf('a'));
    const lost = await platform.records();
    expect((await rows()).counts).toMatchObject({ registered: 1 });
    const generation = await generationOf('a');
    // A stream record that arrives after the reconciliation has no effect, whether the record is older or describes the
    // reconciled change.
    await sync([insert, removal, ...lost]);
    expect(await generationOf('a')).toBe(generation);
    await platform.remove('a');
    await follow();
    expect(await listed()).toEqual([]);
    await sync([insert, ...lost]);
    expect(await listed()).toEqual([]);
  });

  describe('Reconciliation can run at the same time as the stream', () => {
    it("reconciliation does not register a row if the stream has reported the row's deletion since", async () => {
      await platform.put(rowOf('a'));
      beforeTransaction(async () => {
        await platform.remove('a');
        await follow();
      });
      expect((await rows()).counts).toMatchObject({ registered: 0 });
      expect(await listed()).toEqual([]);
    });

    it('the stream deletes a Deployment that reconciliation registered from a row that was already deleted', async () => {
      await platform.put(rowOf('a'));
      beforeTransaction(() => platform.remove('a'));
      expect((await rows()).counts).toMatchObject({ registered: 1 });
      await follow();
      expect(await listed()).toEqual([]);
    });

    it('reconciliation does not register a row that was deleted before reconciliation read it again', async () => {
      await platform.put(rowOf('a'));
      service.once('after', 'BatchGetItem', async () => {
        await platform.remove('a');
      });
      expect((await rows()).counts).toMatchObject({ registered: 0 });
      expect(await service.partition('SOURCES')).toEqual([]);
    });

    it('reconciliation does not register a row if the stream handles its deletion just before the write', async () => {
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

    it('reconciliation does not register a row again when the stream has registered it first', async () => {
      await platform.put(rowOf('a'));
      beforeTransaction(follow);
      expect((await rows()).counts).toMatchObject({ registered: 0 });
      expect(await listed()).toEqual(['a: a']);
      expect((await service.partition('EVENTS#a')).map(({ type }) => type)).toEqual([
        'deployment.registered',
      ]);
    });

    it('reconciliation does not undo a change that the stream has already applied', async () => {
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

describe('Reconciliation compares the registered Deployments with the rows of a followed table', () => {
  it('reconciliation deletes a Deployment whose row is gone, and revokes its tokens', async () => {
    for (const id of ['a', 'b', 'c']) await platform.put(rowOf(id));
    await follow();
    const token = await service.exchangeForToken(await service.createKey('a'));
    await platform.remove('a');
    await platform.put(rowOf('b', { status: { S: 'archived' } }));
    const lost = await platform.records();
    expect((await registrations()).counts).toEqual({ ...none, read: 3, deleted: 2 });
    expect(await listed()).toEqual(['c: c']);
    expect(await service.use(token)).toBe(401);
    await sync(lost);
    expect(await listed()).toEqual(['c: c']);
    expect((await registrations()).counts).toEqual({ ...none, read: 1 });
  });

  it('reconciliation deletes nothing when more rows are missing than the configured maximum', async () => {
    for (const id of ['a', 'b', 'c']) await platform.put(rowOf(id));
    await follow();
    for (const id of ['a', 'b', 'c']) await platform.remove(id);
    await platform.records();
    await expect(registrations()).rejects.toThrow('3 Deployments are gone from the source');
    expect(await listed()).toHaveLength(3);
    expect((await registrations({ maxMissing: 3, isDryRun: true })).counts).toMatchObject({ deleted: 3 });
    expect(await listed()).toHaveLength(3);
    expect((await registrations({ maxMissing: 3 })).counts).toMatchObject({ deleted: 3 });
    expect(await listed()).toEqual([]);
  });

  it('reconciliation keeps a Deployment if the stream reports that its row came back', async () => {
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

  it('reconciliation keeps a Deployment whose row has a name that is not valid', async () => {
    await platform.put(rowOf('a'));
    await follow();
    await platform.put(rowOf('a', { label: { S: '' } }));
    await platform.records();
    expect((await registrations()).counts).toEqual({ ...none, read: 1 });
  });

  it('reconciliation ignores Deployments that people registered', async () => {
    await service.register('a');
    expect((await registrations()).counts).toEqual(none);
    expect(await listed()).toHaveLength(1);
  });
});
