import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { newUlid } from '../../functions/domain/mint.ts';
import type { Table } from '../../functions/table/client.ts';
import {
  noteRegistration,
  type Registration,
  readRegistered,
  readRegistration,
  registrationsPage,
  registrationWrite,
} from '../../functions/table/registrations.ts';
import { fromRegistration, toDeployment, toRegistration } from '../../functions/table/schema.ts';
import { deployment, GENERATION, MADE_AT } from '../support/records.ts';
import { startStore } from '../support/store.ts';

const store = await startStore();
const { table } = store;
afterAll(() => store.stop());
beforeEach(() => store.clear('SOURCES', 'DEPLOYMENT#etl'));

const of = (change: Partial<Registration> = {}): Registration => ({
  id: 'etl',
  lastChange: '1'.padStart(40, '0'),
  generation: GENERATION,
  isPresent: true,
  row: { deploymentId: { S: 'etl' } },
  ...change,
});
const put = (...some: Registration[]) => store.put(...some.map((one) => toRegistration(one, undefined)));
const ofEtl = { pk: 'SOURCES', sk: 'etl' };
const note = (next: Registration, known?: Registration, now = MADE_AT) =>
  noteRegistration(table, registrationWrite(table, next, known, now));

describe('the registration of a followed Deployment', () => {
  it('is written, and read back strongly consistently', async () => {
    expect(await readRegistration(table, 'etl')).toBeUndefined();
    expect(await note(of())).toBe(true);
    const { id: _, ...rest } = of();
    expect(await store.get(ofEtl)).toEqual({ ...ofEtl, ...rest });
    expect(await readRegistration(table, 'etl')).toEqual(of());
    expect(store.sent.at(-1)?.input).toMatchObject({ ConsistentRead: true });
  });

  it('expires 90 days after a deletion, rounded up to the second, and never while the Deployment exists', async () => {
    expect(await note(of({ isPresent: false }), undefined, MADE_AT + 1)).toBe(true);
    expect(await store.get(ofEtl)).toMatchObject({ expiresAt: MADE_AT / 1000 + 1 + 90 * 86_400 });
    expect(await note(of(), of({ isPresent: false }))).toBe(true);
    expect(await store.get(ofEtl)).not.toHaveProperty('expiresAt');
  });

  it.each<[string, Partial<Registration>]>([
    ['another change', { lastChange: '2'.padStart(40, '0') }],
    ['another generation', { generation: newUlid(0) }],
    ['its deletion', { isPresent: false }],
  ])('does not replace %s that was written meanwhile', async (_, change) => {
    await put(of(change));
    expect(await note(of({ lastChange: '3'.padStart(40, '0') }), of())).toBe(false);
    expect(await note(of())).toBe(false);
    expect(await readRegistration(table, 'etl')).toEqual(of(change));
  });

  it('is not written when it has been deleted since it was read', async () => {
    expect(await note(of(), of())).toBe(false);
    expect(await store.get(ofEtl)).toBeUndefined();
  });

  it('fails when it cannot be written', async () => {
    const client = { send: async () => Promise.reject(new Error('down')) };
    const failing = { ...table, client } as unknown as Table;
    await expect(noteRegistration(failing, registrationWrite(table, of(), undefined, 0))).rejects.toThrow(
      'down',
    );
  });

  it('is treated as missing when it is malformed, and reported', async () => {
    const good = toRegistration(of(), undefined);
    const wrong = {
      sk: ['', 'a#b', 7],
      lastChange: [7, undefined, '', 'x', '1', '1'.repeat(41)],
      generation: ['x', undefined],
      isPresent: ['true', undefined],
      row: [null, 'x', [], undefined],
    };
    expect(fromRegistration(good)).toEqual(of());
    for (const [name, values] of Object.entries(wrong))
      for (const value of values) expect(fromRegistration({ ...good, [name]: value })).toBeUndefined();
    await store.put({ ...good, isPresent: 'yes' });
    expect(await readRegistration(table, 'etl')).toBeUndefined();
    expect((await registrationsPage(table, { after: undefined, limit: 5 })).registrations).toEqual([]);
    expect(store.malformed).toEqual([ofEtl, ofEtl]);
  });
});

describe('the registrations of many Deployments', () => {
  it("the registrations of many Deployments are read with each Deployment's current state, fifty at a time", async () => {
    await put(of(), of({ id: 'other' }));
    await store.put(toDeployment(deployment()));
    expect(await readRegistered(table, ['etl', 'other', 'gone'])).toEqual(
      new Map<string, object>([
        ['etl', { registration: of(), deployment: deployment() }],
        ['other', { registration: of({ id: 'other' }), deployment: undefined }],
        ['gone', { registration: undefined, deployment: undefined }],
      ]),
    );
    store.sent.length = 0;
    const ids = Array.from({ length: 101 }, (_, n) => `d${n}`);
    expect((await readRegistered(table, ids)).size).toBe(101);
    const asked = store.sent.map(({ input }) => (input.RequestItems as { keys: { Keys: object[] } }).keys);
    expect(asked.map(({ Keys }) => Keys.length)).toEqual([100, 100, 2]);
    expect(await readRegistered(table, [])).toEqual(new Map());
    expect(store.sent).toHaveLength(3);
  });

  it('the registrations of many Deployments are listed by ID in pages', async () => {
    const all = ['a', 'b', 'c'].map((id) => of({ id }));
    await put(...all);
    const first = await registrationsPage(table, { after: undefined, limit: 2 });
    expect(first.registrations).toEqual(all.slice(0, 2));
    const second = await registrationsPage(table, { after: first.next, limit: 2 });
    expect(second).toEqual({ registrations: all.slice(2), next: undefined });
    for (const { input } of store.sent) expect(input).toMatchObject({ ConsistentRead: true, Limit: 2 });
  });
});
