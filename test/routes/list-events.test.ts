import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { newEvent } from '../../functions/domain/events.ts';
import { putItem } from '../../functions/table/retried-calls.ts';
import { toEvent } from '../../functions/table/schema.ts';
import type { Engine } from '../support/engine.ts';
import { type InProcess, inProcess, must, type Reply, startTable } from '../support/in-process.ts';
import { deployment } from '../support/records.ts';

let engine: Engine;
let service: InProcess;
/** Returns the inputs of the queries for events since the last call of this function. */
const queries: Record<string, unknown>[] = [];
beforeAll(async () => {
  engine = await startTable();
  service = inProcess(engine, {
    around: (when, command) => {
      const { operation, input } = command as { operation?: string; input: Record<string, unknown> };
      const isQuery = operation === 'Query' || command.constructor.name === 'QueryCommand';
      if (when === 'before' && isQuery) queries.push(input);
    },
  });
});
afterAll(() => engine.stop());

const list = (query: string, as = 'ada', id = 'etl'): Promise<Reply> =>
  service.call('GET', `/deployments/${id}/events?${query}`, { as });
const typesOf = ({ json }: Reply) => json.items.map(({ type }: { type: string }) => type);
const subjectsOf = ({ json }: Reply) => json.items.map(({ data }: { data: { keyId: string } }) => data.keyId);

describe("The list of a Deployment's events can be filtered", () => {
  it('events can be filtered by type, by key, or by both', async () => {
    await service.register('etl');
    const [one, two] = [await service.createKey('etl'), await service.createKey('etl')];
    const path = `/deployments/etl/api-keys/${one.id}`;
    must(await service.call('PATCH', path, { as: 'ada', json: { enabled: false } }), 200);
    expect(typesOf(await list(`keyId=${one.id}`)).sort()).toStrictEqual([
      'api_key.created',
      'api_key.disabled',
    ]);
    expect(subjectsOf(await list('type=api_key.created')).sort()).toStrictEqual([one.id, two.id].sort());
    expect(subjectsOf(await list(`type=api_key.created&keyId=${two.id}`))).toStrictEqual([two.id]);
    expect((await list('type=api_key.rotated')).json).toStrictEqual({ items: [] });
  });

  it('filtered events are listed in pages, and a cursor is valid only for its filter', async () => {
    await service.register('paged');
    for (let n = 0; n < 3; n++) await service.createKey('paged');
    const first = must(await list('type=api_key.created&limit=2', 'ada', 'paged'), 200).json;
    expect(first.items).toHaveLength(2);
    const cursor = `cursor=${first.nextCursor}`;
    const second = must(await list(`type=api_key.created&limit=2&${cursor}`, 'ada', 'paged'), 200).json;
    expect([second.items.length, second.nextCursor]).toStrictEqual([1, undefined]);
    for (const other of [cursor, `type=api_key.edited&${cursor}`]) {
      expect((await list(other, 'ada', 'paged')).status, other).toBe(400);
    }
  });

  it('each page of filtered events reads at most 1 MB, so a page can be empty and still have a nextCursor', async () => {
    await service.register('large');
    const generation = String((await service.partition('DEPLOYMENT#large'))[0]?.generation);
    const registration = deployment({ id: 'large', generation });
    const actor = { principal: 'ada', type: 'person' as const, address: '', requestId: '' };
    const text = 'x'.repeat(380_000);
    for (let n = 1; n <= 6; n++) {
      const event = newEvent('api_key.edited', registration, actor, service.time.now + n, { text });
      await putItem(service.table, { Item: toEvent(event) });
    }
    queries.length = 0;
    let reply = await list('type=deployment.registered', 'ada', 'large');
    expect([reply.json.items, queries.length]).toStrictEqual([[], 1]);
    let pages = 1;
    while (reply.json.items.length === 0) {
      reply = await list(`type=deployment.registered&cursor=${reply.json.nextCursor}`, 'ada', 'large');
      pages++;
    }
    expect(typesOf(reply)).toStrictEqual(['deployment.registered']);
    expect([pages, queries.length]).toStrictEqual([3, 3]);
  });

  it.each([
    ['an unknown type', 'type=api_key.create', 'type'],
    ['an empty type', 'type=', 'type'],
    ['text that is not the ID of a key', 'keyId=etl', 'keyId'],
    ['a repeated type', 'type=api_key.created&type=api_key.edited', 'type'],
    ['a misspelt parameter', 'typ=api_key.created', 'typ'],
  ])('the list of events returns 400 for %s', async (_, query, field) => {
    const { status, json } = await list(query);
    expect([status, json.errors.map((error: { field: string }) => error.field)]).toStrictEqual([
      400,
      [field],
    ]);
  });

  it("administrators can still filter a Deployment's events after its deletion", async () => {
    await service.register('deleted');
    must(await service.call('DELETE', '/deployments/deleted', { as: 'admin' }), 204);
    expect(typesOf(await list('type=deployment.deleted', 'admin', 'deleted'))).toStrictEqual([
      'deployment.deleted',
    ]);
    expect((await list('type=api_key.idle', 'admin', 'deleted')).json).toStrictEqual({ items: [] });
    expect((await list('type=api_key.idle', 'admin', 'never')).status).toBe(404);
    expect((await list('type=deployment.deleted', 'ada', 'deleted')).status).toBe(404);
  });
});
