import { beforeEach, describe, expect, it } from 'vitest';
import { mintCredential } from '../../functions/domain/credentials.ts';
import { mistyped } from '../support/mistyped.ts';
import { type KeyOfDeployment, type Reply, runStack } from '../support/stack.ts';

// The logs must show an engineer on call which key was used, and why a call was rejected.

const NOON = Date.parse('2030-01-01T12:00:00.000Z');
const service = await runStack({ context: { maxIdleDays: 90 } });
beforeEach(() => service.clock.freeze(NOON));

let count = 0;
const keyOf = (body: object = {}) => service.newKey(`call-${++count}`, body);
const asAdmin = (method: string, path: string, json?: object) =>
  service.callAs('admin', method, path, json && { json });

/** Returns the functions' log lines about the request that received this response. */
const linesOf = ({ headers }: Reply) =>
  service.logLines().filter(({ request_id: a, requestId: b }) => [a, b].includes(headers['apigw-requestid']));

const INVALID_CLIENT = { error: 'invalid_client', error_description: 'Client authentication failed.' };

describe('The service writes a log line for each issued token', () => {
  it('the log line for an issued token names the key, the request ID of the access log, the address and the client', async () => {
    const key = await keyOf();
    const reply = await service.exchange(key);
    expect(linesOf(reply)).toMatchObject([
      { message: 'token issued', client_id: key.id, address: '127.0.0.1', client: 'node' },
    ]);
    expect(JSON.stringify(linesOf(reply))).not.toContain(reply.json.access_token.slice(-49));
  });
});

/** Ways to change a key so that the service rejects the key's first secret. */
const CAUSES: readonly {
  cause: string;
  reason: string;
  bring: (key: KeyOfDeployment) => Promise<unknown>;
  body?: object;
}[] = [
  {
    cause: 'a disabled key',
    reason: 'disabled',
    bring: ({ path }) => asAdmin('PATCH', path, { enabled: false }),
  },
  {
    cause: 'a leaked key',
    reason: 'leaked',
    bring: ({ secret }) => service.call('POST', '/leaks', { json: { credential: secret } }),
  },
  {
    cause: 'an expired key',
    reason: 'expired',
    body: { expiresAt: new Date(NOON + 60_000).toISOString() },
    bring: async () => service.clock.advance(60),
  },
  { cause: 'an idle key', reason: 'idle', bring: async () => service.clock.advance(90 * 86_400) },
  {
    cause: 'another address',
    reason: 'network',
    body: { networks: ['192.0.2.0/24'] },
    bring: async () => {},
  },
  { cause: 'a deleted key', reason: 'unknown_key', bring: ({ path }) => asAdmin('DELETE', path) },
  {
    cause: 'a deleted Deployment',
    reason: 'unknown_deployment',
    bring: ({ deploymentId }) => asAdmin('DELETE', `/deployments/${deploymentId}`),
  },
  {
    cause: 'a secret that a rotation with a deadline retired',
    reason: 'retired_secret',
    bring: async ({ path }) => {
      await asAdmin('POST', `${path}/rotate`, { retireOld: 60 });
      service.clock.advance(60);
    },
  },
];

describe('The service logs the reason for each rejected exchange', () => {
  it.each(CAUSES)(
    'the log gives the reason $reason and the key for $cause, but the client gets the same response for every cause',
    async ({ reason, bring, body }) => {
      const key = await keyOf(body);
      await bring(key);
      const reply = await service.exchange(key);
      expect([reply.status, reply.json]).toStrictEqual([401, INVALID_CLIENT]);
      expect(linesOf(reply)).toMatchObject([{ message: 'rejected', client_id: key.id, reason }]);
      expect(JSON.stringify(linesOf(reply))).not.toContain(key.secret.slice(-49));
    },
  );

  it('the log names the key and the reason if a secret is wrong, mistyped, missing or belongs to another key', async () => {
    const [key, other] = [await keyOf(), await keyOf()];
    const [, ulid = ''] = /_([0-9A-Z]{26})$/.exec(key.id) ?? [];
    for (const [secret, reason] of [
      [mintCredential('secret', key.deploymentId, ulid), 'wrong_secret'],
      [mistyped(key.secret), 'malformed_secret'],
      [other.secret, 'other_key'],
    ] as const) {
      const reply = await service.exchange({ ...key, secret });
      expect([reply.status, reply.json]).toStrictEqual([401, INVALID_CLIENT]);
      expect(linesOf(reply)).toMatchObject([{ message: 'rejected', client_id: key.id, reason }]);
    }
    const form = { grant_type: 'client_credentials', client_id: key.id };
    const reply = await service.call('POST', '/oauth/token', { form });
    expect(linesOf(reply)).toMatchObject([{ client_id: key.id, reason: 'no_credentials' }]);
  });

  it('the log gives the reason for a client ID that is not a key ID, but does not contain that ID', async () => {
    const key = await keyOf();
    const reply = await service.exchange({ ...key, id: 'my-pipeline' });
    const [line] = linesOf(reply);
    expect(line).toMatchObject({ message: 'rejected', reason: 'malformed_id' });
    expect(line).not.toHaveProperty('client_id');
    expect(JSON.stringify(line)).not.toContain('my-pipeline');
  });
});

describe('The service logs the reason for each denied call', () => {
  const check = (token?: string) => service.call('GET', '/whoami', token === undefined ? {} : { token });

  it.each<[string, string, (key: KeyOfDeployment) => Promise<unknown>]>([
    ['disabled', 'a disabled key', ({ path }) => asAdmin('PATCH', path, { enabled: false })],
    ['deleted', 'a deleted key', ({ path }) => asAdmin('DELETE', path)],
    [
      'revoked',
      'a key that was rotated with "now"',
      ({ path }) => asAdmin('POST', `${path}/rotate`, { retireOld: 'now' }),
    ],
    ['network', 'another address', ({ path }) => asAdmin('PATCH', path, { networks: ['192.0.2.0/24'] })],
    ['expired', 'an expired token', async () => service.clock.advance(86_400 + 300)],
  ])('the log line of a denied call has the reason %s and the key for %s', async (reason, _, bring) => {
    const key = await keyOf();
    const token = await service.exchangeForToken(key);
    await bring(key);
    const reply = await check(token);
    expect([reply.status, reply.json]).toStrictEqual([401, { message: 'Unauthorized' }]);
    const [line, ...more] = linesOf(reply);
    // The purge may already have deleted the tokens of a deleted key.
    const reasons = reason === 'deleted' ? ['deleted', 'unknown'] : [reason];
    expect(more).toStrictEqual([]);
    expect(line).toMatchObject({ message: 'denied', client_id: key.id, ChecksRefused: 1 });
    expect(reasons).toContain(line.reason);
    expect(JSON.stringify(line)).not.toContain(token.slice(-49));
  });

  it('the log gives the reason for an unknown, mistyped or missing token, and the key if the text looks like a token', async () => {
    const key = await keyOf();
    const [, ulid = ''] = /_([0-9A-Z]{26})$/.exec(key.id) ?? [];
    const unknown = mintCredential('token', key.deploymentId, ulid);
    expect(linesOf(await check(unknown))).toMatchObject([{ reason: 'unknown', client_id: key.id }]);
    const [malformed] = linesOf(await check(mistyped(unknown)));
    expect(malformed).toMatchObject({ reason: 'malformed' });
    expect(malformed).not.toHaveProperty('client_id');
    expect(linesOf(await check())).toMatchObject([{ reason: 'missing' }]);
  });

  it('the log identifies a temporary token by its Deployment and its ID', async () => {
    const { deploymentId } = await keyOf();
    const path = `/deployments/${deploymentId}/temporary-tokens`;
    const { id, access_token: token } = (await service.callAs('member', 'POST', path, { json: {} })).json;
    await service.callAs('member', 'DELETE', `${path}/${id}`);
    expect(linesOf(await check(token))).toMatchObject([
      { reason: 'unknown', client_id: `dkx_${deploymentId}_${id}` },
    ]);
  });
});
