import { beforeEach, describe, expect, it } from 'vitest';
import { mintCredential } from '../../functions/domain/credentials.ts';
import { type LocalStack, startLocalStack } from '../../local/local-stack.ts';
import { assemblyOf } from '../support/assembly.ts';
import { mistyped } from '../support/mistyped.ts';
import {
  callAs,
  callsOf,
  exchange,
  markers,
  newToken,
  partition,
  putItem,
  removeItem,
  withoutUpdate,
} from '../support/service.ts';
import { call, createKey, exchangeForToken, registerDeployment, runStack, use } from '../support/stack.ts';

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
async function tokens(stack: LocalStack, id: string): Promise<{ expiresAt: number }[]> {
  const items = await partition(stack, `DEPLOYMENT#${id}`);
  return items.filter(({ sk }) => String(sk).startsWith('TOKEN#')) as { expiresAt: number }[];
}

/** Creates a separate Deployment for each test. */
let count = 0;
const newId = () => `etl_${++count}`;

describe('G1: a secret is returned only by the call that creates the secret', () => {
  it('reading, listing or editing a key does not return its secret', async () => {
    const id = newId();
    await registerDeployment(service, id);
    const made = await callAs(service, 'admin', 'POST', `/deployments/${id}/api-keys`, {
      json: { name: 'ci' },
    });
    expect(made.status).toBe(201);
    const { secret, ...key } = made.json;
    expect(secret).toMatch(new RegExp(`^dks_${id}_[0-9A-Z]{26}_[0-9A-Za-z]{49}$`));
    const path = `/deployments/${id}/api-keys`;
    expect((await callAs(service, 'admin', 'GET', `${path}/${key.id}`)).json).toEqual(key);
    expect((await callAs(service, 'admin', 'GET', path)).json).toEqual({ items: [key] });
    const patched = await callAs(service, 'admin', 'PATCH', `${path}/${key.id}`, { json: { name: 'cd' } });
    expect(patched.json).toEqual({ ...key, name: 'cd' });
  });

  it('neither the table nor any log contains a secret or a token', async () => {
    const id = newId();
    await registerDeployment(service, id);
    const key = await createKey(service, id);
    const token = await exchangeForToken(service, key);
    await use(service, token);
    const items = await partition(service, `DEPLOYMENT#${id}`);
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
  it('a token that is used regularly never expires', async () => {
    const token = await newToken(service, newId());
    for (let day = 0; day < 10; day++) {
      service.clock.advance(DAY - 1);
      expect(await use(service, token), `day ${day}`).toBe(200);
    }
  });

  it('a token stays valid for at least 24 hours after its last use, and for at most one slide interval longer', async () => {
    for (const [later, status] of [
      [DAY, 200],
      [DAY + 301, 401],
    ] as const) {
      const token = await newToken(service, newId());
      service.clock.advance(3600);
      expect(await use(service, token)).toBe(200);
      service.clock.advance(later);
      expect(await use(service, token), `${later} s`).toBe(status);
    }
  });

  it('without a slide interval, a token expires after exactly 24 hours, rounded up to a full second', async () => {
    for (const [later, status] of [
      [DAY, 200],
      [DAY + 0.499, 200],
      [DAY + 0.5, 401],
    ] as const) {
      exact.clock.freeze(NOON);
      const token = await newToken(exact, newId());
      exact.clock.advance(10);
      expect(await use(exact, token)).toBe(200);
      exact.clock.advance(later);
      expect(await use(exact, token), `${later} s`).toBe(status);
    }
  });

  it('several uses within the slide interval cause one write', async () => {
    const token = await newToken(service, newId());
    service.clock.advance(60);
    const before = callsOf(service, 'whoami', 'UpdateItem');
    for (let n = 0; n < 20; n++) {
      expect(await use(service, token)).toBe(200);
      service.clock.advance(10);
    }
    expect(callsOf(service, 'whoami', 'UpdateItem') - before).toBe(1);
  });

  it("extensions that are written out of order never make a token's expiry earlier", async () => {
    const id = newId();
    const token = await newToken(exact, id);
    exact.clock.advance(3600);
    const whoami = async () => (await call(exact, 'GET', '/whoami', { token })).json;
    const { expiresAt } = await whoami();
    // This worker, whose clock is slow, writes after the other workers.
    exact.clock.advance(-1800);
    expect((await whoami()).expiresAt).toBe(expiresAt);
    const [item] = await tokens(exact, id);
    expect(new Date(Number(item?.expiresAt) * 1000).toISOString()).toBe(expiresAt);
  });

  it('a token expires no later than its key', async () => {
    const id = newId();
    await registerDeployment(service, id);
    const expiresAt = new Date(NOON + 3_600_000).toISOString();
    const key = await createKey(service, id, { name: 'ci', expiresAt });
    const token = await exchangeForToken(service, key);
    expect(await use(service, token)).toBe(200);
    service.clock.advance(3599);
    expect(await use(service, token)).toBe(200);
    service.clock.advance(1);
    expect(await use(service, token)).toBe(401);
    expect((await exchange(service, key)).status).toBe(401);
  });

  it("a token expires no later than the stack's maximum token lifetime allows", async () => {
    const capped = await startLocalStack({ synthesise: assemblyOf, context: { maxTokenLifetime: 2 * DAY } });
    try {
      capped.clock.freeze(NOON);
      const token = await newToken(capped, newId());
      for (let n = 0; n < 3; n++) {
        capped.clock.advance(DAY / 2);
        expect(await use(capped, token)).toBe(200);
      }
      capped.clock.advance(DAY / 2 - 1);
      expect(await use(capped, token)).toBe(200);
      capped.clock.advance(1);
      expect(await use(capped, token)).toBe(401);
    } finally {
      await capped.stop();
    }
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
      const token = await newToken(service, newId());
      service.clock.advance(later);
      expect(await use(service, token), `${later} s`).toBe(status);
      expect(await use(service, token), `${later} s`).toBe(status);
    }
  });

  it('a late use of a token does not write to an expired item that TTL has not deleted yet', async () => {
    const token = await newToken(service, newId());
    service.clock.advance(2 * DAY);
    const before = callsOf(service, 'whoami', 'UpdateItem');
    expect(await use(service, token)).toBe(401);
    expect(callsOf(service, 'whoami', 'UpdateItem')).toBe(before);
  });
});

describe('G5: access ends immediately when a key or Deployment is deleted', () => {
  it('deleting a key revokes its tokens', async () => {
    const id = newId();
    await registerDeployment(service, id);
    const key = await createKey(service, id);
    const token = await exchangeForToken(service, key);
    expect(await use(service, token)).toBe(200);
    const path = `/deployments/${id}/api-keys/${key.id}`;
    expect((await callAs(service, 'admin', 'DELETE', path)).status).toBe(204);
    expect(await use(service, token)).toBe(401);
    expect((await exchange(service, key)).status).toBe(401);
    expect((await callAs(service, 'admin', 'DELETE', path)).status).toBe(404);
  });

  it('disabling a key revokes its tokens, and enabling the key again does not make them valid', async () => {
    const id = newId();
    await registerDeployment(service, id);
    const key = await createKey(service, id);
    const old = await exchangeForToken(service, key);
    const path = `/deployments/${id}/api-keys/${key.id}`;
    await callAs(service, 'admin', 'PATCH', path, { json: { enabled: false } });
    expect(await use(service, old)).toBe(401);
    expect((await exchange(service, key)).status).toBe(401);
    await callAs(service, 'admin', 'PATCH', path, { json: { enabled: true } });
    expect(await use(service, old)).toBe(401);
    expect(await use(service, await exchangeForToken(service, key))).toBe(200);
  });

  it('extending an expired key does not make its old tokens valid again', async () => {
    const id = newId();
    await registerDeployment(service, id);
    const key = await createKey(service, id, {
      name: 'ci',
      expiresAt: new Date(NOON + 60_000).toISOString(),
    });
    const old = await exchangeForToken(service, key);
    service.clock.advance(60);
    const path = `/deployments/${id}/api-keys/${key.id}`;
    await callAs(service, 'admin', 'PATCH', path, { json: { expiresAt: null } });
    expect(await use(service, old)).toBe(401);
    expect(await use(service, await exchangeForToken(service, key))).toBe(200);
  });

  it('extending an active key keeps its tokens valid', async () => {
    const id = newId();
    await registerDeployment(service, id);
    const key = await createKey(service, id, {
      name: 'ci',
      expiresAt: new Date(NOON + 60_000).toISOString(),
    });
    const token = await exchangeForToken(service, key);
    const path = `/deployments/${id}/api-keys/${key.id}`;
    await callAs(service, 'admin', 'PATCH', path, { json: { expiresAt: null } });
    service.clock.advance(61);
    expect(await use(service, token)).toBe(200);
  });

  it('deleting a Deployment revokes its tokens before the next call', async () => {
    const id = newId();
    await registerDeployment(service, id);
    const key = await createKey(service, id);
    const token = await exchangeForToken(service, key);
    await callAs(service, 'admin', 'DELETE', `/deployments/${id}`);
    expect(await use(service, token)).toBe(401);
    expect((await exchange(service, key)).status).toBe(401);
  });
});

describe('G6: a deleted Deployment is purged automatically', () => {
  it("the purge deletes a Deployment's keys, tokens and marker, but keeps its events", async () => {
    const id = newId();
    await registerDeployment(service, id);
    for (let n = 0; n < 3; n++) {
      const key = await createKey(service, id);
      for (let m = 0; m < 20; m++) await exchangeForToken(service, key);
    }
    expect(await partition(service, `DEPLOYMENT#${id}`)).toHaveLength(1 + 3 + 60);
    await callAs(service, 'admin', 'DELETE', `/deployments/${id}`);
    await expect.poll(() => partition(service, `DEPLOYMENT#${id}`), { timeout: 5000 }).toEqual([]);
    await expect.poll(() => markers(service, id), { timeout: 5000 }).toEqual([]);
    const types = (await partition(service, `EVENTS#${id}`)).map(({ type }) => type);
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
    await registerDeployment(service, id);
    const [gone, stays] = [await createKey(service, id), await createKey(service, id)];
    await exchangeForToken(service, gone);
    const token = await exchangeForToken(service, stays);
    await callAs(service, 'admin', 'DELETE', `/deployments/${id}/api-keys/${gone.id}`);
    await expect
      .poll(
        async () => (await partition(service, `DEPLOYMENT#${id}`)).map(({ sk }) => String(sk).split('#')[0]),
        {
          timeout: 5000,
        },
      )
      .toEqual(['DEPLOYMENT', 'KEY', 'TOKEN']);
    expect(await use(service, token)).toBe(200);
  });

  it('a Deployment that is registered again under its old ID does not get its old keys back', async () => {
    const id = newId();
    await registerDeployment(service, id);
    const old = await createKey(service, id);
    const oldToken = await exchangeForToken(service, old);
    await callAs(service, 'admin', 'DELETE', `/deployments/${id}`);
    await registerDeployment(service, id);
    const fresh = await createKey(service, id);
    const freshToken = await exchangeForToken(service, fresh);
    expect(await use(service, oldToken)).toBe(401);
    await expect
      .poll(async () => (await partition(service, `DEPLOYMENT#${id}`)).length, { timeout: 5000 })
      .toBe(3);
    await expect.poll(() => markers(service, id), { timeout: 5000 }).toEqual([]);
    expect(await use(service, oldToken)).toBe(401);
    expect((await exchange(service, old)).status).toBe(401);
    expect(await use(service, freshToken)).toBe(200);
    const { json: body } = await callAs(service, 'admin', 'GET', `/deployments/${id}/api-keys`);
    expect(body.items.map((key: { id: string }) => key.id)).toEqual([fresh.id]);
  });

  it("if a Deployment's item is deleted by hand, its credentials are rejected immediately and then purged", async () => {
    const id = newId();
    await registerDeployment(service, id);
    const token = await exchangeForToken(service, await createKey(service, id));
    await removeItem(service, `DEPLOYMENT#${id}`, 'DEPLOYMENT');
    expect(await use(service, token)).toBe(401);
    await expect.poll(() => partition(service, `DEPLOYMENT#${id}`), { timeout: 5000 }).toEqual([]);
    await expect.poll(() => markers(service, id), { timeout: 5000 }).toEqual([]);
    const { json: body } = await callAs(service, 'admin', 'GET', '/deployments');
    expect(body.items.map((one: { id: string }) => one.id)).not.toContain(id);
  });

  it('the schedule continues a purge whose message was lost', async () => {
    const id = newId();
    const ulid = '01ARZ3NDEKTSV4RRFFQ69G5FAV';
    // This is the state after the stream was down for a day: the Deployment is gone, and its marker and an orphaned
    // item remain.
    await putItem(service, { pk: 'PURGES', sk: `${id}#${ulid}`, createdAt: NOON - 6 * 60_000 });
    await putItem(service, { pk: `DEPLOYMENT#${id}`, sk: `KEY#${ulid}`, generation: ulid });
    await service.invoke('purge', { source: 'aws.events', 'detail-type': 'Scheduled Event', detail: {} });
    await expect.poll(() => partition(service, `DEPLOYMENT#${id}`), { timeout: 5000 }).toEqual([]);
    await expect.poll(() => markers(service, id), { timeout: 5000 }).toEqual([]);
  });

  it('reconciliation finds and purges items of a deleted Deployment that has no marker', async () => {
    const id = newId();
    const living = newId();
    const token = await newToken(service, living);
    const ulid = '01ARZ3NDEKTSV4RRFFQ69G5FAV';
    await putItem(service, { pk: `DEPLOYMENT#${id}`, sk: `KEY#${ulid}`, generation: ulid });
    await putItem(service, { pk: 'DEPLOYMENTS', sk: id, generation: ulid });
    await removeItem(service, 'RECONCILIATION', 'TABLE');
    const event = { source: 'aws.events', 'detail-type': 'Scheduled Event', detail: {} };
    await service.invoke('reconcile', event);
    expect(await markers(service, id)).toHaveLength(1);
    expect(await partition(service, 'DEPLOYMENTS')).not.toContainEqual(expect.objectContaining({ sk: id }));
    service.clock.advance(6 * 60);
    await service.invoke('purge', event);
    await expect.poll(() => partition(service, `DEPLOYMENT#${id}`), { timeout: 5000 }).toEqual([]);
    await expect.poll(() => markers(service, id), { timeout: 5000 }).toEqual([]);
    expect(await use(service, token)).toBe(200);
  });

  it("neither a marker nor a message can purge a Deployment's current generation", async () => {
    const id = newId();
    const token = await newToken(service, id);
    const [{ generation } = {}] = await partition(service, `DEPLOYMENT#${id}`);
    // This is the state after a backup is restored: the Deployment exists, and so does the marker of a purge that had
    // started.
    await putItem(service, { pk: 'PURGES', sk: `${id}#${generation}`, createdAt: NOON - 6 * 60_000 });
    await service.invoke('purge', { source: 'aws.events', 'detail-type': 'Scheduled Event', detail: {} });
    await expect.poll(() => markers(service, id), { timeout: 5000 }).toEqual([]);
    expect(await partition(service, `DEPLOYMENT#${id}`)).toHaveLength(3);
    expect(await use(service, token)).toBe(200);
  });
});

describe('G7: the service denies access when in doubt', () => {
  it('a well-formed token that was never issued is rejected without a write', async () => {
    const id = newId();
    await registerDeployment(service, id);
    const key = await createKey(service, id);
    const forged = mintCredential('token', id, key.id.slice(-26));
    const before = callsOf(service, 'whoami', 'UpdateItem');
    expect(await use(service, forged)).toBe(401);
    expect(callsOf(service, 'whoami', 'UpdateItem')).toBe(before);
  });

  it('a token with a wrong checksum is rejected without a read', async () => {
    const token = await newToken(service, newId());
    const before = callsOf(service, 'whoami', 'BatchGetItem');
    for (const presented of [
      mistyped(token),
      token.slice(0, -1),
      `${token}0`,
      'x',
      token.replace('dkt', 'dkx'),
    ]) {
      expect(await use(service, presented), presented.slice(0, 8)).toBe(401);
    }
    expect(callsOf(service, 'whoami', 'BatchGetItem')).toBe(before);
  });

  it('a call is denied if the authorizer function is not allowed to record the use', async () => {
    const readOnly = await startLocalStack({
      synthesise: assemblyOf,
      alterTemplate: withoutUpdate('Whoami'),
    });
    try {
      readOnly.clock.freeze(NOON);
      const token = await newToken(readOnly, newId());
      expect(await use(readOnly, token)).toBe(200);
      readOnly.clock.advance(60);
      expect(await use(readOnly, token)).toBe(500);
    } finally {
      await readOnly.stop();
    }
  });
});
