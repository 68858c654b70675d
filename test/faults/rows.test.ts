import { DeleteCommand, PutCommand, UpdateCommand } from '@aws-sdk/lib-dynamodb';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { mintCredential } from '../../functions/domain/credentials.ts';
import { type HasTime, purgeFromQueue, purgeFromStream, sweepMarkers } from '../../functions/jobs/purge.ts';
import { CALL_RETRIES, CHECK_RETRIES } from '../../functions/table/retried-calls.ts';
import type { ItemKey } from '../../functions/table/schema.ts';
import { type FaultKind, startFaultProxy } from '../support/fault-proxy.ts';
import { inProcess, type Reply, removal, startTable } from '../support/in-process.ts';
import { fill } from '../support/many-items.ts';
import type { CreatedKey } from '../support/stack.ts';

/** Rows of docs/faults.md that need their own setup. The number in a title is the number of the row. */
const engine = await startTable();
const proxy = await startFaultProxy(engine.endpoint);
afterAll(async () => {
  await proxy.stop();
  await engine.stop();
});

const service = inProcess(engine);
const watched = inProcess(engine, { watchesChecks: true });
const START = service.time.now;
beforeEach(() => {
  watched.around = undefined;
  for (const one of [service, watched]) one.time.now = START;
});

const admin = { as: 'admin' };
let count = 0;
async function newKey(): Promise<{ id: string; key: CreatedKey }> {
  const id = `row_${++count}`;
  await service.register(id);
  return { id, key: await service.createKey(id) };
}
const generationOf = async (id: string) =>
  String((await service.partition(`DEPLOYMENT#${id}`)).find(({ sk }) => sk === 'DEPLOYMENT')?.generation);
const removed = (id: string, generation: string, sequence = 1) =>
  removal({ pk: `DEPLOYMENT#${id}`, sk: 'DEPLOYMENT' }, generation, sequence);
const markersOf = async (id: string) =>
  (await service.partition('PURGES')).filter(({ sk }) => String(sk).startsWith(`${id}#`));
const remove = (Key: ItemKey) => service.table.client.send(new DeleteCommand({ TableName: 'keys', Key }));
const always: HasTime = () => true;

describe('Checks reject invalid tokens', () => {
  it('#2 when TTL deletes a token between its read and its extension, the call is denied and no item is re-created', async () => {
    for (const [gone, status, left] of [
      ['TOKEN#', 401, ['DEPLOYMENT', 'KEY']],
      // Recording a use does not restore a key that is deleted in the meantime.
      ['KEY#', 200, ['DEPLOYMENT', 'TOKEN']],
    ] as const) {
      const { id, key } = await newKey();
      const token = await service.exchangeForToken(key);
      const items = await service.partition(`DEPLOYMENT#${id}`);
      const item = items.find(({ sk }) => String(sk).startsWith(gone));
      const behind = inProcess(engine, { endpoint: proxy.endpoint });
      behind.time.now += 3_600_000;
      const watch = proxy.inject(`DEPLOYMENT#${id}"`, undefined, async (operation) => {
        if (operation === 'BatchGetItem') await remove({ pk: String(item?.pk), sk: String(item?.sk) });
      });
      expect(await behind.use(token)).toBe(status);
      expect(new Set(watch.operations)).toEqual(new Set(['BatchGetItem', 'UpdateItem']));
      await watch.end();
      expect((await service.partition(`DEPLOYMENT#${id}`)).map(({ sk }) => String(sk).split('#')[0])).toEqual(
        left,
      );
    }
  });

  it('#37 older tokens stay revoked if a disabled key is enabled again or an expired key is extended', async () => {
    const { id, key } = await newKey();
    const path = `/deployments/${id}/api-keys/${key.id}`;
    const patch = (json: object) => service.call('PATCH', path, { ...admin, json });
    const soon = new Date(START + 60_000).toISOString();
    const ways: [() => Promise<unknown>, () => Promise<unknown>][] = [
      [() => patch({ enabled: false }), () => patch({ enabled: true })],
      [
        async () => {
          await patch({ expiresAt: soon });
          service.time.now += 61_000;
        },
        () => patch({ expiresAt: null }),
      ],
    ];
    for (const [end, begin] of ways) {
      const [used, unused] = [await service.exchangeForToken(key), await service.exchangeForToken(key)];
      expect(await service.use(used)).toBe(200);
      await end();
      expect((await service.exchange(key)).status).toBe(401);
      expect(await service.use(used)).toBe(401);
      await begin();
      for (const token of [used, unused]) expect(await service.use(token)).toBe(401);
      expect(await service.use(await service.exchangeForToken(key))).toBe(200);
    }
  });

  it('#24 rejects a secret as a bearer token, a token as client_secret, and a temporary token of another Deployment', async () => {
    const { id, key } = await newKey();
    const token = await service.exchangeForToken(key);
    const grant = await service.call('POST', `/deployments/${id}/temporary-tokens`, { ...admin, json: {} });
    expect(await service.use(key.secret)).toBe(401);
    expect((await service.exchange({ ...key, secret: token })).status).toBe(401);
    const { id: another } = await newKey();
    const elsewhere = String(grant.json.access_token).replace(`dkx_${id}_`, `dkx_${another}_`);
    expect(await service.use(elsewhere)).toBe(401);
    const event = {
      version: '2.0',
      type: 'REQUEST',
      routeArn: 'arn:aws:execute-api:us-east-1:123456789012:api/$default/GET/d',
      routeKey: 'GET /d/{deploymentId}',
      headers: { authorization: `Bearer ${grant.json.access_token}` },
      requestContext: { apiId: 'api', requestId: 'r', http: { method: 'GET', path: '/d' } },
      pathParameters: { deploymentId: another },
      stageVariables: { deploymentParameter: 'deploymentId' },
    };
    expect(await service.authorize(event as never)).toEqual({ isAuthorized: false, context: {} });
  });

  it('#26 rejects a token that is truncated, extended or changed in one character, at any position', async () => {
    const { key } = await newKey();
    const token = await service.exchangeForToken(key);
    const statuses = new Set<number>();
    for (let at = 0; at < token.length; at++) {
      const other = token[at] === 'A' ? 'B' : 'A';
      statuses.add(await service.use(token.slice(0, at) + other + token.slice(at + 1)));
      statuses.add(await service.use(token.slice(0, at)));
    }
    statuses.add(await service.use(`${token}A`));
    expect([...statuses]).toEqual([401]);
    expect(await service.use(token)).toBe(200);
  });

  it('#36 rejects 1,000 concurrent well-formed but forged tokens without a write, and still serves valid callers', {
    timeout: 60_000,
  }, async () => {
    const { id, key } = await newKey();
    const token = await service.exchangeForToken(key);
    service.time.now += 3_600_000;
    const writes = proxy.inject(`DEPLOYMENT#${id}"`);
    // In this test, a single thread sends all the requests.
    const retryPolicy = { attemptTimeout: 20_000, attempts: 1 };
    const behind = inProcess(engine, { endpoint: proxy.endpoint, retryPolicy });
    behind.time.now = service.time.now;
    const forged = Array.from({ length: 1000 }, () => mintCredential('token', id, key.id.slice(-26)));
    const all = forged.map((one) => behind.use(one));
    const real = Array.from({ length: 20 }, () => behind.use(token));
    expect(new Set(await Promise.all(all))).toEqual(new Set([401]));
    expect(new Set(await Promise.all(real))).toEqual(new Set([200]));
    // The only writes extend the valid callers' tokens and record the last use of the key.
    expect(writes.operations.filter((one) => one !== 'BatchGetItem').length).toBeLessThanOrEqual(2 * 20);
    await writes.end();
  });

  it("#38 a token is invalid if its exchange read the key just before all of the key's tokens were revoked", async () => {
    const { id, key } = await newKey();
    const path = `/deployments/${id}/api-keys/${key.id}`;
    watched.once('after', 'BatchGetItem', async () => {
      await service.call('PATCH', path, { ...admin, json: { enabled: false } });
      await service.call('PATCH', path, { ...admin, json: { enabled: true } });
    });
    const reply = await watched.exchange(key);
    expect(reply.status).toBe(200);
    expect(await service.use(reply.json.access_token)).toBe(401);
    expect(await service.use(await service.exchangeForToken(key))).toBe(200);
  });
});

describe('Calls fail in time if DynamoDB fails', () => {
  /** The functions run as deployed, with their own retry policies and the template's time limits. */
  const check = inProcess(engine, { endpoint: proxy.endpoint, retryPolicy: CHECK_RETRIES });
  const called = inProcess(engine, { endpoint: proxy.endpoint, retryPolicy: CALL_RETRIES });
  const CHECK_LIMIT = 5000;
  const CALL_LIMIT = 10_000;

  async function under(kind: FaultKind, of: string, call: () => Promise<Reply>) {
    const fault = proxy.inject(of, { kind, at: 0, lasts: true });
    const began = performance.now();
    const reply = await call();
    await fault.end();
    return {
      status: reply.status,
      retryAfter: reply.headers['Retry-After'],
      took: performance.now() - began,
    };
  }

  const rows: [string, FaultKind[], number[]][] = [
    ['#13 DynamoDB throttles', ['throttled'], [503]],
    ['#14 DynamoDB hangs', ['hang'], [503]],
    ['#15 connection reset, 500, truncated 200', ['reset', '500', 'truncated'], [503]],
    ['#16 AccessDenied, table missing', ['denied', 'missing'], [500, 503]],
  ];
  it.each(rows)(
    '%s: checks, exchanges and management calls fail within their time limits',
    { timeout: 30_000 },
    async (_, kinds, statuses) => {
      for (const kind of kinds) {
        const { id, key } = await newKey();
        const token = await service.exchangeForToken(key);
        const of = `DEPLOYMENT#${id}"`;
        const [checked, exchanged, managed] = await Promise.all([
          under(kind, of, () => check.call('GET', '/whoami', { token })),
          under(kind, of, () => called.exchange(key)),
          under(kind, of, () => called.call('GET', `/deployments/${id}`, admin)),
        ]);
        for (const { status, retryAfter } of [checked, exchanged, managed]) {
          expect(statuses, kind).toContain(status);
          if (status === 503) expect(retryAfter).toBe('1');
        }
        expect(checked.took, kind).toBeLessThan(CHECK_LIMIT);
        expect(exchanged.took, kind).toBeLessThan(CALL_LIMIT);
        expect(managed.took, kind).toBeLessThan(CALL_LIMIT);
      }
    },
  );

  it('#14 all attempts of a call fit within its time limit, even if the call makes three requests to DynamoDB', () => {
    const most = ({ attempts, attemptTimeout }: typeof CALL_RETRIES) => attempts * attemptTimeout;
    expect(2 * most(CHECK_RETRIES)).toBeLessThan(CHECK_LIMIT);
    expect(3 * most(CALL_RETRIES)).toBeLessThan(CALL_LIMIT);
  });
});

describe('The purge deletes exactly what belongs to a deleted Deployment', () => {
  it('#6 if a Deployment is registered again while its purge is pending, old keys stay revoked and new keys stay active', async () => {
    const { id, key } = await newKey();
    const old = await service.exchangeForToken(key);
    const generation = await generationOf(id);
    await service.call('DELETE', `/deployments/${id}`, admin);
    await service.register(id);
    const fresh = await service.createKey(id);
    const token = await service.exchangeForToken(fresh);
    for (const purged of [false, true]) {
      if (purged) await purgeFromStream([removed(id, generation)], always, service.purge);
      expect(await service.use(old)).toBe(401);
      expect((await service.exchange(key)).status).toBe(401);
      expect(await service.use(token)).toBe(200);
      expect(await service.use(await service.exchangeForToken(fresh))).toBe(200);
    }
    expect(JSON.stringify(await service.partition(`DEPLOYMENT#${id}`))).not.toContain(generation);
  });

  it('#7 a purge event that arrives three times and out of order leads to the same result as a single event', async () => {
    const { id, key } = await newKey();
    await service.exchangeForToken(key);
    const keySk = `KEY#${key.id.slice(-26)}`;
    const first = await generationOf(id);
    await service.call('DELETE', `/deployments/${id}`, admin);
    await service.register(id);
    const lost = await service.createKey(id);
    await service.exchangeForToken(lost);
    const second = await generationOf(id);
    await service.call('DELETE', `/deployments/${id}/api-keys/${lost.id}`, admin);
    await service.register(id);
    const stays = await service.createKey(id);
    const token = await service.exchangeForToken(stays);
    const records = [
      removal({ pk: `DEPLOYMENT#${id}`, sk: `KEY#${lost.id.slice(-26)}` }, second, 3),
      removed(id, first, 1),
      removal({ pk: `DEPLOYMENT#${id}`, sk: keySk }, first, 2),
    ];
    for (const order of [[2, 0, 1], [0, 1, 2, 0, 1, 2], [1], [0]]) {
      const batch = order.flatMap((n) => records[n] ?? []);
      expect(await purgeFromStream(batch, always, service.purge)).toEqual({ batchItemFailures: [] });
    }
    expect((await service.partition(`DEPLOYMENT#${id}`)).map(({ sk }) => String(sk).split('#')[0])).toEqual([
      'DEPLOYMENT',
      'KEY',
      'TOKEN',
    ]);
    expect(await service.use(token)).toBe(200);
    expect(await markersOf(id)).toEqual([]);
  });

  it('#8 a stream record that always fails is reported, and only later records are sent again', async () => {
    const [one, two] = [await newKey(), await newKey()];
    const records = [];
    for (const { id } of [one, two]) {
      const generation = await generationOf(id);
      await service.call('DELETE', `/deployments/${id}`, admin);
      records.push(removed(id, generation, records.length * 2 + 1));
    }
    const [first, last] = records;
    const poison = removed('no such id', 'no generation', 2);
    if (!first || !last) throw new Error('two were made');
    const end = await purgeFromStream([first, poison, last], always, service.purge);
    expect(end).toEqual({ batchItemFailures: [{ itemIdentifier: '2' }] });
    expect(await service.partition(`DEPLOYMENT#${one.id}`)).toEqual([]);
    expect(await service.partition(`DEPLOYMENT#${two.id}`)).not.toEqual([]);
    // Lambda bisects the batch: it first sends the bad record, and then the next record.
    expect(await purgeFromStream([poison], always, service.purge)).toEqual({
      batchItemFailures: [{ itemIdentifier: '2' }],
    });
    expect(await purgeFromStream([last], always, service.purge)).toEqual({ batchItemFailures: [] });
    expect(await service.partition(`DEPLOYMENT#${two.id}`)).toEqual([]);
  });

  it('#9 a second run finishes a purge that failed after k of n deletions, for every k', async () => {
    for (let k = 0; k <= 5; k++) {
      const { id, key } = await newKey();
      for (let n = 0; n < 4; n++) await service.exchangeForToken(key);
      const generation = await generationOf(id);
      await service.call('DELETE', `/deployments/${id}`, admin);
      const items = await service.partition(`DEPLOYMENT#${id}`);
      expect(items).toHaveLength(5);
      // The purge deletes items in reverse order of their sort keys.
      for (const { pk, sk } of items.reverse().slice(0, k)) await remove({ pk: String(pk), sk: String(sk) });
      await purgeFromStream([removed(id, generation)], always, service.purge);
      expect(await service.partition(`DEPLOYMENT#${id}`), `k = ${k}`).toEqual([]);
      expect(await markersOf(id), `k = ${k}`).toEqual([]);
    }
  });

  it("no stream record, marker or message purges a Deployment's current generation", async () => {
    const { id, key } = await newKey();
    const token = await service.exchangeForToken(key);
    const generation = await generationOf(id);
    const before = await service.partition(`DEPLOYMENT#${id}`);
    // This is the state after a backup is restored: the Deployment exists, and so does the marker of a purge that had
    // started.
    const createdAt = service.time.now - 6 * 60_000;
    const marker = { pk: 'PURGES', sk: `${id}#${generation}`, createdAt };
    const stays = async (end: object) => {
      expect(end).toEqual({ batchItemFailures: [] });
      expect(await service.partition(`DEPLOYMENT#${id}`)).toEqual(before);
    };
    await service.table.client.send(new PutCommand({ TableName: 'keys', Item: marker }));
    await stays(await purgeFromStream([removed(id, generation)], always, service.purge));
    expect(await markersOf(id)).toEqual([marker]);
    service.deferred.length = 0;
    await sweepMarkers(service.purge);
    const task = service.deferred.splice(0).find(({ deploymentId }) => deploymentId === id);
    const record = { messageId: 'm', body: JSON.stringify(task) } as never;
    for (let twice = 0; twice < 2; twice++) {
      await stays(await purgeFromQueue([record], always, service.purge));
      expect(await markersOf(id)).toEqual([]);
    }
    expect((await service.partition(`EVENTS#${id}`)).map(({ type }) => type)).not.toContain(
      'deployment.purged',
    );
    expect(await service.use(token)).toBe(200);
  });

  it('#10 a Deployment with 10,000 tokens is purged in several pages and several time-limited runs', {
    timeout: 180_000,
  }, async () => {
    const { id } = await newKey();
    const { id: neighbour, key } = await newKey();
    const token = await service.exchangeForToken(key);
    const generation = await generationOf(id);
    await fill(service.table, { deploymentId: id, generation, tokens: 10_000, keys: 10 });
    await service.call('DELETE', `/deployments/${id}`, admin);
    // No run has enough time for more than one page.
    const never: HasTime = () => false;
    await purgeFromStream([removed(id, generation)], never, service.purge);
    let runs = 1;
    for (let task = service.deferred.shift(); task; task = service.deferred.shift()) {
      expect(await markersOf(id)).toHaveLength(1);
      const record = { messageId: 'm', body: JSON.stringify(task) } as never;
      expect(await purgeFromQueue([record], never, service.purge)).toEqual({ batchItemFailures: [] });
      runs++;
    }
    expect(runs).toBeGreaterThanOrEqual(10);
    expect(await service.partition(`DEPLOYMENT#${id}`)).toEqual([]);
    expect(await markersOf(id)).toEqual([]);
    const events = await service.partition(`EVENTS#${id}`);
    expect(events.find(({ type }) => type === 'deployment.purged')).toMatchObject({
      data: { deleted: 10_011 },
    });
    expect(await service.use(token)).toBe(200);
    expect(await service.partition(`DEPLOYMENT#${neighbour}`)).toHaveLength(3);
  });

  it('#12 if the stream is down for more than 24 hours, the schedule starts the purge, and access is denied throughout', async () => {
    const { id, key } = await newKey();
    const token = await service.exchangeForToken(key);
    await service.call('DELETE', `/deployments/${id}`, admin);
    for (let hour = 0; hour < 26; hour += 2) {
      expect(await service.use(token)).toBe(401);
      expect((await service.exchange(key)).status).toBe(401);
      service.time.now += 2 * 3_600_000;
    }
    service.deferred.length = 0;
    await sweepMarkers(service.purge);
    const tasks = service.deferred.splice(0).filter(({ deploymentId }) => deploymentId === id);
    expect(tasks).toHaveLength(1);
    const record = { messageId: 'm', body: JSON.stringify(tasks[0]) } as never;
    await purgeFromQueue([record], always, service.purge);
    expect(await service.partition(`DEPLOYMENT#${id}`)).toEqual([]);
    expect(await markersOf(id)).toEqual([]);
  });
});

describe('Malformed requests get a 4xx response', () => {
  it('#22 returns a 4xx status for a wrong content type, a base64 or 1 MB body, invalid UTF-8, %zz, __proto__ and deeply nested JSON', async () => {
    const { id, key } = await newKey();
    const path = `/deployments/${id}/api-keys`;
    const json = { 'content-type': 'application/json' };
    const form = { 'content-type': 'application/x-www-form-urlencoded' };
    const deep = '['.repeat(30_000) + ']'.repeat(30_000);
    const bodies: [string, Record<string, string>][] = [
      ['{"name":"ci"}', { 'content-type': 'text/plain' }],
      [Buffer.from('{"name":"ci"}').toString('base64'), json],
      [`{"name":"${'x'.repeat(1_000_000)}"}`, json],
      ['{"name":"ci","__proto__":{"isAdministrator":true}}', json],
      ['{"name":"ci","constructor":{"prototype":{}}}', json],
      [`{"name":${deep}}`, json],
      [`{"name":"ci","scopes":${deep}}`, json],
      [deep, json],
      ['', json],
      ['null', json],
    ];
    for (const [body, headers] of bodies) {
      const { status } = await service.call('POST', path, { ...admin, body, headers });
      expect(status >= 400 && status < 500, `${status} ${body.slice(0, 60)}`).toBe(true);
    }
    const basic = [key.id, key.secret] as const;
    for (const body of [
      'grant_type=%zz',
      'grant_type=client_credentials&grant_type=client_credentials',
      'grant_type=client_credentials&scope=%ff',
      `grant_type=client_credentials&x=${'y'.repeat(1_000_000)}`,
      '__proto__=1',
      '{"grant_type":"client_credentials"}',
    ]) {
      const { status } = await service.call('POST', '/oauth/token', { basic, body, headers: form });
      expect(status >= 400 && status < 500, `${status} ${body.slice(0, 60)}`).toBe(true);
    }
    expect(({} as Record<string, unknown>).isAdministrator).toBeUndefined();
    expect(await service.partition(`DEPLOYMENT#${id}`)).toHaveLength(2);
  });

  it('#23 rejects two Authorization headers, comma-joined tokens, a tab and a NUL, and accepts the scheme "bearer" in any case', async () => {
    const { key } = await newKey();
    const token = await service.exchangeForToken(key);
    const use = async (authorization: string) =>
      (await service.call('GET', '/whoami', { headers: { authorization } })).status;
    for (const bad of [
      `Bearer ${token}, Bearer ${token}`,
      `Bearer ${token},Bearer ${token}`,
      `Basic eDp5, Bearer ${token}`,
      `Bearer ${token},`,
      `Bearer\t${token}`,
      `Bearer ${token}\0`,
      `Bearer \0${token}`,
      `Bearer${token}`,
      `Token ${token}`,
      token,
      'Bearer',
      'Bearer ',
    ]) {
      expect(await use(bad), JSON.stringify(bad.slice(0, 20))).toBe(401);
    }
    for (const scheme of ['Bearer', 'bearer', 'BEARER', 'bEaReR'])
      expect(await use(`${scheme} ${token}`)).toBe(200);
  });

  it("#27 quotes in a key's name are kept unchanged, and control characters return 400", async () => {
    const { id } = await newKey();
    for (const name of ['"; DROP TABLE keys; --', "it's <b>", '{{7*7}} %0a', '=1+1']) {
      const { json } = await service.call('POST', `/deployments/${id}/api-keys`, {
        ...admin,
        json: { name },
      });
      expect(json.name).toBe(name);
      const got = await service.call('GET', `/deployments/${id}/api-keys/${json.id}`, admin);
      expect(got.json.name).toBe(name);
    }
    for (const name of ['a\nb', 'a\u2028b', 'a\rb', 'a\0b', '\u001b[31m', '\u007f']) {
      const reply = await service.call('POST', `/deployments/${id}/api-keys`, { ...admin, json: { name } });
      expect(reply.status, JSON.stringify(name)).toBe(400);
    }
  });
});

it('#34 active tokens stay valid when the next version is deployed and rolled back', async () => {
  const { id, key } = await newKey();
  const token = await service.exchangeForToken(key);
  const TableName = 'keys';
  for (const item of await service.partition(`DEPLOYMENT#${id}`)) {
    // A later version was deployed and rolled back, so each item has an attribute that this version does not know.
    await service.table.client.send(
      new PutCommand({ TableName, Item: { ...item, ofLaterVersion: { a: [1] } } }),
    );
  }
  expect(await service.use(token)).toBe(200);
  const known = ['pk', 'sk', 'generation', 'epoch', 'issuedAt', 'expiresAt', 'enabled', 'scopes', 'secrets'];
  const ofKey = ['name', 'revision', 'createdAt', 'createdBy', 'groups', 'keyCount'];
  for (const item of await service.partition(`DEPLOYMENT#${id}`)) {
    // Items as the first version wrote them, with only the attributes that the contract names.
    const Item = Object.fromEntries(
      Object.entries(item).filter(([name]) => [...known, ...ofKey].includes(name)),
    );
    await service.table.client.send(new PutCommand({ TableName, Item }));
  }
  expect(await service.use(token)).toBe(200);
  expect(await service.use(await service.exchangeForToken(key))).toBe(200);
});

it("#42 rejects a Deployment's keys immediately after its item is deleted by hand while the stream is off", async () => {
  const { id, key } = await newKey();
  const token = await service.exchangeForToken(key);
  const generation = await generationOf(id);
  const Key = { pk: `DEPLOYMENT#${id}`, sk: 'DEPLOYMENT' };
  await remove(Key);
  expect(await service.use(token)).toBe(401);
  expect((await service.exchange(key)).status).toBe(401);
  // An item that a manual update re-created has no generation, so the item gives no access either.
  const ghost = { TableName: 'keys', Key, UpdateExpression: 'SET #n = :n' };
  await service.table.client.send(
    new UpdateCommand({
      ...ghost,
      ExpressionAttributeNames: { '#n': 'name' },
      ExpressionAttributeValues: { ':n': 'x' },
    }),
  );
  expect(await service.use(token)).toBe(401);
  // Someone may have restored and damaged the Deployment's item by hand, so the purge waits until someone deletes the
  // item.
  const kinds = async () =>
    (await service.partition(`DEPLOYMENT#${id}`)).map(({ sk }) => String(sk).split('#')[0]);
  await purgeFromStream([removed(id, generation)], always, service.purge);
  expect(await kinds()).toEqual(['DEPLOYMENT', 'KEY', 'TOKEN']);
  await remove(Key);
  service.time.now += 6 * 60_000;
  service.deferred.length = 0;
  await sweepMarkers(service.purge);
  const task = service.deferred.splice(0).find(({ deploymentId }) => deploymentId === id);
  await purgeFromQueue([{ messageId: 'm', body: JSON.stringify(task) } as never], always, service.purge);
  expect(await kinds()).toEqual([]);
  expect(await markersOf(id)).toEqual([]);
});
