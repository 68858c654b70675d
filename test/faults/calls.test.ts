import { afterAll, describe, expect, it } from 'vitest';
import { purgeFromStream } from '../../functions/handlers/purge.ts';
import { FAULTS, type FaultKind, startFaultProxy } from '../support/fault-proxy.ts';
import { type InProcess, inProcess, type Reply, removal, startTable } from '../support/in-process.ts';
import type { CreatedKey } from '../support/stack.ts';

/**
 * Each call and the purge, under each fault, at each point where a request goes to DynamoDB: once as a hiccup that hits one
 * request, once as an outage that begins there. Nobody may be let in, and the same call, made again when
 * all is well, must find or finish what it began.
 */
const engine = await startTable();
const proxy = await startFaultProxy(engine.endpoint);
afterAll(async () => {
  await proxy.stop();
  await engine.stop();
});
/** Prepares, an hour before; then looks, and makes the retries. Nothing happens to these two. */
const early = inProcess(engine);
const calm = inProcess(engine);
/** Two attempts, short ones: what counts is what happens when they are used up. */
const spoiled = inProcess(engine, {
  endpoint: proxy.endpoint,
  patience: { attemptTimeout: 400, attempts: 2 },
});
/** A check at this time has to slide. */
const later = early.time.now + 3_600_000;
calm.time.now = later;
spoiled.time.now = later;

interface World {
  id: string;
  key: CreatedKey;
  token: string;
  generation: string;
  keyItem: Record<string, unknown>;
}

interface Operation {
  call: (service: InProcess, world: World) => Promise<Reply>;
  /** What it answers when all is well, and what a second time. */
  done: number[];
  /** What must be recorded before it may answer 2xx, and a fault that touches nothing of it is none. */
  recorded?: (world: World) => Promise<void>;
  /** What must hold after it was made again with success. */
  holds: (world: World) => Promise<void>;
}

const admin = { as: 'admin' };
const once = { 'idempotency-key': 'once' };
const keyCount = async ({ id }: World) =>
  (await calm.partition(`DEPLOYMENT#${id}`)).find(({ sk }) => sk === 'DEPLOYMENT')?.keyCount;
const count = async ({ id }: World, prefix: string) =>
  (await calm.partition(`DEPLOYMENT#${id}`)).filter(({ sk }) => String(sk).startsWith(prefix)).length;
const stays = async (world: World) => {
  expect(await calm.use(world.token)).toBe(200);
};
const isDead = async (world: World) => {
  expect(await calm.use(world.token)).toBe(401);
};

const OPERATIONS: Record<string, Operation> = {
  'check that slides': {
    call: (service, { token }) => service.call('GET', '/whoami', { token }),
    done: [200],
    recorded: async ({ id }) => {
      const items = await calm.partition(`DEPLOYMENT#${id}`);
      const expiresAt = Number(items.find(({ sk }) => String(sk).startsWith('TOKEN#'))?.expiresAt);
      expect(expiresAt).toBe(Math.ceil(later / 1000) + 86_400 + 300);
    },
    holds: stays,
  },
  exchange: {
    call: (service, { key }) => service.exchange(key),
    done: [200],
    holds: stays,
  },
  introspection: {
    call: (service, { key, token }) =>
      service.call('POST', '/oauth/introspect', { basic: [key.id, key.secret], form: { token } }),
    done: [200],
    holds: stays,
  },
  revocation: {
    call: (service, { key, token }) =>
      service.call('POST', '/oauth/revoke', { basic: [key.id, key.secret], form: { token } }),
    done: [200],
    holds: isDead,
  },
  'making a key': {
    call: (service, { id }) =>
      service.call('POST', `/deployments/${id}/api-keys`, { ...admin, json: { name: 'new' }, headers: once }),
    done: [201],
    holds: async (world) => {
      expect(await count(world, 'KEY#')).toBe(2);
      expect(await keyCount(world)).toBe(2);
    },
  },
  'making a temporary token': {
    call: (service, { id }) =>
      service.call('POST', `/deployments/${id}/temporary-tokens`, { ...admin, json: {}, headers: once }),
    done: [201],
    holds: async (world) => expect(await count(world, 'GRANT#')).toBe(1),
  },
  'listing keys': {
    call: (service, { id }) => service.call('GET', `/deployments/${id}/api-keys`, admin),
    done: [200],
    holds: stays,
  },
  'disabling a key': {
    call: (service, { id, key }) =>
      service.call('PATCH', `/deployments/${id}/api-keys/${key.id}`, { ...admin, json: { enabled: false } }),
    done: [200],
    holds: async (world) => {
      await isDead(world);
      const items = await calm.partition(`DEPLOYMENT#${world.id}`);
      expect(items.find(({ sk }) => sk === world.keyItem.sk)).toMatchObject({ enabled: false, epoch: 1 });
    },
  },
  'deleting a key': {
    call: (service, { id, key }) => service.call('DELETE', `/deployments/${id}/api-keys/${key.id}`, admin),
    done: [204, 404],
    holds: async (world) => {
      await isDead(world);
      expect(await count(world, 'KEY#')).toBe(0);
      expect(await keyCount(world)).toBe(0);
    },
  },
  'changing a Deployment': {
    call: (service, { id }) =>
      service.call('PUT', `/deployments/${id}`, { ...admin, json: { name: 'changed' } }),
    done: [200],
    holds: async ({ id }) => {
      const one = await calm.call('GET', `/deployments/${id}`, admin);
      const entry = (await calm.partition('DEPLOYMENTS')).find(({ sk }) => sk === id);
      expect([one.json.name, entry?.name]).toEqual(['changed', 'changed']);
    },
  },
  'deleting a Deployment': {
    call: (service, { id }) => service.call('DELETE', `/deployments/${id}`, admin),
    done: [204, 404],
    holds: async (world) => {
      await isDead(world);
      const markers = (await calm.partition('PURGES')).filter(({ sk }) =>
        String(sk).startsWith(`${world.id}#`),
      );
      expect(markers).toHaveLength(1);
    },
  },
  'the purge': {
    call: async (service, { id, generation }) => {
      const gone = removal({ pk: `DEPLOYMENT#${id}`, sk: 'DEPLOYMENT' }, generation);
      const { batchItemFailures } = await purgeFromStream([gone], () => true, service.purge);
      const isDone = batchItemFailures.length === 0;
      return { status: isDone ? 200 : 503, headers: { 'Retry-After': '1' }, text: '', json: undefined };
    },
    done: [200],
    holds: async ({ id }) => {
      expect(await calm.partition(`DEPLOYMENT#${id}`)).toEqual([]);
      const markers = (await calm.partition('PURGES')).filter(({ sk }) => String(sk).startsWith(`${id}#`));
      expect(markers).toEqual([]);
    },
  },
};

let worlds = 0;
async function newWorld(name: string): Promise<World> {
  const id = `w${++worlds}x`;
  await early.register(id);
  const key = await early.makeKey(id);
  const token = await early.swap(key);
  const items = await calm.partition(`DEPLOYMENT#${id}`);
  const generation = String(items.find(({ sk }) => sk === 'DEPLOYMENT')?.generation);
  const keyItem = items.find(({ sk }) => String(sk).startsWith('KEY#')) ?? {};
  if (name === 'the purge') await calm.call('DELETE', `/deployments/${id}`, admin);
  return { id, key, token, generation, keyItem };
}

/** Makes the call with the fault at one point; then again when all is well. */
async function trial(name: string, operation: Operation, kind: FaultKind, at: number, lasts: boolean) {
  const world = await newWorld(name);
  const fault = proxy.inject(`DEPLOYMENT#${world.id}"`, { kind, at, lasts });
  const began = performance.now();
  const reply = await operation.call(spoiled, world);
  const took = performance.now() - began;
  const label = `${name}, ${kind} ${lasts ? 'from' : 'at'} request ${at} (${fault.operations.join(' ')}): ${reply.status}`;
  fault.end();

  const isError = [500, 503].includes(reply.status);
  expect(isError || operation.done.includes(reply.status), label).toBe(true);
  // A fault that stays is never answered as if all were well; one that the engine never saw is no fault.
  const isHarmless = kind === 'delay' || (['conflict', 'unprocessed'].includes(kind) && !isError);
  const isRecorded = !isError && operation.recorded !== undefined;
  if (isRecorded) await operation.recorded?.(world);
  if (lasts && !isHarmless && !isRecorded) expect(isError, label).toBe(true);
  if (lasts && !isHarmless && at === 0) expect(isError, label).toBe(true);
  if (reply.status === 503) expect(reply.headers['Retry-After'], label).toBe('1');
  // The purge waits longer for what stays unprocessed: nobody waits for it, and it has a minute.
  expect(took, label).toBeLessThan(name === 'the purge' ? 20_000 : 5000);

  // The retry.
  const again = await operation.call(calm, world);
  expect(operation.done, `${label}, again`).toContain(again.status);
  await operation.holds(world).catch((error: Error) => {
    error.message = `${label}: ${error.message}`;
    throw error;
  });
  return { isError };
}

/** How many requests the call makes when all is well. */
async function requestsOf(name: string, operation: Operation): Promise<number> {
  const world = await newWorld(name);
  const watch = proxy.inject(`DEPLOYMENT#${world.id}"`);
  const { status } = await operation.call(spoiled, world);
  watch.end();
  expect(status).toBe(operation.done[0]);
  return watch.operations.length;
}

/** A few at a time: they wait more than they work. */
async function inParallel(trials: (() => Promise<unknown>)[]): Promise<void> {
  const worker = async () => {
    for (let next = trials.pop(); next; next = trials.pop()) await next();
  };
  await Promise.all(Array.from({ length: 8 }, worker));
}

const points = new Map<string, number>();
for (const [name, operation] of Object.entries(OPERATIONS))
  points.set(name, await requestsOf(name, operation));

describe('each call and the purge, at each of its requests to DynamoDB', () => {
  it.each(FAULTS)(
    '%s: refuses or succeeds in time, and a retry finds or finishes it',
    { timeout: 60_000 },
    async (kind) => {
      const trials = Object.entries(OPERATIONS).flatMap(([name, operation]) =>
        Array.from({ length: points.get(name) ?? 0 }, (_, at) => at).flatMap((at) =>
          [true, false].map((lasts) => () => trial(name, operation, kind, at, lasts)),
        ),
      );
      expect(trials.length).toBeGreaterThan(40);
      await inParallel(trials);
    },
  );
});
