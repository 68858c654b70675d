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
  observer: InProcess;
  a: InProcess;
  b: InProcess;
  id: string;
}

const admin = { as: 'admin' };
const HOUR = 3_600_000;
/** Waits for a random time, up to the duration of a few calls, so that every interleaving occurs. */
const randomDelay = () => new Promise((resolve) => setTimeout(resolve, Math.random() * 4));
const afterRandomDelay = async <T>(call: () => Promise<T>): Promise<T> => {
  await randomDelay();
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

const generationOf = async ({ observer, id }: Racers) =>
  String((await observer.partition(`DEPLOYMENT#${id}`)).find(({ sk }) => sk === 'DEPLOYMENT')?.generation);
const kinds = async ({ observer, id }: Racers) =>
  (await observer.partition(`DEPLOYMENT#${id}`)).map(({ sk }) => String(sk).split('#')[0]).join(' ');

export const RACES: Race[] = [
  {
    title: '#4 a revocation races an extension: the token stays revoked',
    ends: /^(allowed|rejected), then rejected$/,
    run: async ({ observer, a, b, id }) => {
      observer.time.now = a.time.now - HOUR;
      await observer.register(id);
      const key = await observer.createKey(id);
      const token = await observer.exchangeForToken(key);
      observer.time.now = a.time.now;
      const form = { token };
      const [used] = await Promise.all([
        afterRandomDelay(() => a.use(token)),
        afterRandomDelay(() => b.call('POST', '/oauth/revoke', { basic: [key.id, key.secret], form })),
      ]);
      if ((await observer.use(token)) !== 401) fail('a revoked token is still valid');
      if ((await kinds({ observer, a, b, id })).includes('TOKEN'))
        fail('the extension created the item of the revoked token again');
      return `${used === 200 ? 'allowed' : 'rejected'}, then rejected`;
    },
  },
  {
    title:
      '#5 a key is created while its Deployment is deleted: the key is rejected or purged, and never works',
    ends: /^(created and purged|rejected)$/,
    run: async (racers) => {
      const { observer, a, b, id } = racers;
      await observer.register(id);
      const generation = await generationOf(racers);
      const [made] = await Promise.all([
        afterRandomDelay(() =>
          a.call('POST', `/deployments/${id}/api-keys`, { ...admin, json: { name: 'ci' } }),
        ),
        afterRandomDelay(() => b.call('DELETE', `/deployments/${id}`, admin)),
      ]);
      if (made.status !== 201 && made.status !== 404) fail(`creating the key returned ${made.status}`);
      if (made.status === 201 && (await observer.exchange(made.json)).status !== 401)
        fail('a key of the deleted Deployment is accepted');
      const gone = removal({ pk: `DEPLOYMENT#${id}`, sk: 'DEPLOYMENT' }, generation);
      await purged(observer, gone);
      if ((await kinds(racers)) !== '') fail('an item of the deleted Deployment is left');
      return made.status === 201 ? 'created and purged' : 'rejected';
    },
  },
  {
    title: '#6 a purge races a new registration: the new generation keeps its key and token',
    ends: /^new generation complete, previous one purged$/,
    run: async (racers) => {
      const { observer, a, b, id } = racers;
      await observer.register(id);
      const generation = await generationOf(racers);
      await observer.exchangeForToken(await observer.createKey(id));
      await observer.call('DELETE', `/deployments/${id}`, admin);
      const gone = removal({ pk: `DEPLOYMENT#${id}`, sk: 'DEPLOYMENT' }, generation);
      const [token] = await Promise.all([
        afterRandomDelay(async () => {
          await a.register(id);
          return a.exchangeForToken(await a.createKey(id));
        }),
        afterRandomDelay(() => purged(b, gone)),
      ]);
      if ((await observer.use(token)) !== 200) fail('the purge deleted the token of the new generation');
      if ((await kinds(racers)) !== 'DEPLOYMENT KEY TOKEN') fail(`left ${await kinds(racers)}`);
      const partitions = [
        await observer.partition('DEPLOYMENTS'),
        await observer.partition('GROUP#data-eng'),
      ];
      const listed = partitions.every((items) => items.some(({ sk }) => sk === id));
      return listed
        ? 'new generation complete, previous one purged'
        : fail('the directory lost the new generation');
    },
  },
  {
    title: '#38 an exchange races disabling the key: a token of the old epoch is invalid',
    ends: /^(issued but invalid|rejected)$/,
    run: async ({ observer, a, b, id }) => {
      await observer.register(id);
      const key = await observer.createKey(id);
      const path = `/deployments/${id}/api-keys/${key.id}`;
      const [exchanged] = await Promise.all([
        afterRandomDelay(() => a.exchange(key)),
        afterRandomDelay(() => b.call('PATCH', path, { ...admin, json: { enabled: false } })),
      ]);
      await observer.call('PATCH', path, { ...admin, json: { enabled: true } });
      if (exchanged.status === 401) return 'rejected';
      const status = await observer.use(exchanged.json.access_token);
      return status === 401 ? 'issued but invalid' : fail('a token is valid after its key was disabled');
    },
  },
  {
    title: '#38 an exchange races an immediate rotation: a token of the old epoch is invalid',
    ends: /^(issued but invalid|rejected)$/,
    run: async ({ observer, a, b, id }) => {
      await observer.register(id);
      const key = await observer.createKey(id);
      const [exchanged, rotation] = await Promise.all([
        afterRandomDelay(() => a.exchange(key)),
        afterRandomDelay(() => b.call('POST', rotationOf(id, key), { ...admin, json: { retireOld: 'now' } })),
      ]);
      if (rotation.status !== 200) fail(`the rotation returned ${rotation.status}`);
      const fresh = await observer.exchangeForToken({ ...key, secret: rotation.json.secret });
      if ((await observer.use(fresh)) !== 200) fail('the new secret does not work');
      if ((await observer.exchange(key)).status !== 401) fail('the old secret is accepted');
      if (exchanged.status === 401) return 'rejected';
      const status = await observer.use(exchanged.json.access_token);
      return status === 401
        ? 'issued but invalid'
        : fail('a token is valid after the immediate rotation of its key');
    },
  },
  {
    title:
      'the first exchange of a new secret races the next rotation: the secret in use is kept, and never more than two are active',
    ends: /^(used and kept, the old one retired|rejected, the old one kept)$/,
    run: async ({ observer, a, b, id }) => {
      await observer.register(id);
      const first = await observer.createKey(id);
      const rotate = (one: InProcess) =>
        one.call('POST', rotationOf(id, first), { ...admin, json: { retireOld: 'on_first_use' } });
      const second = { ...first, secret: (await rotate(observer)).json.secret };
      const [exchanged, rotation] = await Promise.all([
        afterRandomDelay(() => a.exchange(second)),
        afterRandomDelay(() => rotate(b)),
      ]);
      if (rotation.status !== 200) fail(`the rotation returned ${rotation.status}`);
      const isUsed = exchanged.status === 200;
      if (isUsed && (await observer.use(exchanged.json.access_token)) !== 200)
        fail('the token of the second secret is invalid');
      const accepted = async (key: CreatedKey) => (await observer.exchange(key)).status === 200;
      if ((await accepted(second)) !== isUsed)
        fail('a used secret was retired, or a rejected secret is still active');
      if ((await accepted(first)) === isUsed)
        fail('three secrets are active, or neither of the older two is');
      if (!(await accepted({ ...first, secret: rotation.json.secret })))
        fail('the newest secret does not work');
      return isUsed ? 'used and kept, the old one retired' : 'rejected, the old one kept';
    },
  },
  {
    title: "#3 100 concurrent checks of one token cause one write and never shorten the token's lifetime",
    ends: /^100 allowed, \d+ writes$/,
    run: async ({ observer, a, b, id }) => {
      observer.time.now = a.time.now - HOUR;
      await observer.register(id);
      const token = await observer.exchangeForToken(await observer.createKey(id));
      observer.time.now = a.time.now;
      // Half of the workers have clocks that are ten seconds slow, so they write times that are too early.
      b.time.now = a.time.now - 10_000;
      const replies = await Promise.all(
        Array.from({ length: 100 }, (_, n) => (n % 2 ? a : b)).map((one) =>
          afterRandomDelay(() => one.call('GET', '/whoami', { token })),
        ),
      );
      b.time.now = a.time.now;
      const item = (await observer.partition(`DEPLOYMENT#${id}`)).find(({ sk }) =>
        String(sk).startsWith('TOKEN#'),
      );
      const least = Math.ceil((a.time.now - 10_000) / 1000) + 86_400 + 300;
      if (Number(item?.expiresAt) < least) fail('the extension is lost');
      const allowed = replies.filter(({ status }) => status === 200);
      const promised = Math.max(...allowed.map(({ json }) => Date.parse(json.expiresAt) / 1000));
      if (promised > Number(item?.expiresAt)) fail('the expiry moved back');
      return `${allowed.length} allowed, ${item?.expiresAt === least ? 1 : 2} writes`;
    },
  },
  {
    title: '#44: keeps a new name and emptied groups when two calls write them concurrently',
    ends: /^both kept$/,
    run: async ({ observer, a, b, id }) => {
      await observer.register(id);
      const put = (one: InProcess, json: object) =>
        afterRandomDelay(() => one.call('PUT', `/deployments/${id}`, { ...admin, json }));
      const replies = await Promise.all([put(a, { groups: [] }), put(b, { name: 'n' })]);
      if (replies.some(({ status }) => status !== 200))
        fail(`returned ${replies.map(({ status }) => status)}`);
      const [item] = await observer.partition(`DEPLOYMENT#${id}`);
      const entry = (await observer.partition('DEPLOYMENTS')).find(({ sk }) => sk === id);
      for (const one of [item, entry]) {
        if (one?.name !== 'n' || String(one.groups) !== '') fail(`left ${one?.name} with ${one?.groups}`);
      }
      if ((await observer.partition('GROUP#data-eng')).some(({ sk }) => sk === id))
        fail('the group kept its entry');
      return 'both kept';
    },
  },
  {
    title: '#32 50 concurrent calls that create keys never exceed the limit of 1,000 keys',
    ends: /^\d+ created, at 1,000$/,
    run: async (racers) => {
      const { observer, a, b, id } = racers;
      await observer.register(id);
      const generation = await generationOf(racers);
      const room = 1 + Math.floor(Math.random() * 5);
      await fill(observer.table, { deploymentId: id, generation, keys: 10, tokens: 0 });
      await observer.countKeys(id, 1000 - room);
      const create = (one: InProcess) =>
        one.call('POST', `/deployments/${id}/api-keys`, { ...admin, json: { name: 'ci' } });
      const replies = await Promise.all(
        Array.from({ length: 50 }, (_, n) => afterRandomDelay(() => create(n % 2 ? a : b))),
      );
      const made = replies.filter(({ status }) => status === 201).length;
      const rejected = replies.filter(({ status }) => status === 409).length;
      const items = await observer.partition(`DEPLOYMENT#${id}`);
      const keys = items.filter(({ sk }) => String(sk).startsWith('KEY#')).length;
      const { keyCount } = items.find(({ sk }) => sk === 'DEPLOYMENT') ?? {};
      if (made !== room || made + rejected !== 50 || keys !== 10 + made || keyCount !== 1000) {
        fail(
          `${made} created and ${rejected} rejected with room for ${room}; ${keys} keys, counted ${keyCount}`,
        );
      }
      return `${made} created, at 1,000`;
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
  const [observer, a, b] = [inProcess(engine), inProcess(engine), inProcess(engine)];
  const counts = new Map<string, number>();
  for (let n = 0; n < times; n++) {
    observer.time.now = a.time.now;
    const end = await run({ observer, a, b, id: `race_${++races}` });
    if (!ends.test(end)) throw new Error(`ended in: ${end}`);
    counts.set(end, (counts.get(end) ?? 0) + 1);
  }
  return counts;
}
