import { readFileSync } from 'node:fs';
import { afterAll, describe, expect, it } from 'vitest';
import { EVENT_HELP } from '../../.ci/event-help.ts';
import { eventsText } from '../../.ci/events-text.ts';
import { erasePerson } from '../../cli/erase-person.ts';
import { EVENT_TYPES, type EventType } from '../../functions/domain/events.ts';
import type { KeyPolicy } from '../../functions/domain/key-policy.ts';
import { purgeFromQueue, sweepMarkers } from '../../functions/jobs/purge.ts';
import { sweepKeys } from '../../functions/jobs/sweep-keys.ts';
import { recordRejectedCalls } from '../../functions/operations/record-rejected-calls.ts';
import { DAY, inProcess, must, startTable } from '../support/in-process.ts';
import type { CreatedKey } from '../support/stack.ts';

const page = readFileSync(new URL('../../docs/events.md', import.meta.url), 'utf8');

it('docs/events.md matches the help for events (`npm run generate` updates it)', () => {
  expect(page).toBe(eventsText());
});

it('docs/events.md has one section for each type of event, which says when it happens and who can see it', () => {
  const [, ...sections] = page.split(/^## /m).slice(1);
  expect(sections.map((section) => section.split('`')[1]).toSorted()).toStrictEqual([...EVENT_TYPES].sort());
  for (const section of sections) {
    expect(section).toMatch(/^`[\w.]+`\n\n\S.*\.\n\n/);
    expect(section).toMatch(/^Visible to (members and )?administrators\.$/m);
  }
});

describe('docs/events.md documents the fields of every event', async () => {
  const CI = 'https://git.acme.test';
  const engine = await startTable();
  afterAll(() => engine.stop());
  const trust = { issuers: [CI], verify: async () => ({ fault: 'signature' as const }) };
  const app = inProcess(engine, { countsRejectedCalls: true, trust });
  const { table, time } = app;
  const clock = () => time.now;
  const hasTime = () => true;
  const log = () => {};

  /** Makes a call as an administrator. */
  const make = async (method: string, path: string, json?: object) =>
    must(await app.call(method, path, { as: 'admin', ...(json && { json }) }), 200, 201, 202, 204).json;
  const keyPath = (key: CreatedKey) => `/deployments/etl/api-keys/${key.id}`;

  /** Causes events of almost every type, and returns all events about the Deployment and about people. */
  async function cause(): Promise<{ type: EventType; data: Record<string, unknown> }[]> {
    await app.register('etl');
    await make('PUT', '/deployments/etl', { name: 'Nightly ETL' });
    const [used, rotated, leaked, gone] = [
      await app.createKey('etl', { name: 'used' }),
      await app.createKey('etl', { name: 'rotated' }),
      await app.createKey('etl', { name: 'leaked' }),
      await app.createKey('etl', { name: 'gone' }),
    ];
    await app.createKey('etl', { name: 'ci', trust: [{ issuer: CI, claims: { sub: 'repo:etl' } }] });
    await make('PATCH', keyPath(used), { description: 'nightly' });
    await make('PATCH', keyPath(gone), { enabled: false });
    await make('PATCH', keyPath(gone), { enabled: true });
    await make('DELETE', keyPath(gone));

    const token = await app.exchangeForToken(used);
    await app.exchangeForToken(used);
    const [listed] = (await make('GET', `${keyPath(used)}/tokens`)).items;
    await make('DELETE', `${keyPath(used)}/tokens/${listed.id}`);
    await make('DELETE', `${keyPath(used)}/tokens`);
    await app.leak(`${await app.exchangeForToken(used)} ${leaked.secret} ${token}`);
    await make('POST', '/deployments/etl/temporary-tokens', {});
    const temporary = await make('POST', '/deployments/etl/temporary-tokens', { scopes: ['airflow:read'] });
    await make('DELETE', `/deployments/etl/temporary-tokens/${temporary.id}`);
    await app.leak((await make('POST', '/deployments/etl/temporary-tokens', {})).access_token);

    const first = await make('POST', `${keyPath(rotated)}/rotate`, { retireOld: 'on_first_use' });
    await app.exchangeForToken(first);
    time.now += 1000;
    await make('POST', `${keyPath(rotated)}/rotate`, { retireOld: 3600 });
    await app.exchangeForToken(first);

    must(await app.call('DELETE', '/deployments/etl', { as: 'ada' }), 403, 404);
    time.now += 3600 * 1000;
    await recordRejectedCalls({ table, clock, hasTime, log });

    const sub = 'ada';
    const held = await app.call('POST', '/deployments/etl/api-keys', { as: sub, json: { name: 'held' } });
    must(held, 201);
    await make('POST', '/people/end-access', { sub, keys: 'disable', block: true });
    await app.findKeys();
    await make('POST', '/people/restore-access', { sub });
    await erasePerson(table, sub, { clock, isDryRun: false });

    await app.createKey('etl', { name: 'short', expiresAt: new Date(time.now + DAY * 1000).toISOString() });
    const sweep = (maxIdleDays?: number, policy: KeyPolicy = {}) =>
      sweepKeys({
        table,
        clock,
        maxIdleDays,
        issuers: [{ issuer: CI, bind: ['project'] }],
        policy,
        hasTime,
      });
    await sweep();
    time.now += 3 * DAY * 1000;
    await sweep(1, { keysWithSecrets: false });

    await make('DELETE', '/deployments/etl');
    time.now += DAY * 1000;
    await sweepMarkers(app.purge);
    const records = app.deferred.map((task, index) => ({
      messageId: String(index),
      body: JSON.stringify(task),
    }));
    await purgeFromQueue(records as never, hasTime, app.purge);

    const items = [];
    for (const path of ['/deployments/etl/events', '/people/events']) {
      let cursor = '';
      do {
        const answer = await make('GET', `${path}?limit=100${cursor}`);
        items.push(...answer.items);
        cursor = answer.nextCursor ? `&cursor=${answer.nextCursor}` : '';
      } while (cursor !== '');
    }
    return items;
  }

  it('every event has the documented fields and no others', async () => {
    const events = await cause();
    for (const { type, data } of events) {
      const { deploymentId: _, generation: __, actor: ___, ...fields } = data;
      const documented = Object.entries(EVENT_HELP[type].fields);
      const required = documented.filter(([, { only }]) => only === undefined).map(([name]) => name);
      expect(
        documented.map(([name]) => name),
        type,
      ).toEqual(expect.arrayContaining(Object.keys(fields)));
      expect(Object.keys(fields), type).toEqual(expect.arrayContaining(required));
    }
    const shape = ({ data, ...attributes }: { data: Record<string, unknown> }) =>
      [attributes, data, data.actor as object].map((it) => Object.keys(it).toSorted());
    const [, sample = ''] = /^```json\n(.*?)^```$/ms.exec(page) ?? [];
    const rotated = events.find(({ type }) => type === 'api_key.rotated');
    expect(shape(JSON.parse(sample))).toStrictEqual(shape(rotated as (typeof events)[0]));
    // The event of a restore is covered in test/faults/restore.test.ts.
    const found = new Set(events.map(({ type }) => type));
    expect(EVENT_TYPES.filter((type) => !found.has(type))).toStrictEqual(['deployment.restored']);
  });
});
