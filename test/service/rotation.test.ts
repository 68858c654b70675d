import { beforeEach, describe, expect, it } from 'vitest';
import { mistyped } from '../support/mistyped.ts';
import { type CreatedKey, runStack } from '../support/stack.ts';

const DAY = 24 * 60 * 60;
const NOON = Date.parse('2030-01-01T12:00:00.500Z');
const at = (seconds: number) => new Date(NOON + seconds * 1000).toISOString();

const service = await runStack();
beforeEach(() => service.clock.freeze(NOON));

let count = 0;
const rotatable = () => service.newKey(`rota-${++count}`);
const rotate = (path: string, json?: object) => service.callAs('member', 'POST', `${path}/rotate`, { json });
const withSecret = (key: CreatedKey, secret: string) => service.exchange({ ...key, secret });

/** Returns which of the given secrets are accepted. Each check counts as a use of the secret. */
async function accepted(key: CreatedKey, secrets: string[]): Promise<boolean[]> {
  const answers: boolean[] = [];
  for (const secret of secrets) answers.push((await withSecret(key, secret)).status === 200);
  return answers;
}

describe('A rotation gives a key a new secret', () => {
  it('a rotation returns 200 with the key and its new secret, which no other call returns', async () => {
    const key = await rotatable();
    const reply = await rotate(key.path);
    expect(reply.status).toBe(200);
    expect(reply.headers['cache-control']).toBe('no-store');
    const { secret, ...rest } = reply.json;
    expect(secret).toMatch(new RegExp(`^dks_${key.deploymentId}_[0-9A-Z]{26}_[0-9A-Za-z]{49}$`));
    expect(secret).not.toBe(key.secret);
    expect(rest.credentials).toEqual([{ createdAt: at(0), retiresAt: at(7 * DAY) }, { createdAt: at(0) }]);
    expect((await service.callAs('member', 'GET', key.path)).json).toEqual(rest);
    const items = JSON.stringify([
      await service.partition(`DEPLOYMENT#${key.deploymentId}`),
      await service.partition(`EVENTS#${key.deploymentId}`),
    ]);
    for (const text of [items, service.logs.text()]) expect(text).not.toContain(secret.slice(-49));
  });

  it('a rotation keeps the old secret valid for exactly 7 days by default', async () => {
    const key = await rotatable();
    const token = await service.exchangeForToken(key);
    const { secret } = (await rotate(key.path)).json;
    expect(await service.use(token)).toBe(200);
    expect(await accepted(key, [key.secret, secret])).toEqual([true, true]);
    service.clock.freeze(NOON + 7 * DAY * 1000 - 1);
    const last = await service.exchangeForToken(key);
    service.clock.freeze(NOON + 7 * DAY * 1000);
    expect(await accepted(key, [key.secret, secret])).toEqual([false, true]);
    expect(await service.use(last)).toBe(200);
    expect((await service.callAs('admin', 'GET', key.path)).json.credentials).toHaveLength(1);
  });

  it('a rotation retires the old secret after the given number of seconds, or immediately if the number is 0', async () => {
    const key = await rotatable();
    const first = (await rotate(key.path, { retireOld: 60 })).json.secret;
    service.clock.advance(59);
    expect(await accepted(key, [key.secret])).toEqual([true]);
    service.clock.advance(1);
    expect(await accepted(key, [key.secret, first])).toEqual([false, true]);
    const token = await service.exchangeForToken({ ...key, secret: first });
    const second = (await rotate(key.path, { retireOld: 0 })).json.secret;
    expect(await accepted(key, [first, second])).toEqual([false, true]);
    expect(await service.use(token)).toBe(200);
  });

  it('a rotation never leaves more than two active secrets, and replaces a secret that was never used', async () => {
    const key = await rotatable();
    const lost = (await rotate(key.path)).json.secret;
    const second = (await rotate(key.path)).json.secret;
    expect(await accepted(key, [key.secret, lost, second])).toEqual([true, false, true]);
    const third = (await rotate(key.path)).json.secret;
    expect(await accepted(key, [key.secret, lost, second, third])).toEqual([false, false, true, true]);
  });

  it('a repeated rotation never extends the validity of the old secret', async () => {
    const key = await rotatable();
    await rotate(key.path, { retireOld: 60 });
    service.clock.advance(30);
    const again = await rotate(key.path, { retireOld: 90 * DAY });
    expect(again.json.credentials[0].retiresAt).toBe(at(60));
  });

  it('the event of a rotation does not contain a secret', async () => {
    const key = await rotatable();
    await rotate(key.path, { retireOld: 'now' });
    const events = await service.partition(`EVENTS#${key.deploymentId}`);
    const event = events.find(({ type }) => type === 'api_key.rotated');
    expect(event?.data).toEqual({ keyId: key.id, name: 'ci', scopes: key.scopes, retireOld: 'now' });
  });

  it('a rotation with an Idempotency-Key happens only once, and a retry gets a response without the secret', async () => {
    const key = await rotatable();
    const again = { headers: { 'idempotency-key': 'rotate-1' } };
    const first = await service.callAs('member', 'POST', `${key.path}/rotate`, again);
    const retry = await service.callAs('member', 'POST', `${key.path}/rotate`, again);
    const { secret, ...rest } = first.json;
    expect([retry.status, retry.headers['idempotent-replayed'], retry.json]).toEqual([200, 'true', rest]);
    expect(await accepted(key, [key.secret, secret])).toEqual([true, true]);
    const other = await service.callAs('member', 'POST', `${key.path}/rotate`, {
      ...again,
      json: { retireOld: 'now' },
    });
    expect(other.status).toBe(422);
    expect(await accepted(key, [key.secret, secret])).toEqual([true, true]);
  });

  it('concurrent rotations leave the old secret and one of the new secrets active', async () => {
    const key = await rotatable();
    const replies = await Promise.all(Array.from({ length: 8 }, () => rotate(key.path)));
    expect(replies.every(({ status }) => status === 200 || status === 409)).toBe(true);
    const fresh = replies.filter(({ status }) => status === 200).map(({ json }) => json.secret);
    const living = await accepted(key, fresh);
    expect(living.filter(Boolean)).toHaveLength(1);
    expect(await accepted(key, [key.secret])).toEqual([true]);
  });
});

describe('The service reports an old secret that is still in use before it retires', () => {
  const reported = async (deploymentId: string) =>
    (await service.partition(`EVENTS#${deploymentId}`)).filter(
      ({ type }) => type === 'api_key.secret_retiring',
    );

  it('an old secret that is used in its last 24 hours is reported once', async () => {
    const key = await rotatable();
    await rotate(key.path, { retireOld: 3 * DAY });
    await accepted(key, [key.secret]);
    service.clock.freeze(NOON + 2 * DAY * 1000 - 1);
    expect(await accepted(key, [key.secret])).toEqual([true]);
    expect(await reported(key.deploymentId)).toEqual([]);
    service.clock.freeze(NOON + 2 * DAY * 1000);
    expect(await accepted(key, [key.secret, key.secret])).toEqual([true, true]);
    service.clock.freeze(NOON + (3 * DAY - 1) * 1000);
    expect(await accepted(key, [key.secret])).toEqual([true]);
    // The service still records later uses of the secret.
    const { credentials } = (await service.callAs('member', 'GET', key.path)).json;
    expect(credentials[0]).toMatchObject({ lastUsedAt: at(3 * DAY - 1) });
    const events = await reported(key.deploymentId);
    expect(events).toMatchObject([
      {
        createdAt: NOON + 2 * DAY * 1000,
        actor: { principal: 'exchange', type: 'system', address: '127.0.0.1' },
      },
    ]);
    expect(events[0]?.data).toEqual({
      keyId: key.id,
      name: 'ci',
      secretCreatedAt: at(0),
      retiresAt: at(3 * DAY),
    });
    const { items } = (
      await service.callAs(
        'member',
        'GET',
        `/deployments/${key.deploymentId}/events?type=api_key.secret_retiring`,
      )
    ).json;
    expect(items).toMatchObject([{ type: 'api_key.secret_retiring', data: { retiresAt: at(3 * DAY) } }]);
  });

  it('an old secret that is kept for less than 24 hours after a rotation is reported at its first exchange', async () => {
    const key = await rotatable();
    await accepted(key, [key.secret]);
    service.clock.freeze(NOON + 1000);
    await rotate(key.path, { retireOld: 3600 });
    service.clock.freeze(NOON + 2000);
    await accepted(key, [key.secret, key.secret]);
    expect(await reported(key.deploymentId)).toMatchObject([{ data: { retiresAt: at(3601) } }]);
  });

  it('an old secret is also reported if its first use is in its last 24 hours', async () => {
    const key = await rotatable();
    await rotate(key.path, { retireOld: 3600 });
    service.clock.freeze(NOON + 1000);
    await accepted(key, [key.secret, key.secret]);
    expect(await reported(key.deploymentId)).toMatchObject([{ data: { retiresAt: at(3600) } }]);
  });

  it('an event reports an old secret even if the secret retires at the first use of the new one', async () => {
    const key = await rotatable();
    await rotate(key.path, { retireOld: 'on_first_use' });
    service.clock.freeze(NOON + 6 * DAY * 1000);
    await accepted(key, [key.secret]);
    expect(await reported(key.deploymentId)).toMatchObject([{ data: { retiresAt: at(7 * DAY) } }]);
  });

  it('an old secret that is exchanged many times concurrently is reported once, and each exchange returns a token', async () => {
    const key = await rotatable();
    await accepted(key, [key.secret]);
    service.clock.freeze(NOON + 1000);
    await rotate(key.path, { retireOld: 3600 });
    service.clock.freeze(NOON + 2000);
    const replies = await Promise.all(Array.from({ length: 8 }, () => withSecret(key, key.secret)));
    expect(replies.map(({ status }) => status)).toEqual(Array.from({ length: 8 }, () => 200));
    expect(await reported(key.deploymentId)).toHaveLength(1);
  });

  it('an old secret is not reported while only the new secret is used', async () => {
    const key = await rotatable();
    const { secret } = (await rotate(key.path, { retireOld: 3600 })).json;
    service.clock.freeze(NOON + 1000);
    await accepted(key, [secret, secret]);
    expect(await reported(key.deploymentId)).toEqual([]);
  });
});

describe('A rotation with on_first_use keeps the old secret until the new secret is used', () => {
  it('on_first_use retires the old secret when the new secret is first used', async () => {
    const key = await rotatable();
    const token = await service.exchangeForToken(key);
    const { secret } = (await rotate(key.path, { retireOld: 'on_first_use' })).json;
    expect(await accepted(key, [key.secret, key.secret])).toEqual([true, true]);
    expect(await accepted(key, [secret, key.secret, secret])).toEqual([true, false, true]);
    expect(await service.use(token)).toBe(200);
    const { credentials } = (await service.callAs('admin', 'GET', key.path)).json;
    expect(credentials).toEqual([{ createdAt: at(0), lastUsedAt: at(0) }]);
  });

  it('the first use of a new secret records an event if it retires the old secret, and later uses do not', async () => {
    const key = await rotatable();
    const { secret } = (await rotate(key.path, { retireOld: 'on_first_use' })).json;
    service.clock.advance(60);
    await accepted(key, [key.secret, secret, secret]);
    await rotate(key.path, { retireOld: 60 });
    const events = await service.partition(`EVENTS#${key.deploymentId}`);
    const retired = events.filter(({ type }) => type === 'api_key.secret_retired');
    expect(retired).toHaveLength(1);
    expect(retired[0]).toMatchObject({
      actor: {
        principal: 'exchange',
        type: 'system',
        address: '127.0.0.1',
        requestId: expect.stringMatching(/./),
      },
      data: { keyId: key.id, name: 'ci', secretCreatedAt: at(0) },
    });
  });

  it('on_first_use retires the old secret after 7 days even if the new secret is not used', async () => {
    const key = await rotatable();
    await rotate(key.path, { retireOld: 'on_first_use' });
    service.clock.freeze(NOON + 7 * DAY * 1000 - 1);
    expect(await accepted(key, [key.secret])).toEqual([true]);
    service.clock.freeze(NOON + 7 * DAY * 1000);
    expect(await accepted(key, [key.secret])).toEqual([false]);
  });

  it('a rotation with on_first_use can be repeated after a lost response', async () => {
    const key = await rotatable();
    const lost = (await rotate(key.path, { retireOld: 'on_first_use' })).json.secret;
    const { secret } = (await rotate(key.path, { retireOld: 'on_first_use' })).json;
    expect(await accepted(key, [key.secret, lost, secret, key.secret])).toEqual([true, false, true, false]);
  });

  it('if a new secret is first used many times concurrently, each exchange gets a token', async () => {
    const key = await rotatable();
    const { secret } = (await rotate(key.path, { retireOld: 'on_first_use' })).json;
    const answers = await Promise.all(Array.from({ length: 4 }, () => withSecret(key, secret)));
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
    expect(await accepted(key, [key.secret])).toEqual([false]);
  });

  it('a wrong secret does not complete a rotation with on_first_use', async () => {
    const key = await rotatable();
    const { secret } = (await rotate(key.path, { retireOld: 'on_first_use' })).json;
    const wrong = mistyped(secret);
    expect(await accepted(key, [wrong, key.secret])).toEqual([false, true]);
  });
});

describe('A rotation with "now" revokes older secrets and tokens', () => {
  it('a rotation with "now" immediately revokes the old secret and all older tokens', async () => {
    const key = await rotatable();
    const tokens = [await service.exchangeForToken(key), await service.exchangeForToken(key)];
    const { secret, credentials } = (await rotate(key.path, { retireOld: 'now' })).json;
    expect(credentials).toEqual([{ createdAt: at(0) }]);
    for (const token of tokens) expect(await service.use(token)).toBe(401);
    expect(await accepted(key, [key.secret, secret])).toEqual([false, true]);
    expect(await service.use(await service.exchangeForToken({ ...key, secret }))).toBe(200);
  });

  it('a rotation with "now" leaves a disabled key disabled', async () => {
    const key = await rotatable();
    await service.callAs('admin', 'PATCH', key.path, { json: { enabled: false } });
    const reply = await rotate(key.path, { retireOld: 'now' });
    expect([reply.status, reply.json.enabled, reply.json.status]).toEqual([200, false, 'disabled']);
    expect(await accepted(key, [reply.json.secret])).toEqual([false]);
  });
});

describe('The API rejects an invalid rotation', () => {
  const rule = 'must be "on_first_use", "now", or whole seconds from 0 to 7776000';
  it.each([-1, 1.5, 90 * DAY + 1, '60', 'later', null, true])(
    'a rotation with retireOld %j is rejected',
    async (retireOld) => {
      const key = await rotatable();
      const reply = await rotate(key.path, { retireOld });
      expect([reply.status, reply.json.errors]).toEqual([400, [{ field: 'retireOld', rule }]]);
      expect(await accepted(key, [key.secret])).toEqual([true]);
    },
  );

  it('a rotation with an unknown field, of a missing key or by a person without access is rejected', async () => {
    const key = await rotatable();
    const unknown = await rotate(key.path, { retire: 1 });
    expect([unknown.status, unknown.json.detail]).toEqual([400, 'retire is not a field of this request']);
    const absent = await rotate(mistyped(key.path));
    expect([absent.status, absent.json.detail]).toEqual([404, 'No such API key.']);
    await service.callAs('admin', 'PUT', `/deployments/${key.deploymentId}`, { json: { groups: [] } });
    const foreign = await rotate(key.path);
    expect([foreign.status, foreign.json.detail]).toEqual([404, 'No such Deployment.']);
  });
});
