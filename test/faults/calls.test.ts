import { BatchWriteCommand, GetCommand } from '@aws-sdk/lib-dynamodb';
import { afterAll, beforeEach, describe, expect, it, vi } from 'vitest';
import {
  formatKeyId,
  hashOf,
  mintCredential,
  newUlid,
  tokenIdOf,
} from '../../functions/domain/credentials.ts';
import { ServiceError } from '../../functions/domain/errors.ts';
import { expiryAfter, toSeconds } from '../../functions/domain/expiry.ts';
import { toCursor } from '../../functions/http/cursor.ts';
import { purgeFromStream } from '../../functions/jobs/purge.ts';
import {
  directoryKey,
  type Item,
  type ItemKey,
  purgeMarkerKey,
  toApiKey,
  toDeployment,
  toDirectoryEntry,
  toTemporaryToken,
  toToken,
} from '../../functions/table/schema.ts';
import { subjectForm } from '../support/ci-issuer.ts';
import { httpEvent } from '../support/events.ts';
import { FAULTS, type FaultKind, startFaultProxy } from '../support/fault-proxy.ts';
import { someOf } from '../support/generated.ts';
import { DAY, type InProcess, inProcess, type Reply, removal, startTable } from '../support/in-process.ts';
import * as records from '../support/records.ts';
import type { CreatedKey } from '../support/stack.ts';

/**
 * Runs each call and the purge under each fault, at each request to DynamoDB: once with a fault in only that request,
 * and once with an outage that starts with that request. No fault may give access, and a retry after the fault must
 * find or finish the work that the call began. A normal run tests every 19th of these cases; CI tests all of them.
 */
const engine = await startTable();
const proxy = await startFaultProxy(engine.endpoint);
afterAll(async () => {
  await proxy.stop();
  await engine.stop();
});

const ISSUER = 'https://issuer.test';
const part = (claims: object) => Buffer.from(JSON.stringify(claims)).toString('base64url');
/** Each test has its own subject token, because a stack accepts a subject token only once. */
const subjectOf = ({ id }: World) => `${part({ alg: 'RS256' })}.${part({ iss: ISSUER, jti: id })}.c2ln`;
/** An issuer that the tests' keys trust, with valid tokens. */
const CLAIMS = {
  aud: 'https://service.test',
  sub: 'pipeline',
  exp: Date.parse('2030-01-02T12:00:00Z') / 1000,
};
const trust = { issuers: [ISSUER], verify: async () => ({ claims: CLAIMS }) };
/** The service that the tests use to inspect the table and to retry calls. Faults do not affect this service. */
const faultFree = inProcess(engine, { trust });
/** Creation time of all items, so early that a check at the time of the calls must extend the token. */
const early = faultFree.time.now;
const later = early + 3_600_000;
faultFree.time.now = later;

/**
 * Each call makes two attempts, because only the behaviour after the last attempt matters. Only a hanging request takes
 * the full time limit.
 */
function spoiledBy(kind: FaultKind): InProcess {
  const attemptTimeout = kind === 'hang' ? 300 : 20_000;
  const service = inProcess(engine, {
    endpoint: proxy.endpoint,
    retryPolicy: { attemptTimeout, attempts: 2 },
    trust,
  });
  service.time.now = later;
  return service;
}
// The test shortens the random pauses between attempts.
beforeEach(() => void vi.spyOn(Math, 'random').mockReturnValue(0.01));

interface World {
  id: string;
  key: CreatedKey;
  /** A key that trusts an issuer. */
  trusting: string;
  token: string;
  temporary: string;
  temporaryId: string;
  generation: string;
}

interface Operation {
  call: (service: InProcess, world: World) => Promise<Reply>;
  /** The expected status without a fault, and the expected status of a repeated call. */
  done: number[];
  /**
   * Items that must exist before the call.
   * @default a Deployment with all its items
   */
  world?: 'unregistered' | 'deleted';
  /**
   * Checks the audit records that must exist before a 2xx response. A fault that affects only these records does no
   * harm.
   */
  recorded?: (world: World) => Promise<void>;
  /** Types of the events that exist after a successful retry. @default they are not checked */
  events?: string[];
  /** Checks the state after a successful retry. */
  holds: (world: World) => Promise<void>;
}

const admin = { as: 'admin' };
const once = { 'idempotency-key': 'once' };
const keysOf = ({ id }: World) => `/deployments/${id}/api-keys`;
const pathOf = (world: World) => `${keysOf(world)}/${world.key.id}`;
const grantsOf = ({ id }: World) => `/deployments/${id}/temporary-tokens`;
const read = async (Key: ItemKey) =>
  (await faultFree.table.client.send(new GetCommand({ TableName: faultFree.table.tableName, Key }))).Item;
const items = ({ id }: World) => faultFree.partition(`DEPLOYMENT#${id}`);
const keyCount = async (world: World) => (await items(world)).find(({ sk }) => sk === 'DEPLOYMENT')?.keyCount;
const keyItem = async (world: World) =>
  (await items(world)).find(({ sk }) => sk === `KEY#${world.key.id.slice(-26)}`);
const count = async (world: World, prefix: string) =>
  (await items(world)).filter(({ sk }) => String(sk).startsWith(prefix)).length;
const events = async ({ id }: World) => (await faultFree.partition(`EVENTS#${id}`)).map(({ type }) => type);
const stays = async (world: World) => {
  expect(await faultFree.use(world.token)).toBe(200);
};
const isDead = async (world: World) => {
  expect(await faultFree.use(world.token)).toBe(401);
};
/** Checks that a read-only call has changed nothing. */
const unchanged = async (world: World) => {
  expect(await items(world)).toEqual(sorted(itemsOf(world)));
};
const slid = async (world: World) => {
  const item = (await items(world)).find(({ sk }) => String(sk).startsWith('TOKEN#'));
  expect(item?.expiresAt).toBe(Math.ceil(later / 1000) + DAY + 300);
};
/** Returns a check that the Deployment and its entry in the list have a name. */
const isNamed = (name: string) => async (world: World) => {
  const one = await faultFree.call('GET', `/deployments/${world.id}`, admin);
  const entry = await read(directoryKey(world.id));
  expect([one.json.name, entry?.name]).toEqual([name, name]);
};
/** Represents the result of a function that does not respond over HTTP. */
async function endOf(work: Promise<number>): Promise<Reply> {
  const status = await work.catch((error) => (error instanceof ServiceError ? error.status : 500));
  return { status, headers: { 'Retry-After': '1' }, text: '', json: undefined };
}

const OPERATIONS: Record<string, Operation> = {
  'whoami, a check that extends the token': {
    call: (service, { token }) => service.call('GET', '/whoami', { token }),
    done: [200],
    recorded: slid,
    holds: stays,
  },
  'authorize, a check that extends the token': {
    call: (service, { token }) => endOf(authorized(service, token)),
    done: [200],
    recorded: slid,
    holds: stays,
  },
  'authorize, of a temporary token': {
    call: (service, { temporary }) => endOf(authorized(service, temporary)),
    done: [200],
    holds: unchanged,
  },
  exchange: {
    call: (service, { key }) => service.exchange(key),
    done: [200],
    holds: stays,
  },
  "exchange of an issuer's token, accepted once": {
    call: (service, world) =>
      service.call('POST', '/oauth/token', {
        form: subjectForm(world.trusting, subjectOf(world)),
      }),
    // If a response with a token is lost, the service must not return that token again.
    done: [200, 400],
    holds: async (world) =>
      expect([await count(world, 'SUBJECT#'), await count(world, 'TOKEN#')]).toEqual([1, 2]),
  },
  introspection: {
    call: (service, { key, token }) =>
      service.call('POST', '/oauth/introspect', { basic: [key.id, key.secret], form: { token } }),
    done: [200],
    holds: unchanged,
  },
  revocation: {
    call: (service, { key, token }) =>
      service.call('POST', '/oauth/revoke', { basic: [key.id, key.secret], form: { token } }),
    done: [200],
    holds: isDead,
  },
  'report of a leaked secret': {
    call: (service, { key }) => endOf(service.leak(key.secret).then(() => 202)),
    done: [202],
    events: ['api_key.leaked'],
    holds: async (world) => {
      await isDead(world);
      expect(await keyItem(world)).toMatchObject({ enabled: false, epoch: 1, leak: { wasEnabled: true } });
    },
  },
  'report of a leaked token': {
    call: (service, { token }) => endOf(service.leak(token).then(() => 202)),
    done: [202],
    events: ['token.leaked'],
    holds: isDead,
  },
  'registering a Deployment': {
    world: 'unregistered',
    call: (service, { id }) => service.call('PUT', `/deployments/${id}`, { ...admin, json: { name: 'n' } }),
    done: [201, 200],
    events: ['deployment.registered'],
    holds: isNamed('n'),
  },
  'reading a Deployment': {
    call: (service, { id }) => service.call('GET', `/deployments/${id}`, admin),
    done: [200],
    holds: unchanged,
  },
  'listing Deployments': {
    // The cursor points to a position after this Deployment, so that the number of requests is known.
    call: (service, { id }) => service.call('GET', `/deployments?limit=1&cursor=${cursorAt(id)}`, admin),
    done: [200],
    holds: async (world) => {
      const { json } = await faultFree.call(
        'GET',
        `/deployments?limit=1&cursor=${cursorAt(world.id)}`,
        admin,
      );
      expect(json.items.map(({ id }: { id: string }) => id)).toEqual([`${world.id}-next`]);
    },
  },
  'changing a Deployment': {
    call: (service, { id }) =>
      service.call('PUT', `/deployments/${id}`, { ...admin, json: { name: 'changed' } }),
    done: [200],
    events: ['deployment.edited'],
    holds: isNamed('changed'),
  },
  'deleting a Deployment': {
    call: (service, { id }) => service.call('DELETE', `/deployments/${id}`, admin),
    done: [204, 404],
    events: ['deployment.deleted'],
    holds: async (world) => {
      await isDead(world);
      expect(await read(purgeMarkerKey(world.id, world.generation))).toBeDefined();
    },
  },
  "listing a Deployment's events": {
    call: (service, { id }) => service.call('GET', `/deployments/${id}/events`, admin),
    done: [200],
    holds: unchanged,
  },
  'making a key': {
    call: (service, world) =>
      service.call('POST', keysOf(world), { ...admin, json: { name: 'new' }, headers: once }),
    done: [201],
    events: ['api_key.created'],
    holds: async (world) => {
      expect([await count(world, 'KEY#'), await keyCount(world)]).toEqual([3, 3]);
    },
  },
  'listing keys': {
    call: (service, world) => service.call('GET', keysOf(world), admin),
    done: [200],
    holds: unchanged,
  },
  'reading a key': {
    call: (service, world) => service.call('GET', pathOf(world), admin),
    done: [200],
    holds: unchanged,
  },
  'disabling a key': {
    call: (service, world) => service.call('PATCH', pathOf(world), { ...admin, json: { enabled: false } }),
    done: [200],
    events: ['api_key.disabled'],
    holds: async (world) => {
      await isDead(world);
      expect(await keyItem(world)).toMatchObject({ enabled: false, epoch: 1 });
    },
  },
  'rotating a key': {
    call: (service, world) =>
      service.call('POST', `${pathOf(world)}/rotate`, { ...admin, json: { retireOld: 60 }, headers: once }),
    done: [200],
    holds: async (world) => {
      await stays(world);
      expect((await faultFree.exchange(world.key)).status).toBe(200);
      expect((await keyItem(world))?.secrets).toHaveLength(2);
      // The exchange uses the old secret less than 24 hours before that secret retires.
      expect((await events(world)).toSorted()).toEqual(['api_key.rotated', 'api_key.secret_retiring']);
    },
  },
  'rotating a key at once': {
    call: (service, world) =>
      service.call('POST', `${pathOf(world)}/rotate`, {
        ...admin,
        json: { retireOld: 'now' },
        headers: once,
      }),
    done: [200],
    holds: async (world) => {
      await isDead(world);
      expect((await faultFree.exchange(world.key)).status).toBe(401);
      expect(await keyItem(world)).toMatchObject({ epoch: 1, secrets: [{ createdAt: later }] });
    },
  },
  'deleting a key': {
    call: (service, world) => service.call('DELETE', pathOf(world), admin),
    done: [204, 404],
    events: ['api_key.deleted'],
    holds: async (world) => {
      await isDead(world);
      expect([await count(world, 'KEY#'), await keyCount(world)]).toEqual([1, 1]);
    },
  },
  "listing a key's tokens": {
    call: (service, world) => service.call('GET', `${pathOf(world)}/tokens`, admin),
    done: [200],
    holds: unchanged,
  },
  'revoking a token by its ID': {
    call: (service, world) =>
      service.call('DELETE', `${pathOf(world)}/tokens/${tokenIdOf(hashOf(world.token))}`, admin),
    done: [204, 404],
    events: ['token.revoked'],
    holds: isDead,
  },
  'revoking all tokens of a key': {
    call: (service, world) => service.call('DELETE', `${pathOf(world)}/tokens`, admin),
    done: [204],
    holds: async (world) => {
      await isDead(world);
      expect((await faultFree.exchange(world.key)).status).toBe(200);
      expect(new Set(await events(world))).toEqual(new Set(['api_key.tokens_revoked']));
    },
  },
  'making a temporary token': {
    call: (service, world) => service.call('POST', grantsOf(world), { ...admin, json: {}, headers: once }),
    done: [201],
    events: ['temporary_token.issued'],
    holds: async (world) => {
      expect(await count(world, 'GRANT#')).toBe(2);
    },
  },
  'listing temporary tokens': {
    call: (service, world) => service.call('GET', grantsOf(world), admin),
    done: [200],
    holds: unchanged,
  },
  'revoking a temporary token': {
    call: (service, world) => service.call('DELETE', `${grantsOf(world)}/${world.temporaryId}`, admin),
    done: [204, 404],
    events: ['temporary_token.revoked'],
    holds: async (world) => {
      expect(await faultFree.use(world.temporary)).toBe(401);
    },
  },
  'the purge': {
    world: 'deleted',
    call: (service, { id, generation }) => {
      const gone = removal({ pk: `DEPLOYMENT#${id}`, sk: 'DEPLOYMENT' }, generation);
      const purged = purgeFromStream([gone], () => true, service.purge);
      return endOf(purged.then(({ batchItemFailures }) => (batchItemFailures.length === 0 ? 200 : 503)));
    },
    done: [200],
    events: ['deployment.purged'],
    holds: async (world) => {
      expect(await items(world)).toEqual([]);
      expect(await read(purgeMarkerKey(world.id, world.generation))).toBeUndefined();
    },
  },
};

async function authorized(service: InProcess, token: string): Promise<number> {
  const event = httpEvent({ headers: { authorization: `Bearer ${token}` } });
  const answer = await service.authorize(event as never);
  return 'isAuthorized' in answer && answer.isAuthorized ? 200 : 403;
}

const cursorAt = (id: string) => toCursor(['GET /deployments', 'admin'], id);
const sorted = (some: Item[]) => some.sort((a, b) => (String(a.sk) < String(b.sk) ? -1 : 1));

let worlds = 0;
function nextWorld(): World {
  // Text by which the proxy recognises the requests that belong to this test.
  const id = `world-${++worlds}-x`;
  const [ulid, temporaryId] = [newUlid(early), newUlid(early)];
  const key = { id: formatKeyId(id, ulid), secret: mintCredential('secret', id, ulid) } as CreatedKey;
  return {
    id,
    key,
    trusting: formatKeyId(id, newUlid(early)),
    token: mintCredential('token', id, ulid),
    temporary: mintCredential('temporary', id, temporaryId),
    temporaryId,
    generation: newUlid(early),
  };
}

/** The partition of a Deployment with two keys, a token and a temporary token. */
function itemsOf({ id, key, trusting, token, temporary, temporaryId, generation }: World): Item[] {
  const of = { deploymentId: id, generation, createdAt: early };
  const times = { issuedAt: toSeconds(early), expiresAt: expiryAfter(early, DAY) };
  const ulid = key.id.slice(-26);
  const secrets = [{ hash: hashOf(key.secret), createdAt: early }];
  const rules = [{ issuer: ISSUER, claims: { sub: 'pipeline' }, singleUse: true }];
  return [
    toDeployment(records.deployment({ id, generation, keyCount: 2, createdAt: early })),
    toApiKey(records.apiKey({ ...of, ulid, secrets })),
    toApiKey(records.apiKey({ ...of, ulid: trusting.slice(-26), secrets: [], trust: rules })),
    toToken(records.token({ deploymentId: id, generation, ulid, hash: hashOf(token), ...times })),
    toTemporaryToken(
      records.temporaryToken({
        deploymentId: id,
        generation,
        ulid: temporaryId,
        hash: hashOf(temporary),
        ...times,
      }),
    ),
  ];
}

async function newWorld({ world: kind }: Operation): Promise<World> {
  const world = nextWorld();
  const { id, generation } = world;
  if (kind === 'unregistered') return world;
  const all = itemsOf(world);
  const entry = (of: string) =>
    toDirectoryEntry(records.deployment({ id: of, generation, createdAt: early }));
  const written =
    kind === 'deleted'
      ? [...all.slice(1), { ...purgeMarkerKey(id, generation), createdAt: early }]
      : [...all, entry(id), entry(`${id}-next`)];
  const RequestItems = { [faultFree.table.tableName]: written.map((one) => ({ PutRequest: { Item: one } })) };
  await faultFree.table.client.send(new BatchWriteCommand({ RequestItems }));
  return world;
}

/** Makes a call while a fault affects one of its requests, and then repeats the call without a fault. */
async function trial(
  name: string,
  operation: Operation,
  spoiled: InProcess,
  { kind, at, lasts }: { kind: FaultKind; at: number; lasts: boolean },
) {
  const world = await newWorld(operation);
  const fault = proxy.inject(world.id, { kind, at, lasts });
  const began = performance.now();
  const reply = await operation.call(spoiled, world);
  const took = performance.now() - began;
  const label = `${name}, ${kind} ${lasts ? 'from' : 'at'} request ${at} (${fault.operations.join(' ')}): ${reply.status}`;
  await fault.end();

  const isError = [500, 503].includes(reply.status);
  expect(isError || operation.done.includes(reply.status), label).toBe(true);
  // With a permanent fault, a call succeeds only if the fault affects a request that never reaches the engine.
  const isHarmless = kind === 'delay' || (['conflict', 'unprocessed'].includes(kind) && !isError);
  const isRecorded = !isError && operation.recorded !== undefined;
  if (isRecorded) await operation.recorded?.(world);
  if (lasts && !isHarmless && !isRecorded) expect(isError, label).toBe(true);
  if (lasts && !isHarmless && at === 0) expect(isError, label).toBe(true);
  if (reply.status === 503) expect(reply.headers['Retry-After'], label).toBe('1');
  // The time limit applies to waiting. On a busy machine, the calculations themselves take longer.
  expect(took, label).toBeLessThan(15_000);

  // Retries the call without a fault.
  const again = await operation.call(faultFree, world);
  expect(operation.done, `${label}, again`).toContain(again.status);
  await operation.holds(world).catch((error: Error) => {
    error.message = `${label}: ${error.message}`;
    throw error;
  });
  if (operation.events) expect(await events(world), label).toEqual(operation.events);
}

/** Returns the requests that a call makes when there is no fault. */
async function requestsOf(operation: Operation): Promise<string[]> {
  const world = await newWorld(operation);
  const watch = proxy.inject(world.id);
  const { status } = await operation.call(spoiledBy('delay'), world);
  await watch.end();
  expect(status).toBe(operation.done[0]);
  return watch.operations;
}

/** Runs several tasks at a time, because the tasks spend most of their time waiting. */
async function inParallel(trials: (() => Promise<unknown>)[]): Promise<void> {
  const worker = async () => {
    for (let next = trials.pop(); next; next = trials.pop()) await next();
  };
  await Promise.all(Array.from({ length: 12 }, worker));
}

/** Only transactions can conflict, and only batches can leave items unprocessed. */
function canHappen(kind: FaultKind, request: string): boolean {
  if (kind === 'conflict') return request === 'TransactWriteItems';
  return kind !== 'unprocessed' || request.startsWith('Batch');
}

const requests = new Map<string, string[]>();
for (const [name, operation] of Object.entries(OPERATIONS)) requests.set(name, await requestsOf(operation));

describe('A call fails closed if any of its DynamoDB requests fails', () => {
  it.each(FAULTS)(
    'with the fault %s, a call fails closed or succeeds in time, and a retry completes the operation',
    { timeout: 60_000 },
    async (kind) => {
      const spoiled = spoiledBy(kind);
      const trials = Object.entries(OPERATIONS).flatMap(([name, operation]) =>
        (requests.get(name) ?? []).flatMap((request, at) =>
          [true, false]
            .filter(() => canHappen(kind, request))
            .map((lasts) => () => trial(name, operation, spoiled, { kind, at, lasts })),
        ),
      );
      expect(trials.length).toBeGreaterThan(20);
      await inParallel([...someOf(trials)]);
    },
  );

  it.each(Object.keys(OPERATIONS))('every tested call makes at least one request to DynamoDB: %s', (name) => {
    expect(requests.get(name)).not.toEqual([]);
  });
});
