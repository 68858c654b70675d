import { BatchWriteCommand, DeleteCommand } from '@aws-sdk/lib-dynamodb';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { restore } from '../../cli/restoration.ts';
import { hashOf } from '../../functions/domain/credentials.ts';
import { statusOf } from '../../functions/domain/key-status.ts';
import type { ApiKey } from '../../functions/domain/records.ts';
import { activeSecrets } from '../../functions/domain/rotation.ts';
import { allApiKeys, allEvents, readRestored } from '../../functions/table/restore.ts';
import type { Table } from '../../functions/table/retried-calls.ts';
import { toApiKey, toDeployment, toDirectoryEntry, toEvent } from '../../functions/table/schema.ts';
import { createTable } from '../support/engine.ts';
import { sample } from '../support/generated.ts';
import { DAY, inProcess, must, partsOf, startTable } from '../support/in-process.ts';
import { restoration, stoppingAfter } from '../support/interrupted.ts';
import type { CreatedKey } from '../support/stack.ts';

const engine = await startTable();
afterAll(() => engine.stop());
const app = inProcess(engine);
const HOUR = 3600 * 1000;

const pathOf = ({ id }: CreatedKey) => `/deployments/${partsOf(id).deploymentId}/api-keys/${id}`;
const rotate = async (key: CreatedKey, retireOld: unknown, as = 'ada'): Promise<CreatedKey> => ({
  ...key,
  secret: must(await app.call('POST', `${pathOf(key)}/rotate`, { as, json: { retireOld } }), 200).json.secret,
});
const patch = (key: CreatedKey, json: object, as = 'ada') => app.call('PATCH', pathOf(key), { as, json });

let sequence = 0;
async function newKey(): Promise<CreatedKey> {
  const id = `d-${++sequence}`;
  await app.register(id);
  return app.createKey(id);
}

/** A Deployment with its keys and events, as stored in a table. */
interface Held {
  id: string;
  items: Record<string, unknown>[];
}

async function held(id: string, table: Table = app.table): Promise<Held> {
  const { deployment } = await readRestored(table, id);
  if (!deployment) throw new Error(`${id} is not there`);
  const keys = [...(await allApiKeys(table, deployment)).values()];
  const { events } = await allEvents(table, id);
  const items = [
    toDeployment(deployment),
    toDirectoryEntry(deployment),
    ...keys.map(toApiKey),
    ...events.map(toEvent),
  ];
  return { id, items };
}

/** Creates a separate table with these items. */
async function tableOf({ items }: Held): Promise<Table> {
  const tableName = `table-${++sequence}`;
  await createTable(app.table.client as never, tableName);
  for (let at = 0; at < items.length; at += 25) {
    const batch = items.slice(at, at + 25).map((Item) => ({ PutRequest: { Item } }));
    await app.table.client.send(new BatchWriteCommand({ RequestItems: { [tableName]: batch } }));
  }
  return { ...app.table, tableName };
}

const without = ({ id, items }: Held, type: RegExp): Held => ({
  id,
  items: items.filter(({ sk, type: ofEvent }) => !type.test(String(ofEvent ?? sk))),
});

/** The parts of the service's table that still exist when a backup is restored. */
const LEFT = {
  'the table': (now: Held) => now,
  'the table, whose first uses wrote no events': (now: Held) => without(now, /secret_retired/),
  'the table without the key': (now: Held) => without(now, /^KEY#/),
  'the table without the key, whose first uses wrote no events': (now: Held) =>
    without(now, /^KEY#|secret_retired/),
  'an archive of events': undefined,
  'an archive of events, which lacks first uses': undefined,
} satisfies Record<string, ((now: Held) => Held) | undefined>;
type Left = keyof typeof LEFT;

/**
 * Restores a Deployment from a backup.
 * @param stopAfter how many writes succeed before the restore is interrupted and run again
 * @returns the Deployment's key, and the doubts that the restore reports about the key
 */
async function restored(
  before: Held,
  now: Held,
  point: number,
  left: Left,
  {
    ignored = [],
    disablesAll = false,
    stopAfter,
  }: { ignored?: string[]; disablesAll?: boolean; stopAfter?: number | undefined } = {},
): Promise<{ key: ApiKey | undefined; doubts: string[] }> {
  const from = await tableOf(before);
  const leave = LEFT[left];
  const into = leave ? await tableOf(leave(now)) : from;
  const archive = left.includes('lacks') ? without(now, /secret_retired/) : now;
  const archived = leave ? into : await tableOf(archive);
  const doubts = new Set<string>();
  const run = (table: Table) =>
    restore(
      restoration({
        from: leave ? from : table,
        into: table,
        point,
        history: (id) => allEvents(archived, id),
        ignored,
        disablesAll,
        clock: () => app.time.now,
        onDoubt: (_, why) => void doubts.add(why),
      }),
    );
  if (stopAfter !== undefined) await run(stoppingAfter(stopAfter, into)).catch(() => {});
  await run(into);
  const { deployment } = await readRestored(into, before.id);
  const [key] = deployment ? [...(await allApiKeys(into, deployment)).values()] : [];
  return { key, doubts: [...doubts] };
}

const keyIn = async (table: Table, id: string): Promise<ApiKey | undefined> => {
  const { deployment } = await readRestored(table, id);
  return deployment && [...(await allApiKeys(table, deployment)).values()][0];
};

/** Reports whether an exchange with this secret succeeds at the given time. */
const isAccepted = (key: ApiKey | undefined, secret: string, at: number): boolean =>
  key?.enabled === true &&
  statusOf({ ...key, leak: undefined }, at, undefined) === 'active' &&
  activeSecrets(key, at).some(({ hash }) => hash === hashOf(secret));

/** One change or use of a key. `of` is the index of the secret; 0 is the newest. */
type Step =
  | { do: 'rotate'; retireOld: unknown; as: string }
  | { do: 'exchange' | 'leak'; of: number }
  | { do: 'patch'; json: object; as: string }
  | { do: 'wait'; seconds: number };

const steps = (whos: string[]) =>
  fc.array(
    fc.oneof(
      { weight: 4, arbitrary: fc.record({ do: fc.constant('exchange' as const), of: fc.nat(2) }) },
      { weight: 1, arbitrary: fc.record({ do: fc.constant('leak' as const), of: fc.nat(2) }) },
      {
        weight: 4,
        arbitrary: fc.record({
          do: fc.constant('rotate' as const),
          retireOld: fc.constantFrom('on_first_use', 'on_first_use', 'now', 0, 3600, 2 * DAY),
          as: fc.constantFrom(...whos),
        }),
      },
      {
        weight: 2,
        arbitrary: fc.record({
          do: fc.constant('patch' as const),
          json: fc.constantFrom<object>(
            { enabled: false },
            { enabled: true },
            { enabled: true },
            { scopes: ['airflow:read'] },
            { networks: ['192.0.2.0/24'] },
            { name: 'other' },
          ),
          as: fc.constantFrom(...whos),
        }),
      },
      {
        weight: 3,
        arbitrary: fc.record({
          do: fc.constant('wait' as const),
          seconds: fc.constantFrom(1, 20, 100, 3600, DAY, 8 * DAY),
        }),
      },
    ),
    { maxLength: 8 },
  );

/** A key, and its secrets in order of creation. */
interface Lived {
  key: CreatedKey;
  secrets: string[];
}

async function live(lived: Lived, step: Step): Promise<void> {
  // The clock advances, so that no two operations happen in the same millisecond.
  app.time.now += 7;
  if (step.do === 'wait') app.time.now += step.seconds * 1000;
  // Operations that the service rejects change nothing.
  else if (step.do === 'patch') await patch(lived.key, step.json, step.as);
  else if (step.do === 'rotate') {
    const { as, retireOld } = step;
    const { json } = await app.call('POST', `${pathOf(lived.key)}/rotate`, { as, json: { retireOld } });
    if (json.secret) lived.secrets.push(json.secret);
  } else {
    const secret = lived.secrets.at(-1 - step.of);
    if (secret && step.do === 'leak') await app.leak(secret);
    if (secret && step.do === 'exchange') await app.exchange({ ...lived.key, secret });
  }
}

const anyLeft = fc.constantFrom(...(Object.keys(LEFT) as Left[]));

/** Returns a new key and its Deployment after these steps, as a backup would contain them. */
async function backedUpAfter(earlier: Step[]) {
  const key = await newKey();
  const { deploymentId: id } = partsOf(key.id);
  const lived: Lived = { key, secrets: [key.secret] };
  for (const step of earlier) await live(lived, step);
  return { id, lived, before: await held(id), point: app.time.now };
}

/** Returns a key's two secrets and its Deployment, an hour after a backup between a rotation and its first use. */
async function backedUpInRotation() {
  const old = await newKey();
  app.time.now += 7;
  const next = await rotate(old, 'on_first_use');
  const { deploymentId: id } = partsOf(old.id);
  const backup = { id, old, next, before: await held(id), point: app.time.now };
  app.time.now += HOUR;
  return backup;
}

/**
 * The times at which the tests try the secrets. One time is not enough, because a rotation can set a retirement time in
 * the future.
 */
const soon = () => [0, HOUR, 25 * HOUR, 49 * HOUR, 9 * 24 * HOUR].map((after) => app.time.now + after);

describe('A restore from a backup never brings back revoked access', () => {
  it.each(Object.keys(LEFT) as Left[])(
    "#45: a secret that was retired by its successor's first use after the backup is not restored, when %s remains",
    async (left) => {
      const { id, old, next, before, point } = await backedUpInRotation();
      await app.exchangeForToken(next);
      expect((await app.exchange(old)).status).toBe(401);
      const { key, doubts } = await restored(before, await held(id), point, left);
      expect(soon().filter((at) => isAccepted(key, old.secret, at))).toEqual([]);
      expect(isAccepted(key, next.secret, app.time.now)).toBe(true);
      const isUnknown = /without the key, whose|lacks/.test(left);
      expect(doubts).toEqual(
        isUnknown ? ['its old secret was retired, because its new one may have been used'] : [],
      );
    },
  );

  it.each(['the table', 'the table, whose first uses wrote no events'] as const)(
    '#45: a restore keeps the old secret of a rotation whose new secret was not used, when %s remains',
    async (left) => {
      const { id, old, next, before, point } = await backedUpInRotation();
      await app.exchangeForToken(old);
      const { key, doubts } = await restored(before, await held(id), point, left);
      expect([old, next].map(({ secret }) => isAccepted(key, secret, app.time.now))).toEqual([true, true]);
      expect(doubts).toEqual([]);
    },
  );

  it('#45: a restore keeps a disabled or leaked key disabled, even if no event records the change', async () => {
    for (const change of [
      { enabled: false },
      { enabled: false, leak: { reportedAt: 1, wasEnabled: true } },
    ]) {
      const made = await newKey();
      const { deploymentId: id } = partsOf(made.id);
      const before = await held(id);
      const now = {
        id,
        items: before.items.map((item) => (/^KEY#/.test(String(item.sk)) ? { ...item, ...change } : item)),
      };
      const { key, doubts } = await restored(before, now, app.time.now, 'the table');
      expect(key).toMatchObject(change);
      expect(doubts).toEqual(['it is disabled today, and no event says why']);
    }
  });

  it.each([
    { scopes: ['airflow:read'] },
    { validUntil: app.time.now + HOUR },
    { networks: ['192.0.2.0/24'] },
    { trust: [] },
  ])(
    '#45: a restore disables a key whose current item differs from the backup by %j, even if no event records the difference',
    async (change) => {
      const made = await newKey();
      const { deploymentId: id } = partsOf(made.id);
      const before = await held(id);
      const items = before.items.map((item) =>
        /^KEY#/.test(String(item.sk)) ? { ...item, ...change } : item,
      );
      const { key, doubts } = await restored(before, { id, items }, app.time.now, 'the table');
      expect(key?.enabled).toBe(false);
      expect(doubts).toEqual(['its bounds are not known']);
    },
  );

  it.each([
    ['was restored with --disable-all', /^$/, { disablesAll: true }],
    ['was created after the backup', /^KEY#/, {}],
  ] as const)('#55: a rotation does not enable a leaked key that %s', async (_, lacks, options) => {
    const made = await newKey();
    await app.leak(made.secret);
    const now = await held(partsOf(made.id).deploymentId);
    const { key } = await restored(without(now, lacks), now, app.time.now, 'the table', options);
    expect(key?.leak).toEqual({ reportedAt: app.time.now, wasEnabled: false });
  });

  it("#45: a restore does not bring back a token that was revoked together with its key's other tokens", async () => {
    const made = await newKey();
    const { deploymentId: id, ulid } = partsOf(made.id);
    const backup = await tableOf(await held(id));
    const point = app.time.now;
    const tokens: string[] = [];
    for (let n = 0; n < 4; n++) {
      tokens.push(await app.exchangeForToken(made));
      for (const enabled of [false, true]) {
        app.time.now += 7;
        must(await patch(made, { enabled }), 200);
      }
    }
    const Key = { pk: `DEPLOYMENT#${id}`, sk: `KEY#${ulid}` };
    await app.table.client.send(new DeleteCommand({ TableName: app.table.tableName, Key }));
    await restore(restoration({ from: backup, into: app.table, point, clock: () => app.time.now }));
    for (const token of tokens) expect(await app.use(token)).toBe(401);
    expect(await app.use(await app.exchangeForToken(made))).toBe(200);
  });

  it.each(['the table', 'the table without the key'])(
    '#45: a restore does not bring back tokens that DELETE .../tokens revoked, when %s remains',
    async (left) => {
      const made = await newKey();
      const { deploymentId: id, ulid } = partsOf(made.id);
      const tokens = [await app.exchangeForToken(made)];
      const backup = await tableOf(await held(id));
      const point = app.time.now;
      tokens.push(await app.exchangeForToken(made));
      app.time.now += 7;
      must(await app.call('DELETE', `${pathOf(made)}/tokens`, { as: 'ada' }), 204);
      if (left === 'the table without the key') {
        const Key = { pk: `DEPLOYMENT#${id}`, sk: `KEY#${ulid}` };
        await app.table.client.send(new DeleteCommand({ TableName: app.table.tableName, Key }));
      }
      await restore(restoration({ from: backup, into: app.table, point, clock: () => app.time.now }));
      for (const token of tokens) expect(await app.use(token)).toBe(401);
      // The key itself is unchanged: the service accepts its secret and returns new tokens.
      expect(await app.use(await app.exchangeForToken(made))).toBe(200);
    },
  );

  it('#45: a restore rejects every invalid secret, and accepts or reports every valid one, whatever the sequence of changes', async () => {
    const history = fc.record({
      left: anyLeft,
      earlier: steps(['ada']),
      since: steps(['ada']),
      stopAfter: fc.option(fc.integer({ min: 1, max: 3 }), { nil: undefined }),
    });
    await fc.assert(
      fc.asyncProperty(history, async ({ left, earlier, since, stopAfter }) => {
        const { id, lived, before, point } = await backedUpAfter(earlier);
        const wereKnown = [...lived.secrets];
        for (const step of since) await live(lived, step);
        const today = await keyIn(app.table, id);
        const end = await restored(before, await held(id), point, left, { stopAfter });
        const accepted = (of: ApiKey | undefined, secrets: string[]) =>
          soon().map((at) => secrets.filter((secret) => isAccepted(of, secret, at)));
        const [now, then] = [accepted(today, lived.secrets), accepted(end.key, lived.secrets)];
        const revived = then.map((secrets, n) => secrets.filter((secret) => !now[n]?.includes(secret)));
        expect(revived.flat()).toEqual([]);
        if (end.doubts.length === 0) expect(then).toEqual(accepted(today, wereKnown));
        // If a rotation would enable the restored key, a rotation must also be able to enable the current key.
        if (end.key?.leak?.wasEnabled) expect(today?.leak?.wasEnabled).toBe(true);
      }),
      { numRuns: sample(300) },
    );
  }, 240_000);

  it("#45: a restore that ignores a person's changes keeps secrets invalid that were invalid before those changes", async () => {
    const history = fc.record({ left: anyLeft, earlier: steps(['ada']), since: steps(['ada', 'mallory']) });
    await fc.assert(
      fc.asyncProperty(history, async ({ left, earlier, since }) => {
        const { id, lived, before, point } = await backedUpAfter(earlier);
        let dead: string[] = [];
        let isDamaged = false;
        for (const step of since) {
          isDamaged ||= 'as' in step && step.as === 'mallory';
          await live(lived, step);
          const today = await keyIn(app.table, id);
          if (isDamaged || !today) continue;
          const living = activeSecrets(today, app.time.now).map(({ hash }) => hash);
          dead = lived.secrets.filter((secret) => !living.includes(hashOf(secret)));
        }
        const { key: end } = await restored(before, await held(id), point, left, { ignored: ['mallory'] });
        expect(dead.filter((secret) => isAccepted(end, secret, app.time.now))).toEqual([]);
        // Only a rotation can enable a leaked key.
        if (end?.leak) expect(end.enabled).toBe(false);
      }),
      { numRuns: sample(300) },
    );
  }, 240_000);
});
