import type { DynamoDBRecord } from 'aws-lambda';
import { purgeFromStream } from '../../functions/jobs/purge.ts';
import type { Engine } from '../support/engine.ts';
import { type InProcess, inProcess, removal } from '../support/in-process.ts';
import { fill } from '../support/many-items.ts';
import type { CreatedKey } from '../support/stack.ts';

/**
 * Two operations that run concurrently on one engine. `run` returns a word that describes the outcome, and throws if
 * the state is invalid. The services of the two operations use separate connections and start with small random delays.
 */
export interface Race {
  /** The title of the race. It begins with the number of the race's row in docs/faults.md, if there is such a row. */
  title: string;
  run: (racers: Racers) => Promise<string>;
  /** Pattern that every outcome must match. */
  ends: RegExp;
}

interface Racers {
  /** The service that prepares the race and inspects the result. */
  calm: InProcess;
  a: InProcess;
  b: InProcess;
  id: string;
}

const admin = { as: 'admin' };
const HOUR = 3_600_000;
/** Waits for a random time, up to the duration of a few calls, so that every interleaving occurs. */
const soon = () => new Promise((resolve) => setTimeout(resolve, Math.random() * 4));
const after = async <T>(call: () => Promise<T>): Promise<T> => {
  await soon();
  return call();
};
const fail = (text: string): never => {
  throw new Error(text);
};
/** Processes a stream record as Lambda does: repeatedly, until the processing succeeds. */
async function purged({ purge }: InProcess, record: DynamoDBRecord): Promise<void> {
  for (let tries = 1; ; tries++) {
    const { batchItemFailures } = await purgeFromStream([record], () => true, purge);
    if (batchItemFailures.length === 0) return;
    if (tries === 3) fail('the purge keeps failing');
  }
}

const rotationOf = (id: string, key: CreatedKey) => `/deployments/${id}/api-keys/${key.id}/rotate`;

const generationOf = async ({ calm, id }: Racers) =>
  String((await calm.partition(`DEPLOYMENT#${id}`)).find(({ sk }) => sk === 'DEPLOYMENT')?.generation);
const kinds = async ({ calm, id }: Racers) =>
  (await calm.partition(`DEPLOYMENT#${id}`)).map(({ sk }) => String(sk).split('#')[0]).join(' ');

export const RACES: Race[] = [
  {
    title: '#4 a revocation races an extension: the token stays revoked',
    ends: /^(allowed|refused), then dead$/,
    run: async ({ calm, a, b, id }) => {
      calm.time.now = a.time.now - HOUR;
      await calm.register(id);
      const key = await calm.createKey(id);
      const token = await calm.exchangeForToken(key);
      calm.time.now = a.time.now;
      const form = { token };
      const [used] = await Promise.all([
        after(() => a.use(token)),
        after(() => b.call('POST', '/oauth/revoke', { basic: [key.id, key.secret], form })),
      ]);
      if ((await calm.use(token)) !== 401) fail('a revoked token lives');
      if ((await kinds({ calm, a, b, id })).includes('TOKEN')) fail('a ghost item');
      return `${used === 200 ? 'allowed' : 'refused'}, then dead`;
    },
  },
  {
    title:
      '#5 a key is created while its Deployment is deleted: the key is rejected or purged, and never works',
    ends: /^(made and purged|refused)$/,
    run: async (racers) => {
      const { calm, a, b, id } = racers;
      await calm.register(id);
      const generation = await generationOf(racers);
      const [made] = await Promise.all([
        after(() => a.call('POST', `/deployments/${id}/api-keys`, { ...admin, json: { name: 'ci' } })),
        after(() => b.call('DELETE', `/deployments/${id}`, admin)),
      ]);
      if (made.status !== 201 && made.status !== 404) fail(`creating answered ${made.status}`);
      if (made.status === 201 && (await calm.exchange(made.json)).status !== 401) fail('an orphan lives');
      const gone = removal({ pk: `DEPLOYMENT#${id}`, sk: 'DEPLOYMENT' }, generation);
      await purged(calm, gone);
      if ((await kinds(racers)) !== '') fail('an orphan is left');
      return made.status === 201 ? 'made and purged' : 'refused';
    },
  },
  {
    title: '#6 a purge races a new registration: the new generation keeps its key and token',
    ends: /^new generation whole, old gone$/,
    run: async (racers) => {
      const { calm, a, b, id } = racers;
      await calm.register(id);
      const generation = await generationOf(racers);
      await calm.exchangeForToken(await calm.createKey(id));
      await calm.call('DELETE', `/deployments/${id}`, admin);
      const gone = removal({ pk: `DEPLOYMENT#${id}`, sk: 'DEPLOYMENT' }, generation);
      const [token] = await Promise.all([
        after(async () => {
          await a.register(id);
          return a.exchangeForToken(await a.createKey(id));
        }),
        after(() => purged(b, gone)),
      ]);
      if ((await calm.use(token)) !== 200) fail('the purge took the new generation');
      if ((await kinds(racers)) !== 'DEPLOYMENT KEY TOKEN') fail(`left ${await kinds(racers)}`);
      const partitions = [await calm.partition('DEPLOYMENTS'), await calm.partition('GROUP#data-eng')];
      const listed = partitions.every((items) => items.some(({ sk }) => sk === id));
      return listed ? 'new generation whole, old gone' : fail('the directory lost it');
    },
  },
  {
    title: '#38 an exchange races disabling the key: a token of the old epoch is invalid',
    ends: /^(dead on arrival|refused)$/,
    run: async ({ calm, a, b, id }) => {
      await calm.register(id);
      const key = await calm.createKey(id);
      const path = `/deployments/${id}/api-keys/${key.id}`;
      const [exchanged] = await Promise.all([
        after(() => a.exchange(key)),
        after(() => b.call('PATCH', path, { ...admin, json: { enabled: false } })),
      ]);
      await calm.call('PATCH', path, { ...admin, json: { enabled: true } });
      if (exchanged.status === 401) return 'refused';
      const status = await calm.use(exchanged.json.access_token);
      return status === 401 ? 'dead on arrival' : fail('a token outlived the disabling of its key');
    },
  },
  {
    title: '#38 an exchange races an immediate rotation: a token of the old epoch is invalid',
    ends: /^(dead on arrival|refused)$/,
    run: async ({ calm, a, b, id }) => {
      await calm.register(id);
      const key = await calm.createKey(id);
      const [exchanged, rotation] = await Promise.all([
        after(() => a.exchange(key)),
        after(() => b.call('POST', rotationOf(id, key), { ...admin, json: { retireOld: 'now' } })),
      ]);
      if (rotation.status !== 200) fail(`the rotation answered ${rotation.status}`);
      const fresh = await calm.exchangeForToken({ ...key, secret: rotation.json.secret });
      if ((await calm.use(fresh)) !== 200) fail('the new secret is worth nothing');
      if ((await calm.exchange(key)).status !== 401) fail('the old secret is accepted');
      if (exchanged.status === 401) return 'refused';
      const status = await calm.use(exchanged.json.access_token);
      return status === 401 ? 'dead on arrival' : fail('a token outlived the immediate rotation of its key');
    },
  },
  {
    title:
      'the first exchange of a new secret races the next rotation: the secret in use is kept, and never more than two are active',
    ends: /^(used and kept, the old one retired|refused, the old one kept)$/,
    run: async ({ calm, a, b, id }) => {
      await calm.register(id);
      const first = await calm.createKey(id);
      const rotate = (one: InProcess) =>
        one.call('POST', rotationOf(id, first), { ...admin, json: { retireOld: 'on_first_use' } });
      const second = { ...first, secret: (await rotate(calm)).json.secret };
      const [exchanged, rotation] = await Promise.all([
        after(() => a.exchange(second)),
        after(() => rotate(b)),
      ]);
      if (rotation.status !== 200) fail(`the rotation answered ${rotation.status}`);
      const isUsed = exchanged.status === 200;
      if (isUsed && (await calm.use(exchanged.json.access_token)) !== 200) fail('its token is dead');
      const accepted = async (key: CreatedKey) => (await calm.exchange(key)).status === 200;
      if ((await accepted(second)) !== isUsed)
        fail('the secret in use was dropped, or one that was refused lives');
      if ((await accepted(first)) === isUsed)
        fail('the older secret lives on beside two, or none is left of the two');
      if (!(await accepted({ ...first, secret: rotation.json.secret }))) fail('the newest is worth nothing');
      return isUsed ? 'used and kept, the old one retired' : 'refused, the old one kept';
    },
  },
  {
    title: "#3 100 concurrent checks of one token cause one write and never shorten the token's lifetime",
    ends: /^100 allowed, \d+ writes$/,
    run: async ({ calm, a, b, id }) => {
      calm.time.now = a.time.now - HOUR;
      await calm.register(id);
      const token = await calm.exchangeForToken(await calm.createKey(id));
      calm.time.now = a.time.now;
      // Half of the workers have clocks that are ten seconds slow, so they write times that are too early.
      b.time.now = a.time.now - 10_000;
      const replies = await Promise.all(
        Array.from({ length: 100 }, (_, n) => (n % 2 ? a : b)).map((one) =>
          after(() => one.call('GET', '/whoami', { token })),
        ),
      );
      b.time.now = a.time.now;
      const item = (await calm.partition(`DEPLOYMENT#${id}`)).find(({ sk }) =>
        String(sk).startsWith('TOKEN#'),
      );
      const least = Math.ceil((a.time.now - 10_000) / 1000) + 86_400 + 300;
      if (Number(item?.expiresAt) < least) fail('the slide is lost');
      const allowed = replies.filter(({ status }) => status === 200);
      const promised = Math.max(...allowed.map(({ json }) => Date.parse(json.expiresAt) / 1000));
      if (promised > Number(item?.expiresAt)) fail('the expiry moved back');
      return `${allowed.length} allowed, ${item?.expiresAt === least ? 1 : 2} writes`;
    },
  },
  {
    title: '#44: keeps a new name and emptied groups when two calls write them concurrently',
    ends: /^both kept$/,
    run: async ({ calm, a, b, id }) => {
      await calm.register(id);
      const put = (one: InProcess, json: object) =>
        after(() => one.call('PUT', `/deployments/${id}`, { ...admin, json }));
      const replies = await Promise.all([put(a, { groups: [] }), put(b, { name: 'n' })]);
      if (replies.some(({ status }) => status !== 200))
        fail(`answered ${replies.map(({ status }) => status)}`);
      const [item] = await calm.partition(`DEPLOYMENT#${id}`);
      const entry = (await calm.partition('DEPLOYMENTS')).find(({ sk }) => sk === id);
      for (const one of [item, entry]) {
        if (one?.name !== 'n' || String(one.groups) !== '') fail(`left ${one?.name} with ${one?.groups}`);
      }
      if ((await calm.partition('GROUP#data-eng')).some(({ sk }) => sk === id))
        fail('the group kept its entry');
      return 'both kept';
    },
  },
  {
    title: '#32 50 concurrent calls that create keys never exceed the limit of 1,000 keys',
    ends: /^\d+ made, at 1,000$/,
    run: async (racers) => {
      const { calm, a, b, id } = racers;
      await calm.register(id);
      const generation = await generationOf(racers);
      const room = 1 + Math.floor(Math.random() * 5);
      await fill(calm.table, { deploymentId: id, generation, keys: 10, tokens: 0 });
      await calm.countKeys(id, 1000 - room);
      const create = (one: InProcess) =>
        one.call('POST', `/deployments/${id}/api-keys`, { ...admin, json: { name: 'ci' } });
      const replies = await Promise.all(
        Array.from({ length: 50 }, (_, n) => after(() => create(n % 2 ? a : b))),
      );
      const made = replies.filter(({ status }) => status === 201).length;
      const refused = replies.filter(({ status }) => status === 409).length;
      const items = await calm.partition(`DEPLOYMENT#${id}`);
      const keys = items.filter(({ sk }) => String(sk).startsWith('KEY#')).length;
      const { keyCount } = items.find(({ sk }) => sk === 'DEPLOYMENT') ?? {};
      if (made !== room || made + refused !== 50 || keys !== 10 + made || keyCount !== 1000) {
        fail(`${made} made and ${refused} refused with room for ${room}; ${keys} keys, counted ${keyCount}`);
      }
      return `${made} made, at 1,000`;
    },
  },
];

let races = 0;

/** Runs a race repeatedly. @returns the number of times that each outcome occurred */
export async function runRace(
  engine: Engine,
  { run, ends }: Race,
  times: number,
): Promise<Map<string, number>> {
  const [calm, a, b] = [inProcess(engine), inProcess(engine), inProcess(engine)];
  const counts = new Map<string, number>();
  for (let n = 0; n < times; n++) {
    calm.time.now = a.time.now;
    const end = await run({ calm, a, b, id: `race_${++races}` });
    if (!ends.test(end)) throw new Error(`ended in: ${end}`);
    counts.set(end, (counts.get(end) ?? 0) + 1);
  }
  return counts;
}
