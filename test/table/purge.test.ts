import { beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { newUlid } from '../../functions/domain/credentials.ts';
import {
  beginPurge,
  deleteItems,
  endPurge,
  hasApiKey,
  itemsOfGeneration,
  type PurgePage,
  readPresent,
  tokensOfKey,
  unfinishedPurges,
} from '../../functions/table/purge.ts';
import {
  toApiKey,
  toDeployment,
  toDirectoryEntry,
  toGroupEntries,
  toToken,
} from '../../functions/table/schema.ts';
import { pauses } from '../support/pauses.ts';
import { apiKey, deployment, event, GENERATION, KEY_ULID, token } from '../support/records.ts';
import { startStore, tableOn } from '../support/store.ts';

vi.mock('node:timers/promises', () => import('../support/pauses.ts'));

const store = await startStore(
  'DEPLOYMENT#etl',
  'DEPLOYMENTS',
  'GROUP#own',
  'GROUP#later',
  'PURGES',
  'EVENTS#etl',
);
const { table } = store;

const pk = 'DEPLOYMENT#etl';
const generation = { deploymentId: 'etl', generation: GENERATION };
const OTHER = newUlid(0);
const ofEtl = { pk, sk: 'DEPLOYMENT' };
const marker = { pk: 'PURGES', sk: `etl#${GENERATION}` };

async function all(pages: AsyncGenerator<PurgePage>): Promise<PurgePage[]> {
  const list: PurgePage[] = [];
  for await (const page of pages) list.push(page);
  return list;
}
const sortKeys = (pages: PurgePage[]) => pages.map(({ keys }) => keys.map(({ sk }) => sk));

describe('readPresent', () => {
  it('readPresent distinguishes a missing Deployment from a malformed one', async () => {
    expect(await readPresent(table, 'etl')).toEqual({ isThere: false });
    await store.put(toDeployment(deployment()));
    expect(await readPresent(table, 'etl')).toEqual({ isThere: true, generation: GENERATION });
    expect(store.malformed).toEqual([]);
    await store.put({ ...ofEtl, generation: 7 });
    expect(await readPresent(table, 'etl')).toEqual({ isThere: true, generation: undefined });
    expect(store.malformed).toEqual([ofEtl]);
    for (const { input } of store.sent) expect(input).toMatchObject({ Key: ofEtl, ConsistentRead: true });
  });
});

describe('hasApiKey', () => {
  it('hasApiKey finds even a malformed key, with a strongly consistent read', async () => {
    const Key = { pk, sk: `KEY#${KEY_ULID}` };
    expect(await hasApiKey(table, 'etl', KEY_ULID)).toBe(false);
    await store.put(Key);
    expect(await hasApiKey(table, 'etl', KEY_ULID)).toBe(true);
    for (const { input } of store.sent) expect(input).toMatchObject({ Key, ConsistentRead: true });
  });
});

describe('The purge lists the items to delete', () => {
  const ofToken = (hash: string, change: Parameters<typeof token>[0] = {}) =>
    toToken(token({ hash, ...change }));

  it("the purge reads pages of at most 1,000 items, or fewer if the table's page size is smaller", async () => {
    const limits = async (pageSize: number | undefined) => {
      store.sent.length = 0;
      await all(itemsOfGeneration(pageSize === undefined ? table : { ...table, pageSize }, generation));
      return store.sent.map(({ input }) => input.Limit);
    };
    expect(await limits(undefined)).toEqual([1000]);
    expect(await limits(5000)).toEqual([1000]);
    await store.put(...['a', 'b', 'c'].map((hash) => toToken(token({ hash }))));
    expect(await limits(2)).toEqual([2, 2]);
  });

  it("the purge lists a generation's tokens and keys and all items without a generation, but never the Deployment", async () => {
    await store.put(
      toDeployment(deployment()),
      toApiKey(apiKey()),
      ofToken('a'),
      ofToken('b', { generation: OTHER }),
      { pk, sk: 'X', generation: 7 },
      { pk, sk: 'Y' },
    );
    const pages = await all(itemsOfGeneration(table, generation));
    expect(pages).toEqual([
      {
        keys: [
          { pk, sk: 'Y' },
          { pk, sk: 'X' },
          { pk, sk: `TOKEN#${KEY_ULID}#a` },
          { pk, sk: `KEY#${KEY_ULID}` },
        ],
        next: undefined,
      },
    ]);
    expect(store.sent).toHaveLength(1);
    expect(store.sent[0]?.input).toMatchObject({
      ConsistentRead: true,
      Limit: 1000,
      ProjectionExpression: 'sk, generation',
    });
  });

  it('the purge can resume listing the items of a generation from a given sort key', async () => {
    await store.put(ofToken('a'), ofToken('b'), ofToken('c'));
    expect(sortKeys(await all(itemsOfGeneration(table, generation, `TOKEN#${KEY_ULID}#b`)))).toEqual([
      [`TOKEN#${KEY_ULID}#a`],
    ]);
  });

  it("the purge of a deleted key lists only the key's tokens, whatever their generation", async () => {
    await store.put(
      toApiKey(apiKey()),
      ofToken('a'),
      ofToken('b', { generation: OTHER }),
      ofToken('c'),
      ofToken('d', { ulid: OTHER }),
    );
    const key = { deploymentId: 'etl', ulid: KEY_ULID };
    const ofKey = ['c', 'b', 'a'].map((hash) => `TOKEN#${KEY_ULID}#${hash}`);
    const pages = await all(tokensOfKey(table, key));
    expect(sortKeys(pages)).toEqual([ofKey]);
    expect(pages[0]?.keys[0]).toEqual({ pk, sk: ofKey[0] });
    expect(pages[0]?.next).toBeUndefined();
    expect(sortKeys(await all(tokensOfKey(table, key, ofKey[1])))).toEqual([[ofKey[2]]]);
  });

  it('the purge lists its items in pages, each with the sort key to continue from', async () => {
    // DynamoDB reads at most 1 MB per response, even if only some attributes are requested.
    const hashes = ['a', 'b', 'c', 'd', 'e'];
    await store.put(...hashes.map((hash) => ({ ...ofToken(hash), ballast: 'x'.repeat(300_000) })));
    const pages = await all(itemsOfGeneration(table, generation));
    expect(sortKeys(pages).flat()).toEqual(hashes.reverse().map((hash) => `TOKEN#${KEY_ULID}#${hash}`));
    expect(pages.length).toBeGreaterThan(1);
    expect(pages.map(({ next }) => next)).toEqual([
      ...pages.slice(0, -1).map(({ keys }) => keys.at(-1)?.sk),
      undefined,
    ]);
    await deleteItems(
      table,
      pages.flatMap(({ keys }) => keys),
    );
    expect(await store.partition(pk)).toEqual([]);
  });
});

it('a failed read of a page throws its error only when the purge needs that page', async () => {
  const unhandled: unknown[] = [];
  const note = (error: unknown) => unhandled.push(error);
  process.on('unhandledRejection', note);
  onTestFinished(() => void process.off('unhandledRejection', note));
  const Items = [{ sk: 'X', generation: GENERATION }];
  const pages = [{ Items, LastEvaluatedKey: { pk, sk: 'X' } }];
  const send = async () => {
    const page = pages.shift();
    if (!page) throw new Error('down');
    return page;
  };
  const listed = itemsOfGeneration(tableOn({ send }), generation);
  expect((await listed.next()).value).toEqual({ keys: [{ pk, sk: 'X' }], next: 'X' });
  await new Promise((resolve) => setTimeout(resolve));
  expect(unhandled).toEqual([]);
  await expect(listed.next()).rejects.toThrow('down');
});

describe('deleteItems', () => {
  const keys = (n: number) => Array.from({ length: n }, (_, sk) => ({ pk: 'p', sk: String(sk) }));
  const send =
    vi.fn<
      (command: {
        input: { RequestItems: Record<string, { DeleteRequest: { Key: object } }[]> };
      }) => Promise<object>
    >();
  const fake = tableOn({ send });
  const batches = () => send.mock.calls.map(([{ input }]) => input.RequestItems.keys ?? []);
  beforeEach(() => void send.mockReset().mockResolvedValue({}));

  it('deletes items in batches of 25, each item exactly once', async () => {
    await deleteItems(fake, keys(60));
    expect(
      batches()
        .map((batch) => batch.length)
        .sort(),
    ).toEqual([10, 25, 25]);
    expect(
      new Set(batches().flatMap((batch) => batch.map(({ DeleteRequest }) => DeleteRequest.Key))),
    ).toEqual(new Set(keys(60)));
  });

  it('deleteItems sends no request when there is nothing to delete', async () => {
    await deleteItems(fake, []);
    expect(send).not.toHaveBeenCalled();
  });

  it('deleteItems sends at most eight batches in parallel', async () => {
    let [running, most] = [0, 0];
    send.mockImplementation(async () => {
      most = Math.max(most, ++running);
      await new Promise((resolve) => setImmediate(resolve));
      running--;
      return {};
    });
    await deleteItems(fake, keys(25 * 20));
    expect(most).toBe(8);
    expect(send).toHaveBeenCalledTimes(20);
  });

  it('deleteItems resends unprocessed deletions up to eight times, each after a longer random pause', async () => {
    vi.spyOn(Math, 'random').mockReturnValue(0.5);
    const left = [{ DeleteRequest: { Key: { pk: 'p', sk: '1' } } }];
    send.mockImplementation(async () => ({ UnprocessedItems: { keys: left } }));
    await expect(deleteItems(fake, keys(2))).rejects.toMatchObject({
      status: 503,
      cause: { message: 'unprocessed' },
    });
    expect(pauses).toEqual([25, 50, 100, 200, 400, 800, 1600]);
    expect(batches().map((batch) => batch.length)).toEqual([2, 1, 1, 1, 1, 1, 1, 1]);
  });

  it('deleteItems treats a response that does not mention the table as success', async () => {
    send.mockResolvedValue({ UnprocessedItems: {} });
    await deleteItems(fake, keys(1));
    expect(send).toHaveBeenCalledTimes(1);
  });
});

describe('A marker records each unfinished purge', () => {
  it('starting a purge writes a marker, and removes the generation from the directory and from groups', async () => {
    const [own = {}] = toGroupEntries(deployment({ groups: ['own'] }));
    const [later = {}] = toGroupEntries(deployment({ groups: ['later'], generation: OTHER }));
    await store.put(toDirectoryEntry(deployment({ groups: ['own', 'later'] })), own, later);
    expect(await beginPurge(table, generation, 5)).toBe(false);
    expect(await beginPurge(table, generation, 9)).toBe(true);
    expect(await store.partition('PURGES')).toEqual([{ ...marker, createdAt: 5 }]);
    for (const partition of ['DEPLOYMENTS', 'GROUP#own'])
      expect(await store.partition(partition)).toEqual([]);
    expect(await store.partition('GROUP#later')).toEqual([later]);
  });

  it('treats a purge as new when DynamoDB returns no previous marker', async () => {
    expect(await beginPurge(tableOn({ send: async () => ({}) }), generation, 5)).toBe(false);
  });

  it('starting a purge deletes a malformed directory entry of the generation, and no entries of groups', async () => {
    await store.put({ ...toDirectoryEntry(deployment({ groups: ['own'] })), name: 7 });
    await beginPurge(table, generation, 5);
    expect(await store.partition('DEPLOYMENTS')).toEqual([]);
    expect(store.sent.map(({ operation }) => operation)).toEqual(['UpdateItem', 'GetItem', 'DeleteItem']);
  });

  it('starting a purge does not remove the directory entry of a different generation', async () => {
    for (const entry of [undefined, toDirectoryEntry(deployment({ generation: OTHER }))]) {
      if (entry) await store.put(entry);
      store.sent.length = 0;
      await beginPurge(table, generation, 5);
      expect(await store.partition('DEPLOYMENTS')).toEqual(entry ? [entry] : []);
      expect(store.sent.map(({ operation }) => operation)).toEqual(['UpdateItem', 'GetItem']);
    }
  });

  it('starting a purge fails when the directory cannot be written', async () => {
    const failing = tableOn({
      send: async (command: object) => {
        if (command.constructor.name === 'DeleteCommand') throw new Error('down');
        return command.constructor.name === 'GetCommand' ? { Item: toDirectoryEntry(deployment()) } : {};
      },
    });
    await expect(beginPurge(failing, generation, 5)).rejects.toThrow('down');
  });

  it('ending a purge twice deletes its marker and writes its event only once', async () => {
    await store.put({ ...marker, createdAt: 5 }, { ...marker, sk: `etl#${OTHER}`, createdAt: 5 });
    await endPurge(table, generation, event({ type: 'deployment.purged' }));
    expect(await store.partition('PURGES')).toHaveLength(1);
    expect(await store.partition('EVENTS#etl')).toMatchObject([{ type: 'deployment.purged' }]);
    await endPurge(table, generation, event({ id: newUlid(1), type: 'deployment.purged' }));
    expect(await store.partition('EVENTS#etl')).toHaveLength(1);
    await endPurge(table, { ...generation, generation: OTHER }, undefined);
    expect(await store.partition('PURGES')).toEqual([]);
    expect(await store.partition('EVENTS#etl')).toHaveLength(1);
  });

  it('finds all purge markers that are older than a given time, and ignores malformed ones', {
    timeout: 30_000,
  }, async () => {
    const purgesBefore = async (before: number) => {
      const purges = [];
      for await (const one of unfinishedPurges(table, before + 10, 10)) purges.push(one);
      return purges;
    };
    await store.put({ ...marker, createdAt: 5 }, { pk: 'PURGES', sk: 'x', createdAt: 1 });
    expect(await purgesBefore(6)).toEqual([{ ...generation, createdAt: 5 }]);
    expect(await purgesBefore(5)).toEqual([]);
    for (const { input } of store.sent) expect(input).toMatchObject({ ConsistentRead: true });
    const ballast = 'x'.repeat(300_000);
    await store.put(
      ...['a', 'b', 'c', 'd', 'e'].map((id) => ({
        pk: 'PURGES',
        sk: `${id}#${GENERATION}`,
        createdAt: 2,
        ballast,
      })),
    );
    expect((await purgesBefore(6)).map(({ deploymentId }) => deploymentId)).toEqual([
      'a',
      'b',
      'c',
      'd',
      'e',
      'etl',
    ]);
    expect(store.sent.length).toBeGreaterThan(3);
  });
});
