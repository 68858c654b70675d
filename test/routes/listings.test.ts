import { afterAll, describe, expect, it } from 'vitest';
import { inProcess, must, startTable } from '../support/in-process.ts';

const engine = await startTable();
afterAll(() => engine.stop());
/** The inputs of all queries since the test began. */
const queries: unknown[] = [];
const service = inProcess(engine, {
  around: (when, { operation, input }) =>
    void (when === 'before' && operation === 'Query' && queries.push(input)),
});

type Page = { items: { id: string }[]; nextCursor?: string };
const get = async (path: string, as = 'admin'): Promise<Page> =>
  must(await service.call('GET', path, { as }), 200).json;
/** Returns the IDs on all pages. */
async function all(path: string, as = 'admin'): Promise<string[]> {
  const ids: string[] = [];
  let cursor = '';
  do {
    const page = await get(`${path}&limit=2${cursor && `&cursor=${cursor}`}`, as);
    ids.push(...page.items.map(({ id }) => id));
    cursor = page.nextCursor ?? '';
  } while (cursor);
  return ids;
}
const rejected = async (path: string) => {
  const { status, json } = await service.call('GET', path, { as: 'admin' });
  return [status, json.errors];
};

describe('GET /deployments can select Deployments by a prefix', async () => {
  for (const id of ['etl', 'etl-1', 'etl-2', 'etl-3', 'ETL-4', 'et', 'report']) await service.register(id);
  await service.register('etl-hidden', { groups: ['others'] });

  it('a prefix selects Deployments by the start of their IDs from those that the caller may see', async () => {
    expect(await all('/deployments?prefix=etl-')).toStrictEqual(['etl-1', 'etl-2', 'etl-3', 'etl-hidden']);
    expect(await all('/deployments?prefix=etl-', 'member')).toStrictEqual(['etl-1', 'etl-2', 'etl-3']);
    expect(await all('/deployments?prefix=etl-2')).toStrictEqual(['etl-2']);
    expect(await get('/deployments?prefix=x')).toStrictEqual({ items: [] });
  });

  it("an administrator's listing with a prefix makes one query that reads only the matching IDs", async () => {
    queries.length = 0;
    await get('/deployments?prefix=rep&limit=3');
    expect(queries).toMatchObject([
      {
        KeyConditionExpression: 'pk = :pk AND begins_with(sk, :prefix)',
        ExpressionAttributeValues: { ':pk': 'DEPLOYMENTS', ':prefix': 'rep' },
        Limit: 4,
      },
    ]);
  });

  it.each(['', '-', '_a', 'a b', 'a#', 'é', 'a'.repeat(65), '%00'])(
    'rejects a prefix with which no Deployment ID can start: %j',
    async (prefix) => {
      const rule =
        'must be the beginning of a Deployment ID: 1 to 64 characters out of A-Z a-z 0-9 _ -, the first a letter or digit';
      const errors = [{ field: 'prefix', rule }];
      expect(await rejected(`/deployments?prefix=${encodeURIComponent(prefix)}`)).toStrictEqual([
        400,
        errors,
      ]);
    },
  );

  it('rejects a pagination cursor from a listing with a different prefix', async () => {
    const { nextCursor } = await get('/deployments?prefix=etl&limit=1');
    expect(nextCursor).toBeDefined();
    for (const other of ['', 'prefix=etl-&', 'prefix=e&']) {
      const rule = 'must be the nextCursor of an earlier page of this listing';
      const errors = [{ field: 'cursor', rule }];
      expect(await rejected(`/deployments?${other}cursor=${nextCursor}`)).toStrictEqual([400, errors]);
    }
  });
});

describe('API keys can be listed in two orders', async () => {
  await service.register('keys');
  const ids: string[] = [];
  for (let n = 0; n < 5; n++) {
    service.time.now += 1000;
    ids.push((await service.createKey('keys')).id);
  }
  const path = '/deployments/keys/api-keys';

  it('lists API keys oldest first by default, and newest first with order=newest', async () => {
    expect((await get(path)).items.map(({ id }) => id)).toStrictEqual(ids);
    expect(await all(`${path}?order=oldest`)).toStrictEqual(ids);
    expect(await all(`${path}?order=newest`)).toStrictEqual(ids.toReversed());
  });

  it.each(['', 'Newest', 'desc', 'oldest,newest'])(
    'rejects an order of API keys other than oldest or newest: %j',
    async (order) => {
      const errors = [{ field: 'order', rule: 'must be oldest or newest' }];
      expect(await rejected(`${path}?order=${order}`)).toStrictEqual([400, errors]);
    },
  );

  it('rejects a pagination cursor from a listing in the opposite order', async () => {
    const cursors = await Promise.all(
      ['oldest', 'newest'].map((order) => get(`${path}?order=${order}&limit=2`)),
    );
    const [oldest, newest] = cursors.map(({ nextCursor }) => nextCursor);
    for (const query of [
      `order=newest&cursor=${oldest}`,
      `order=oldest&cursor=${newest}`,
      `cursor=${newest}`,
    ]) {
      const rule = 'must be the nextCursor of an earlier page of this listing';
      expect(await rejected(`${path}?${query}`)).toStrictEqual([400, [{ field: 'cursor', rule }]]);
    }
  });
});
