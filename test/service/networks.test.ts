import { beforeEach, describe, expect, it } from 'vitest';
import { httpEvent, restEvent, tokenEvent } from '../support/events.ts';
import { runStack, withoutUpdate } from '../support/stack.ts';

const NOON = Date.parse('2030-01-01T12:00:00.500Z');
const DAY = 86_400;
const HERE = ['127.0.0.0/8', '::1/128'];
const ELSEWHERE = ['192.0.2.0/24', '2001:db8::/32'];

const service = await runStack();
const refusing = await runStack({ alterTemplate: withoutUpdate('IssueToken') });
const truncating = await runStack({ context: { lastUsedFrom: 'truncated' } });
const forgetting = await runStack({ context: { lastUsedFrom: 'off' } });
beforeEach(() => service.clock.freeze(NOON));

let count = 0;
async function newKey(networks?: string[]) {
  const deploymentId = `net-${++count}`;
  await service.register(deploymentId);
  const key = await service.createKey(deploymentId, { name: 'ci', networks });
  return { ...key, path: `/deployments/${deploymentId}/api-keys/${key.id}` };
}
const bind = (path: string, networks: unknown) =>
  service.callAs('member', 'PATCH', path, { json: { networks } });

describe('A key works only from its allowed IP ranges', () => {
  it("outside a key's allowed IP ranges, an exchange gets the same response as with a wrong secret", async () => {
    const inside = await newKey(HERE);
    expect((await service.exchange(inside)).status).toBe(200);
    const outside = await newKey(ELSEWHERE);
    const refused = await service.exchange(outside);
    const wrong = await service.exchange({ ...outside, secret: inside.secret });
    expect([refused.status, refused.json]).toEqual([401, wrong.json]);
    for (const path of ['/oauth/introspect', '/oauth/revoke']) {
      const reply = await service.call('POST', path, {
        basic: [outside.id, outside.secret],
        form: { token: 'x' },
      });
      expect(reply.status, path).toBe(401);
    }
  });

  it("a change of a key's IP ranges affects existing tokens at their next use", async () => {
    const key = await newKey();
    const token = await service.exchangeForToken(key);
    service.clock.advance(3600);
    expect(await service.use(token)).toBe(200);
    expect((await bind(key.path, ELSEWHERE)).json.networks).toEqual(ELSEWHERE);
    service.clock.advance(3600);
    const { UpdateItem: before } = service.calls('whoami');
    expect(await service.use(token)).toBe(401);
    expect(service.calls('whoami').UpdateItem).toBe(before);
    expect((await bind(key.path, HERE)).status).toBe(200);
    expect(await service.use(token)).toBe(200);
    expect((await bind(key.path, [])).json.networks).toEqual([]);
    expect(await service.use(token)).toBe(200);
  });

  it("a key's allowed IP ranges are checked against the source address, not against headers", async () => {
    const key = await newKey();
    const token = await service.exchangeForToken(key);
    await bind(key.path, ELSEWHERE);
    const headers = {
      'x-forwarded-for': '192.0.2.7',
      'x-real-ip': '192.0.2.7',
      forwarded: 'for=192.0.2.7',
      'cf-connecting-ip': '192.0.2.7',
    };
    expect((await service.call('GET', '/whoami', { token, headers })).status).toBe(401);
    const form = { grant_type: 'client_credentials' };
    const reply = await service.call('POST', '/oauth/token', { basic: [key.id, key.secret], form, headers });
    expect(reply.status).toBe(401);
  });

  it('the authorizer allows a key only within its allowed IP ranges, for every format of event', async () => {
    const key = await newKey();
    const authorization = `Bearer ${await service.exchangeForToken(key)}`;
    await bind(key.path, ELSEWHERE);
    const http = (sourceIp: string) => {
      const event = httpEvent({ headers: { authorization } });
      return {
        ...event,
        requestContext: { ...event.requestContext, http: { ...event.requestContext.http, sourceIp } },
      };
    };
    const rest = (sourceIp: string) => {
      const event = restEvent({ multiValueHeaders: { Authorization: [authorization] } });
      return { ...event, requestContext: { ...event.requestContext, identity: { sourceIp } } };
    };
    for (const [address, isIn] of [
      ['192.0.2.7', true],
      ['2001:db8::7', true],
      ['192.0.3.7', false],
      ['2001:db9::7', false],
      ['', false],
    ] as const) {
      expect(await service.invoke('authorize', http(address)), address).toMatchObject({ isAuthorized: isIn });
      const { policyDocument } = await service.invoke<{ policyDocument: { Statement: object[] } }>(
        'authorize',
        rest(address),
      );
      expect(policyDocument.Statement, address).toMatchObject([{ Effect: isIn ? 'Allow' : 'Deny' }]);
    }
  });

  it('if an event has no address, the authorizer denies keys with allowed IP ranges and allows other keys', async () => {
    const key = await newKey();
    const event = tokenEvent(`Bearer ${await service.exchangeForToken(key)}`);
    const effect = async () => {
      const answer = await service.invoke<{ policyDocument: { Statement: { Effect: string }[] } }>(
        'authorize',
        event,
      );
      return answer.policyDocument.Statement[0]?.Effect;
    };
    expect(await effect()).toBe('Allow');
    await bind(key.path, ['0.0.0.0/0', '::/0']);
    expect(await effect()).toBe('Deny');
  });

  it('the authorizer needs only one read to check a key with allowed IP ranges', async () => {
    const key = await newKey(HERE);
    const token = await service.exchangeForToken(key);
    await service.use(token);
    const { BatchGetItem: before = 0, UpdateItem } = service.calls('whoami');
    expect(await service.use(token)).toBe(200);
    expect(service.calls('whoami')).toEqual({ BatchGetItem: before + 1, ...(UpdateItem && { UpdateItem }) });
  });
});

describe('The API rejects invalid IP ranges', () => {
  const rule = 'must be a CIDR range such as 203.0.113.0/24 or 2001:db8::/32, without host bits';
  it.each(['10.0.0.0', '10.0.0.1/8', '10.0.0.0/33', '::/129', 'office', ''])(
    'the API rejects a list of IP ranges that contains %j',
    async (one) => {
      const key = await newKey();
      const reply = await bind(key.path, ['10.0.0.0/8', one]);
      expect([reply.status, reply.json.errors]).toEqual([400, [{ field: 'networks[1]', rule }]]);
    },
  );

  it('the API rejects a key with more than 20 IP ranges', async () => {
    const key = await newKey();
    const many = Array.from({ length: 21 }, (_, n) => `10.${n}.0.0/16`);
    expect((await bind(key.path, many.slice(1))).status).toBe(200);
    const reply = await bind(key.path, many);
    const most = 'must be an array of at most 20 CIDR ranges';
    expect([reply.status, reply.json.errors]).toEqual([400, [{ field: 'networks', rule: most }]]);
  });
});

describe('The service records when and where a key was last used', () => {
  const keyOf = async (path: string) => (await service.callAs('member', 'GET', path)).json;
  const userAgent = (text: string) => ({ headers: { 'user-agent': text } });

  it("a key's last use is recorded with the address and the client at most once per slide interval", async () => {
    const key = await newKey();
    expect((await keyOf(key.path)).lastUsedAt).toBeUndefined();
    const token = await service.exchangeForToken(key);
    const first = await keyOf(key.path);
    expect(first.lastUsedAt).toBe('2030-01-01T12:00:00.500Z');
    expect(first.credentials).toEqual([
      { createdAt: '2030-01-01T12:00:00.500Z', lastUsedAt: '2030-01-01T12:00:00.500Z' },
    ]);
    const whoami = () =>
      service.call('GET', '/whoami', { token, ...userAgent('airflow/3.1 (linux) python') });
    service.clock.advance(299);
    await whoami();
    expect(await keyOf(key.path)).toEqual(first);
    service.clock.advance(301);
    await whoami();
    const later = await keyOf(key.path);
    expect(later.lastUsedAt).toBe('2030-01-01T12:10:00.500Z');
    expect(later.lastUsedFrom).toEqual({ address: '127.0.0.1', client: 'airflow/3.1' });
    expect(later.credentials).toEqual(first.credentials);
  });

  it('a key lists the days of the last 90 days on which it was used, and the daily check removes older days', async () => {
    const key = await newKey();
    const deploymentId = `net-${count}`;
    const dayOf = (date: string) => Date.parse(date) / 86_400_000;
    expect((await keyOf(key.path)).activeDays).toEqual([]);
    const token = await service.exchangeForToken(key);
    service.clock.advance(DAY / 2);
    await service.use(token);
    await service.use(token);
    expect((await keyOf(key.path)).activeDays).toEqual(['2030-01-01', '2030-01-02']);
    service.clock.advance(88 * DAY);
    await service.exchangeForToken(key);
    expect((await keyOf(key.path)).activeDays).toEqual(['2030-01-01', '2030-01-02', '2030-03-31']);
    service.clock.advance(DAY);
    expect((await keyOf(key.path)).activeDays).toEqual(['2030-01-02', '2030-03-31']);
    const daysOf = async () =>
      (await service.partition(`DEPLOYMENT#${deploymentId}`)).flatMap(({ activeDays }) => [
        ...((activeDays as Set<number>) ?? []),
      ]);
    await service.invoke('sweep-keys', {});
    expect((await daysOf()).sort()).toEqual(['2030-01-02', '2030-03-31'].map(dayOf));
  });

  it('during a rotation, the last use of each secret is recorded', async () => {
    const key = await newKey();
    const { secret } = (await service.callAs('member', 'POST', `${key.path}/rotate`)).json;
    for (const one of [key, { ...key, secret }]) {
      service.clock.advance(1);
      await service.exchangeForToken(one);
      const shown = await keyOf(key.path);
      expect(shown.lastUsedAt).toBe(new Date(service.clock.now()).toISOString());
      expect(shown.lastUsedFrom).toEqual({ address: '127.0.0.1', client: 'node' });
    }
  });

  it("introspection returns the time of a token's last use, and does not itself count as a use", async () => {
    const key = await newKey();
    const [token, other] = [await service.exchangeForToken(key), await service.exchangeForToken(key)];
    const recordedSources = async (token: string, of = key, stack = service) => {
      const form = { token };
      const reply = await stack.call('POST', '/oauth/introspect', { basic: [of.id, of.secret], form });
      expect(reply.json.active).toBe(true);
      return [reply.json.last_used_at, reply.json.last_used_from, reply.json.issued_from];
    };
    const issued = { address: '127.0.0.1', client: 'node' };
    expect(await recordedSources(token)).toEqual([undefined, undefined, issued]);
    service.clock.advance(600);
    await service.call('GET', '/whoami', { token, ...userAgent('airflow/3.1 (linux)') });
    const used = [Math.floor(NOON / 1000) + 600, { address: '127.0.0.1', client: 'airflow/3.1' }, issued];
    service.clock.advance(600);
    for (let n = 0; n < 2; n++) expect(await recordedSources(token)).toEqual(used);
    expect(await recordedSources(other)).toEqual([undefined, undefined, issued]);

    const path = key.path.replace(/\/api-keys.*/, '/temporary-tokens');
    const mine = (await service.callAs('member', 'POST', path, { json: {} })).json.access_token;
    await service.use(mine);
    expect(await recordedSources(mine)).toEqual([undefined, undefined, undefined]);
  });

  it('the last use names the HTTP client only if the name is short, because longer text might be a secret', async () => {
    const key = await newKey();
    const token = await service.exchangeForToken(key);
    service.clock.advance(600);
    await service.call('GET', '/whoami', { token, ...userAgent(key.secret) });
    expect((await keyOf(key.path)).lastUsedFrom).toEqual({ address: '127.0.0.1' });
  });

  it("a call succeeds even if the key's last use cannot be recorded", async () => {
    const token = await refusing.newToken('etl');
    expect(await refusing.use(token)).toBe(200);
    // Only one of the two reads belongs to the call; the other one took place during init to open the connection.
    expect(refusing.calls('issue-token')).toEqual({ BatchGetItem: 2, PutItem: 1 });
  });

  it("the last use contains part of the address or no address, as configured in the stack's settings", async () => {
    for (const [stack, expected] of [
      [truncating, { address: '127.0.0.0/24', client: 'node' }],
      [forgetting, undefined],
    ] as const) {
      await stack.register('etl');
      const key = await stack.createKey('etl');
      await stack.exchangeForToken(key);
      const shown = (await stack.callAs('member', 'GET', `/deployments/etl/api-keys/${key.id}`)).json;
      expect(shown.lastUsedAt).toBeDefined();
      expect(shown.lastUsedFrom).toEqual(expected);
    }
  });
});
