import { describe, expect, it } from 'vitest';
import { newUlid } from '../../functions/domain/credentials.ts';
import {
  type Registration,
  readKnownRegistration,
  readRegistered,
  readRegistration,
  registrationsPage,
  registrationWrite,
  reportMalformedRegistration,
  storeRegistration,
} from '../../functions/table/registrations.ts';
import { fromRegistration, toDeployment, toRegistration } from '../../functions/table/schema.ts';
import { deployment, GENERATION, MADE_AT } from '../support/records.ts';
import { startStore, tableOn } from '../support/store.ts';

const store = await startStore('SOURCES', 'DEPLOYMENT#etl');
const { table } = store;

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
  storeRegistration(table, registrationWrite(next, known, now));

describe('The service stores a registration for each Deployment in a followed table', () => {
  it("stores a followed Deployment's registration, and reads it with a strongly consistent read", async () => {
    expect(await readRegistration(table, 'etl')).toBeUndefined();
    expect(await note(of())).toBe(true);
    const { id: _, ...rest } = of();
    expect(await store.get(ofEtl)).toEqual({ ...ofEtl, ...rest });
    expect(await readRegistration(table, 'etl')).toEqual(of());
    expect(store.sent.at(-1)?.input).toMatchObject({ ConsistentRead: true });
  });

  it('a registration expires 90 days after its Deployment was deleted, rounded up to the second', async () => {
    expect(await note(of({ isPresent: false }), undefined, MADE_AT + 1)).toBe(true);
    expect(await store.get(ofEtl)).toMatchObject({ expiresAt: MADE_AT / 1000 + 1 + 90 * 86_400 });
    expect(await note(of(), of({ isPresent: false }))).toBe(true);
    expect(await store.get(ofEtl)).not.toHaveProperty('expiresAt');
  });

  it.each<[string, Partial<Registration>]>([
    ['another change', { lastChange: '2'.padStart(40, '0') }],
    ['another generation', { generation: newUlid(0) }],
    ['a deletion', { isPresent: false }],
  ])('does not overwrite %s in a registration that changed after it was read', async (_, change) => {
    await put(of(change));
    expect(await note(of({ lastChange: '3'.padStart(40, '0') }), of())).toBe(false);
    expect(await note(of())).toBe(false);
    expect(await readRegistration(table, 'etl')).toEqual(of(change));
  });

  it.each<[string, object]>([
    ['lastChange', { lastChange: 7 }],
    ['generation', { generation: false }],
    ['isPresent', { isPresent: 'yes' }],
    ['everything', { lastChange: undefined, generation: undefined, isPresent: undefined }],
  ])('replaces a registration with a malformed %s, unless someone has repaired it', async (_, wrong) => {
    await store.put({ ...toRegistration(of(), undefined), ...wrong });
    const known = await readKnownRegistration(table, 'etl');
    const write = registrationWrite(of({ lastChange: '2'.padStart(40, '0') }), known, MADE_AT);
    await put(of());
    expect(await storeRegistration(table, write)).toBe(false);
    await store.put({ ...toRegistration(of(), undefined), ...wrong });
    expect(await storeRegistration(table, write)).toBe(true);
    expect(await readRegistration(table, 'etl')).toEqual(of({ lastChange: '2'.padStart(40, '0') }));
  });

  it('does not write a registration that was deleted after it was read', async () => {
    expect(await note(of(), of())).toBe(false);
    expect(await store.get(ofEtl)).toBeUndefined();
  });

  it('throws an error when a registration cannot be written', async () => {
    const failing = tableOn({ send: async () => Promise.reject(new Error('down')) });
    await expect(storeRegistration(failing, registrationWrite(of(), undefined, 0))).rejects.toThrow('down');
  });

  it('treats a malformed registration as missing, and reports it', async () => {
    const good = toRegistration(of(), undefined);
    const wrong = {
      sk: ['', 'a#b', 7],
      lastChange: [7, undefined, '', 'x', '1', '1'.repeat(41)],
      generation: ['x', undefined],
      isPresent: ['true', undefined],
      row: [null, 'x', [], undefined, {}, { key: 'x' }, { key: { S: 7 } }, { key: { S: 'x', N: '7' } }],
    };
    expect(fromRegistration(good)).toEqual(of());
    for (const [name, values] of Object.entries(wrong))
      for (const value of values) expect(fromRegistration({ ...good, [name]: value })).toBeUndefined();
    await store.put({ ...good, isPresent: 'yes' });
    expect(await readRegistration(table, 'etl')).toBeUndefined();
    const page = await registrationsPage(table, { after: undefined, limit: 5 });
    expect(page).toEqual({ registrations: [], malformed: 1, next: undefined });
    expect(store.malformed).toEqual([ofEtl, ofEtl]);
    reportMalformedRegistration(table, of({ id: 'other' }));
    expect(store.malformed).toEqual([ofEtl, ofEtl, { pk: 'SOURCES', sk: 'other' }]);
  });
});

describe('The registrations of many Deployments are read in batches', () => {
  it('reads fifty registrations at a time, together with the state of their Deployments', async () => {
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
    const batches = store.sent.map(({ input }) => (input.RequestItems as { keys: { Keys: object[] } }).keys);
    expect(batches.map(({ Keys }) => Keys.length)).toEqual([100, 100, 2]);
    expect(await readRegistered(table, [])).toEqual(new Map());
    expect(store.sent).toHaveLength(3);
  });

  it('lists registrations in pages, ordered by Deployment ID', async () => {
    const all = ['a', 'b', 'c'].map((id) => of({ id }));
    await put(...all);
    const first = await registrationsPage(table, { after: undefined, limit: 2 });
    expect(first.registrations).toEqual(all.slice(0, 2));
    const second = await registrationsPage(table, { after: first.next, limit: 2 });
    expect(second).toEqual({ registrations: all.slice(2), malformed: 0, next: undefined });
    for (const { input } of store.sent) expect(input).toMatchObject({ ConsistentRead: true, Limit: 2 });
  });
});
