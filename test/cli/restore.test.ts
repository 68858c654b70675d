import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { BatchWriteCommand, DeleteCommand, PutCommand, ScanCommand } from '@aws-sdk/lib-dynamodb';
import { afterAll, describe, expect, it } from 'vitest';
import { readArchive } from '../../cli/archive.ts';
import { type Restoration, restore } from '../../cli/restoration.ts';
import { openPaced } from '../../cli/table.ts';
import { cloudEventOf } from '../../functions/domain/cloud-event.ts';
import type { ServiceEvent } from '../../functions/domain/events.ts';
import type { Actor } from '../../functions/domain/records.ts';
import type { Port } from '../../functions/table/port.ts';
import { allEvents } from '../../functions/table/restore.ts';
import { commandLine, tableEnvironment } from '../support/command-line.ts';
import { createTable } from '../support/engine.ts';
import { DAY, inProcess, must, partsOf, startTable } from '../support/in-process.ts';
import { restoration, stoppingAfter } from '../support/interrupted.ts';
import { seconds } from '../support/records.ts';
import type { CreatedKey } from '../support/stack.ts';
import type { TestTable } from '../support/store.ts';
import { temporaryFolder } from '../support/temporary.ts';

const engine = await startTable();
afterAll(() => engine.stop());
const app = inProcess(engine);
const POINT = app.time.now;
const HOUR = 3_600_000;
const folder = temporaryFolder('restore');

type Item = Record<string, unknown>;
const named = (tableName: string): TestTable => ({ ...app.table, tableName });

async function itemsOf(table: TestTable): Promise<Item[]> {
  const items: Item[] = [];
  let start: Item | undefined;
  do {
    const page = await table.client.send(
      new ScanCommand({ TableName: table.tableName, ExclusiveStartKey: start }),
    );
    items.push(...(page.Items ?? []));
    start = page.LastEvaluatedKey;
  } while (start);
  return items;
}

/** Creates a separate table with these items, as point-in-time recovery does. */
async function tableWith(tableName: string, items: Item[]): Promise<TestTable> {
  await createTable(app.table.client as never, tableName);
  for (let at = 0; at < items.length; at += 25) {
    const batch = items.slice(at, at + 25).map((Item) => ({ PutRequest: { Item } }));
    await app.table.client.send(new BatchWriteCommand({ RequestItems: { [tableName]: batch } }));
  }
  return named(tableName);
}

const pathOf = (key: CreatedKey) => `/deployments/${partsOf(key.id).deploymentId}/api-keys/${key.id}`;
const as = (who: string, method: string, path: string, json?: object) =>
  app.call(method, path, { as: who, ...(json && { json }) });
const patch = (key: CreatedKey, json: object) => as('ada', 'PATCH', pathOf(key), json);
const rotate = async (key: CreatedKey, retireOld: unknown): Promise<CreatedKey> => ({
  ...key,
  secret: must(await as('ada', 'POST', `${pathOf(key)}/rotate`, { retireOld }), 200).json.secret,
});

// These changes happen before the point in time that is restored.
const NAMES = [
  'kept',
  'deleted',
  'victim',
  'disabled',
  'awake',
  'rotated-now',
  'rotated-later',
  'rotated-on-use',
  'narrowed',
  'bound',
  'leaked',
] as const;
await app.register('etl');
const keys = {} as Record<(typeof NAMES)[number], CreatedKey>;
for (const name of NAMES) keys[name] = await app.createKey('etl', { name });
await patch(keys.awake, { enabled: false });
const others = {} as Record<string, CreatedKey>;
for (const id of ['gone', 'again', 'damaged']) {
  await app.register(id);
  others[id] = await app.createKey(id);
}
const oldToken = await app.exchangeForToken(keys.kept);
const revivable = await app.exchangeForToken(keys.deleted);
const temporary = must(await as('ada', 'POST', '/deployments/etl/temporary-tokens', {}), 201).json
  .access_token;
const backup = await itemsOf(app.table);
const restored = await tableWith('restored', backup);

// These changes happen after the point in time that is restored.
app.time.now += HOUR;
const newToken = await app.exchangeForToken(keys.kept);
await as('ada', 'DELETE', pathOf(keys.deleted));
await as('mallory', 'DELETE', pathOf(keys.victim));
await patch(keys.disabled, { enabled: false });
await patch(keys.awake, { enabled: true });
const rotatedNow = await rotate(keys['rotated-now'], 'now');
await rotate(keys['rotated-later'], DAY);
await rotate(keys['rotated-on-use'], 'on_first_use');
await patch(keys.narrowed, { scopes: ['airflow:read'], name: 'narrow' });
await patch(keys.bound, { networks: ['192.0.2.0/24'] });
await app.leak(keys.leaked.secret);
await as('admin', 'PUT', '/deployments/etl', { name: 'ETL', groups: ['data-eng', 'others'] });
const since = await app.createKey('etl', { name: 'since' });
const sinceToken = await app.exchangeForToken(since);
await as('admin', 'DELETE', '/deployments/gone');
await as('admin', 'DELETE', '/deployments/again');
await app.register('again');
const keyOfOtherGeneration = await app.createKey('again');
await app.register('new');
const ofNew = await app.createKey('new');
// Simulates someone deleting items by hand.
for (const { pk, sk } of await app.partition('DEPLOYMENT#damaged')) {
  await app.table.client.send(new DeleteCommand({ TableName: 'keys', Key: { pk, sk } }));
}
await app.table.client.send(
  new DeleteCommand({ TableName: 'keys', Key: { pk: 'DEPLOYMENTS', sk: 'damaged' } }),
);
const damaged = await itemsOf(app.table);

const usual = (change: Partial<Restoration> = {}): Restoration =>
  restoration({
    from: restored,
    into: app.table,
    point: POINT,
    ignored: ['mallory'],
    clock: () => app.time.now,
    ...change,
  });

const EXPECTED = {
  counts: {
    'Deployments restored': 2,
    'Deployments deleted since': 2,
    'Deployments created since': 2,
    'Deployments restored before the interruption': 0,
    'keys restored': 11,
    'keys deleted since': 1,
    'keys disabled': 6,
    'temporary tokens deleted': 1,
    'people whose access stays ended': 0,
    'items of erased people': 0,
  },
  otherGenerations: [],
  unfollowed: [],
  unmatched: [],
};
/** Removes values that differ between runs: epochs, revisions, and the records and events of the restore. */
const comparable = (items: Item[]) =>
  items
    .filter(({ pk, type }) => pk !== 'RESTORES' && type !== 'deployment.restored')
    .map(({ epoch: _, revision: __, restoredBy: ___, ...item }) =>
      JSON.stringify(item, Object.keys(item).sort()),
    )
    .sort();

describe('The restore command repairs a table after point-in-time recovery', () => {
  it('a dry run of restore reports every planned change and writes nothing', async () => {
    expect(await restore(usual({ isDryRun: true }))).toEqual(EXPECTED);
    expect(await itemsOf(app.table)).toEqual(damaged);
  });

  it('a restore that is killed after any write and restarted has the same result as an uninterrupted restore', {
    timeout: 120_000,
  }, async () => {
    const whole = await tableWith('whole', damaged);
    await restore(usual({ into: whole }));
    const end = comparable(await itemsOf(whole));
    let killed = 0;
    for (let writes = 1; writes < 200; writes += 5) {
      const into = await tableWith(`killed-${writes}`, damaged);
      const options = usual({ into });
      const died = await restore({ ...options, into: stoppingAfter(writes, into) }).catch(String);
      if (typeof died === 'string') killed++;
      await restore(options);
      expect(comparable(await itemsOf(into))).toEqual(end);
      if (typeof died !== 'string') break;
    }
    expect(killed).toBeGreaterThan(3);
  });

  it('a restore can ignore changes by the person who caused the damage', async () => {
    const into = await tableWith('ignoring', damaged);
    const report = await restore(usual({ into, ignored: ['admin'] }));
    expect(report).toMatchObject({
      otherGenerations: ['again'],
      counts: { 'Deployments restored': 3, 'Deployments deleted since': 0 },
    });
    const items = await itemsOf(into);
    const keyOf = ({ id }: CreatedKey) => items.find(({ sk }) => sk === `KEY#${id.slice(-26)}`);
    expect(keyOf(others.gone as CreatedKey)).toMatchObject({ enabled: true, epoch: app.time.now + 1 });
    // Items of the earlier generation that the purge has not deleted yet.
    expect(keyOf(others.again as CreatedKey)?.epoch).toBe(0);
    expect(keyOf(keyOfOtherGeneration)).toMatchObject({ enabled: false, epoch: app.time.now + 1 });
  });

  it.each(['purge', 'restore', 'source', 'sweep', 'anonymous'])(
    '#57: a restore that ignores the person with the sub %s still applies changes by the system and by anonymous callers',
    async (principal) => {
      const into = await tableWith(`ignoring-${principal}`, damaged);
      const key = keys.kept;
      const of = (type: Actor['type'], sequence: number): ServiceEvent => ({
        id: `${sequence}`,
        type: type === 'person' ? 'api_key.deleted' : 'api_key.disabled',
        deploymentId: 'etl',
        generation: '',
        actor: { principal, type, address: '', requestId: '' },
        createdAt: POINT + sequence,
        data: { keyId: key.id, changed: ['enabled'] },
        expiresAt: seconds(0),
      });
      const type = principal === 'anonymous' ? 'anonymous' : 'system';
      const events = [of('person', 1), of(type, 2)];
      await restore(
        usual({
          into,
          history: async (id) => ({ events: id === 'etl' ? events : [], malformed: [] }),
          ignored: [principal],
        }),
      );
      const items = await itemsOf(into);
      expect(items.find(({ sk }) => sk === `KEY#${key.id.slice(-26)}`)).toMatchObject({ enabled: false });
    },
  );

  it('a restore brings back the items in the backup and leaves later changes unchanged', async () => {
    const doubts: Record<string, string> = {};
    const onDoubt: Restoration['onDoubt'] = (keyId, why) => {
      doubts[keyId] = why;
    };
    expect(await restore(usual({ onDoubt }))).toEqual(EXPECTED);
    expect(doubts).toEqual({
      [keys['rotated-now'].id]: 'its new secret is lost',
      [keys['rotated-later'].id]: 'its new secret is lost',
      [keys['rotated-on-use'].id]: 'its new secret is lost',
      [keys.bound.id]: 'its bounds are not known',
      [since.id]: 'it was created since',
      [keyOfOtherGeneration.id]: 'it was created since',
      [ofNew.id]: 'it was created since',
    });
  });

  it('the service rejects every token that was issued before a restore, whether the old or the new table contains the token', async () => {
    for (const token of [oldToken, newToken, revivable, sinceToken, temporary]) {
      expect(await app.use(token)).toBe(401);
    }
  });

  it.each([
    ['kept', 200],
    ['victim', 200],
    ['awake', 200],
    ['narrowed', 200],
    ['rotated-later', 200],
    ['deleted', 401],
    ['disabled', 401],
    ['rotated-now', 401],
    ['rotated-on-use', 401],
    ['bound', 401],
    ['leaked', 401],
  ] as const)(
    'exchanging the secret that the key %s had in the backup returns %d after a restore',
    async (name, status) => {
      expect((await app.exchange(keys[name])).status).toBe(status);
    },
  );

  it('active keys can get new tokens after a restore', async () => {
    for (const key of [keys.kept, keys.victim, others.damaged as CreatedKey]) {
      expect(await app.use(await app.exchangeForToken(key))).toBe(200);
    }
  });

  it('a restore does not bring back keys, Deployments or generations that were deleted after the backup', async () => {
    expect((await as('ada', 'GET', pathOf(keys.deleted))).status).toBe(404);
    expect((await as('admin', 'GET', '/deployments/gone')).status).toBe(404);
    for (const id of ['gone', 'again'])
      expect((await app.exchange(others[id] as CreatedKey)).status).toBe(401);
  });

  it('a restore reapplies the restrictions and edits that were made after the backup', async () => {
    const narrowed = (await as('ada', 'GET', pathOf(keys.narrowed))).json;
    expect(narrowed).toMatchObject({ name: 'narrow', scopes: ['airflow:read'] });
    expect((await as('ada', 'GET', '/deployments/etl')).json).toMatchObject({
      name: 'ETL',
      groups: ['data-eng', 'others'],
    });
  });

  it('a restore leaves a leaked key disabled until an immediate rotation', async () => {
    expect((await patch(keys.leaked, { enabled: true })).status).toBe(409);
    expect(await app.use(await app.exchangeForToken(await rotate(keys.leaked, 'now')))).toBe(200);
  });

  it('a key that was rotated after the backup needs a new secret after the restore', async () => {
    expect((await app.exchange(rotatedNow)).status).toBe(401);
    expect(await app.use(await app.exchangeForToken(await rotate(rotatedNow, 'now')))).toBe(200);
    app.time.now += DAY * 1000;
    expect((await app.exchange(keys['rotated-later'])).status).toBe(401);
    app.time.now -= DAY * 1000;
  });

  it('a key that was created after the backup stays disabled after a restore until a person enables it', async () => {
    expect((await app.exchange(since)).status).toBe(401);
    expect((await patch(since, { enabled: true })).status).toBe(200);
    expect(await app.use(await app.exchangeForToken(since))).toBe(200);
    expect(await app.use(sinceToken)).toBe(401);
  });

  it('a restore corrects the key count of each Deployment and records an event', async () => {
    const [deployment] = (await app.partition('DEPLOYMENT#etl')).filter(({ sk }) => sk === 'DEPLOYMENT');
    expect(deployment?.keyCount).toBe(
      (await as('ada', 'GET', '/deployments/etl/api-keys')).json.items.length,
    );
    const { events } = await allEvents(app.table, 'damaged');
    expect(events.at(-1)).toMatchObject({
      type: 'deployment.restored',
      actor: { principal: 'restore', type: 'system' },
      data: { restoredTo: '2030-01-01T12:00:00.500Z', keys: 1 },
    });
  });

  it('an interrupted restore can continue only with the options that it was started with', async () => {
    const into = await tableWith('other-options', damaged);
    const started = usual({ into, ignored: ['b', 'a'], archive: 'events' });
    await expect(restore({ ...started, into: stoppingAfter(5, into) })).rejects.toThrow('killed');
    const before = await itemsOf(into);
    const others: Partial<Restoration>[] = [
      { ignored: [] },
      { ignored: ['a'] },
      { point: POINT + 1 },
      { disablesAll: true },
      { archive: undefined },
      { ignored: ['a'], isDryRun: true },
    ];
    for (const other of others) {
      await expect(restore({ ...started, ...other }), JSON.stringify(other)).rejects.toThrow(
        `This restore was started with other options: --point ${new Date(POINT).toISOString()} --archive events ` +
          '--ignore-principal a --ignore-principal b. Nothing was changed.',
      );
    }
    expect(await itemsOf(into)).toEqual(before);
    expect(await restore({ ...started, ignored: ['a', 'b', 'a'] })).toBeDefined();
  });

  it('a second restore of the same backup accepts different options only if the `again` option is set', async () => {
    const into = await tableWith('repeated', damaged);
    const forgotten = usual({ into, ignored: [] });
    const victim = async () =>
      (await itemsOf(into)).find(({ sk }) => sk === `KEY#${partsOf(keys.victim.id).ulid}`);
    expect(await restore(forgotten)).toBeDefined();
    expect(await victim()).toBeUndefined();
    const right = usual({ into });
    expect(await restore(right)).toBeUndefined();
    expect(await victim()).toBeUndefined();

    const again = { ...right, again: true };
    await expect(restore({ ...again, into: stoppingAfter(5, into) })).rejects.toThrow('killed');
    await expect(restore({ ...forgotten, again: true })).rejects.toThrow('--ignore-principal mallory');
    // Without `again`, the script continues the interrupted second restore.
    expect(await restore(right)).toBeDefined();
    expect(await victim()).toMatchObject({ enabled: true });
    expect(await restore(right)).toBeUndefined();
    const records = (await itemsOf(into)).filter(({ pk }) => pk === 'RESTORES');
    expect(records.map(({ options, finishedAt }) => [options, finishedAt])).toEqual([
      [{ point: POINT, ignored: [], disablesAll: false }, app.time.now],
      [{ point: POINT, ignored: ['mallory'], disablesAll: false }, app.time.now],
    ]);
  });

  it('a repeated restore does not make revoked access valid again', async () => {
    const into = await tableWith('repeated-revoked', damaged);
    await restore(usual({ into }));
    const end = comparable(await itemsOf(into));
    expect(await restore(usual({ into, again: true }))).toMatchObject({
      counts: { ...EXPECTED.counts, 'temporary tokens deleted': 0 },
    });
    expect(comparable(await itemsOf(into))).toEqual(end);
  });

  it('the restore command can continue a restore that was started by an earlier version of the CLI', async () => {
    const into = await tableWith('earlier-version', damaged);
    const options = usual({ into });
    await expect(restore({ ...options, into: stoppingAfter(5, into) })).rejects.toThrow('killed');
    const [record] = (await itemsOf(into)).filter(({ pk }) => pk === 'RESTORES');
    const { options: _, ...earlier } = record ?? {};
    await app.table.client.send(new PutCommand({ TableName: into.tableName, Item: earlier }));
    expect(await restore(options)).toBeDefined();
  });

  it('a finished restore does nothing if it runs again', async () => {
    const before = await itemsOf(app.table);
    expect(await restore(usual())).toBeUndefined();
    expect(await itemsOf(app.table)).toEqual(before);
  });
});

describe('A restore can recreate a table that was deleted', () => {
  it('a restore reads the events after the backup from an archive', async () => {
    const lines = damaged
      .filter(({ pk }) => String(pk).startsWith('EVENTS#'))
      .map(({ pk, sk, ...event }) => ({ ...event, id: sk, deploymentId: String(pk).slice('EVENTS#'.length) }))
      .map((event) =>
        JSON.stringify({ source: 'deployment-api-keys', detail: cloudEventOf(event as never) }),
      );
    const file = join(folder, 'events');
    writeFileSync(file, lines.join(''));
    const archive = readArchive(folder);
    expect([...archive.values()].flat()).toHaveLength(lines.length);

    const inPlace = await tableWith('in-place', backup);
    const report = await restore(
      usual({
        from: inPlace,
        into: inPlace,
        history: async (id) => ({ events: archive.get(id) ?? [], malformed: [] }),
      }),
    );
    expect(report?.counts).toMatchObject({
      'Deployments restored': 2,
      'Deployments deleted since': 2,
      'keys restored': 11,
      'keys deleted since': 1,
    });
    const items = await itemsOf(inPlace);
    const has = (pk: string, sk: string) => items.some((item) => item.pk === pk && item.sk === sk);
    expect(has('DEPLOYMENT#etl', `KEY#${keys.kept.id.slice(-26)}`)).toBe(true);
    expect(has('DEPLOYMENT#etl', `KEY#${keys.deleted.id.slice(-26)}`)).toBe(false);
    expect(has('DEPLOYMENT#gone', 'DEPLOYMENT')).toBe(false);
    expect(has('DEPLOYMENTS', 'gone')).toBe(false);
    // The purge finds the remaining items of the earlier generation.
    expect(items.filter(({ pk }) => pk === 'PURGES')).toHaveLength(2);
  });

  it('without an archive, a restore disables every key and revokes every token', async () => {
    const inPlace = await tableWith('unknown', backup);
    const report = await restore(
      usual({
        from: inPlace,
        into: inPlace,
        history: async () => ({ events: [], malformed: [] }),
        disablesAll: true,
      }),
    );
    expect(report?.counts).toMatchObject({ 'keys restored': 14, 'keys disabled': 13 });
    const items = await itemsOf(inPlace);
    const before = new Map(backup.map((item) => [`${item.pk} ${item.sk}`, item]));
    const found = items.filter(({ sk }) => String(sk).startsWith('KEY#'));
    expect(found).toHaveLength(14);
    for (const key of found) {
      expect(key.enabled).toBe(false);
      expect(key.epoch).toBeGreaterThan(before.get(`${key.pk} ${key.sk}`)?.epoch as number);
    }
    expect(items.filter(({ sk }) => String(sk).startsWith('GRANT#'))).toEqual([]);
  });
});

describe('A restore limits its write rate', () => {
  /**
   * Restores into a new table, and records the writes that reach the engine. Only the pauses that the limit causes
   * advance the clock.
   * @param provisioned write capacity that DescribeTable reports; undefined for the engine's on-demand table
   */
  async function restoreInto(name: string, writeUnits: string | undefined, provisioned?: number) {
    let now = 0;
    let described = 0;
    const writes: { at: number; units: number }[] = [];
    const table = await tableWith(name, damaged);
    const port = (async (operation, input, timeout) => {
      if (operation === 'DescribeTable') {
        described += 1;
        const ProvisionedThroughput = { WriteCapacityUnits: provisioned };
        if (provisioned !== undefined) return { kind: 'done', output: { Table: { ProvisionedThroughput } } };
      }
      const at = now;
      const capacity = { ReturnConsumedCapacity: 'TOTAL' };
      const outcome = await table.port(operation, { ...input, ...capacity }, timeout);
      if (/^(Put|Update|Delete|BatchWrite|TransactWrite)/.test(operation)) {
        const { ConsumedCapacity } =
          'output' in outcome ? (outcome.output as { ConsumedCapacity?: object }) : {};
        const consumed = [ConsumedCapacity ?? []].flat() as { CapacityUnits: number }[];
        writes.push({ at, units: consumed.reduce((sum, { CapacityUnits }) => sum + CapacityUnits, 0) });
      }
      return outcome;
    }) as Port;
    const time = {
      now: () => now,
      pause: async (milliseconds: number) => {
        now += milliseconds;
      },
    };
    const into = await openPaced(name, writeUnits, { ...table, port }, time);
    const describeCalls = described;
    expect(await restore(usual({ into }))).toEqual(EXPECTED);
    return { writes, describeCalls };
  }

  /** Returns the rate of all writes except the last, in units per second, measured until the last write began. */
  function rateOf(writes: { at: number; units: number }[]): number {
    const before = writes.slice(0, -1).reduce((sum, { units }) => sum + units, 0);
    expect(before).toBeGreaterThan(50);
    return before / ((writes.at(-1)?.at ?? 0) / 1000);
  }
  /** Until the engine reports the units that a write used, the limit counts estimated units. */
  const TOLERANCE = 1.1;

  it("a restore writes at most the given units per second, and does not read the table's capacity", async () => {
    const { writes, describeCalls } = await restoreInto('paced', '7');
    expect(describeCalls).toBe(0);
    expect(rateOf(writes)).toBeLessThan(7 * TOLERANCE);
    expect(rateOf(writes)).toBeGreaterThan(7 / TOLERANCE);
  });

  it("without --write-units, a restore uses at most a quarter of a table's provisioned capacity", async () => {
    const provisioned = await restoreInto('provisioned', undefined, 28);
    expect(provisioned.describeCalls).toBe(1);
    expect(rateOf(provisioned.writes)).toBeLessThan(7 * TOLERANCE);
    expect(rateOf(provisioned.writes)).toBeGreaterThan(7 / TOLERANCE);
    const onDemand = await restoreInto('on-demand', undefined);
    expect(rateOf(onDemand.writes)).toBe(Number.POSITIVE_INFINITY);
  });
});

describe('The restore command validates its options', { timeout: 120_000 }, () => {
  const cli = commandLine({ env: tableEnvironment(engine) });
  const run = (...args: string[]) => cli.run(['restore', ...args]);
  const point = new Date(POINT).toISOString();

  it('the restore command reports a missing option and a malformed time', async () => {
    expect(await run('--point', point)).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/^error: required option '--from <table>' not specified\n/),
    });
    expect(await run('--from', 'a', '--into', 'b', '--point', 'yesterday')).toMatchObject({
      code: 2,
      stderr: 'error: --point must be a moment in RFC 3339, such as 2030-01-01T12:00:00Z.\n',
    });
  });

  it('the restore command reports the limit given with --write-units, and rejects an invalid number', async () => {
    const options = ['--from', 'a', '--into', 'limited', '--point', point, '--disable-all', '--dry-run'];
    await tableWith('limited', []);
    for (const units of ['0', '-1', '1.5', 'many', '100000']) {
      expect(await run(...options, '--write-units', units)).toMatchObject({
        code: 2,
        stderr: 'error: --write-units must be a whole number from 1 to 99999.\n',
      });
    }
    expect((await run(...options, '--write-units', '20')).stderr).toMatch(
      /^Writing at most 20 write units per second\.\n/,
    );
    expect((await run(...options)).stderr).not.toContain('write units');
  });

  it('the restore command reports the name of an unknown option', async () => {
    const { code, stderr } = await run('--from', 'a', '--into', 'b', '--point', point, '--archiv', 'x');
    expect({ code, stderr }).toEqual({
      code: 2,
      stderr:
        "error: unknown option '--archiv'\n(Did you mean --archive?)\nRun deployment-api-keys restore --help for usage.\n",
    });
  });

  it('the restore command does not run without a source of the events after the backup', async () => {
    const { code, stderr } = await run('--from', 'keys', '--into', 'keys', '--point', point);
    expect(code).toBe(2);
    expect(stderr).toContain('give --archive with the events since --point, or use --disable-all.');
  });

  it('the restore command accepts every option that the runbook uses', async () => {
    const runbook = readFileSync(new URL('../../docs/runbook.md', import.meta.url), 'utf8');
    const commands = [...runbook.matchAll(/npm run restore -- (.*)/g)].map(([, options]) => options);
    expect(commands).toHaveLength(3);
    const named = commands.flatMap((options) => options?.match(/--[a-z-]+/g) ?? []);
    const { stdout } = await run('--help');
    expect(stdout).toContain('deployment-api-keys restore --from');
    for (const option of [...named, '--ignore-principal', '--disable-all']) expect(stdout).toContain(option);
  });

  it('the restore command warns if a principal to ignore has made no change', async () => {
    const into = await tableWith('misspelled', damaged);
    const principals = ['--ignore-principal', 'mallory', '--ignore-principal', 'sources'];
    const args = ['--from', 'restored', '--into', into.tableName, '--point', point, ...principals];
    for (const more of [['--dry-run'], []]) {
      const { code, stderr } = await run(...args, ...more);
      expect({ code, warnings: stderr.match(/^Warning.*$/gm) }).toEqual({
        code: 0,
        warnings: [
          'Warning: --ignore-principal sources matches no change since --point. Check the spelling, or the "principal" of the events.',
        ],
      });
    }
  });

  it('the restore command prints a dry run, continues after it is killed, and reports when it has finished', async () => {
    const into = await tableWith('by-command', damaged);
    const args = [
      '--from',
      'restored',
      '--into',
      into.tableName,
      '--point',
      point,
      '--ignore-principal',
      'mallory',
    ];
    const dry = await run(...args, '--dry-run');
    expect(dry.stdout).toContain('Dry run: nothing was written.\n       2 Deployments restored');
    expect(dry.stderr).not.toContain('Warning');
    expect(await itemsOf(into)).toEqual(damaged);
    const isDone = ({ restoredBy }: Item) => restoredBy !== undefined;
    await killedAtDeployment(2, args);
    expect((await itemsOf(into)).filter(isDone)).toHaveLength(1);
    const real = await run(...args);
    expect(real.stdout).toContain('Done.\n');
    expect(real.stdout).toContain('       1 Deployments restored before the interruption\n');
    expect((await itemsOf(into)).filter(isDone)).toHaveLength(4);
    expect(real.stderr).toContain('5 of 5 Deployments');
    expect(real.stderr).not.toContain('Warning');
    expect((await run(...args)).stdout).toBe(
      'This restore has already finished. Nothing was changed. To restore the backup once more with other options, add --again.\n',
    );
  });
});

/**
 * Runs the script and kills the script with SIGKILL while it restores the nth Deployment, before the write for that
 * Deployment reaches the engine.
 */
async function killedAtDeployment(n: number, args: string[]): Promise<void> {
  let seen = 0;
  const forwarded: Promise<Response>[] = [];
  const proxy = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const target = String(request.headers['x-amz-target']);
    if (Buffer.concat(chunks).includes('deployment.restored') && ++seen >= n) return child.kill('SIGKILL');
    const { authorization, 'x-amz-date': date } = request.headers as Record<string, string>;
    const headers = { 'content-type': 'application/x-amz-json-1.0', 'x-amz-target': target };
    const call = fetch(engine.endpoint, {
      method: 'POST',
      headers: { ...headers, authorization: authorization ?? '', 'x-amz-date': date ?? '' },
      body: Buffer.concat(chunks),
    });
    forwarded.push(call);
    const answer = await call;
    response.writeHead(answer.status, { 'content-type': 'application/x-amz-json-1.0' });
    return response.end(Buffer.from(await answer.arrayBuffer()));
  }).listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  const { port } = proxy.address() as AddressInfo;
  const child = spawn(process.execPath, ['cli/main.ts', 'restore', ...args], {
    env: { ...process.env, AWS_ENDPOINT_URL_DYNAMODB: `http://127.0.0.1:${port}` },
    stdio: 'ignore',
  });
  const [, signal] = await once(child, 'exit');
  await Promise.all(forwarded);
  proxy.closeAllConnections();
  proxy.close();
  expect(signal).toBe('SIGKILL');
}
