import { createHash } from 'node:crypto';
import type { DynamoDBRecord } from 'aws-lambda';
import fc from 'fast-check';
import type { KeyPolicy } from '../../functions/domain/key-policy.ts';
import { purgeFromQueue, purgeFromStream, sweepMarkers } from '../../functions/jobs/purge.ts';
import type { Engine } from '../support/engine.ts';
import { DAY, type InProcess, inProcess, must, type Reply, removal } from '../support/in-process.ts';

/**
 * A minimal model of the service. Random commands must give the same results with the model and the real service. Times
 * are in epoch milliseconds. A token that was denied once stays denied forever, which covers the guarantees G3 and G5.
 */
export interface Model {
  generations: Generation[];
  keys: Key[];
  tokens: Token[];
  temporaryTokens: TemporaryToken[];
  people: Person[];
  /** The resource that each Idempotency-Key has created. */
  made: Map<string, { body: string; id: string; at: number }>;
}
interface Generation {
  id: string;
  ended: boolean;
}
interface Key {
  generation: Generation;
  id: string;
  /** Undefined if the response that contained the secret was lost. */
  secret: string | undefined;
  enabled: boolean;
  epoch: number;
  validUntil: number | undefined;
  createdAt: number;
  /** Time of the key's creation or last rotation. The policy's limit counts from this time. */
  secretAt: number;
  deleted: boolean;
  /** Undefined if the administrator created the key. */
  creator: Person | undefined;
  /** The person who received the latest secret. Undefined if the administrator received it. */
  secretSetBy: Person | undefined;
  /** Time at which the administrator last enabled the key. */
  enabledAt: number;
}
/** A person whose access can be ended. */
interface Person {
  sub: string;
  /** Time at which the person's access was last ended; -Infinity if it never was. */
  endedAt: number;
  blocked: boolean;
  /** The kind of the unfinished job that ends the person's access, if any. */
  job: 'report' | 'disable' | undefined;
}
interface Token {
  text: string;
  key: Key;
  epoch: number;
  issuedAt: number;
  usedAt: number;
  isInvalid: boolean;
}
interface TemporaryToken {
  text: string;
  id: string;
  generation: Generation;
  /** Undefined if the administrator holds the temporary token. */
  holder: Person | undefined;
  /** The time of the holder's sign-in in epoch seconds. */
  signedInAt: number;
  issuedAt: number;
  isInvalid: boolean;
}

/**
 * The real service: the handlers and the purge on a database engine, and the stream records that were not delivered
 * yet.
 */
export interface Real {
  service: InProcess;
  /** The policy for keys. Changing this object has the same effect as deploying the stack with new settings. */
  policy: KeyPolicy;
  records: DynamoDBRecord[];
  /** Throws before or after the given call to the table, as if the function crashed there. */
  crash: { in: number; when: 'before' | 'after' } | undefined;
  /** Counts the outcomes that occurred, as evidence that the commands had an effect. */
  seen: Map<string, number>;
}

class CrashError extends Error {}

/**
 * Starts the real service.
 * @param interval slideInterval in seconds
 */
export function realService(
  engine: Engine,
  interval: number,
  maxTokenLifetime?: number,
): Real & { reset: () => void } {
  const policy: KeyPolicy = {};
  const real: Real = {
    policy,
    records: [],
    crash: undefined,
    seen: new Map(),
    service: inProcess(engine, {
      rules: { slideInterval: interval, maxTokenLifetime },
      policy,
      around: (when) => {
        if (!real.crash || when !== real.crash.when) return;
        if (real.crash.in-- > 0) return;
        real.crash = undefined;
        throw new CrashError('crashed');
      },
    }),
  };
  const start = real.service.time.now;
  const reset = () => {
    real.service.time.now = start;
    real.records = [];
    Object.assign(policy, { maxKeyDays: undefined, keysWithSecrets: undefined });
    real.service.deferred.length = 0;
    real.service.jobs.length = 0;
    real.crash = undefined;
  };
  return Object.assign(real, { reset });
}

const newModel = (run: number): Model => ({
  generations: [0, 1].map((n) => ({ id: `m${run}_${n}`, ended: true })),
  keys: [],
  tokens: [],
  temporaryTokens: [],
  people: ['a', 'b'].map((name) => ({
    sub: `p${run}_${name}`,
    endedAt: Number.NEGATIVE_INFINITY,
    blocked: false,
    job: undefined,
  })),
  made: new Map(),
});

type Verdict = 'valid' | 'invalid' | 'either';

/** Returns the result that a check of this token must have now. */
function verdictOf({ key, ...token }: Token, { time, rules }: InProcess): Verdict {
  const { now } = time;
  const lifetime = rules.tokenLifetime * 1000;
  const isEnded =
    token.isInvalid ||
    key.generation.ended ||
    key.deleted ||
    !key.enabled ||
    token.epoch !== key.epoch ||
    (key.validUntil !== undefined && now >= key.validUntil);
  const cap = rules.maxTokenLifetime;
  const isCapped = cap !== undefined && now >= (Math.floor(token.issuedAt / 1000) + cap) * 1000;
  if (isEnded || isCapped) return 'invalid';
  if (rules.slideInterval === 0)
    return now < Math.ceil((token.usedAt + lifetime) / 1000) * 1000 ? 'valid' : 'invalid';
  if (now < token.usedAt + lifetime) return 'valid';
  return now < token.usedAt + lifetime + (rules.slideInterval + 1) * 1000 ? 'either' : 'invalid';
}

function agree(what: string, expected: Verdict, isAllowed: boolean): void {
  if (expected !== 'either' && isAllowed !== (expected === 'valid')) {
    throw new Error(`${what}: the model says ${expected}, the service ${isAllowed ? 'allows' : 'refuses'}`);
  }
}

const note = (real: Real, what: string) => real.seen.set(what, (real.seen.get(what) ?? 0) + 1);
const admin = { as: 'admin' };
/**
 * The options of a call by the person. The person is an administrator, so that only the end of their access matters.
 */
const as = ({ sub }: Person, signedInAt: number) => ({
  as: sub,
  claims: { groups: ['platform-admins'], auth_time: signedInAt, iat: signedInAt },
});
/** Returns the time of a sign-in in epoch seconds. It is sometimes close to the end of the person's access. */
function signInOf({ endedAt }: Person, { time }: InProcess, n: number): number {
  const now = Math.floor(time.now / 1000);
  const ages = [0, 0, 0, 1, 60, 3600];
  if (endedAt < 0 || roll(n, 2) === 0) return now - pick(ages, roll(n, 11));
  return Math.min(now, Math.floor(endedAt / 1000) + 3 + roll(n, 5));
}
/** Reports whether the service must reject a sign-in. The service tolerates clocks that differ by 5 seconds. */
const isRejected = ({ blocked, endedAt }: Person, signedInAt: number) =>
  blocked || signedInAt * 1000 - endedAt <= 5000;
const keysPath = (generation: Generation) => `/deployments/${generation.id}/api-keys`;
const newKey = (generation: Generation, id: string, secret: string | undefined, now: number): Key => ({
  ...{ generation, id, secret, enabled: true, epoch: 0, validUntil: undefined, deleted: false },
  ...{ createdAt: now, secretAt: now },
  ...{ creator: undefined, secretSetBy: undefined, enabledAt: Number.NEGATIVE_INFINITY },
});
const isThere = (key: Key) => !key.deleted && !key.generation.ended;
const hasExpired = ({ validUntil }: Key, now: number) => validUntil !== undefined && validUntil <= now;
/** Returns the latest expiry that the policy allows for a key; undefined if the policy sets no limit. */
const latestExpiry = ({ secretAt }: Pick<Key, 'secretAt'>, { maxKeyDays }: KeyPolicy) =>
  maxKeyDays === undefined ? undefined : secretAt + maxKeyDays * DAY * 1000;
/** @throws Error if the API does not show the expiry of the model's key */
function sameExpiry({ json: { expiresAt } }: Reply, { validUntil }: Pick<Key, 'validUntil'>): void {
  const shown = expiresAt === undefined ? undefined : Date.parse(expiresAt);
  if (shown !== validUntil) throw new Error(`the key expires at ${expiresAt}, and not at ${validUntil}`);
}
/** The ID under which the API lists an access token: the first 22 characters of the token's hash. */
const tokenIdOf = ({ text }: Token) => createHash('sha256').update(text).digest('base64url').slice(0, 22);

async function checkToken(token: Token, real: Real): Promise<void> {
  const expected = verdictOf(token, real.service);
  const { status } = must(await real.service.call('GET', '/whoami', { token: token.text }), 200, 401);
  agree('check', expected, status === 200);
  note(real, `check ${expected}`);
  if (status === 200) token.usedAt = real.service.time.now;
  else token.isInvalid = true;
}

async function checkTemporaryToken(temporaryToken: TemporaryToken, real: Real): Promise<void> {
  const { service } = real;
  const isUnexpired = service.time.now < Math.ceil(temporaryToken.issuedAt / 1000) * 1000 + DAY * 1000;
  const isHeld = !temporaryToken.holder || !isRejected(temporaryToken.holder, temporaryToken.signedInAt);
  const expected =
    isUnexpired && isHeld && !temporaryToken.isInvalid && !temporaryToken.generation.ended
      ? 'valid'
      : 'invalid';
  const { status } = must(await service.call('GET', '/whoami', { token: temporaryToken.text }), 200, 401);
  agree('check of a temporary token', expected, status === 200);
  if (!isHeld && !temporaryToken.isInvalid) note(real, "check of an ended person's temporary token");
  temporaryToken.isInvalid = status !== 200;
}

/** Runs the jobs, which sometimes crash and run again. A job handles each of the person's keys once. */
async function runJobs(model: Model, real: Real, n: number): Promise<void> {
  const { service } = real;
  const messages = [...service.jobs];
  if (roll(n, 3) === 0) real.crash = { in: roll(n, 13), when: roll(n, 2) === 1 ? 'before' : 'after' };
  await service.findKeys().catch((error: unknown) => {
    if (!(error instanceof CrashError)) throw error;
  });
  real.crash = undefined;
  service.jobs.push(...messages);
  await service.findKeys();
  for (const person of model.people) {
    for (const key of model.keys) {
      const isTheirs = key.creator === person || key.secretSetBy === person;
      const isHeld = person.job === 'disable' && isTheirs && isThere(key);
      if (!isHeld || !key.enabled || key.enabledAt > person.endedAt) continue;
      key.enabled = false;
      key.epoch += 1;
      note(real, 'key disabled by a job');
    }
    person.job = undefined;
  }
}

/** Returns the stream record for the removal of an item. The record contains the item's current generation. */
async function recordOf(real: Real, generation: Generation, sk: string): Promise<DynamoDBRecord | undefined> {
  const pk = `DEPLOYMENT#${generation.id}`;
  const item = (await real.service.partition(pk)).find((one) => one.sk === sk);
  return item && removal({ pk, sk }, String(item.generation), real.records.length + 1);
}

async function deleteWithCrash(
  real: Real,
  generation: Generation,
  sk: string,
  path: string,
  crashes: boolean,
): Promise<Reply> {
  const record = await recordOf(real, generation, sk);
  // The call reads the Deployment, reads the key if the path names one, and writes a transaction. The function crashes
  // before or after that transaction.
  if (crashes)
    real.crash = { in: sk === 'DEPLOYMENT' ? 1 : 2, when: real.records.length % 2 ? 'before' : 'after' };
  let reply = await real.service.call('DELETE', path, admin);
  real.crash = undefined;
  if (crashes) {
    must(reply, 500, 204, 404);
    reply = await real.service.call('DELETE', path, admin);
    must(reply, 204, 404);
  }
  if (record) real.records.push(record);
  return reply;
}

/** A step of a run, with its weight, whether it is currently possible, and its effect on the model and the service. */
interface Step {
  name: string;
  weight: number;
  can?: (model: Model) => boolean;
  run: (model: Model, real: Real, n: number) => Promise<void>;
}

/**
 * Derives a decision from a step's number. The decision is independent of other decisions that are derived from the
 * same number.
 */
const roll = (n: number, sides: number) => (Math.imul(n ^ (sides * 0x9e3779b9), 0x85ebca6b) >>> 16) % sides;
const pick = <T>(list: T[], n: number): T => list[n % list.length] as T;
/**
 * Returns a step that acts on one of the generations, keys, tokens, temporary tokens or people in the model. The step is
 * possible if there is one.
 */
const stepOn = <L extends 'generations' | 'keys' | 'tokens' | 'temporaryTokens' | 'people'>(
  list: L,
  name: string,
  weight: number,
  act: (one: Model[L][number], real: Real, n: number, model: Model) => Promise<void>,
): Step => ({
  name,
  weight,
  can: (model) => model[list].length > 0,
  run: (model, real, n) => act(pick(model[list] as Model[L][number][], n), real, n, model),
});
/** Seconds by which to advance the clock: within a slide interval, by hours, or to the expiry of a token. */
const LEAPS = [1, 7, 61, 299, 300, 301, 3600, 3600, 43_200, 86_100, 86_399, 86_400, 86_700, 86_702];

const STEPS: Step[] = [
  stepOn('generations', 'register', 4, async (generation, real, _, model) => {
    const reply = await real.service.call('PUT', `/deployments/${generation.id}`, { ...admin, json: {} });
    must(reply, generation.ended ? 201 : 200);
    if (generation.ended)
      model.generations[model.generations.indexOf(generation)] = { id: generation.id, ended: false };
  }),
  stepOn('generations', 'delete the Deployment', 1, async (generation, real, n) => {
    const crashes = roll(n, 3) === 0;
    const reply = await deleteWithCrash(
      real,
      generation,
      'DEPLOYMENT',
      `/deployments/${generation.id}`,
      crashes,
    );
    must(reply, generation.ended || crashes ? 404 : 204, crashes ? 204 : 404);
    if (!crashes && (reply.status === 204) === generation.ended)
      throw new Error('a generation ended twice, or not at all');
    generation.ended = true;
  }),
  stepOn('generations', 'create a key', 5, async (generation, real, n, model) => {
    const { now } = real.service.time;
    const validFor = roll(n, 2) === 0 ? 3600 * (1 + roll(n, 30)) : undefined;
    const body = {
      name: 'ci',
      ...(validFor && { expiresAt: new Date(now + validFor * 1000).toISOString() }),
    };
    const creator = roll(n, 3) === 0 ? pick(model.people, roll(n, 9)) : undefined;
    const signedInAt = creator ? signInOf(creator, real.service, n) : 0;
    const caller = creator ? as(creator, signedInAt) : admin;
    const reply = await real.service.call('POST', keysPath(generation), { ...caller, json: body });
    if (creator && isRejected(creator, signedInAt)) return void must(reply, 401);
    if (generation.ended) return void must(reply, 404);
    const { policy } = real;
    const wanted = validFor && now + validFor * 1000;
    const latest = latestExpiry({ secretAt: now }, policy);
    const isForbidden = wanted !== undefined && latest !== undefined && wanted > latest;
    if (policy.keysWithSecrets === false || isForbidden) {
      note(real, 'key forbidden by the policy');
      return void must(reply, 409);
    }
    const { id, secret } = must(reply, 201).json;
    const validUntil = wanted ?? latest;
    sameExpiry(reply, { validUntil });
    model.keys.push({ ...newKey(generation, id, secret, now), validUntil, creator, secretSetBy: creator });
  }),
  stepOn('generations', 'create a key once', 6, async (generation, real, n, model) => {
    const { now } = real.service.time;
    const key = `key-${roll(n, 2)}`;
    const body = { name: `ci ${roll(n, 3)}` };
    const place = `${model.generations.indexOf(generation)} ${key} ${model.keys.length}`;
    const call = () =>
      real.service.call('POST', keysPath(generation), {
        ...admin,
        json: body,
        headers: { 'idempotency-key': key },
      });
    const first = firstCreation(model, `${numberOf(generation)} ${key} `, now);
    const crashes = roll(n, 5) === 0;
    // The call reads the Deployment and the record, and then writes the transaction.
    if (crashes) real.crash = { in: roll(n, 4), when: roll(n, 2) === 1 ? 'before' : 'after' };
    let reply = await call();
    real.crash = undefined;
    if (crashes) {
      must(reply, 500, 201, 404, 409, 422);
      if (reply.status === 500) reply = await call();
    }
    if (generation.ended) return void must(reply, 404);
    // A retry gets the first response, even if the policy has changed in the meantime.
    if (first) return expectRetried(reply, body.name, first, real);
    if (real.policy.keysWithSecrets === false) {
      note(real, 'key forbidden by the policy');
      return void must(reply, 409);
    }
    must(reply, 201);
    const { id, secret } = reply.json;
    if (!secret && !crashes) throw new Error('a key without its secret');
    model.made.set(`${numberOf(generation)} ${key} ${place}`, { body: body.name, id, at: now });
    model.keys.push({
      ...newKey(generation, id, secret, now),
      validUntil: latestExpiry({ secretAt: now }, real.policy),
    });
  }),
  stepOn('keys', 'exchange', 8, async (key, real, _, model) => {
    const { now } = real.service.time;
    if (key.secret === undefined) return;
    const reply = await real.service.exchange({ id: key.id, secret: key.secret, scopes: [] });
    const isGood = isThere(key) && key.enabled && !hasExpired(key, now);
    must(reply, isGood ? 200 : 401);
    if (!isGood) return;
    const text = reply.json.access_token;
    model.tokens.push({ text, key, epoch: key.epoch, issuedAt: now, usedAt: now, isInvalid: false });
  }),
  stepOn('tokens', 'check', 20, checkToken),
  stepOn('tokens', 'introspect', 2, async (token, real, _, model) => {
    const { now } = real.service.time;
    const client = model.keys.find(
      (key) =>
        key.generation === token.key.generation &&
        isThere(key) &&
        key.enabled &&
        !hasExpired(key, now) &&
        key.secret !== undefined,
    );
    if (!client?.secret) return;
    const expected = verdictOf(token, real.service);
    const reply = await real.service.call('POST', '/oauth/introspect', {
      basic: [client.id, client.secret],
      form: { token: token.text },
    });
    const { active } = must(reply, 200).json;
    agree('introspection', expected, active);
    // Introspection is not a use, so it does not extend the token. An inactive token never becomes active again.
    if (!active) token.isInvalid = true;
  }),
  {
    name: 'advance',
    weight: 8,
    run: async (_, { service }, n) => {
      service.time.now += pick(LEAPS, n) * 1000 + roll(n, 7) * 143;
    },
  },
  stepOn('keys', 'disable or enable', 2, async (key, real, n) => {
    const enabled = roll(n, 3) !== 0;
    const reply = await real.service.call('PATCH', `${keysPath(key.generation)}/${key.id}`, {
      ...admin,
      json: { enabled },
    });
    must(reply, isThere(key) ? 200 : 404);
    if (!isThere(key)) return;
    if (key.enabled !== enabled) key.epoch += 1;
    if (!key.enabled && enabled) key.enabledAt = real.service.time.now;
    key.enabled = enabled;
  }),
  stepOn('keys', "change a key's expiry", 2, async (key, real, n) => {
    const { now } = real.service.time;
    const validUntil = roll(n, 3) === 0 ? undefined : now + pick(LEAPS, n) * 1000;
    const expiresAt = validUntil === undefined ? null : new Date(validUntil).toISOString();
    const path = `${keysPath(key.generation)}/${key.id}`;
    const reply = await real.service.call('PATCH', path, { ...admin, json: { expiresAt } });
    if (!isThere(key)) return void must(reply, 404);
    const latest = latestExpiry(key, real.policy);
    // The policy does not apply to a value that stays the same.
    const isChange = validUntil === undefined || validUntil !== key.validUntil;
    const isForbidden =
      isChange &&
      latest !== undefined &&
      (latest <= now || (validUntil !== undefined && validUntil > latest));
    must(reply, isForbidden ? 409 : 200);
    if (isForbidden) return void note(real, 'expiry forbidden by the policy');
    const next = validUntil ?? latest;
    if (hasExpired(key, now) && key.validUntil !== next) key.epoch += 1;
    key.validUntil = next;
    sameExpiry(reply, key);
  }),
  stepOn('keys', 'rotate a key with retireOld "now"', 2, async (key, real, n, model) => {
    const { now } = real.service.time;
    const person = roll(n, 3) === 0 ? pick(model.people, roll(n, 9)) : undefined;
    const signedInAt = person ? signInOf(person, real.service, n) : 0;
    const reply = await real.service.call('POST', `${keysPath(key.generation)}/${key.id}/rotate`, {
      ...(person ? as(person, signedInAt) : admin),
      json: { retireOld: 'now' },
    });
    if (person && isRejected(person, signedInAt)) return void must(reply, 401);
    if (!isThere(key)) return void must(reply, 404);
    const was = latestExpiry(key, real.policy);
    const latest = latestExpiry({ secretAt: now }, real.policy);
    if (latest !== undefined && !hasExpired(key, now)) {
      // A rotation extends only keys whose expiry was set by the policy.
      const hasOwn = key.validUntil !== undefined && key.validUntil !== was;
      key.validUntil = hasOwn ? Math.min(Number(key.validUntil), latest) : latest;
    }
    sameExpiry(must(reply, 200), key);
    key.secret = reply.json.secret;
    key.epoch += 1;
    key.secretAt = now;
    key.secretSetBy = person;
  }),
  {
    name: 'change the policy',
    weight: 5,
    run: async (_, { policy }, n) => {
      const rules: KeyPolicy[] = [{}, { maxKeyDays: 1 }, { maxKeyDays: 2 }, { keysWithSecrets: false }];
      Object.assign(policy, { maxKeyDays: undefined, keysWithSecrets: undefined }, pick(rules, n));
    },
  },
  stepOn('keys', "list a key's active tokens", 3, async (key, real, n, model) => {
    const path = `${keysPath(key.generation)}/${key.id}/tokens`;
    const listed = new Set<string>();
    let cursor: string | undefined;
    do {
      const page = `${path}?limit=${1 + roll(n, 3)}${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ''}`;
      const reply = await real.service.call('GET', page, admin);
      if (!isThere(key)) return void must(reply, 404);
      const { items, nextCursor } = must(reply, 200).json;
      for (const { id } of items) listed.add(id);
      cursor = nextCursor;
    } while (cursor);
    for (const token of model.tokens) {
      const id = tokenIdOf(token);
      if (token.key !== key) continue;
      agree('listing of active tokens', verdictOf(token, real.service), listed.delete(id));
      note(real, 'token looked up in a listing');
    }
    if (listed.size > 0) throw new Error('the listing contains a token that the model does not know');
  }),
  stepOn('tokens', 'revoke an active token by its ID', 2, async (token, real) => {
    const { key } = token;
    const id = tokenIdOf(token);
    const path = `${keysPath(key.generation)}/${key.id}/tokens`;
    const short = await real.service.call('DELETE', `${path}/${id.slice(0, 21)}`, admin);
    must(short, 404);
    const { status } = must(await real.service.call('DELETE', `${path}/${id}`, admin), 204, 404);
    agree('revocation by ID', verdictOf(token, real.service), status === 204);
    if (status === 204) note(real, 'token revoked by its ID');
    token.isInvalid = true;
  }),
  stepOn('keys', "revoke all of a key's tokens", 1, async (key, real) => {
    const reply = await real.service.call('DELETE', `${keysPath(key.generation)}/${key.id}/tokens`, admin);
    must(reply, isThere(key) ? 204 : 404);
    if (isThere(key)) key.epoch += 1;
  }),
  stepOn('keys', 'delete a key', 2, async (key, real, n) => {
    const crashes = roll(n, 4) === 0;
    const path = `${keysPath(key.generation)}/${key.id}`;
    const reply = await deleteWithCrash(real, key.generation, `KEY#${key.id.slice(-26)}`, path, crashes);
    if (!crashes) must(reply, isThere(key) ? 204 : 404);
    key.deleted = true;
  }),
  stepOn('tokens', 'revoke a token', 2, async (token, real) => {
    const { key } = token;
    if (key.secret === undefined) return;
    const reply = await real.service.call('POST', '/oauth/revoke', {
      basic: [key.id, key.secret],
      form: { token: token.text },
    });
    must(reply, 200, 401);
    if (reply.status === 200) token.isInvalid = true;
  }),
  stepOn('generations', 'issue a temporary token', 3, async (generation, real, n, model) => {
    const holder = roll(n, 4) === 0 ? undefined : pick(model.people, roll(n, 9));
    const signedInAt = holder ? signInOf(holder, real.service, n) : 0;
    const caller = holder ? as(holder, signedInAt) : admin;
    const path = `/deployments/${generation.id}/temporary-tokens`;
    const reply = await real.service.call('POST', path, { ...caller, json: {} });
    if (holder && isRejected(holder, signedInAt)) return void must(reply, 401);
    must(reply, generation.ended ? 404 : 201);
    if (generation.ended) return;
    const { id, access_token: text } = reply.json;
    const issuedAt = real.service.time.now;
    model.temporaryTokens.push({ text, id, generation, holder, signedInAt, issuedAt, isInvalid: false });
  }),
  stepOn('people', "end a person's access", 3, async (person, real, n) => {
    const { service } = real;
    const [keys, block] = [roll(n, 3) === 0 ? 'report' : 'disable', roll(n, 13) < 4] as const;
    const call = () =>
      service.call('POST', '/people/end-access', { ...admin, json: { sub: person.sub, keys, block } });
    // The call reads the caller's record and the person's record, and then writes the transaction.
    if (roll(n, 4) === 0) real.crash = { in: roll(n, 3), when: roll(n, 2) === 1 ? 'before' : 'after' };
    let reply = await call();
    real.crash = undefined;
    if (reply.status === 500) reply = await call();
    must(reply, 202);
    person.endedAt = Math.max(person.endedAt, service.time.now);
    person.blocked ||= block;
    person.job = person.job === 'disable' ? 'disable' : keys;
  }),
  stepOn('people', "restore a person's access", 1, async (person, real) => {
    must(
      await real.service.call('POST', '/people/restore-access', { ...admin, json: { sub: person.sub } }),
      200,
    );
    person.blocked = false;
  }),
  stepOn('people', 'call with a sign-in', 3, async (person, real, n) => {
    const signedInAt = signInOf(person, real.service, n);
    const { status } = must(
      await real.service.call('GET', '/deployments?limit=1', as(person, signedInAt)),
      200,
      401,
    );
    const isDenied = isRejected(person, signedInAt);
    agree('sign-in', isDenied ? 'invalid' : 'valid', status === 200);
    note(real, isDenied ? 'rejected sign-in' : 'accepted sign-in');
  }),
  {
    name: "run the jobs that handle people's keys",
    weight: 3,
    run: async (model, real, n) => runJobs(model, real, n),
  },
  stepOn('temporaryTokens', 'check a temporary token', 5, checkTemporaryToken),
  stepOn('temporaryTokens', 'revoke a temporary token', 1, async (temporaryToken, real) => {
    const path = `/deployments/${temporaryToken.generation.id}/temporary-tokens/${temporaryToken.id}`;
    must(await real.service.call('DELETE', path, admin), 204, 404);
    temporaryToken.isInvalid = true;
  }),
  {
    name: 'a purge step: any record, again or not, with time or not, crashing or not',
    weight: 5,
    run: async (_, real, n) => {
      const { service, records } = real;
      if (roll(n, 4) === 0) {
        await sweepMarkers(service.purge);
        return;
      }
      const hasTime = () => roll(n, 3) !== 0;
      if (roll(n, 5) === 0) real.crash = { in: roll(n, 9), when: roll(n, 2) === 1 ? 'before' : 'after' };
      const task = roll(n, 2) === 1 ? service.deferred.shift() : undefined;
      if (task) {
        const record = { messageId: 'm', body: JSON.stringify(task) } as never;
        const { batchItemFailures } = await purgeFromQueue([record], hasTime, service.purge);
        if (batchItemFailures.length > 0) service.deferred.push(task);
      } else if (records.length > 0) {
        const record = pick(records, n);
        const { batchItemFailures } = await purgeFromStream([record], hasTime, service.purge);
        const isDelivered = batchItemFailures.length === 0 && roll(n, 6) !== 0;
        if (isDelivered) records.splice(records.indexOf(record), 1);
      }
      real.crash = undefined;
      note(real, 'purge step');
    },
  },
];

/** Returns the creation of a key that a retry would repeat: one under the same name in the last 24 hours. */
const firstCreation = (model: Model, prefix: string, now: number) =>
  [...model.made.entries()].find(
    ([name, { at }]) => name.startsWith(prefix) && now < Math.ceil(at / 1000) * 1000 + DAY * 1000,
  )?.[1];

/** Checks that a retry returned the key of the first call without its secret, or failed because its body differed. */
function expectRetried(reply: Reply, body: string, first: { body: string; id: string }, real: Real): void {
  if (first.body !== body) return void must(reply, 422);
  must(reply, 201);
  if (reply.json.id !== first.id || reply.json.secret) throw new Error('a retry made something');
  note(real, 'replayed');
}

/** A number for each generation of a Deployment. The property names of `made` contain this number. */
const numbers = new WeakMap<Generation, number>();
let lastNumber = 0;
function numberOf(generation: Generation): number {
  if (!numbers.has(generation)) numbers.set(generation, ++lastNumber);
  return numbers.get(generation) as number;
}

/** Completes all remaining work, and checks that all deleted items are gone and all other items match the model. */
async function completeAndCompare(model: Model, real: Real): Promise<void> {
  const { service } = real;
  real.crash = undefined;
  for (const token of model.tokens) await checkToken(token, real);
  for (const temporaryToken of model.temporaryTokens) await checkTemporaryToken(temporaryToken, real);
  await runJobs(model, real, 1);
  const always = () => true;
  await purgeFromStream(real.records, always, service.purge);
  for (const task of service.deferred.splice(0)) {
    const record = { messageId: 'm', body: JSON.stringify(task) } as never;
    await purgeFromQueue([record], always, service.purge);
  }
  for (const generation of model.generations) await compareItems(generation, model, service);
  for (const token of model.tokens) await checkToken(token, real);
  for (const temporaryToken of model.temporaryTokens) await checkTemporaryToken(temporaryToken, real);
  // A job reads the keys of all Deployments, so later runs must not find the Deployments of this run.
  for (const generation of model.generations) {
    if (!generation.ended) must(await service.call('DELETE', `/deployments/${generation.id}`, admin), 204);
  }
  await sweepMarkers(service.purge);
}

/** Checks that the items of a Deployment match the model, and that no purge of the Deployment is unfinished. */
async function compareItems(generation: Generation, model: Model, service: InProcess): Promise<void> {
  const items = await service.partition(`DEPLOYMENT#${generation.id}`);
  const existingKeys = model.keys.filter((key) => key.generation === generation && isThere(key));
  const foundKeys = items
    .filter(({ sk }) => String(sk).startsWith('KEY#'))
    .map(({ sk }) => String(sk).slice(4));
  const expected = existingKeys.map(({ id }) => id.slice(-26));
  if (foundKeys.sort().join() !== expected.sort().join()) throw new Error(`keys of ${generation.id} differ`);
  const item = items.find(({ sk }) => sk === 'DEPLOYMENT');
  if (generation.ended ? items.length > 0 : item?.keyCount !== existingKeys.length) {
    throw new Error(
      `${generation.id} left ${JSON.stringify(items.map(({ sk }) => sk))}, ${item?.keyCount} keys`,
    );
  }
  const markers = (await service.partition('PURGES')).filter(({ sk }) =>
    String(sk).startsWith(`${generation.id}#`),
  );
  if (markers.length > 0) throw new Error(`${generation.id} keeps a marker`);
}

const stepNamed = (name: string) => STEPS.find((step) => step.name === name) as Step;

class Command implements fc.AsyncCommand<Model, Real> {
  readonly #step: Step;
  readonly #n: number;
  constructor(step: Step, n: number) {
    this.#step = step;
    this.#n = n;
  }
  check(model: Readonly<Model>): boolean {
    return this.#step.can?.(model as Model) ?? true;
  }
  async run(model: Model, real: Real): Promise<void> {
    await this.#step.run(model, real, this.#n);
  }
  toString(): string {
    return `${this.#step.name} (${this.#n})`;
  }
}

const commands = () =>
  fc.commands(
    STEPS.flatMap((step) =>
      Array.from({ length: step.weight }, () => fc.nat(100_000).map((n) => new Command(step, n))),
    ),
    { maxCommands: 60, size: 'max' },
  );

const START = [
  ['create a key', 2],
  ['create a key', 0],
  ['exchange', 2],
  ['exchange', 1],
  ['issue a temporary token', 0],
  ['issue a temporary token', 2],
] as const;
let runs = 0;

/**
 * Runs the commands against the model and the service many times. Throws an error with the shortest sequence of
 * commands whose results differ.
 */
export async function runModel(real: ReturnType<typeof realService>, numRuns: number, seed?: number) {
  await fc.assert(
    fc.asyncProperty(commands(), async (list) => {
      real.reset();
      const model = newModel(++runs);
      // Each run starts with some existing data, so that most commands have an effect.
      await STEPS[0]?.run(model, real, 0);
      // The numbers select a key of the administrator, a key of one person, and a temporary token of each of the two
      // people.
      for (const [name, n] of START) await stepNamed(name).run(model, real, n);
      const setup = () => ({ model, real });
      await fc.asyncModelRun(setup, list);
      await completeAndCompare(model, real);
    }),
    { numRuns, ...(seed !== undefined && { seed }), endOnFailure: false },
  );
}
