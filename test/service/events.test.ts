import { beforeEach, describe, expect, it } from 'vitest';
import { mintCredential } from '../../functions/domain/credentials.ts';
import { runStack } from '../support/stack.ts';

const DAY = 24 * 60 * 60;
const NOON = Date.parse('2030-01-01T12:00:00.500Z');

const service = await runStack();
beforeEach(() => service.clock.freeze(NOON));
// The schedule is off, because the tests themselves start the job that turns rejected calls into events.
for (const schedule of service.schedules) if (schedule.name.includes('KeySweep')) await schedule.stop();

/** On a busy machine, a write can time out although it succeeded. A retry would then count the call twice. */
const isAtLeast = (least: number) => (count: unknown) => Number(count) >= least && Number(count) < least + 10;

/** Advances the clock by an hour and runs the job that records rejected calls. */
async function recordRejectedCalls() {
  service.clock.advance(60 * 60);
  await service.invoke('sweep-keys', { task: 'rejected-calls' });
}

let count = 0;
async function newKey() {
  const deploymentId = `event-${++count}`;
  await service.register(deploymentId);
  const key = await service.createKey(deploymentId);
  const path = `/deployments/${deploymentId}`;
  return { ...key, deploymentId, path, keyPath: `${path}/api-keys/${key.id}` };
}
type Json = Record<string, never> & { id: string; type: string; data: Record<string, unknown> };
const events = async (path: string, person: 'admin' | 'member' = 'admin'): Promise<Json[]> =>
  (await service.callAs(person, 'GET', `${path}/events`)).json.items;
const typesOf = (items: { type: string }[]) => items.map(({ type }) => type);
/** Returns the events about a Deployment on the event bus, in order of arrival. */
async function published(deploymentId: string): Promise<Json[]> {
  await service.waitForDelivery(30_000);
  const entries = service.buses.flatMap((bus) => bus.entries);
  return entries
    .map(({ Detail }) => JSON.parse(Detail))
    .filter(({ data }) => data.deploymentId === deploymentId);
}

describe('The service records what happens to a Deployment as events', () => {
  it("a Deployment's events are listed newest first as CloudEvents and sent to the event bus with the same IDs", async () => {
    const key = await newKey();
    service.clock.advance(1);
    await service.callAs('member', 'PATCH', key.keyPath, { json: { enabled: false } });
    service.clock.advance(1);
    await service.callAs('member', 'POST', `${key.keyPath}/rotate`, { json: { retireOld: 'now' } });
    const listed = await events(key.path, 'member');
    expect(typesOf(listed).slice(0, 2)).toEqual(['api_key.rotated', 'api_key.disabled']);
    expect(typesOf(listed).sort()).toEqual([
      'api_key.created',
      'api_key.disabled',
      'api_key.rotated',
      'deployment.registered',
    ]);
    expect(listed[0]).toEqual({
      specversion: '1.0',
      id: expect.stringMatching(/^[0-9A-Z]{26}$/),
      source: 'deployment-api-keys',
      type: 'api_key.rotated',
      subject: `deployments/${key.deploymentId}/api-keys/${key.id}`,
      time: '2030-01-01T12:00:02.500Z',
      datacontenttype: 'application/json',
      data: {
        deploymentId: key.deploymentId,
        generation: expect.any(String),
        actor: {
          principal: expect.any(String),
          type: 'person',
          address: '127.0.0.1',
          requestId: expect.any(String),
        },
        keyId: key.id,
        name: 'ci',
        scopes: key.scopes,
        retireOld: 'now',
      },
    });
    const onBus = await published(key.deploymentId);
    const byId = (a: Json, b: Json) => (a.id < b.id ? -1 : 1);
    expect(onBus.sort(byId)).toEqual(listed.sort(byId));
    const entry = service.buses[0]?.entries.find(({ Detail }) => JSON.parse(Detail).id === listed[0]?.id);
    expect(entry).toMatchObject({ Source: 'deployment-api-keys', DetailType: listed[0]?.type });
    expect(JSON.stringify(onBus)).not.toMatch(/dk[stx]_|hash/);
  });

  it("a Deployment's events are listed in pages and kept for 90 days", async () => {
    const key = await newKey();
    const first = await service.callAs('member', 'GET', `${key.path}/events?limit=1`);
    const { nextCursor } = first.json;
    const second = await service.callAs('member', 'GET', `${key.path}/events?limit=1&cursor=${nextCursor}`);
    expect(typesOf([...first.json.items, ...second.json.items]).sort()).toEqual([
      'api_key.created',
      'deployment.registered',
    ]);
    expect(second.json.nextCursor).toBeUndefined();
    const foreign = await service.callAs('admin', 'GET', `${key.path}/events?cursor=${nextCursor}`);
    expect(foreign.status).toBe(400);
    service.clock.freeze(NOON + 90 * DAY * 1000);
    expect(await events(key.path, 'member')).toHaveLength(2);
    service.clock.advance(1);
    expect(await events(key.path, 'member')).toEqual([]);
  });

  it("members see the events of a Deployment's current generation, and administrators see those of every generation", async () => {
    const key = await newKey();
    await service.callAs('admin', 'DELETE', key.path);
    const gone = await service.callAs('member', 'GET', `${key.path}/events`);
    expect([gone.status, gone.json.detail]).toEqual([404, 'No such Deployment.']);
    expect(typesOf(await events(key.path))).toEqual(
      expect.arrayContaining(['deployment.deleted', 'api_key.created', 'deployment.registered']),
    );
    await service.register(key.deploymentId);
    expect(typesOf(await events(key.path, 'member'))).toEqual(['deployment.registered']);
    expect((await events(key.path)).length).toBeGreaterThan(3);
  });

  it("people outside a Deployment's groups cannot see its events", async () => {
    const key = await newKey();
    await service.callAs('admin', 'PUT', key.path, { json: { groups: [] } });
    const foreign = await service.callAs('member', 'GET', `${key.path}/events`);
    expect([foreign.status, foreign.json.detail]).toEqual([404, 'No such Deployment.']);
    expect((await service.call('GET', `${key.path}/events`)).status).toBe(401);
    expect((await service.callAs('admin', 'GET', '/deployments/never-there/events')).status).toBe(404);
  });

  it('at the end of each hour, rejected calls become events with the caller and the number of calls', async () => {
    const key = await newKey();
    const [, claims = ''] = (await service.signIn('member')).split('.');
    const { sub } = JSON.parse(Buffer.from(claims, 'base64url').toString());
    for (let n = 0; n < 3; n++) {
      expect((await service.callAs('member', 'DELETE', key.path)).status).toBe(403);
    }
    await recordRejectedCalls();
    const [event] = (await events(key.path, 'member')).filter(({ type }) => type === 'call.refused');
    expect(event?.data).toEqual({
      deploymentId: key.deploymentId,
      generation: expect.any(String),
      actor: { principal: sub, type: 'person', address: '127.0.0.1', requestId: expect.any(String) },
      call: 'DELETE /deployments/{deploymentId}',
      status: 403,
      code: 'forbidden',
      count: expect.toSatisfy(isAtLeast(3)),
      lastAt: '2030-01-01T12:00:00.500Z',
    });
    expect((await published(key.deploymentId)).filter(({ type }) => type === 'call.refused')).toEqual([
      event,
    ]);
    expect(await service.partition('REJECTED_CALLS')).toEqual([]);
  });

  it('#56: 1,000 rejected calls by one person in an hour become a single event, so the list stays readable', async () => {
    const key = await newKey();
    await service.callAs('admin', 'PUT', key.path, { json: { groups: ['platform-admins'] } });
    for (let n = 0; n < 50; n++) {
      const calls = Array.from({ length: 20 }, () => service.callAs('member', 'GET', `${key.path}/events`));
      for (const { status } of await Promise.all(calls)) expect(status).toBe(404);
    }
    await recordRejectedCalls();
    const listed = await events(key.path);
    expect(typesOf(listed).sort()).toEqual([
      'api_key.created',
      'call.refused',
      'deployment.edited',
      'deployment.registered',
    ]);
    expect(listed[0]?.data).toMatchObject({ count: expect.toSatisfy(isAtLeast(1000)), status: 404 });
  }, 120_000);

  it('no event records a call about a Deployment that never existed, because callers can invent IDs', async () => {
    const invented = '/deployments/made-up';
    for (const [method, path] of [
      ['GET', invented],
      ['PUT', invented],
      ['GET', `${invented}/events`],
      ['POST', `${invented}/api-keys`],
      ['POST', `${invented}/temporary-tokens`],
    ] as const) {
      const { status } = await service.callAs('member', method, path, method === 'GET' ? {} : { json: {} });
      expect(status, `${method} ${path}`).toBe(404);
    }
    await recordRejectedCalls();
    expect(await service.partition('EVENTS#made-up')).toEqual([]);
    expect(await service.partition('REJECTED_CALLS')).toEqual([]);
  });

  it('events about rejected calls to a deleted Deployment are kept as long as its other events', async () => {
    const key = await newKey();
    await service.callAs('admin', 'DELETE', key.path);
    await service.waitForDelivery(30_000);
    for (const days of [1, 80]) {
      service.clock.freeze(NOON + days * DAY * 1000);
      expect((await service.callAs('member', 'GET', key.path)).status).toBe(404);
      await recordRejectedCalls();
    }
    expect(typesOf(await events(key.path)).slice(0, 2)).toEqual(['call.refused', 'call.refused']);
    service.clock.freeze(NOON + 90 * DAY * 1000 + 1000);
    expect((await service.callAs('admin', 'GET', `${key.path}/events`)).status).toBe(404);
    const before = await service.partition(`EVENTS#${key.deploymentId}`);
    expect((await service.callAs('member', 'GET', key.path)).status).toBe(404);
    await recordRejectedCalls();
    expect(await service.partition(`EVENTS#${key.deploymentId}`)).toHaveLength(before.length);
  });

  it('the service keeps sending an event to the event bus until the bus accepts the event', async () => {
    for (const bus of service.buses) bus.failures = 3;
    const key = await newKey();
    const onBus = await published(key.deploymentId);
    expect(new Set(typesOf(onBus))).toEqual(new Set(['deployment.registered', 'api_key.created']));
  });
});

describe('POST /leaks revokes leaked credentials', () => {
  const report = (credential: unknown) => service.call('POST', '/leaks', { json: { credential } });
  const statusOf = async (keyPath: string) => (await service.callAs('member', 'GET', keyPath)).json.status;

  it('reporting an active secret as leaked disables the key and immediately revokes its tokens', async () => {
    const key = await newKey();
    const token = await service.exchangeForToken(key);
    expect(await service.use(token)).toBe(200);
    expect((await report(key.secret)).status).toBe(202);
    expect(await service.use(token)).toBe(401);
    expect((await service.exchange(key)).status).toBe(401);
    const leaked = (await service.callAs('member', 'GET', key.keyPath)).json;
    expect(leaked).toMatchObject({ status: 'leaked', leakedAt: '2030-01-01T12:00:00.500Z' });
    const enabled = await service.callAs('member', 'PATCH', key.keyPath, { json: { enabled: true } });
    const rotated = await service.callAs('member', 'POST', `${key.keyPath}/rotate`);
    expect([enabled.status, rotated.status]).toEqual([409, 409]);
    expect((await service.exchange(key)).status).toBe(401);
    const { secret, status, leakedAt } = (
      await service.callAs('member', 'POST', `${key.keyPath}/rotate`, { json: { retireOld: 'now' } })
    ).json;
    expect([status, leakedAt]).toEqual(['active', undefined]);
    expect((await service.exchange(key)).status).toBe(401);
    expect(await service.use(await service.exchangeForToken({ ...key, secret }))).toBe(200);
    expect(await service.use(token)).toBe(401);
  });

  it('tokens that were revoked by a leak report stay revoked even if the key is enabled by hand', async () => {
    const key = await newKey();
    const token = await service.exchangeForToken(key);
    await report(key.secret);
    const item: [string, string] = [`DEPLOYMENT#${key.deploymentId}`, `KEY#${key.id.slice(-26)}`];
    await service.setAttribute(item, 'enabled', true);
    expect(await service.use(token)).toBe(401);
  });

  it('reporting a token as leaked revokes only that token', async () => {
    const key = await newKey();
    const [token, other] = [await service.exchangeForToken(key), await service.exchangeForToken(key)];
    expect((await report(token)).status).toBe(202);
    expect([await service.use(token), await service.use(other)]).toEqual([401, 200]);
    expect(await statusOf(key.keyPath)).toBe('active');
    const made = await service.callAs('member', 'POST', `${key.path}/temporary-tokens`, { json: {} });
    expect((await report(made.json.access_token)).status).toBe(202);
    expect(await service.use(made.json.access_token)).toBe(401);
    expect(typesOf(await events(key.path))).toEqual(
      expect.arrayContaining(['token.leaked', 'temporary_token.leaked']),
    );
  });

  it('a credential that is reported several times causes only one event, which does not contain the credential', async () => {
    const key = await newKey();
    await Promise.all([1, 2, 3].map(() => report(key.secret)));
    const leaks = (await events(key.path)).filter(({ type }) => type === 'api_key.leaked');
    expect(leaks).toHaveLength(1);
    expect(leaks[0]?.data).toMatchObject({
      keyId: key.id,
      actor: { principal: 'anonymous', type: 'anonymous' },
    });
    const stored = await service.partition(`EVENTS#${key.deploymentId}`);
    for (const text of [JSON.stringify(stored), service.logs.text()]) {
      expect(text).not.toContain(key.secret.slice(-49));
    }
  });

  it('a leak report about a retired or unknown secret gets the same response as any other report and changes nothing', async () => {
    const key = await newKey();
    const living = await report((await newKey()).secret);
    const old = key.secret;
    const { secret } = (
      await service.callAs('member', 'POST', `${key.keyPath}/rotate`, { json: { retireOld: 0 } })
    ).json;
    const token = await service.exchangeForToken({ ...key, secret });
    const unknown = mintCredential('secret', 'absent', key.id.slice(-26));
    for (const credential of [old, unknown]) {
      const reply = await report(credential);
      expect([reply.status, reply.text, reply.headers['cache-control']]).toEqual([202, '', 'no-store']);
    }
    expect([living.status, living.text]).toEqual([202, '']);
    expect(await service.use(token)).toBe(200);
    expect(await statusOf(key.keyPath)).toBe('active');
  });

  it('POST /leaks returns 400 for a malformed leak report', async () => {
    for (const json of [{}, { credential: 1 }, { credential: '' }, { credential: 'x', url: 'y' }, []]) {
      expect((await service.call('POST', '/leaks', { json })).status).toBe(400);
    }
    expect((await service.call('POST', '/leaks', { form: { credential: 'x' } })).status).toBe(415);
  });
});
