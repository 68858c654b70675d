import { beforeEach, describe, expect, it } from 'vitest';
import { mintCredential } from '../../functions/domain/credentials.ts';
import { mistyped } from '../support/mistyped.ts';
import { runStack, type TestStack, withoutUpdate } from '../support/stack.ts';

const DAY = 24 * 60 * 60;
/** A time that is not a whole number of seconds. */
const NOON = Date.parse('2030-01-01T12:00:00.500Z');

const service = await runStack();
const exact = await runStack({ context: { slideInterval: '0' } });
beforeEach(() => {
  service.clock.freeze(NOON);
  exact.clock.freeze(NOON);
});

/** Returns the token items of a Deployment. */
async function tokens(stack: TestStack, id: string): Promise<{ expiresAt: number }[]> {
  const items = await stack.partition(`DEPLOYMENT#${id}`);
  return items.filter(({ sk }) => String(sk).startsWith('TOKEN#')) as { expiresAt: number }[];
}

/** Creates a separate Deployment for each test. */
let count = 0;
const newId = () => `etl_${++count}`;

describe('G1: a secret is returned only by the call that creates the secret', () => {
  it('reading, listing or editing a key does not return its secret', async () => {
    const id = newId();
    await service.register(id);
    const made = await service.callAs('admin', 'POST', `/deployments/${id}/api-keys`, {
      json: { name: 'ci' },
    });
    expect(made.status).toBe(201);
    const { secret, ...key } = made.json;
    expect(secret).toMatch(new RegExp(`^dks_${id}_[0-9A-Z]{26}_[0-9A-Za-z]{49}$`));
    const path = `/deployments/${id}/api-keys`;
    expect((await service.callAs('admin', 'GET', `${path}/${key.id}`)).json).toEqual(key);
    expect((await service.callAs('admin', 'GET', path)).json).toEqual({ items: [key] });
    const patched = await service.callAs('admin', 'PATCH', `${path}/${key.id}`, { json: { name: 'cd' } });
    expect(patched.json).toEqual({ ...key, name: 'cd' });
  });

  it('neither the table nor any log contains a secret or a token', async () => {
    const id = newId();
    await service.register(id);
    const key = await service.createKey(id);
    const token = await service.exchangeForToken(key);
    await service.use(token);
    const items = await service.partition(`DEPLOYMENT#${id}`);
    expect(items).toHaveLength(3);
    for (const text of [JSON.stringify(items), service.logs.text()]) {
      expect(text).not.toContain(key.secret);
      expect(text).not.toContain(key.secret.slice(-49));
      expect(text).not.toContain(token);
      expect(text).not.toContain(token.slice(-49));
    }
  });
});

describe('G2: a token stays valid for 24 hours after each use', () => {
  /** Uses a new token after some seconds, and again later. @returns the status of the last use */
  async function useAgain(stack: TestStack, first: number, later: number): Promise<number> {
    const token = await stack.newToken(newId());
    stack.clock.advance(first);
    expect(await stack.use(token)).toBe(200);
    stack.clock.advance(later);
    return stack.use(token);
  }

  it('a token that is used regularly never expires', async () => {
    const token = await service.newToken(newId());
    for (let day = 0; day < 10; day++) {
      service.clock.advance(DAY - 1);
      expect(await service.use(token), `day ${day}`).toBe(200);
    }
  });

  it('a token stays valid for at least 24 hours after its last use, and for at most one slide interval longer', async () => {
    expect(await useAgain(service, 3600, DAY)).toBe(200);
    expect(await useAgain(service, 3600, DAY + 301)).toBe(401);
  });

  it('without a slide interval, a token expires after exactly 24 hours, rounded up to a full second', async () => {
    for (const [later, status] of [
      [DAY, 200],
      [DAY + 0.499, 200],
      [DAY + 0.5, 401],
    ] as const) {
      exact.clock.freeze(NOON);
      expect(await useAgain(exact, 10, later), `${later} s`).toBe(status);
    }
  });

  it('several uses within the slide interval cause one write', async () => {
    const token = await service.newToken(newId());
    service.clock.advance(60);
    const before = service.countCalls('whoami', 'UpdateItem');
    for (let n = 0; n < 20; n++) {
      expect(await service.use(token)).toBe(200);
      service.clock.advance(10);
    }
    expect(service.countCalls('whoami', 'UpdateItem') - before).toBe(1);
  });

  it("extensions that are written out of order never make a token's expiry earlier", async () => {
    const id = newId();
    const token = await exact.newToken(id);
    exact.clock.advance(3600);
    const whoami = async () => (await exact.call('GET', '/whoami', { token })).json;
    const { expiresAt } = await whoami();
    // This worker, whose clock is slow, writes after the other workers.
    exact.clock.advance(-1800);
    expect((await whoami()).expiresAt).toBe(expiresAt);
    const [item] = await tokens(exact, id);
    expect(new Date(Number(item?.expiresAt) * 1000).toISOString()).toBe(expiresAt);
  });

  it('a token expires no later than its key', async () => {
    const id = newId();
    await service.register(id);
    const expiresAt = new Date(NOON + 3_600_000).toISOString();
    const key = await service.createKey(id, { name: 'ci', expiresAt });
    const token = await service.exchangeForToken(key);
    expect(await service.use(token)).toBe(200);
    service.clock.advance(3599);
    expect(await service.use(token)).toBe(200);
    service.clock.advance(1);
    expect(await service.use(token)).toBe(401);
    expect((await service.exchange(key)).status).toBe(401);
  });

  it("a token expires no later than the stack's maximum token lifetime allows", async () => {
    const capped = await runStack({ context: { maxTokenLifetime: 2 * DAY } });
    capped.clock.freeze(NOON);
    const token = await capped.newToken(newId());
    for (let n = 0; n < 3; n++) {
      capped.clock.advance(DAY / 2);
      expect(await capped.use(token)).toBe(200);
    }
    capped.clock.advance(DAY / 2 - 1);
    expect(await capped.use(token)).toBe(200);
    capped.clock.advance(1);
    expect(await capped.use(token)).toBe(401);
  });
});

describe('G3: a token that is not used for 24 hours expires permanently', () => {
  it('a token is valid 1 s before its expiry and invalid from its expiry on, and a late use does not extend it', async () => {
    for (const [later, status] of [
      [DAY - 1, 200],
      [DAY + 0.5, 401],
      [DAY + 1, 401],
    ] as const) {
      service.clock.freeze(NOON);
      const token = await service.newToken(newId());
      service.clock.advance(later);
      expect(await service.use(token), `${later} s`).toBe(status);
      expect(await service.use(token), `${later} s`).toBe(status);
    }
  });

  it('a late use of a token does not write to an expired item that TTL has not deleted yet', async () => {
    const token = await service.newToken(newId());
    service.clock.advance(2 * DAY);
    const before = service.countCalls('whoami', 'UpdateItem');
    expect(await service.use(token)).toBe(401);
    expect(service.countCalls('whoami', 'UpdateItem')).toBe(before);
  });
});

describe('G5: access ends immediately when a key or Deployment is deleted', () => {
  it('deleting a key revokes its tokens', async () => {
    const key = await service.newKey(newId());
    const token = await service.exchangeForToken(key);
    expect(await service.use(token)).toBe(200);
    expect((await service.callAs('admin', 'DELETE', key.path)).status).toBe(204);
    expect(await service.use(token)).toBe(401);
    expect((await service.exchange(key)).status).toBe(401);
    expect((await service.callAs('admin', 'DELETE', key.path)).status).toBe(404);
  });

  it('disabling a key revokes its tokens, and enabling the key again does not make them valid', async () => {
    const key = await service.newKey(newId());
    const old = await service.exchangeForToken(key);
    await service.callAs('admin', 'PATCH', key.path, { json: { enabled: false } });
    expect(await service.use(old)).toBe(401);
    expect((await service.exchange(key)).status).toBe(401);
    await service.callAs('admin', 'PATCH', key.path, { json: { enabled: true } });
    expect(await service.use(old)).toBe(401);
    expect(await service.use(await service.exchangeForToken(key))).toBe(200);
  });

  it('extending an expired key does not make its old tokens valid again', async () => {
    const key = await service.newKey(newId(), { expiresAt: new Date(NOON + 60_000).toISOString() });
    const old = await service.exchangeForToken(key);
    service.clock.advance(60);
    await service.callAs('admin', 'PATCH', key.path, { json: { expiresAt: null } });
    expect(await service.use(old)).toBe(401);
    expect(await service.use(await service.exchangeForToken(key))).toBe(200);
  });

  it('extending an active key keeps its tokens valid', async () => {
    const key = await service.newKey(newId(), { expiresAt: new Date(NOON + 60_000).toISOString() });
    const token = await service.exchangeForToken(key);
    await service.callAs('admin', 'PATCH', key.path, { json: { expiresAt: null } });
    service.clock.advance(61);
    expect(await service.use(token)).toBe(200);
  });

  it('deleting a Deployment revokes its tokens before the next call', async () => {
    const key = await service.newKey(newId());
    const token = await service.exchangeForToken(key);
    await service.callAs('admin', 'DELETE', `/deployments/${key.deploymentId}`);
    expect(await service.use(token)).toBe(401);
    expect((await service.exchange(key)).status).toBe(401);
  });
});

describe('G6: a deleted Deployment is purged automatically', () => {
  it("the purge deletes a Deployment's keys, tokens and marker, but keeps its events", async () => {
    const id = newId();
    await service.register(id);
    for (let n = 0; n < 3; n++) {
      const key = await service.createKey(id);
      for (let m = 0; m < 20; m++) await service.exchangeForToken(key);
    }
    expect(await service.partition(`DEPLOYMENT#${id}`)).toHaveLength(1 + 3 + 60);
    await service.callAs('admin', 'DELETE', `/deployments/${id}`);
    await expect.poll(() => service.partition(`DEPLOYMENT#${id}`), { timeout: 5000 }).toEqual([]);
    await expect.poll(() => service.markers(id), { timeout: 5000 }).toEqual([]);
    const types = (await service.partition(`EVENTS#${id}`)).map(({ type }) => type);
    expect(types.sort()).toEqual([
      'api_key.created',
      'api_key.created',
      'api_key.created',
      'deployment.deleted',
      'deployment.purged',
      'deployment.registered',
    ]);
  });

  it('deleting a key deletes its tokens, but not the tokens of other keys', async () => {
    const id = newId();
    await service.register(id);
    const [gone, stays] = [await service.createKey(id), await service.createKey(id)];
    await service.exchangeForToken(gone);
    const token = await service.exchangeForToken(stays);
    await service.callAs('admin', 'DELETE', `/deployments/${id}/api-keys/${gone.id}`);
    await expect
      .poll(
        async () => (await service.partition(`DEPLOYMENT#${id}`)).map(({ sk }) => String(sk).split('#')[0]),
        {
          timeout: 5000,
        },
      )
      .toEqual(['DEPLOYMENT', 'KEY', 'TOKEN']);
    expect(await service.use(token)).toBe(200);
  });

  it('a Deployment that is registered again under its old ID does not get its old keys back', async () => {
    const id = newId();
    await service.register(id);
    const old = await service.createKey(id);
    const oldToken = await service.exchangeForToken(old);
    await service.callAs('admin', 'DELETE', `/deployments/${id}`);
    await service.register(id);
    const fresh = await service.createKey(id);
    const freshToken = await service.exchangeForToken(fresh);
    expect(await service.use(oldToken)).toBe(401);
    await expect
      .poll(async () => (await service.partition(`DEPLOYMENT#${id}`)).length, { timeout: 5000 })
      .toBe(3);
    await expect.poll(() => service.markers(id), { timeout: 5000 }).toEqual([]);
    expect(await service.use(oldToken)).toBe(401);
    expect((await service.exchange(old)).status).toBe(401);
    expect(await service.use(freshToken)).toBe(200);
    const { json: body } = await service.callAs('admin', 'GET', `/deployments/${id}/api-keys`);
    expect(body.items.map((key: { id: string }) => key.id)).toEqual([fresh.id]);
  });

  it("if a Deployment's item is deleted by hand, its credentials are rejected immediately and then purged", async () => {
    const id = newId();
    await service.register(id);
    const token = await service.exchangeForToken(await service.createKey(id));
    await service.removeItem(`DEPLOYMENT#${id}`, 'DEPLOYMENT');
    expect(await service.use(token)).toBe(401);
    await expect.poll(() => service.partition(`DEPLOYMENT#${id}`), { timeout: 5000 }).toEqual([]);
    await expect.poll(() => service.markers(id), { timeout: 5000 }).toEqual([]);
    const { json: body } = await service.callAs('admin', 'GET', '/deployments');
    expect(body.items.map((one: { id: string }) => one.id)).not.toContain(id);
  });

  it('the schedule continues a purge whose message was lost', async () => {
    const id = newId();
    const ulid = '01ARZ3NDEKTSV4RRFFQ69G5FAV';
    // This is the state after the stream was down for a day: the Deployment is gone, and its marker and an orphaned
    // item remain.
    await service.putItem({ pk: 'PURGES', sk: `${id}#${ulid}`, createdAt: NOON - 6 * 60_000 });
    await service.putItem({ pk: `DEPLOYMENT#${id}`, sk: `KEY#${ulid}`, generation: ulid });
    await service.invoke('purge', { source: 'aws.events', 'detail-type': 'Scheduled Event', detail: {} });
    await expect.poll(() => service.partition(`DEPLOYMENT#${id}`), { timeout: 5000 }).toEqual([]);
    await expect.poll(() => service.markers(id), { timeout: 5000 }).toEqual([]);
  });

  it('reconciliation finds and purges items of a deleted Deployment that has no marker', async () => {
    const id = newId();
    const living = newId();
    const token = await service.newToken(living);
    const ulid = '01ARZ3NDEKTSV4RRFFQ69G5FAV';
    await service.putItem({ pk: `DEPLOYMENT#${id}`, sk: `KEY#${ulid}`, generation: ulid });
    await service.putItem({ pk: 'DEPLOYMENTS', sk: id, generation: ulid });
    await service.removeItem('RECONCILIATION', 'TABLE');
    const event = { source: 'aws.events', 'detail-type': 'Scheduled Event', detail: {} };
    await service.invoke('reconcile', event);
    expect(await service.markers(id)).toHaveLength(1);
    expect(await service.partition('DEPLOYMENTS')).not.toContainEqual(expect.objectContaining({ sk: id }));
    service.clock.advance(6 * 60);
    await service.invoke('purge', event);
    await expect.poll(() => service.partition(`DEPLOYMENT#${id}`), { timeout: 5000 }).toEqual([]);
    await expect.poll(() => service.markers(id), { timeout: 5000 }).toEqual([]);
    expect(await service.use(token)).toBe(200);
  });

  it("neither a marker nor a message can purge a Deployment's current generation", async () => {
    const id = newId();
    const token = await service.newToken(id);
    const [{ generation } = {}] = await service.partition(`DEPLOYMENT#${id}`);
    // This is the state after a backup is restored: the Deployment exists, and so does the marker of a purge that had
    // started.
    await service.putItem({ pk: 'PURGES', sk: `${id}#${generation}`, createdAt: NOON - 6 * 60_000 });
    await service.invoke('purge', { source: 'aws.events', 'detail-type': 'Scheduled Event', detail: {} });
    await expect.poll(() => service.markers(id), { timeout: 5000 }).toEqual([]);
    expect(await service.partition(`DEPLOYMENT#${id}`)).toHaveLength(3);
    expect(await service.use(token)).toBe(200);
  });
});

describe('G7: the service denies access when in doubt', () => {
  it('a well-formed token that was never issued is rejected without a write', async () => {
    const id = newId();
    await service.register(id);
    const key = await service.createKey(id);
    const forged = mintCredential('token', id, key.id.slice(-26));
    const before = service.countCalls('whoami', 'UpdateItem');
    expect(await service.use(forged)).toBe(401);
    expect(service.countCalls('whoami', 'UpdateItem')).toBe(before);
  });

  it('a token with a wrong checksum is rejected without a read', async () => {
    const token = await service.newToken(newId());
    const before = service.countCalls('whoami', 'BatchGetItem');
    for (const presented of [
      mistyped(token),
      token.slice(0, -1),
      `${token}0`,
      'x',
      token.replace('dkt', 'dkx'),
    ]) {
      expect(await service.use(presented), presented.slice(0, 8)).toBe(401);
    }
    expect(service.countCalls('whoami', 'BatchGetItem')).toBe(before);
  });

  it('a call is denied if the authorizer function is not allowed to record the use', async () => {
    const readOnly = await runStack({ alterTemplate: withoutUpdate('Whoami') });
    readOnly.clock.freeze(NOON);
    const token = await readOnly.newToken(newId());
    expect(await readOnly.use(token)).toBe(200);
    readOnly.clock.advance(60);
    expect(await readOnly.use(token)).toBe(500);
  });
});
