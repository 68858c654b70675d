import { PutCommand, ScanCommand } from '@aws-sdk/lib-dynamodb';
import type { SQSRecord } from 'aws-lambda';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { restore } from '../../cli/restoration.ts';
import {
  type EndAccessDependencies,
  endAccessFromQueue,
  endAccessOfAll,
} from '../../functions/jobs/end-access.ts';
import { deleteItem, putItem, type Table } from '../../functions/table/retried-calls.ts';
import { personKey, toTemporaryToken } from '../../functions/table/schema.ts';
import { createTable, type Engine } from '../support/engine.ts';
import {
  type InProcess,
  type InProcessCall,
  ISSUER,
  inProcess,
  must,
  partsOf,
  type Reply,
  startTable,
} from '../support/in-process.ts';
import { restoration } from '../support/interrupted.ts';
import { temporaryToken as temporaryTokenRecord } from '../support/records.ts';

let engine: Engine;
let service: InProcess;
/** Function that runs before or after the next call to the table that `waits` matches. */
let interruption: { at: number; when: 'before' | 'after'; act: () => Promise<void> } | undefined;
let calls: string[] = [];
beforeAll(async () => {
  engine = await startTable();
  service = inProcess(engine, {
    watchesChecks: true,
    around: async (when, sent) => {
      if (when === 'before') calls.push(nameOf(sent));
      const isDue = interruption !== undefined && when === interruption.when && interruption.at-- === 0;
      if (!interruption || !isDue) return;
      const { act } = interruption;
      interruption = undefined;
      await act();
    },
  });
});
afterAll(() => engine.stop());

const nameOf = (sent: object) =>
  String((sent as { operation?: string }).operation ?? sent.constructor.name.replace(/Command$/, ''));

let count = 0;
let sub = '';
let id = '';
beforeEach(async () => {
  interruption = undefined;
  count++;
  sub = `person-${count}`;
  id = `people-${count}`;
  await service.register(id);
  service.time.now += 60_000;
  calls = [];
});

/** A time in whole seconds, from which a sign-in is `after` milliseconds later than the current time. */
const signedIn = (after = 0) => ({
  auth_time: (service.time.now + after) / 1000,
  iat: (service.time.now + after) / 1000,
});
const as = (options: InProcessCall = {}): InProcessCall => ({
  as: sub,
  claims: signedIn(-30_000),
  ...options,
});
const admin = (method: string, path: string, json?: object): Promise<Reply> =>
  service.call(method, path, { as: 'admin', claims: { iat: 4_000_000_000 }, ...(json && { json }) });
const end = (more: object = {}) => admin('POST', '/people/end-access', { sub, ...more });
const find = async () => must(await admin('POST', '/people/find', { sub }), 200).json;
const keys = () => `/deployments/${id}/api-keys`;
const temporaryToken = async (options = as()) =>
  must(await service.call('POST', `/deployments/${id}/temporary-tokens`, { ...options, json: {} }), 201).json
    .access_token;
const newKey = async (options = as(), body: object = { name: 'ci' }) =>
  must(await service.call('POST', keys(), { ...options, json: body }), 201).json;
const person = async () => (await service.partition(personKey({ issuer: ISSUER, sub }).pk))[0];

describe("#63: Administrators can end a person's access", () => {
  it("#63: the call that ends a person's access also invalidates their temporary tokens and earlier sign-ins", async () => {
    const other = `${id}-other`;
    await service.register(other);
    const one = await temporaryToken();
    const path = `/deployments/${other}/temporary-tokens`;
    const two = must(await service.call('POST', path, { ...as(), json: {} }), 201).json.access_token;
    const foreign = must(await service.call('POST', path, { as: 'eve', json: {} }), 201).json.access_token;
    for (const token of [one, two, foreign]) expect(await service.use(token)).toBe(200);
    const ended = await end();
    expect([ended.status, ended.json]).toStrictEqual([
      202,
      {
        sub,
        endedAt: new Date(service.time.now).toISOString(),
        blocked: false,
        job: { keys: 'report', status: 'running', found: 0, disabled: 0 },
      },
    ]);
    expect([await service.use(one), await service.use(two), await service.use(foreign)]).toEqual([
      401, 401, 200,
    ]);
    const rejected = await service.call('GET', '/deployments', as());
    expect([rejected.status, rejected.json.code, rejected.headers['WWW-Authenticate']]).toStrictEqual([
      401,
      'invalid_token',
      'Bearer error="invalid_token"',
    ]);
    expect((await service.call('GET', '/deployments', { as: 'eve' })).status).toBe(200);
  });

  it("#63: ending a person's access costs one write, no matter how many temporary tokens the person has", async () => {
    const { generation } = (await service.partition(`DEPLOYMENT#${id}`))[0] as { generation: string };
    const tokens = Array.from({ length: 50 }, (_, n) => String(n).padStart(43, 'h'));
    for (const hash of tokens) {
      await putItem(service.table, {
        Item: toTemporaryToken(temporaryTokenRecord({ deploymentId: id, generation, sub, hash })),
      });
    }
    calls = [];
    must(await end(), 202);
    expect(calls).toStrictEqual(['GetItem', 'GetItem', 'TransactWriteItems']);
    expect(
      (await service.partition(`DEPLOYMENT#${id}`)).filter(({ sk }) => String(sk).startsWith('GRANT#')),
    ).toHaveLength(50);
  });

  it('#63: a person can sign in again 5 seconds after their access ended', async () => {
    must(await end(), 202);
    const at = (after: number) => service.call('GET', '/deployments', as({ claims: signedIn(after) }));
    const boundary = 5000 - (service.time.now % 1000);
    for (const [after, status] of [
      [-86_400_000, 401],
      [0, 401],
      [boundary, 401],
      [boundary + 1000, 200],
    ] as const) {
      expect((await at(after)).status, String(after)).toBe(status);
    }
    const token = await temporaryToken(as({ claims: signedIn(boundary + 1000) }));
    expect(await service.use(token)).toBe(200);
  });

  it.each([
    ['a refreshed token, whose iat is later', { auth_time: -60, iat: 3600 }, 401],
    ['a token with iat in place of auth_time', { iat: -60 }, 401],
    ['a later token with iat in place of auth_time', { iat: 60 }, 200],
    ['a token with auth_time in milliseconds', { auth_time: 1e9, iat: -60 }, 401],
    ['a token with neither time', {}, 401],
  ])('#63: the time of the sign-in decides whether the service accepts %s', async (_, claims, status) => {
    const now = Math.floor(service.time.now / 1000);
    must(await end(), 202);
    const times = Object.fromEntries(Object.entries(claims).map(([name, after]) => [name, now + after]));
    expect((await service.call('GET', '/deployments', as({ claims: times }))).status).toBe(status);
  });

  it.each([
    ['text', 'now'],
    ['negative', -1],
    ['null', null],
    ['an object', {}],
    ['milliseconds', 1e15],
  ])('#63: rejects a sign-in whose auth_time is %s', async (_, authTime) => {
    must(await end(), 202);
    const claims = { auth_time: authTime, iat: service.time.now / 1000 + 3600 };
    expect((await service.call('GET', '/deployments', as({ claims }))).status).toBe(401);
  });

  it('#63: every sign-in of a blocked person is rejected until an administrator restores access', async () => {
    const token = await temporaryToken();
    must(await end({ block: true }), 202);
    const later = () => service.call('GET', '/deployments', as({ claims: signedIn(3_600_000) }));
    expect((await later()).status).toBe(401);
    must(await end(), 202);
    expect((await find()).blocked).toBe(true);
    const restored = await admin('POST', '/people/restore-access', { sub });
    expect([restored.status, restored.json.blocked]).toStrictEqual([200, false]);
    expect((await later()).status).toBe(200);
    expect(await service.use(token)).toBe(401);
    expect((await service.call('GET', '/deployments', as())).status).toBe(401);
  });

  it("#63: ending a person's access again never moves the recorded time backward", async () => {
    const moments: string[] = [];
    for (const step of [0, 10_000, -60_000, 5_000]) {
      service.time.now += step;
      moments.push(must(await end(), 202).json.endedAt);
    }
    expect(moments).toStrictEqual([...moments].sort());
    expect(moments[2]).toBe(moments[1]);
  });

  it("#63: only administrators can end a person's access", async () => {
    for (const [method, path, json] of [
      ['POST', '/people/end-access', { sub }],
      ['POST', '/people/restore-access', { sub }],
      ['POST', '/people/find', { sub }],
      ['GET', '/people', undefined],
      ['GET', '/people/events', undefined],
    ] as const) {
      const reply = await service.call(method, path, { as: 'eve', ...(json && { json }) });
      expect([path, reply.status, reply.json.code]).toStrictEqual([path, 403, 'forbidden']);
    }
    expect(await person()).toBeUndefined();
  });

  it.each([
    [{}, 'sub'],
    [{ sub: '' }, 'sub'],
    [{ sub: 'ä' }, 'sub'],
    [{ sub: 'x'.repeat(256) }, 'sub'],
    [{ sub: 'x', keys: 'delete' }, 'keys'],
    [{ sub: 'x', block: 'yes' }, 'block'],
    [{ sub: 'x', until: 'tomorrow' }, 'until'],
  ])('#63: returns 400 for an invalid request to end access: %j', async (json, field) => {
    const reply = await admin('POST', '/people/end-access', json);
    expect([reply.status, reply.json.errors.map((one: { field: string }) => one.field)]).toStrictEqual([
      400,
      [field],
    ]);
  });
});

/** Actions of a person, each with a call that performs the action and a check that the action had no effect. */
const GIFTS: [string, (key: { id: string }) => Promise<Reply>][] = [
  ['creating a key', () => service.call('POST', keys(), { ...as(), json: { name: 'mine' } })],
  ['rotating a key', ({ id: of }) => service.call('POST', `${keys()}/${of}/rotate`, { ...as(), json: {} })],
  [
    'enabling a key',
    ({ id: of }) => service.call('PATCH', `${keys()}/${of}`, { ...as(), json: { enabled: true } }),
  ],
  [
    'extending a key',
    ({ id: of }) =>
      service.call('PATCH', `${keys()}/${of}`, { ...as(), json: { expiresAt: '2099-01-01T00:00:00Z' } }),
  ],
  [
    'setting the allowed IP ranges of a key',
    ({ id: of }) =>
      service.call('PATCH', `${keys()}/${of}`, { ...as(), json: { networks: ['192.0.2.0/24'] } }),
  ],
  [
    'issuing a temporary token',
    () => service.call('POST', `/deployments/${id}/temporary-tokens`, { ...as(), json: {} }),
  ],
];

describe("#63: Calls in flight have no effect after a person's access has ended", () => {
  it.each(GIFTS)(
    "#63: %s has no effect if the caller's access ends before or after any of its reads",
    async (_, call) => {
      for (const when of ['before', 'after'] as const) {
        for (let at = 0; at < 6; at++) {
          sub = `person-${count}-${when}-${at}`;
          const key = await newKey({ as: 'eve' });
          must(
            await service.call('PATCH', `${keys()}/${key.id}`, { as: 'eve', json: { enabled: false } }),
            200,
          );
          const before = await stateOf(key.id);
          let isEnded = false;
          interruption = {
            at,
            when,
            act: async () => {
              must(await end(), 202);
              isEnded = true;
            },
          };
          calls = [];
          const reply = await call(key);
          const isDone = reply.status < 300;
          interruption = undefined;
          // The call may succeed only if it wrote its changes before the person's access ended.
          const order = isEnded ? calls.lastIndexOf('TransactWriteItems') : -1;
          const [own] = [calls.indexOf('TransactWriteItems')];
          const hasWrittenFirst = isEnded && isDone && own < order;
          if (!isEnded || hasWrittenFirst) continue;
          expect([when, at, reply.status, reply.json.code]).toStrictEqual([when, at, 401, 'invalid_token']);
          expect(await stateOf(key.id)).toStrictEqual(before);
        }
      }
    },
  );

  it("#63: a temporary token that was issued just before the person's access ended is rejected afterwards", async () => {
    const reply = service.call('POST', `/deployments/${id}/temporary-tokens`, { ...as(), json: {} });
    const [issued] = await Promise.all([reply, end()]);
    const token: string | undefined = issued.json.access_token;
    if (token) expect(await service.use(token)).toBe(401);
    else expect(issued.status).toBe(401);
  });

  it("#63: a call is denied if the person's access ends before the authorizer reads the person's record", async () => {
    const token = await temporaryToken();
    calls = [];
    interruption = { at: 0, when: 'after', act: async () => void must(await end(), 202) };
    expect(await service.use(token)).toBe(401);
  });

  it("#63: an administrator whose own access ends during the call cannot restore or end other people's access", async () => {
    const rogue = { as: 'admin', claims: { iat: 1_577_836_800 } };
    must(await end({ block: true }), 202);
    const act = async () => void must(await admin('POST', '/people/end-access', { sub: 'admin' }), 202);
    for (const path of ['/people/restore-access', '/people/end-access']) {
      interruption = { at: 1, when: 'after', act };
      const reply = await service.call('POST', path, { ...rogue, json: { sub } });
      expect([path, reply.status]).toStrictEqual([path, 401]);
    }
    expect((await find()).blocked).toBe(true);
    // The other tests register their Deployments as this administrator, so restore the access.
    await deleteItem(service.table, { Key: personKey({ issuer: ISSUER, sub: 'admin' }) });
  });

  async function stateOf(keyId: string) {
    const items = await service.partition(`DEPLOYMENT#${id}`);
    const grants = items.filter(({ sk }) => String(sk).startsWith('GRANT#')).length;
    return {
      key: items.find(({ sk }) => sk === `KEY#${partsOf(keyId).ulid}`),
      grants,
      keys: items.filter(({ sk }) => String(sk).startsWith('KEY#')).length,
    };
  }
});

describe('#63: The end-access job handles the keys of the person', () => {
  const listed = async (): Promise<Record<string, [reasons: string[], disabled: boolean]>> =>
    Object.fromEntries(
      (await find()).keys.map((key: { id: string; reasons: string[]; disabled: boolean }) => [
        key.id,
        [key.reasons, key.disabled],
      ]),
    );

  it("#63: in report mode, the end-access job lists the person's keys and disables none of them", async () => {
    const created = await newKey();
    const foreign = await newKey({ as: 'eve' });
    const rotated = await newKey({ as: 'eve' });
    must(
      await service.call('POST', `${keys()}/${rotated.id}/rotate`, { ...as(), json: { retireOld: 3600 } }),
      200,
    );
    // Someone else rotates the key again, but the old secret, which the person knows, is still accepted.
    must(
      await service.call('POST', `${keys()}/${created.id}/rotate`, { as: 'eve', json: { retireOld: 'now' } }),
      200,
    );
    must(await end(), 202);
    await service.findKeys();
    expect(await listed()).toStrictEqual({
      [created.id]: [['created'], false],
      [rotated.id]: [['secret'], false],
    });
    expect((await find()).job).toMatchObject({ keys: 'report', status: 'finished', found: 2, disabled: 0 });
    for (const key of [created, foreign, rotated]) {
      const { json } = await service.call('GET', `${keys()}/${key.id}`, { as: 'eve' });
      expect(json.enabled).toBe(true);
    }
  });

  it.each([
    ['report', true],
    ['disable', false],
  ])(
    '#63: in %s mode, the end-access job lists a malformed key of the person and leaves "enabled" %s',
    async (mode, isEnabled) => {
      const key = await newKey();
      const { ulid } = partsOf(key.id);
      const item = (await service.partition(`DEPLOYMENT#${id}`)).find(({ sk }) => sk === `KEY#${ulid}`);
      await putItem(service.table, { Item: { ...item, epoch: 'malformed' } });
      must(await end({ keys: mode }), 202);
      await service.findKeys();
      expect(await listed()).toStrictEqual({ [key.id]: [['created', 'secret'], !isEnabled] });
      const { json } = await service.call('GET', `${keys()}/${key.id}`, { as: 'eve' });
      expect(json.enabled).toBe(isEnabled);
    },
  );

  it("#63: the end-access job disables the person's keys, and continues where an earlier run ran out of time", async () => {
    const deployments = [id, `${id}-b`, `${id}-c`];
    const made: string[] = [];
    for (const of of deployments) {
      await service.register(of);
      const path = `/deployments/${of}/api-keys`;
      made.push(must(await service.call('POST', path, { ...as(), json: { name: 'ci' } }), 201).json.id);
    }
    const token = await service.exchangeForToken({ ...(await newKey()), scopes: [] });
    expect(await service.use(token)).toBe(200);
    must(await end({ keys: 'disable' }), 202);
    let rounds = 0;
    while (service.jobs.length > 0 && rounds < 100) {
      let left = 4;
      await service.findKeys(() => left-- > 0);
      rounds++;
    }
    expect(rounds).toBeGreaterThan(1);
    const { job, keys: found } = await find();
    expect(job).toMatchObject({ status: 'finished', found: 4, disabled: 4 });
    expect(found.filter(({ disabled }: { disabled: boolean }) => disabled)).toHaveLength(4);
    expect(await service.use(token)).toBe(401);
  });

  it('#63: if the end-access job runs out of time within a Deployment, later runs still count each key once', async () => {
    const made = [await newKey(), await newKey(), await newKey()];
    const { port } = service.jobTable;
    let hasTime = true;
    const left: number[] = [];
    const progress: object[] = [];
    must(await end({ keys: 'disable' }), 202);
    try {
      service.jobTable.port = async (operation, input, timeout) => {
        const outcome = await port(operation, input, timeout);
        // The job makes transactions only to disable a key and to finish.
        if (operation === 'TransactWriteItems') hasTime = false;
        return outcome;
      };
      for (let run = 1; run <= made.length; run++) {
        hasTime = true;
        await service.findKeys(() => hasTime);
        const all = must(await service.call('GET', keys(), { as: 'eve' }), 200).json.items;
        left.push(all.filter(({ enabled }: { enabled: boolean }) => enabled).length);
        progress.push((await find()).job);
      }
    } finally {
      service.jobTable.port = port;
    }
    expect(left).toStrictEqual([2, 1, 0]);
    const saved = { keys: 'disable', status: 'running' };
    expect(progress).toStrictEqual([1, 2, 3].map((found) => ({ ...saved, found, disabled: found })));
    await service.findKeys();
    expect((await find()).job).toStrictEqual({
      ...{ keys: 'disable', status: 'finished', found: 3, disabled: 3 },
      finishedAt: new Date(service.time.now).toISOString(),
    });
    expect(Object.values(await listed())).toStrictEqual(made.map(() => [['created', 'secret'], true]));
  });

  it('#63: the end-access job counts a key that it has recorded even if the key is then deleted', async () => {
    const made = [await newKey(), await newKey(), await newKey()];
    // The job records keys in the order of their IDs.
    const [first] = made.map(({ id }) => id).sort();
    must(await end({ keys: 'report' }), 202);
    calls = [];
    await service.findKeys(() => calls.filter((name) => name === 'PutItem').length < 2);
    expect((await find()).job).toMatchObject({ status: 'running', found: 2 });
    must(await service.call('DELETE', `${keys()}/${first}`, { as: 'eve' }), 204);
    await service.findKeys();
    expect((await find()).job).toMatchObject({ status: 'finished', found: 3, disabled: 0 });
  });

  it('#63: the end-access job disables a re-enabled key only if the person re-enabled it', async () => {
    const [one, two, three] = [await newKey(), await newKey(), await newKey()];
    must(await end({ keys: 'disable' }), 202);
    const enable = async (key: string, options: InProcessCall) => {
      must(await service.call('PATCH', `${keys()}/${key}`, { ...options, json: { enabled: false } }), 200);
      must(await service.call('PATCH', `${keys()}/${key}`, { ...options, json: { enabled: true } }), 200);
    };
    service.time.now += 10_000;
    await enable(one.id, { as: 'eve' });
    await enable(two.id, as({ claims: signedIn() }));
    const messages = [...service.jobs];
    await service.findKeys();
    const found = await listed();
    expect([one, two, three].map(({ id }) => found[id]?.[1])).toStrictEqual([false, true, true]);
    // The message arrives a second time, as it would after a crash. The administrator's decision stays in effect.
    must(await service.call('PATCH', `${keys()}/${three.id}`, { as: 'eve', json: { enabled: true } }), 200);
    service.jobs.push(...messages);
    await service.findKeys();
    const { json } = await service.call('GET', `${keys()}/${three.id}`, { as: 'eve' });
    expect(json.enabled).toBe(true);
  });

  it('#63: the end-access job disables each key once, even if it crashes during any call to the table and runs again', async () => {
    for (let at = 0; at < 12; at++) {
      sub = `crash-${count}-${at}`;
      const key = await newKey();
      must(await end({ keys: 'disable' }), 202);
      const messages = [...service.jobs];
      interruption = { at, when: 'after', act: () => Promise.reject(new Error('died')) };
      await service.findKeys().catch(() => {});
      interruption = undefined;
      const isDisabled =
        (await service.call('GET', `${keys()}/${key.id}`, { as: 'eve' })).json.enabled === false;
      if (isDisabled) {
        must(await service.call('PATCH', `${keys()}/${key.id}`, { as: 'eve', json: { enabled: true } }), 200);
      }
      service.jobs.splice(0, service.jobs.length, ...messages);
      await service.findKeys();
      const { json } = await service.call('GET', `${keys()}/${key.id}`, { as: 'eve' });
      expect([at, json.enabled, (await find()).job.status]).toStrictEqual([at, isDisabled, 'finished']);
    }
  });

  const marks = async () =>
    (await service.partition('PEOPLE')).filter(({ sk }) => String(sk).startsWith('JOB#'));
  const dependencies = (more: Partial<EndAccessDependencies> = {}): EndAccessDependencies => ({
    table: service.table,
    clock: () => service.time.now,
    hasTime: () => true,
    defer: async () => {},
    signOut: undefined,
    ...more,
  });

  it('#63: the schedule starts an end-access job whose message was lost', async () => {
    await newKey();
    must(await end({ keys: 'disable' }), 202);
    service.jobs.length = 0;
    await endAccessOfAll(dependencies());
    expect((await find()).job).toMatchObject({ status: 'finished', disabled: 1 });
    expect(await marks()).toStrictEqual([]);
  });

  it('#63: the schedule starts the end-access job of one person even if the job of another person fails', async () => {
    const subs = [`${sub}-a`, `${sub}-b`];
    for (const one of subs) must(await admin('POST', '/people/end-access', { sub: one }), 202);
    service.jobs.length = 0;
    const pkOf = (one: string) => personKey({ issuer: ISSUER, sub: one }).pk;
    const [first = '', second = ''] = subs.sort((one, two) => (pkOf(one) < pkOf(two) ? -1 : 1));
    const signOut = async (one: string) => {
      if (one === first) throw new Error(`cannot sign out ${one}`);
    };
    await expect(endAccessOfAll(dependencies({ signOut }))).rejects.toThrow(`cannot sign out ${first}`);
    const statusOf = async (one: string) =>
      must(await admin('POST', '/people/find', { sub: one }), 200).json.job.status;
    expect([await statusOf(first), await statusOf(second)]).toStrictEqual(['running', 'finished']);
    await endAccessOfAll(dependencies());
    expect([await statusOf(first), await marks()]).toStrictEqual(['finished', []]);
  });

  it("#63: the end-access job deletes its pending marker if the person's record is gone, but not if the record is malformed", async () => {
    const key = personKey({ issuer: ISSUER, sub });
    must(await end(), 202);
    const record = await person();
    await putItem(service.table, { Item: { ...record, ...key, endedAt: 'x' } });
    await endAccessOfAll(dependencies());
    expect(await marks()).toHaveLength(1);
    await deleteItem(service.table, { Key: key });
    await endAccessOfAll(dependencies());
    expect(await marks()).toStrictEqual([]);
  });

  it("#63: the end-access job deletes its pending marker if the person's record shows that the job has finished", async () => {
    const key = personKey({ issuer: ISSUER, sub });
    must(await end(), 202);
    const [mark] = await marks();
    await service.findKeys();
    await putItem(service.table, { Item: mark as object });
    await endAccessOfAll(dependencies());
    expect([await marks(), (await person())?.pk]).toStrictEqual([[], key.pk]);
  });

  it('#63: the end-access job keeps the pending marker of a newer job for the person', async () => {
    must(await end(), 202);
    await deleteItem(service.table, { Key: personKey({ issuer: ISSUER, sub }) });
    interruption = { at: 1, when: 'after', act: async () => void must(await end({ keys: 'disable' }), 202) };
    await endAccessOfAll(dependencies());
    expect(await marks()).toHaveLength(1);
    await newKey(as({ as: 'eve' }));
    await endAccessOfAll(dependencies());
    expect([(await find()).job.status, await marks()]).toStrictEqual(['finished', []]);
  });

  it('#63: the end-access job stays finished if a concurrent second run runs out of time', async () => {
    await newKey();
    must(await end({ keys: 'disable' }), 202);
    const deferred: object[] = [];
    let hasTime = true;
    const finish = async () => {
      await endAccessOfAll(dependencies());
      hasTime = false;
    };
    interruption = { at: 1, when: 'after', act: finish };
    const defer = async (one: object) => void deferred.push(one);
    await endAccessFromQueue(
      [{ body: JSON.stringify({ issuer: ISSUER, sub }) } as SQSRecord],
      dependencies({ defer, hasTime: () => hasTime }),
    );
    expect([hasTime, deferred, (await find()).job]).toStrictEqual([
      false,
      [],
      { keys: 'disable', status: 'finished', found: 1, disabled: 1, finishedAt: expect.any(String) },
    ]);
  });

  it('#63: the end-access job still disables keys if access is ended again in report mode', async () => {
    const key = await newKey();
    must(await end({ keys: 'disable' }), 202);
    expect(must(await end(), 202).json.job.keys).toBe('disable');
    await service.findKeys();
    expect((await service.call('GET', `${keys()}/${key.id}`, { as: 'eve' })).json.enabled).toBe(false);
  });

  it.each([
    ['in report mode', {}, true],
    ['in disable mode', { keys: 'disable' }, false],
  ])(
    '#63: if access is ended again %s before the job has finished, a key that someone else enabled in between is enabled: %o',
    async (_, again, isEnabled) => {
      const [first, second] = [await newKey(), await newKey()];
      must(await end({ keys: 'disable' }), 202);
      const enable = async (keyId: string) => {
        service.time.now += 1000;
        for (const enabled of [false, true]) {
          must(await service.call('PATCH', `${keys()}/${keyId}`, { as: 'eve', json: { enabled } }), 200);
        }
      };
      await enable(first.id);
      service.time.now += 1000;
      must(await end(again), 202);
      await enable(second.id);
      // The end of access moves forward a second time, and the job still knows the first one.
      must(await end(), 202);
      await service.findKeys();
      const states = await Promise.all(
        [first, second].map(
          async (key) => (await service.call('GET', `${keys()}/${key.id}`, { as: 'eve' })).json.enabled,
        ),
      );
      expect(states).toStrictEqual([isEnabled, true]);
      expect(Object.keys(await listed()).toSorted()).toStrictEqual([first.id, second.id].toSorted());
    },
  );

  it('#63: the end-access job does not disable a leaked key that someone else enabled by rotating it', async () => {
    const key = await newKey();
    await service.leak(key.secret);
    must(await end({ keys: 'disable' }), 202);
    service.time.now += 1000;
    must(
      await service.call('POST', `${keys()}/${key.id}/rotate`, { as: 'eve', json: { retireOld: 'now' } }),
      200,
    );
    await service.findKeys();
    expect((await service.call('GET', `${keys()}/${key.id}`, { as: 'eve' })).json.enabled).toBe(true);
    expect(await listed()).toStrictEqual({ [key.id]: [['created'], false] });
  });

  it('#63: an end-access job that is still running does not replace what a later job has recorded', async () => {
    const made = [await newKey(), await newKey(), await newKey()];
    const { port } = service.jobTable;
    must(await end(), 202);
    const earlier = service.jobs.splice(0);
    try {
      let writes = 0;
      service.jobTable.port = async (operation, input, timeout) => {
        if (operation === 'PutItem' && ++writes === 2) {
          service.jobTable.port = port;
          must(await end(), 202);
          await service.findKeys();
        }
        return port(operation, input, timeout);
      };
      const later = service.jobs;
      later.push(...earlier);
      await service.findKeys();
    } finally {
      service.jobTable.port = port;
    }
    expect(Object.keys(await listed()).toSorted()).toStrictEqual(made.map(({ id }) => id).toSorted());
    expect((await find()).job).toMatchObject({ status: 'finished', found: 3 });
  });

  it('#63: an end-access job gets a later ID than the job that it replaces, even if the clock was set back', async () => {
    const key = await newKey();
    must(await end(), 202);
    await service.findKeys();
    service.time.now -= 10_000;
    must(await end({ keys: 'disable' }), 202);
    await service.findKeys();
    expect(await listed()).toStrictEqual({ [key.id]: [['created', 'secret'], true] });
  });

  it.each([
    ['is missing', {}],
    ['is a number', { jobId: 5 }],
    ['is text that would be a later ID', { jobId: 'zzz' }],
  ])(
    '#63: the end-access job replaces its record of a key in which the ID of the job %s',
    async (_, damage) => {
      const key = await newKey();
      must(await end(), 202);
      await service.findKeys();
      for (const mode of ['report', 'disable']) {
        const items = await service.partition(personKey({ issuer: ISSUER, sub }).pk);
        const { jobId: __, ...rest } = items.find(({ sk }) => sk === `KEY#${key.id}`) ?? {};
        await putItem(service.table, { Item: { ...rest, ...damage } as never });
        must(await end({ keys: mode }), 202);
        await service.findKeys();
        expect((await listed())[key.id]).toStrictEqual([['created', 'secret'], mode === 'disable']);
      }
      expect((await find()).job).toMatchObject({ status: 'finished', found: 1, disabled: 1 });
    },
  );

  it('#63: access can be ended again even if the ID of the earlier job is damaged and is the latest possible ULID', async () => {
    const key = await newKey();
    must(await end(), 202);
    const damaged = await person();
    const job = { ...(damaged?.job as object), id: `7${'Z'.repeat(25)}` };
    await putItem(service.table, { Item: { ...damaged, job } as never });
    service.time.now += 1000;
    must(await end({ keys: 'disable' }), 202);
    await service.findKeys();
    expect(await listed()).toStrictEqual({ [key.id]: [['created', 'secret'], true] });
  });

  describe('#63: A key of the person keeps changing', () => {
    let edits = 0;
    const FAILURE = 'a key of the person keeps changing';
    /** Runs the job. Someone edits the key each time before the job changes it. */
    function runJob(keyId: string, more: Partial<EndAccessDependencies> = {}): Promise<void> {
      const edit = async () => {
        const json = { description: `edit ${++edits}` };
        must(await service.call('PATCH', `${keys()}/${keyId}`, { as: 'eve', json }), 200);
      };
      const port: Table['port'] = async (operation, input, timeout) => {
        const isOfKey = JSON.stringify(input).includes(`KEY#${partsOf(keyId).ulid}`);
        if (operation === 'TransactWriteItems' && isOfKey) await edit();
        return service.jobTable.port(operation, input, timeout);
      };
      const table = { ...service.jobTable, port };
      return endAccessOfAll(dependencies({ table, ...more }));
    }
    beforeEach(() => {
      edits = 0;
    });

    it('#63: a key that keeps changing does not prevent the end-access job from disabling the other keys', async () => {
      const [busy, other] = [await newKey(), await newKey()];
      const elsewhere = `${id}-z`;
      await service.register(elsewhere);
      const path = `/deployments/${elsewhere}/api-keys`;
      const last = must(await service.call('POST', path, { ...as(), json: { name: 'ci' } }), 201).json;
      must(await end({ keys: 'disable' }), 202);
      await expect(runJob(busy.id)).rejects.toThrow(FAILURE);
      expect(edits).toBe(5);
      expect((await find()).job).toMatchObject({ status: 'running', found: 2, disabled: 2 });
      expect(Object.keys(await listed()).toSorted()).toStrictEqual([other.id, last.id].toSorted());
      await endAccessOfAll(dependencies());
      expect((await find()).job).toMatchObject({ status: 'finished', found: 3, disabled: 3 });
    });

    it('#63: the end-access job signs the person out only in its first run, even if that run recorded no key', async () => {
      const busy = await newKey();
      must(await end({ keys: 'disable' }), 202);
      const signedOut: string[] = [];
      const signOut = async (one: string) => void signedOut.push(one);
      await expect(runJob(busy.id, { signOut })).rejects.toThrow(FAILURE);
      await expect(runJob(busy.id, { signOut })).rejects.toThrow(FAILURE);
      await endAccessOfAll(dependencies({ signOut }));
      expect(signedOut).toStrictEqual([sub]);
      expect((await find()).job).toMatchObject({ status: 'finished', found: 1, disabled: 1 });
    });

    it('#63: the end-access job saves its progress if time runs out because of a key that keeps changing', async () => {
      const busy = await newKey();
      must(await end({ keys: 'disable' }), 202);
      const deferred: object[] = [];
      const defer = async (one: object) => void deferred.push(one);
      await runJob(busy.id, { defer, hasTime: () => edits < 5 });
      expect([edits, deferred, (await find()).job.found]).toStrictEqual([5, [{ issuer: ISSUER, sub }], 0]);
      // The next run does not know whether the skipped key is in a Deployment that it reads again.
      await expect(endAccessOfAll(dependencies())).rejects.toThrow(FAILURE);
      await endAccessOfAll(dependencies());
      expect((await find()).job).toMatchObject({ status: 'finished', found: 1, disabled: 1 });
    });
  });
});

describe('#45: A restore from an older backup does not give a person access again', () => {
  /** Returns a copy of the service's table. */
  async function backedUp(): Promise<Table> {
    const tableName = `backup-${sub}`;
    await createTable(service.table.client as never, tableName);
    const { Items = [] } = await service.table.client.send(new ScanCommand({ TableName: 'keys' }));
    for (const Item of Items) await service.table.client.send(new PutCommand({ TableName: tableName, Item }));
    return { ...service.table, tableName };
  }
  const events = async () =>
    (await service.partition('EVENTS#')).filter(({ data }) => (data as { sub?: string }).sub === sub);

  it.each([
    ['the table', async () => {}],
    ['its event', async () => deleteItem(service.table, { Key: personKey({ issuer: ISSUER, sub }) })],
    [
      'its record',
      async () => {
        for (const { pk, sk } of await events())
          await deleteItem(service.table, { Key: { pk: String(pk), sk: String(sk) } });
      },
    ],
  ])("#45: a restore keeps a person's access ended when %s remains", async (_, lose) => {
    const temporary = await temporaryToken();
    const backup = await backedUp();
    const point = service.time.now;
    service.time.now += 60_000;
    must(await end(), 202);
    expect(await events()).toHaveLength(1);
    await lose();
    service.time.now += 60_000;
    await restore(restoration({ from: backup, into: service.table, point, clock: () => service.time.now }));
    const earlier = as({ claims: signedIn(-150_000) });
    expect((await service.call('GET', '/deployments', earlier)).status).toBe(401);
    expect(await service.use(temporary)).toBe(401);
    expect((await service.call('GET', '/deployments', as({ claims: signedIn() }))).status).toBe(200);
  });

  it("#45: a restore keeps a person blocked even if the table has lost the person's record", async () => {
    const backup = await backedUp();
    const point = service.time.now;
    must(await end({ block: true }), 202);
    await deleteItem(service.table, { Key: personKey({ issuer: ISSUER, sub }) });
    service.time.now += 60_000;
    await restore(restoration({ from: backup, into: service.table, point, clock: () => service.time.now }));
    expect((await service.call('GET', '/deployments', as({ claims: signedIn() }))).status).toBe(401);
  });

  it("#45: a restore keeps the later of two times at which a person's access ended", async () => {
    must(await end(), 202);
    const today = await person();
    service.time.now += 600_000;
    must(await end(), 202);
    const backup = await backedUp();
    const point = service.time.now;
    await putItem(service.table, { Item: today });
    for (const { pk, sk } of await events())
      await deleteItem(service.table, { Key: { pk: String(pk), sk: String(sk) } });
    await restore(restoration({ from: backup, into: service.table, point, clock: () => service.time.now }));
    const between = as({ claims: signedIn(-300_000) });
    expect((await service.call('GET', '/deployments', between)).status).toBe(401);
  });
});

describe('#63: The record of a person decides whether their sign-ins and temporary tokens are accepted', () => {
  it.each([
    ['endedAt', 'x'],
    ['endedAt', undefined],
    ['blocked', 'no'],
    ['blocked', undefined],
  ])(
    "#65: a person's record whose %s is malformed (%j) makes the service reject the person, and can be replaced",
    async (name, value) => {
      const token = await temporaryToken();
      const key = { issuer: ISSUER, sub };
      const item = { ...personKey(key), ...key, endedAt: 1, blocked: false, revision: 1, [name]: value };
      await putItem(service.table, { Item: item });
      service.malformed.length = 0;
      expect(await service.use(token)).toBe(401);
      expect(service.malformed).toContainEqual(personKey(key));
      expect((await service.call('GET', '/deployments', as({ claims: signedIn(9e6) }))).status).toBe(401);
      expect((await admin('POST', '/people/find', { sub })).status).toBe(409);
      expect(must(await end(), 202).json.blocked).toBe(true);
      must(await admin('POST', '/people/restore-access', { sub }), 200);
      expect((await service.call('GET', '/deployments', as({ claims: signedIn(9e6) }))).status).toBe(200);
    },
  );

  it('#63: a temporary token from an earlier version, which did not record the time of the sign-in, is rejected', async () => {
    const token = await temporaryToken();
    const items = await service.partition(`DEPLOYMENT#${id}`);
    const {
      signedInAt: _,
      issuer: __,
      ...old
    } = items.find(({ sk }) => String(sk).startsWith('GRANT#')) as Record<string, unknown>;
    await putItem(service.table, { Item: old });
    expect(await service.use(token)).toBe(200);
    must(await end(), 202);
    expect(await service.use(token)).toBe(401);
  });

  it('#63: introspection also treats a temporary token as invalid after the access of its holder has ended', async () => {
    const token = await temporaryToken();
    const key = await newKey({ as: 'eve' });
    const introspect = () =>
      service.call('POST', '/oauth/introspect', { basic: [key.id, key.secret], form: { token } });
    expect((await introspect()).json.active).toBe(true);
    must(await end(), 202);
    expect((await introspect()).json).toStrictEqual({ active: false });
  });

  it('#63: administrators can list the records of people, and events about people have their own partition', async () => {
    must(await end({ block: true }), 202);
    must(await admin('POST', '/people/restore-access', { sub }), 200);
    await service.findKeys();
    const people = must(await admin('GET', '/people'), 200).json.items;
    expect(people).toContainEqual(expect.objectContaining({ sub, blocked: false }));
    const page = must(await admin('GET', '/people?limit=1'), 200).json;
    expect(
      must(await admin('GET', `/people?limit=1&cursor=${page.nextCursor}`), 200).json.items,
    ).toHaveLength(1);
    const { items } = must(await admin('GET', '/people/events'), 200).json;
    const own = items.filter(({ data }: { data: { sub: string } }) => data.sub === sub);
    expect(own.map(({ type }: { type: string }) => type).sort()).toStrictEqual([
      'person.access_ended',
      'person.access_restored',
      'person.keys_found',
    ]);
    expect(own[0]).toMatchObject({ subject: `people/${sub}`, source: 'deployment-api-keys' });
    expect(Object.keys(own[0].data)).not.toContain('deploymentId');
  });

  it('#63: a person whose access was never ended has no record, and restoring their access changes nothing', async () => {
    expect(await find()).toStrictEqual({ sub, blocked: false, keys: [] });
    expect(must(await admin('POST', '/people/restore-access', { sub }), 200).json).toStrictEqual({
      sub,
      blocked: false,
    });
    expect(await person()).toBeUndefined();
  });

  it("#63: checking a temporary token costs one more read for the person's record, and checking an access token does not", async () => {
    const token = await service.exchangeForToken({ ...(await newKey()), scopes: [] });
    const temporary = await temporaryToken();
    calls = [];
    expect(await service.use(token)).toBe(200);
    expect(calls.filter((name) => name === 'BatchGetItem')).toHaveLength(1);
    calls = [];
    expect(await service.use(temporary)).toBe(200);
    expect(calls).toStrictEqual(['BatchGetItem', 'BatchGetItem']);
  });
});
