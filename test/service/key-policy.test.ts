import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Engine } from '../support/engine.ts';
import { type InProcess, inProcess, must, type Reply, startTable } from '../support/in-process.ts';

const DAY = 24 * 60 * 60 * 1000;
const ISSUER = 'https://gitlab.com';
const TRUST = [{ issuer: ISSUER, claims: { project_id: '1' } }];

let engine: Engine;
/** Stacks that share one table: one without a key policy, and others with a policy. */
let before: InProcess;
let after: InProcess;
beforeAll(async () => {
  engine = await startTable();
  const trust = { issuers: [ISSUER], verify: async () => ({ fault: 'signature' as const }) };
  before = inProcess(engine, { trust });
  after = inProcess(engine, { trust, policy: { maxKeyDays: 90, keysWithSecrets: false } });
  await before.register('etl');
});
afterAll(() => engine.stop());

const at = (service: InProcess, days: number) => new Date(service.time.now + days * DAY).toISOString();
const create = (service: InProcess, json: object): Promise<Reply> =>
  service.call('POST', '/deployments/etl/api-keys', { as: 'ada', json: { name: 'ci', ...json } });
const edit = (id: string, json: object): Promise<Reply> =>
  after.call('PATCH', `/deployments/etl/api-keys/${id}`, { as: 'ada', json });

describe('A service with maxKeyDays limits how long keys are valid', () => {
  it('with maxKeyDays, a key without an expiry gets the latest allowed expiry', async () => {
    const created = must(await create(after, { trust: TRUST }), 201).json;
    expect(created.expiresAt).toBe(at(after, 90));
    const earlier = must(await edit(created.id, { expiresAt: at(after, 1) }), 200).json;
    expect(earlier.expiresAt).toBe(at(after, 1));
    const latest = must(await edit(created.id, { expiresAt: null }), 200).json;
    expect([latest.expiresAt, latest.policyViolations]).toStrictEqual([at(after, 90), undefined]);
  });

  it('with maxKeyDays, creating or editing a key with a later expiry returns 409', async () => {
    const rejected = await create(after, { trust: TRUST, expiresAt: at(after, 91) });
    expect([rejected.status, rejected.json]).toStrictEqual([
      409,
      {
        type: expect.any(String),
        title: 'Conflict',
        status: 409,
        code: 'policy',
        detail: `expiresAt must be ${at(after, 90)} or earlier, or null for that time.`,
      },
    ]);
    const { id } = must(await create(after, { trust: TRUST }), 201).json;
    expect(await edit(id, { expiresAt: at(after, 91) })).toMatchObject({
      status: 409,
      json: { code: 'policy' },
    });
  });
});

describe('A service with keysWithSecrets set to false creates no keys with secrets', () => {
  it('with keysWithSecrets set to false, creating a key with a secret returns 409', async () => {
    const rejected = await create(after, {});
    expect(rejected).toMatchObject({
      status: 409,
      json: {
        code: 'policy',
        detail: 'This service allows no keys with a secret. Create the key with trust rules.',
      },
    });
    expect(rejected.text).not.toContain('dks_');
    expect((await create(after, { trust: TRUST })).status).toBe(201);
  });

  it('with keysWithSecrets set to false, an existing key with a secret can still be rotated', async () => {
    const { id } = must(await create(before, {}), 201).json;
    const rotated = await after.call('POST', `/deployments/etl/api-keys/${id}/rotate`, {
      as: 'ada',
      json: {},
    });
    expect([rotated.status, typeof rotated.json.secret]).toStrictEqual([200, 'string']);
  });
});

describe('A key that is older than the policy keeps working', () => {
  it('a key that is older than the policy can be used, and the key list shows the policy violation', async () => {
    const key = must(await create(before, {}), 201).json;
    expect(key.policyViolations).toBeUndefined();
    expect((await after.exchange(key)).status).toBe(200);
    const { items } = (await after.call('GET', '/deployments/etl/api-keys', { as: 'ada' })).json;
    const listed = items.find(({ id }: { id: string }) => id === key.id);
    expect(listed.policyViolations).toStrictEqual(['no_expiry', 'secret']);
    expect(listed.status).toBe('active');
  });

  it('a key that is older than the policy can be edited if its expiry stays unchanged', async () => {
    const { id } = must(await create(before, { expiresAt: at(before, 400) }), 201).json;
    const edited = must(
      await edit(id, { name: 'new name', expiresAt: at(before, 400), enabled: true }),
      200,
    ).json;
    expect([edited.name, edited.policyViolations]).toStrictEqual(['new name', ['expiry_too_late', 'secret']]);
    expect((await edit(id, { expiresAt: at(before, 399) })).status).toBe(409);
  });
});
