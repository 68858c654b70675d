import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import { unavailable } from '../../functions/domain/errors.ts';
import type { PurgeOutcome } from '../../functions/domain/purge-outcome.ts';
import {
  type PurgeDependencies,
  type PurgeTask,
  purgeFromQueue,
  purgeFromStream,
  sweepMarkers,
} from '../../functions/jobs/purge.ts';
import { toApiKey, toDeployment, toToken } from '../../functions/table/schema.ts';
import { sample } from '../support/generated.ts';
import { removal } from '../support/in-process.ts';
import { apiKey, deployment, GENERATION, KEY_ULID, MADE_AT, token } from '../support/records.ts';
import { startStore } from '../support/store.ts';

const store = await startStore();

const OTHER = '01BRZ3NDEKTSV4RRFFQ69G5FAV';
const ULIDS = [GENERATION, OTHER];
const PARTITIONS = ['DEPLOYMENT#etl', 'DEPLOYMENTS', 'PURGES', 'EVENTS#etl'];
const ofDeployment = { pk: 'DEPLOYMENT#etl', sk: 'DEPLOYMENT' };
const ofKey = { pk: 'DEPLOYMENT#etl', sk: `KEY#${KEY_ULID}` };
const reports: PurgeOutcome[] = [];
const deferred: PurgeTask[] = [];
const dependencies: PurgeDependencies = {
  table: store.table,
  clock: () => MADE_AT,
  defer: async (task) => void deferred.push(JSON.parse(JSON.stringify(task))),
  report: (outcome) => void reports.push(outcome),
};
const reset = async () => {
  await store.clear(...PARTITIONS);
  reports.length = 0;
  deferred.length = 0;
};
beforeEach(reset);
const always = () => true;
const fromQueue = (...bodies: unknown[]) =>
  purgeFromQueue(
    bodies.map((body, n) => ({ messageId: `m${n}`, body: JSON.stringify(body) }) as never),
    always,
    dependencies,
  );
const done = { batchItemFailures: [] };

/** Values that are neither a generation nor a time. `undefined` stands for a missing attribute. */
const damaged = fc.constantFrom(undefined, '', 'x', GENERATION.toLowerCase(), 7, -1, true, null, [], {}, [
  GENERATION,
]);

/** Returns the number of the key's tokens. */
const tokens = async () =>
  (await store.partition('DEPLOYMENT#etl')).filter(({ sk }) => String(sk).startsWith('TOKEN#')).length;

/** The part of a task for a key that differs between the tests. */
interface KeyTask {
  generation: string;
  after?: string | undefined;
  deleted?: number | undefined;
}

const purgeKey = (from: string, task: KeyTask) =>
  from === 'queue'
    ? fromQueue({ deploymentId: 'etl', keyUlid: KEY_ULID, ...task })
    : purgeFromStream([removal(ofKey, task.generation)], always, dependencies);

/** Reports whether the purge ignores a record of the stream, because the generation of its Deployment has ended. */
function isIgnored(from: string, purged: string, item: { generation?: unknown } | undefined): boolean {
  if (from !== 'stream') return false;
  return !item || ULIDS.some((it) => it !== purged && it === item.generation);
}

/** Returns how many of a deleted key's two tokens remain after its purge. */
function tokensLeft(ignores: boolean, isResumed: boolean): number {
  if (ignores) return 2;
  return isResumed ? 1 : 0;
}

async function purgeGeneration(from: string, generation: string) {
  if (from === 'stream') {
    return purgeFromStream([removal(ofDeployment, generation)], always, dependencies);
  }
  if (from === 'queue') return fromQueue({ deploymentId: 'etl', generation });
  await sweepMarkers(dependencies);
  return fromQueue(...deferred);
}

describe("A purge task for a key deletes the key's tokens", () => {
  const key = fc.oneof(
    fc.constant(undefined),
    fc.constant(toApiKey(apiKey())),
    fc.constant(toApiKey(apiKey({ generation: OTHER }))),
    fc
      .record({ name: fc.constantFrom('generation', 'enabled', 'secrets', 'createdBy'), value: damaged })
      .map(({ name, value }) => ({ ...toApiKey(apiKey()), [name]: value })),
  );
  const registrationItem = fc.oneof(
    fc.constant(undefined),
    fc.constantFrom(...ULIDS).map((generation) => toDeployment(deployment({ generation }))),
    damaged.map((generation) => ({ ...toDeployment(deployment()), generation })),
  );
  const present = (item: object | undefined) => (item ? [JSON.parse(JSON.stringify(item))] : []);

  it.each(['queue', 'stream'])(
    'a purge task for a key, from the %s, deletes no token while the key exists',
    async (from) => {
      const task = fc.record({
        generation: fc.constantFrom(...ULIDS),
        after: fc.option(fc.constant(`TOKEN#${KEY_ULID}#b`), { nil: undefined }),
        deleted: fc.option(fc.nat(), { nil: undefined }),
      });
      await fc.assert(
        fc.asyncProperty(key, registrationItem, task, async (key, deploymentItem, task) => {
          await reset();
          const items = ['a', 'b'].map((hash) => toToken(token({ hash })));
          await store.put(...items, ...present(key), ...present(deploymentItem));
          expect(await purgeKey(from, task)).toEqual(done);
          const ignores = isIgnored(from, task.generation, deploymentItem);
          if (key) {
            const report = { type: 'key_exists', deploymentId: 'etl', keyUlid: KEY_ULID };
            expect(await tokens()).toBe(2);
            expect(reports).toEqual(ignores ? [] : [report]);
          } else {
            const isResumed = from === 'queue' && task.after !== undefined;
            expect(await tokens()).toBe(tokensLeft(ignores, isResumed));
          }
        }),
        { numRuns: sample(150) },
      );
    },
  );
});

describe('A purge task for a generation deletes its items', () => {
  it.each(['queue', 'stream', 'sweep'])(
    "a purge task for a generation, from the %s, deletes nothing while the Deployment's item is malformed",
    async (from) => {
      await fc.assert(
        fc.asyncProperty(damaged, fc.constantFrom(...ULIDS), async (generation, purged) => {
          await reset();
          const marker = { pk: 'PURGES', sk: `etl#${purged}`, createdAt: 0 };
          const key = toApiKey(apiKey());
          const noGeneration = { pk: 'DEPLOYMENT#etl', sk: 'X' };
          await store.put(
            JSON.parse(JSON.stringify({ ...toDeployment(deployment()), generation })),
            key,
            noGeneration,
            toToken(token()),
            marker,
          );
          const before = await store.partition('DEPLOYMENT#etl');
          expect(await purgeGeneration(from, purged)).toEqual(done);
          expect(await store.partition('DEPLOYMENT#etl')).toEqual(before);
          expect(await store.partition('PURGES')).toEqual([marker]);
          expect(reports.at(-1)).toEqual({ type: 'malformed', deploymentId: 'etl' });
          expect(store.malformed).toEqual([ofDeployment]);

          // Once someone has repaired the item, with a different generation, the next run of the job finishes the
          // purge.
          const repaired = toDeployment(deployment({ generation: purged === OTHER ? GENERATION : OTHER }));
          await store.put(repaired);
          deferred.length = 0;
          await sweepMarkers(dependencies);
          expect(await fromQueue(...deferred)).toEqual(done);
          expect(await store.partition('PURGES')).toEqual([]);
          const left = purged === GENERATION ? [repaired] : [repaired, key, toToken(token())];
          expect((await store.partition('DEPLOYMENT#etl')).map(({ sk }) => sk)).toEqual(
            left.map(({ sk }) => sk),
          );
        }),
        { numRuns: sample(60) },
      );
    },
  );
});

describe('The purge rejects a message that is not a task', () => {
  it('the purge fails on a message that is not a valid task, and deletes nothing', async () => {
    const good = { deploymentId: 'etl', generation: GENERATION, keyUlid: KEY_ULID, deleted: 1, since: 5 };
    const wrong = {
      deploymentId: [undefined, '', 'a#b', 7, ['etl'], null],
      generation: [undefined, '', 'x', GENERATION.toLowerCase(), [GENERATION], null],
      keyUlid: ['', 'x', 7, [KEY_ULID], null],
      after: [7, null, [], ''],
      deleted: [-1, 0.5, '1', null, 2 ** 53],
      since: ['1', null, []],
    };
    const bodies = Object.entries(wrong).flatMap(([name, values]) =>
      values.map((value) => ({ ...good, [name]: value })),
    );
    await store.put(toToken(token()));
    const others = [null, 7, 'x', []];
    const { batchItemFailures } = await fromQueue(...bodies, ...others);
    expect(batchItemFailures).toHaveLength(bodies.length + others.length);
    expect(await tokens()).toBe(1);
  });
});

describe('The purge reports a failure with its cause', () => {
  it("reports a stream record that the purge could not read, with the record's keys", async () => {
    const record = {
      eventName: 'REMOVE',
      dynamodb: {
        SequenceNumber: '7',
        Keys: { pk: { S: 'DEPLOYMENT#etl' }, sk: { S: 'DEPLOYMENT' } },
        OldImage: { generation: { N: '5' } },
      },
    } as const;
    expect(await purgeFromStream([record], always, dependencies)).toEqual({
      batchItemFailures: [{ itemIdentifier: '7' }],
    });
    expect(reports).toStrictEqual([
      {
        type: 'failed',
        error: 'Error: not a record of a removed Deployment or key',
        sequenceNumber: '7',
        pk: 'DEPLOYMENT#etl',
        sk: 'DEPLOYMENT',
      },
    ]);
  });

  it('reports a failed purge with the error from DynamoDB and the ID of the Deployment', async () => {
    const clock = () => {
      throw unavailable(new Error('ThrottlingException'));
    };
    const task = { deploymentId: 'etl', generation: GENERATION };
    const message = { messageId: 'm', body: JSON.stringify(task) } as never;
    await purgeFromQueue([message], always, { ...dependencies, clock });
    expect(reports).toStrictEqual([
      {
        type: 'failed',
        error: 'Error: ThrottlingException',
        messageId: 'm',
        deploymentId: 'etl',
        keyUlid: undefined,
      },
    ]);
  });
});

describe('A scheduled job continues purges that did not finish', () => {
  it('the scheduled job continues each purge whose marker was not written in the last five minutes', async () => {
    const moments = [
      undefined,
      '',
      'x',
      -1,
      0,
      0.5,
      MADE_AT - 300_001,
      MADE_AT + 300_001,
      Number.MAX_SAFE_INTEGER,
      true,
      null,
      [],
      {},
    ];
    for (const createdAt of moments) {
      await reset();
      const marker = JSON.parse(JSON.stringify({ pk: 'PURGES', sk: `etl#${GENERATION}`, createdAt }));
      await store.put(marker, toToken(token()));
      await sweepMarkers(dependencies);
      expect(reports, `createdAt is ${createdAt}`).toEqual([{ type: 'swept', found: 1 }]);
      expect(await fromQueue(...deferred)).toEqual(done);
      expect(await store.partition('PURGES'), `createdAt is ${createdAt}`).toEqual([]);
      expect(await tokens()).toBe(0);
    }
    for (const createdAt of [MADE_AT - 299_000, MADE_AT, MADE_AT + 299_000]) {
      await reset();
      await store.put({ pk: 'PURGES', sk: `etl#${GENERATION}`, createdAt });
      await sweepMarkers(dependencies);
      expect(reports, `createdAt is ${createdAt}`).toEqual([{ type: 'swept', found: 0 }]);
    }
  });

  it('the scheduled job reports a malformed purge marker', async () => {
    await store.put(
      { pk: 'PURGES', sk: `etl#${GENERATION}`, createdAt: 'x' },
      { pk: 'PURGES', sk: 'x', createdAt: 0 },
    );
    await sweepMarkers(dependencies);
    expect(deferred).toEqual([{ deploymentId: 'etl', generation: GENERATION }]);
    expect(store.malformed).toEqual([
      { pk: 'PURGES', sk: `etl#${GENERATION}` },
      { pk: 'PURGES', sk: 'x' },
    ]);
  });
});
