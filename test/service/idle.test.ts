import { beforeEach, describe, expect, it } from 'vitest';
import { runStack } from '../support/stack.ts';

const DAY = 24 * 60 * 60;
const NOON = Date.parse('2030-01-01T12:00:00.500Z');
const day = (days: number) => NOON + days * DAY * 1000;

const service = await runStack({ context: { maxIdleDays: 30 } });
beforeEach(() => service.clock.freeze(NOON));

let count = 0;
async function newKey(body: object = { name: 'ci' }) {
  const deploymentId = `idle-${++count}`;
  await service.register(deploymentId);
  const key = await service.createKey(deploymentId, body);
  const path = `/deployments/${deploymentId}`;
  return { ...key, path, keyPath: `${path}/api-keys/${key.id}` };
}
const statusOf = async (keyPath: string) => (await service.callAs('member', 'GET', keyPath)).json.status;
const sweep = () => service.invoke('sweep-keys', {});
async function notices(path: string): Promise<[string, unknown][]> {
  const { items } = (await service.callAs('admin', 'GET', `${path}/events`)).json;
  return items
    .filter(({ type }: { type: string }) => /expir|idle/.test(type))
    .map(({ type, data }: { type: string; data: Record<string, unknown> }) => [
      type,
      data.expiresAt ?? data.lastActiveAt,
    ])
    .reverse();
}

describe('A key that is not used for maxIdleDays becomes idle', () => {
  it('a key that was not used for maxIdleDays is rejected and has the status idle in the list', async () => {
    const key = await newKey();
    service.clock.freeze(day(30) - 1);
    expect(await statusOf(key.keyPath)).toBe('active');
    service.clock.freeze(day(30));
    expect(await statusOf(key.keyPath)).toBe('idle');
    expect((await service.exchange(key)).status).toBe(401);
    for (const path of ['/oauth/introspect', '/oauth/revoke']) {
      const reply = await service.call('POST', path, { basic: [key.id, key.secret], form: { token: 'x' } });
      expect(reply.status, path).toBe(401);
    }
    const listed = (await service.callAs('member', 'GET', `${key.path}/api-keys`)).json.items;
    expect(listed).toMatchObject([{ id: key.id, status: 'idle' }]);
  });

  it('a key stays active while one of its tokens is in use', async () => {
    const key = await newKey();
    const token = await service.exchangeForToken(key);
    for (let n = 1; n <= 31; n++) {
      service.clock.freeze(day(n));
      expect(await service.use(token), `day ${n}`).toBe(200);
    }
    expect(await statusOf(key.keyPath)).toBe('active');
    expect((await service.exchange(key)).status).toBe(200);
  });

  it('enabling or rotating an idle key makes it active again, but does not restore its old tokens', async () => {
    const key = await newKey();
    const token = await service.exchangeForToken(key);
    service.clock.freeze(day(31));
    const enabled = await service.callAs('member', 'PATCH', key.keyPath, { json: { enabled: true } });
    expect([enabled.status, enabled.json.status]).toEqual([200, 'active']);
    expect(await service.use(token)).toBe(401);
    service.clock.freeze(day(62));
    expect((await service.exchange(key)).status).toBe(401);
    const rotated = await service.callAs('member', 'POST', `${key.keyPath}/rotate`);
    expect(rotated.json.status).toBe('active');
    expect((await service.exchange({ ...key, secret: rotated.json.secret })).status).toBe(200);
  });
});

describe('The daily check of all keys sends notices', () => {
  it('the daily check sends a notice in the last 7 days before a key expires and another when it has expired', async () => {
    const expiresAt = new Date(day(10)).toISOString();
    const key = await newKey({ name: 'ci', expiresAt });
    const sentNotices: [string, unknown][] = [];
    for (const [days, type] of [
      [2.9, undefined],
      [3, 'api_key.expiring'],
      [4, undefined],
      [10, 'api_key.expired'],
      [11, undefined],
    ] as const) {
      service.clock.freeze(day(days));
      await sweep();
      if (type) sentNotices.push([type, expiresAt]);
      expect(await notices(key.path), `day ${days}`).toEqual(sentNotices);
    }
    expect(await statusOf(key.keyPath)).toBe('expired');
    const later = new Date(day(14)).toISOString();
    await service.callAs('member', 'PATCH', key.keyPath, { json: { expiresAt: later } });
    await sweep();
    expect(await notices(key.path)).toEqual([...sentNotices, ['api_key.expiring', later]]);
  });

  it('the daily check sends one notice about each idle key, and no notice about disabled keys', async () => {
    const [key, off] = [await newKey(), await newKey()];
    await service.callAs('member', 'PATCH', off.keyPath, { json: { enabled: false } });
    service.clock.freeze(day(30));
    await sweep();
    await sweep();
    expect(await notices(key.path)).toEqual([['api_key.idle', '2030-01-01T12:00:00.500Z']]);
    expect(await notices(off.path)).toEqual([]);
  });

  it('a schedule invokes the daily check of all keys once a day', async () => {
    const schedule = service.schedules.find(({ name }) => name.includes('KeySweep'));
    expect(await schedule?.fire()).toMatchObject([{ ok: true }]);
  });
});
