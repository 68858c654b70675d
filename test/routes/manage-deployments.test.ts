import { UpdateCommand } from '@aws-sdk/lib-dynamodb';
import { afterAll, describe, expect, it } from 'vitest';
import { purgeFromQueue, purgeFromStream, sweepMarkers } from '../../functions/jobs/purge.ts';
import { NO_GENERATION } from '../../functions/table/schema.ts';
import { inProcess, removal, startTable } from '../support/in-process.ts';

const engine = await startTable();
afterAll(() => engine.stop());
const service = inProcess(engine);
const admin = { as: 'admin' };

/** Sets or removes attributes of an item, as a person with access to the table could. */
async function damage(Key: { pk: string; sk: string }, attributes: Record<string, unknown>): Promise<void> {
  for (const [name, value] of Object.entries(attributes)) {
    await service.table.client.send(
      new UpdateCommand({
        TableName: 'keys',
        Key,
        UpdateExpression: value === undefined ? 'REMOVE #n' : 'SET #n = :v',
        ExpressionAttributeNames: { '#n': name },
        ...(value !== undefined && { ExpressionAttributeValues: { ':v': value } }),
      }),
    );
  }
}
const item = (id: string) => ({ pk: `DEPLOYMENT#${id}`, sk: 'DEPLOYMENT' });
const entry = (id: string) => ({ pk: 'DEPLOYMENTS', sk: id });
const markers = async (id: string) =>
  (await service.partition('PURGES')).map(({ sk }) => String(sk)).filter((sk) => sk.startsWith(`${id}#`));

let count = 0;
async function newDeployment() {
  const id = `damaged_${++count}`;
  await service.register(id);
  const token = await service.exchangeForToken(await service.createKey(id));
  const [{ generation } = {}] = await service.partition(`DEPLOYMENT#${id}`);
  return { id, token, path: `/deployments/${id}`, generation: String(generation) };
}

describe('A damaged Deployment can be deleted', () => {
  it.each<[string, object, 'of its generation' | 'of none', object?]>([
    ['has no name', { name: undefined }, 'of its generation'],
    ['has groups that are not a list', { groups: 'data-eng' }, 'of its generation'],
    ['has no key count', { keyCount: 'one' }, 'of its generation'],
    ['has no generation, but the directory knows it', { generation: undefined }, 'of its generation'],
    ['has an invalid generation, but the directory knows it', { generation: 7 }, 'of its generation'],
    [
      'has an invalid generation, and so has the directory entry',
      { generation: 'x' },
      'of none',
      { generation: null },
    ],
    [
      'has no generation, and neither has the directory entry',
      { generation: undefined },
      'of none',
      { generation: undefined },
    ],
  ])(
    'an administrator can delete and re-register a damaged Deployment that %s',
    async (_, wrong, marked, listed) => {
      const { id, token, path, generation } = await newDeployment();
      await damage(item(id), wrong as Record<string, unknown>);
      if (listed) await damage(entry(id), listed as Record<string, unknown>);

      expect(await service.use(token)).toBe('generation' in wrong ? 401 : 200);
      expect((await service.call('GET', path, admin)).status).toBe(404);
      const refused = await service.call('PUT', path, { ...admin, json: {} });
      expect(refused).toMatchObject({ status: 409, json: { detail: expect.stringContaining('delete it') } });
      expect((await service.call('DELETE', path, { as: 'member' })).status).toBe(404);
      expect(await service.partition(`DEPLOYMENT#${id}`)).toHaveLength(3);

      expect((await service.call('DELETE', path, admin)).status).toBe(204);
      expect(await service.use(token)).toBe(401);
      expect(await markers(id)).toEqual([`${id}#${marked === 'of none' ? NO_GENERATION : generation}`]);
      expect((await service.call('DELETE', path, admin)).status).toBe(404);

      await service.register(id);
      const fresh = await service.exchangeForToken(await service.createKey(id));
      expect(await service.use(fresh)).toBe(200);
      expect(await service.use(token)).toBe(401);
    },
  );

  it('the scheduled purge deletes the items of a damaged Deployment whose stream record has no generation', async () => {
    const { id, path } = await newDeployment();
    await damage(item(id), { generation: 7 });
    await service.call('DELETE', path, admin);
    const gone = removal(item(id), 'no ULID');
    expect((await purgeFromStream([gone], () => true, service.purge)).batchItemFailures).toHaveLength(1);
    service.time.now += 6 * 60_000;
    await sweepMarkers(service.purge);
    const task = service.deferred.find(({ deploymentId }) => deploymentId === id);
    const record = { messageId: 'm', body: JSON.stringify(task) } as never;
    await purgeFromQueue([record], () => true, service.purge);
    expect(await service.partition(`DEPLOYMENT#${id}`)).toEqual([]);
    expect(await markers(id)).toEqual([]);
  });

  it('a damaged Deployment is not deleted if its item is repaired during the call', async () => {
    const { id, path, generation } = await newDeployment();
    await damage(item(id), { generation: 7 });
    let isMended = false;
    const slow = inProcess(engine, {
      around: async (when, command) => {
        const isDeletion = when === 'before' && command.operation === 'TransactWriteItems';
        if (isDeletion && !isMended) await damage(item(id), { generation });
        isMended ||= isDeletion;
      },
    });
    expect((await slow.call('DELETE', path, admin)).status).toBe(404);
    expect((await service.call('GET', path, admin)).status).toBe(200);
    expect(await markers(id)).toEqual([]);
  });
});
