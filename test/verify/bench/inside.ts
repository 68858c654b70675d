import { parseToken } from '../../../functions/domain/check.ts';
import { formatKeyId, hashOf, mintCredential, newUlid } from '../../../functions/domain/credentials.ts';
import { newEvent } from '../../../functions/domain/events.ts';
import { expiryAfter, toSeconds } from '../../../functions/domain/expiry.ts';
import { purgeFromStream } from '../../../functions/jobs/purge.ts';
import * as ENV from '../../../functions/runtime/env.ts';
import { CHECKED_ATTRIBUTES } from '../../../functions/table/checks.ts';
import { deleteDeployment, listOfGroups } from '../../../functions/table/deployments.ts';
import { httpsTransport } from '../../../functions/table/https-transport.ts';
import { deleteApiKey, editApiKey } from '../../../functions/table/keys.ts';
import { GROUPS_PASS, haveGroupEntries, writePassProgress } from '../../../functions/table/reconcile.ts';
import { CALL_RETRIES, CHECK_RETRIES, type Table } from '../../../functions/table/retried-calls.ts';
import {
  checkedKeys,
  fromApiKey,
  type Item,
  toDirectoryEntry,
  toGroupEntries,
  toToken,
} from '../../../functions/table/schema.ts';
import { sdkTransport } from '../../../functions/table/sdk-transport.ts';
import { deleteToken } from '../../../functions/table/tokens.ts';
import { startEngine } from '../../support/engine.ts';
import { startMeter } from '../../support/meter.ts';
import { median, push } from './numbers.ts';
import { betterAuth } from './peers.ts';
import type { AsFunctions } from './report.ts';
import {
  apiEvent,
  authorizerEvent,
  authorizerOn,
  builtEntries,
  createBenchTable,
  DAY,
  functionEnvironment,
  handlerOf,
  lambdaContext,
  putAll,
  rawCaller,
  seed,
  TABLE,
} from './setup.ts';

/**
 * Runs a measurement in this process, without HTTP, on its own engine. The process that creates tables must be the one
 * that stops the engine, because stopping removes them. Sends the figures to the parent process. Arguments: the name of
 * the measurement, and the sizes as JSON.
 */
const [, , name = '', given = '{}'] = process.argv;
const size = JSON.parse(given) as {
  passes: number;
  calls: number;
  tables: number[];
  purged: number;
  tries: number;
};
const engine = await startEngine();
const { endpoint } = engine;
await createBenchTable(endpoint);
Object.assign(process.env, functionEnvironment(endpoint));
const entries = builtEntries.slice(builtEntries.indexOf('.build'));

type Check = (event: unknown) => Promise<unknown>;

/**
 * Makes `count` calls, `connections` at a time.
 * @returns CPU time per call in microseconds, and calls per second
 */
async function run(call: (n: number) => Promise<unknown>, count: number, connections = 1) {
  const cpu = process.cpuUsage();
  const begin = performance.now();
  let left = count;
  await Promise.all(
    Array.from({ length: connections }, async () => {
      while (left-- > 0) await call(left);
    }),
  );
  const { user, system } = process.cpuUsage(cpu);
  return { cpu: (user + system) / count, rate: (count / (performance.now() - begin)) * 1000 };
}

const allowed = async (check: Check, token: string) =>
  ((await check(authorizerEvent(token))) as { isAuthorized: boolean }).isAuthorized;

async function mustAllow(check: Check, token: string) {
  if (!(await allowed(check, token))) throw new Error('the check does not allow');
}

function https() {
  const env = functionEnvironment(endpoint);
  const {
    AWS_REGION: region = '',
    AWS_ACCESS_KEY_ID: accessKeyId = '',
    AWS_SECRET_ACCESS_KEY: secretAccessKey = '',
    AWS_SESSION_TOKEN: sessionToken,
  } = env;
  return httpsTransport({ region, accessKeyId, secretAccessKey, sessionToken, endpoint });
}

/** Returns a function that makes only the BatchGetItem call of a check. */
function bareRead(token: string) {
  const port = https();
  const credential = parseToken(token);
  if (!credential) throw new Error('no token');
  const request = {
    Keys: Object.values(checkedKeys(credential, hashOf(token))),
    ConsistentRead: true,
    ...CHECKED_ATTRIBUTES,
  };
  return () => port('BatchGetItem', { RequestItems: { [TABLE]: request } }, CHECK_RETRIES.attemptTimeout);
}

/**
 * Returns an authorizer whose clock advances one second at each read. When each of the 64 tokens has been used once,
 * every further check extends its token.
 */
function everySliding(): Check {
  const { now: real } = Date;
  let now = real();
  Date.now = () => {
    now += 1000;
    return now;
  };
  process.env[ENV.slideInterval] = '60';
  const check = authorizerOn(TABLE);
  Date.now = real;
  return check;
}

const table = (port = sdkTransport()): Table => ({
  port,
  tableName: TABLE,
  retryPolicy: CALL_RETRIES,
  onMalformed: () => {},
});

const measures: Record<string, () => Promise<unknown>> = {
  /** Measures the CPU time of the whole handler, and of the same handler with the AWS SDK. */
  cpu: async () => {
    const { tokens } = await seed(endpoint, 'cpu', { keys: 1, tokens: 64 });
    const handlers = { https: handlerOf('authorize'), sdk: handlerOf('sdk-authorize', entries) };
    const passes: { https: number; sdk: number }[] = [];
    for (let pass = 0; pass <= size.passes; pass++) {
      const cpu = { https: 0, sdk: 0 };
      for (const [which, check] of Object.entries(handlers)) {
        await mustAllow(check, tokens[0] as string);
        cpu[which as keyof typeof cpu] = (
          await run((n) => check(authorizerEvent(tokens[n % 64] as string)), size.calls)
        ).cpu;
      }
      // The first pass is a warm-up.
      if (pass > 0) passes.push(cpu);
    }
    return passes;
  },

  /**
   * Measures calls per second without HTTP, 32 at a time, as Lambda calls a handler and an application calls
   * better-auth. Compares checks with better-auth's verification of a key, and exchanges with its creation of a key.
   */
  asFunctions: async () => {
    const now = Date.now();
    const { tokens } = await seed(endpoint, 'calls', { keys: 1, tokens: 64, now });
    const extensions = await seed(endpoint, 'extensions', { keys: 1, tokens: 64, now: now - 3_600_000 });
    const exchanges = await seed(endpoint, 'exchanges', { keys: 16, tokens: 0, now });
    const check = handlerOf('authorize');
    const issue = handlerOf('issue-token');
    const sliding = everySliding();
    const { auth, create } = await betterAuth();
    const keys = await Promise.all(Array.from({ length: 64 }, create));
    const forms = exchanges.keys.map(({ ulid, secret }) => {
      const basic = Buffer.from(`${formatKeyId(exchanges.id, ulid)}:${secret}`).toString('base64');
      return apiEvent('POST /oauth/token', {
        body: 'grant_type=client_credentials',
        headers: { authorization: `Basic ${basic}`, 'content-type': 'application/x-www-form-urlencoded' },
      });
    });
    const calls: Record<keyof AsFunctions, (n: number) => Promise<boolean>> = {
      check: (n) => allowed(check, tokens[n % 64] as string),
      sliding: (n) => allowed(sliding, extensions.tokens[n % 64] as string),
      verify: async (n) =>
        (await auth.api.verifyApiKey({ body: { key: keys[n % 64]?.key as string } })).valid,
      exchange: async (n) =>
        ((await issue(forms[n % 16], lambdaContext)) as { statusCode: number }).statusCode === 200,
      create: async () => Boolean((await create()).key),
    };
    const passes: AsFunctions[] = [];
    for (let pass = 0; pass <= 2 * size.passes; pass++) {
      const rates: Partial<AsFunctions> = {};
      for (const [what, call] of Object.entries(calls) as [
        keyof AsFunctions,
        (n: number) => Promise<boolean>,
      ][]) {
        const good = async (n: number) => {
          if (!(await call(n))) throw new Error(`${what} does not succeed`);
        };
        rates[what] = (await run(good, 2 * size.calls, 32)).rate;
      }
      if (pass > 0) passes.push(rates as AsFunctions);
    }
    return passes;
  },

  /** Measures the median latency of a check, and of only its read with the same client, in turns. */
  latency: async () => {
    const { tokens } = await seed(endpoint, 'latency', { keys: 1, tokens: 1 });
    const token = tokens[0] as string;
    const check = handlerOf('authorize');
    const bare = bareRead(token);
    await mustAllow(check, token);
    const passes: { check: number; bare: number }[] = [];
    for (let pass = 0; pass <= size.passes; pass++) {
      const times = { check: [] as number[], bare: [] as number[] };
      for (let n = 0; n < size.calls; n++) {
        const begin = performance.now();
        await check(authorizerEvent(token));
        const between = performance.now();
        await bare();
        times.check.push(between - begin);
        times.bare.push(performance.now() - between);
      }
      if (pass > 0) passes.push({ check: median(times.check), bare: median(times.bare) });
    }
    return passes;
  },

  /** Measures the capacity units of a check, as the engine reports them. */
  units: async () => {
    const meter = await startMeter(endpoint);
    const { tokens } = await seed(endpoint, 'units', { keys: 1, tokens: 2 });
    const [token, other] = tokens as [string, string];
    process.env.AWS_ENDPOINT_URL_DYNAMODB = meter.endpoint;
    let now = Date.now();
    Date.now = () => now;
    const check = handlerOf('authorize');
    const cost = async (one: string) => {
      await mustAllow(check, one);
      const { read, written } = meter.take();
      return [read, written];
    };
    const notDue = await cost(token);
    now += 3_600_000;
    // The first use of a key in a slide interval also updates the key.
    return { notDue, dueAndRecorded: await cost(token), due: await cost(other) };
  },

  /** Measures the read units of a member's listing of 3 Deployments, for a person in one group and in ten groups. */
  listing: async () => {
    const deployments = size.tables[1] ?? 1000;
    const meter = await startMeter(endpoint);
    await putAll(endpoint, TABLE, manyDeployments(deployments));
    process.env.AWS_ENDPOINT_URL_DYNAMODB = meter.endpoint;
    const ours = table();
    await writePassProgress(ours, GROUPS_PASS, { startedAt: Date.now(), after: undefined });
    meter.take();
    const cost = async (groups: string[]) => {
      if (!(await haveGroupEntries(ours))) throw new Error('the listing reads the directory');
      const { items } = await listOfGroups(ours, groups, { after: undefined, limit: 100 });
      if (items.length !== 3) throw new Error(`listed ${items.length} Deployments`);
      return meter.take().read;
    };
    const others = Array.from({ length: 9 }, (_, n) => `other-${n}`);
    const units = { one: await cost(['team-0']), ten: await cost(['team-0', ...others]) };
    await meter.stop();
    return { deployments, ...units };
  },

  /** Measures checks with tables of several sizes, and in a Deployment with 1,000 keys, in turns. */
  growth: async () => {
    const subjects: { name: string; check: Check; tokens: string[] }[] = [];
    for (const items of size.tables) {
      const tableName = `tokens-${items}`;
      await createBenchTable(endpoint, tableName);
      await putAll(endpoint, tableName, otherTokens(items));
      const { tokens } = await seed(endpoint, 'growth', { keys: 1, tokens: 1000, tableName });
      subjects.push({ name: `${items.toLocaleString('en')} tokens`, check: authorizerOn(tableName), tokens });
    }
    const tableName = 'many-keys';
    await createBenchTable(endpoint, tableName);
    const { tokens } = await seed(endpoint, 'growth', { keys: 1000, tokens: 1000, tableName });
    subjects.push({ name: 'a Deployment with 1,000 keys', check: authorizerOn(tableName), tokens });
    const rates: Record<string, number[]> = {};
    for (let pass = 0; pass <= 4 * size.passes; pass++) {
      for (const { name: subject, check: one, tokens: all } of subjects) {
        await mustAllow(one, all[0] as string);
        const { rate } = await run(
          (n) => one(authorizerEvent(all[(n * 7) % 1000] as string)),
          size.calls,
          32,
        );
        if (pass > 0) push(rates, subject, rate);
      }
    }
    return rates;
  },

  /** Measures how many items the purge deletes per second, and how many the engine can delete in plain batches. */
  purge: async () => {
    const passes: { purge: number; raw: number; memory: number }[] = [];
    const ours = table();
    for (let pass = 0; pass <= size.passes; pass++) {
      const raw = Math.max(
        ...[
          await rawDeletes(`raw-${pass}-1`, 1),
          await rawDeletes(`raw-${pass}-4`, 4),
          await rawDeletes(`raw-${pass}-8`, 8),
        ],
      );
      const id = `purged-${pass}`;
      const { generation } = await seed(endpoint, id, { keys: 1, tokens: size.purged });
      const deployment = { id, generation, name: '', groups: [], keyCount: 1, createdAt: 0 };
      const actor = { principal: 'bench', type: 'person' as const, address: '192.0.2.1', requestId: '' };
      await deleteDeployment(ours, deployment, newEvent('deployment.deleted', deployment, actor, Date.now()));
      const before = process.memoryUsage().heapUsed;
      const begin = performance.now();
      let deleted = 0;
      const removal = {
        eventName: 'REMOVE' as const,
        dynamodb: {
          Keys: { pk: { S: `DEPLOYMENT#${id}` }, sk: { S: 'DEPLOYMENT' } },
          OldImage: { generation: { S: generation } },
          SequenceNumber: '1',
        },
      };
      const result = await purgeFromStream([removal], () => true, {
        table: ours,
        clock: Date.now,
        defer: async () => {},
        report: (outcome) => {
          if ('deleted' in outcome) deleted = outcome.deleted;
        },
      });
      if (result.batchItemFailures.length > 0) throw new Error('the purge failed');
      if (deleted < size.purged) throw new Error(`the purge deleted ${deleted} items`);
      const rate = (size.purged / (performance.now() - begin)) * 1000;
      if (pass > 0) passes.push({ purge: rate, raw, memory: process.memoryUsage().heapUsed - before });
    }
    return passes;
  },

  /**
   * Revokes access in each possible way while checks are running, and counts the checks that are allowed after the
   * revocation was confirmed.
   */
  deletes: async () => {
    const ours = table();
    const overHttps = table(https());
    const check = handlerOf('authorize');
    let [tries, accepted, before] = [0, 0, 0];
    for (let round = 0; tries < size.tries; round++) {
      const { id, generation, keys, tokens } = await seed(endpoint, `ends-${round}`, { keys: 1, tokens: 4 });
      const deployment = { id, generation, name: '', groups: [], keyCount: 1, createdAt: 0 };
      const key = fromApiKey(keys[0]?.item);
      if (!key) throw new Error('no key');
      const actor = { principal: 'bench', type: 'person' as const, address: '192.0.2.1', requestId: '' };
      const event = newEvent('api_key.deleted', deployment, actor, Date.now());
      const ends = [
        () => deleteApiKey(ours, deployment, key.ulid, event),
        () => editApiKey(ours, { ...key, enabled: false, epoch: 1, revision: 1 }, event),
        () => deleteDeployment(ours, deployment, event),
        () =>
          Promise.all(
            tokens.map((token) =>
              deleteToken(overHttps, { deploymentId: id, ulid: key.ulid, hash: hashOf(token) }),
            ),
          ),
      ];
      let ended = false;
      const underWay = tokens.map(async (token) => {
        while (!ended) before += (await allowed(check, token)) ? 1 : 0;
      });
      const acknowledged = await ends[round % ends.length]?.();
      if (acknowledged === false) throw new Error('nothing was ended');
      const after = await Promise.all(
        Array.from({ length: 100 }, (_, n) => allowed(check, tokens[n % 4] as string)),
      );
      ended = true;
      await Promise.all(underWay);
      tries += after.length;
      accepted += after.filter(Boolean).length;
    }
    return { tries, accepted, before };
  },
};

function* otherTokens(count: number): Generator<Item> {
  const now = Date.now();
  const generation = newUlid(now);
  for (let n = 0; n < count; n++) {
    yield toToken({
      deploymentId: `other-${n % 100}`,
      ulid: generation,
      hash: Buffer.from(`${n}`.padEnd(32, 'x')).toString('base64url'),
      generation,
      epoch: 0,
      issuedAt: toSeconds(now),
      expiresAt: expiryAfter(now, DAY),
    });
  }
}

async function rawDeletes(id: string, connections: number): Promise<number> {
  const { keys } = await seed(endpoint, id, { keys: 1, tokens: 0 });
  const ulid = keys[0]?.ulid as string;
  const items = Array.from({ length: size.purged }, () =>
    toToken({
      deploymentId: id,
      ulid,
      hash: hashOf(mintCredential('token', id, ulid)),
      generation: ulid,
      epoch: 0,
      issuedAt: toSeconds(0),
      expiresAt: toSeconds(0),
    }),
  );
  await putAll(endpoint, TABLE, items);
  const bodies: string[] = [];
  for (let at = 0; at < items.length; at += 25) {
    const requests = items
      .slice(at, at + 25)
      .map(({ pk, sk }) => ({ DeleteRequest: { Key: { pk: { S: pk }, sk: { S: sk } } } }));
    bodies.push(JSON.stringify({ RequestItems: { [TABLE]: requests } }));
  }
  const call = rawCaller(endpoint);
  const begin = performance.now();
  await Promise.all(
    Array.from({ length: connections }, async () => {
      for (let body = bodies.pop(); body; body = bodies.pop()) await call('BatchWriteItem', body);
    }),
  );
  return (items.length / (performance.now() - begin)) * 1000;
}

const measure = measures[name];
if (!measure) throw new Error(`There is no measure named ${name}.`);
const figures = await measure().finally(engine.stop);
process.send?.(figures, () => process.exit());

/** Returns the entries of many Deployments in the directory and in groups, with three Deployments in each group. */
function* manyDeployments(count: number): Generator<Item> {
  const teams = Math.ceil(count / 3);
  const generation = newUlid(Date.now());
  for (let n = 0; n < count; n++) {
    const one = {
      id: `many-${n}`,
      name: 'Many',
      groups: [`team-${n % teams}`],
      generation,
      keyCount: 0,
      createdAt: 0,
    };
    yield toDirectoryEntry(one);
    yield* toGroupEntries(one);
  }
}
