import { DeleteCommand, UpdateCommand } from '@aws-sdk/lib-dynamodb';
import type { DynamoDBRecord } from 'aws-lambda';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { syncFromStream } from '../../functions/jobs/sync-deployments.ts';
import { sample } from '../support/generated.ts';
import { type InProcess, inProcess, type Reply, startTable } from '../support/in-process.ts';
import { createPlatformTable, rowOf } from '../support/platform-table.ts';

/**
 * Runs concurrent changes to one Deployment. Each call stops before each of its commands to DynamoDB, and a generated
 * list selects the call whose command comes next. The result must be one that these calls can also produce one after
 * the other.
 */
const engine = await startTable();
const platform = await createPlatformTable(engine.endpoint);
afterAll(() => engine.stop());

const admin = { as: 'admin' };
/** The followed table defines a Deployment's groups. People may change its name. */
const source = { ...platform.source, name: undefined };
const faultFree = inProcess(engine, { source });

/** A service that stops before each of its DynamoDB commands until `release` is called. */
function stepped() {
  const state: { release: (() => void) | undefined; onStop: () => void } = {
    release: undefined,
    onStop: () => {},
  };
  const service = inProcess(engine, {
    source,
    around: (when) =>
      when === 'after'
        ? undefined
        : new Promise<void>((resolve) => {
            state.release = resolve;
            state.onStop();
          }),
  });
  return { service, state };
}
const racers = Array.from({ length: 4 }, stepped);

/**
 * Runs calls concurrently, one command at a time.
 * @param order for each step, the index of the running call that continues; after the end of the list, the first call
 *   continues
 */
async function interleaved<T>(
  calls: ((service: InProcess) => Promise<T>)[],
  order: readonly number[],
): Promise<T[]> {
  const results: Promise<T>[] = [];
  const underWay: { stopped: () => Promise<boolean>; release: () => void }[] = [];
  for (const [n, call] of calls.entries()) {
    const { service, state } = racers[n] as (typeof racers)[number];
    let isDone = false;
    const next = () =>
      new Promise<void>((resolve) => {
        state.onStop = resolve;
      });
    let stop = next();
    const result = call(service).finally(() => {
      isDone = true;
    });
    results.push(result);
    underWay.push({
      // Waits until the call has either ended or stopped before its next command.
      stopped: async () => {
        await Promise.race([stop, result.catch(() => {})]);
        return isDone;
      },
      release: () => {
        stop = next();
        state.release?.();
      },
    });
  }
  for (let step = 0; underWay.length > 0; step++) {
    for (const one of [...underWay]) {
      if (await one.stopped()) underWay.splice(underWay.indexOf(one), 1);
    }
    underWay[(order[step] ?? 0) % Math.max(1, underWay.length)]?.release();
  }
  return Promise.all(results);
}

interface Fields {
  name: string;
  groups: string[];
}
/** A call, and the effect that it has if no other call runs at the same time. */
interface Change {
  call: (id: string) => (service: InProcess) => Promise<number>;
  /**
   * Predicts the result of the call.
   * @returns the Deployment after the call, and the response's status
   */
  model: (id: string, before: Fields | undefined) => [Fields | undefined, number];
  [fc.toStringMethod]: () => string;
}

const put = (fields: Partial<Fields>): Change => ({
  call: (id) => async (service) =>
    (await service.call('PUT', `/deployments/${id}`, { ...admin, json: fields })).status,
  model: (id, before) => [{ name: id, groups: [], ...before, ...fields }, before ? 200 : 201],
  [fc.toStringMethod]: () => `PUT ${JSON.stringify(fields)}`,
});
const remove: Change = {
  call: (id) => async (service) => (await service.call('DELETE', `/deployments/${id}`, admin)).status,
  model: (_, before) => [undefined, before ? 204 : 404],
  [fc.toStringMethod]: () => 'DELETE',
};

/**
 * Returns every final state that the calls can produce when they run one after the other in any order, together with
 * the statuses of the responses.
 */
function serialEnds(id: string, before: Fields | undefined, changes: Change[]): string[] {
  const ends = (state: Fields | undefined, left: number[], statuses: number[]): string[] =>
    left.length === 0
      ? [JSON.stringify([state, statuses])]
      : left.flatMap((n) => {
          const [after, status] = (changes[n] as Change).model(id, state);
          return ends(
            after,
            left.filter((other) => other !== n),
            statuses.with(n, status),
          );
        });
  return ends(before, [...changes.keys()], Array(changes.length).fill(0));
}

/**
 * Returns the Deployment's name and groups. Asserts that the Deployment's item, its entry in the directory and its
 * entries in the group index have the same values.
 */
async function stored(id: string): Promise<Fields | undefined> {
  const [item] = (await faultFree.partition(`DEPLOYMENT#${id}`)).filter(({ sk }) => sk === 'DEPLOYMENT');
  const [entry] = (await faultFree.partition('DEPLOYMENTS')).filter(({ sk }) => sk === id);
  const fieldsOf = (one: Record<string, unknown> | undefined) =>
    one && { name: one.name, groups: one.groups, generation: one.generation, createdAt: one.createdAt };
  expect(fieldsOf(entry)).toEqual(fieldsOf(item));
  for (const group of ['data-eng', 'b', 'both']) {
    const [ofGroup] = (await faultFree.partition(`GROUP#${group}`)).filter(({ sk }) => sk === id);
    const isInGroup = (item?.groups as string[] | undefined)?.includes(group);
    expect(fieldsOf(ofGroup)).toEqual(isInGroup ? fieldsOf(item) : undefined);
  }
  return item && ({ name: item.name, groups: item.groups } as Fields);
}

/** Reports whether a member of `data-eng` finds the Deployment by its ID and in the list. */
async function seenByMember(id: string): Promise<[number, boolean]> {
  const { status } = await faultFree.call('GET', `/deployments/${id}`, { as: 'member' });
  const ids: string[] = [];
  let cursor: string | undefined = '';
  while (cursor !== undefined) {
    const query: string = cursor && `&cursor=${cursor}`;
    const page: Reply = await faultFree.call('GET', `/deployments?limit=100${query}`, { as: 'member' });
    ids.push(...page.json.items.map((one: { id: string }) => one.id));
    cursor = page.json.nextCursor;
  }
  return [status, ids.includes(id)];
}

const entryKey = (id: string) => ({ pk: 'DEPLOYMENTS', sk: id });
const update = (Key: object, name: string, value: unknown) =>
  faultFree.table.client.send(
    new UpdateCommand({
      TableName: 'keys',
      Key: Key as Record<string, unknown>,
      UpdateExpression: 'SET #n = :v',
      ExpressionAttributeNames: { '#n': name },
      ExpressionAttributeValues: { ':v': value },
    }),
  );
/** Kinds of damage that a manual change may have done to the directory entry. */
const ENTRIES: Record<string, (id: string) => Promise<unknown>> = {
  whole: async () => {},
  missing: (id) => faultFree.table.client.send(new DeleteCommand({ TableName: 'keys', Key: entryKey(id) })),
  'without a valid name': (id) => update(entryKey(id), 'name', 7),
  'with groups that are not in the Deployment': (id) => update(entryKey(id), 'groups', ['another']),
  'of another generation': (id) => update(entryKey(id), 'generation', '01ARZ3NDEKTSV4RRFFQ69G5FAV'),
};

const sync = (service: InProcess, records: DynamoDBRecord[]) =>
  syncFromStream(records, {
    table: service.table,
    source,
    clock: () => service.time.now,
    sendToDeadLetterQueue: async () => {},
    log: () => {},
    onOutcome: () => {},
  });

let count = 0;
/** The generated list is long enough to have an entry for every request that the calls send to DynamoDB. */
const order = fc.array(fc.nat({ max: 11 }), { minLength: 24, maxLength: 24 });
const change = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom(put({ groups: [] }), put({ groups: ['b'] })) },
  { weight: 3, arbitrary: fc.constantFrom(put({ name: 'n' }), put({ name: 'm' })) },
  { weight: 1, arbitrary: fc.constantFrom(put({}), put({ name: 'both', groups: ['both'] })) },
  { weight: 1, arbitrary: fc.constant(remove) },
);

describe('#44: Concurrent changes to one Deployment do not overwrite each other', {
  timeout: 600_000,
}, () => {
  const before: Fields = { name: 'old', groups: ['data-eng'] };

  it('#44: a concurrent change of the name and removal of all groups are both kept, in any order of their DynamoDB calls', async () => {
    await fc.assert(
      fc.asyncProperty(fc.boolean(), order, async (isNameFirst, steps) => {
        const id = `pair_${++count}`;
        await faultFree.register(id, before);
        const pair = [put({ groups: [] }), put({ name: 'n' })];
        const calls = (isNameFirst ? pair.toReversed() : pair).map((one) => one.call(id));
        expect(await interleaved(calls, steps)).toEqual([200, 200]);
        expect(await stored(id)).toEqual({ name: 'n', groups: [] });
        expect(await seenByMember(id)).toEqual([404, false]);
      }),
      { numRuns: 60 },
    );
  });

  it('#44: up to four concurrent changes, deletions and registrations end as if they had run one after the other', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(change, { minLength: 2, maxLength: 4 }),
        order,
        fc.boolean(),
        async (changes, steps, isRegistered) => {
          const id = `serial_${++count}`;
          if (isRegistered) await faultFree.register(id, before);
          const statuses = await interleaved(
            changes.map((one) => one.call(id)),
            steps,
          );
          const end = JSON.stringify([await stored(id), statuses]);
          expect(serialEnds(id, isRegistered ? before : undefined, changes)).toContain(end);
        },
      ),
      { numRuns: sample(500) },
    );
  });

  it('#44: concurrent changes leave a complete directory entry, regardless of its earlier state', async () => {
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...Object.keys(ENTRIES)), order, async (entry, steps) => {
        const id = `entry_${++count}`;
        await faultFree.register(id, before);
        await ENTRIES[entry]?.(id);
        const calls = [put({ groups: [] }), put({ name: 'n' })].map((one) => one.call(id));
        expect(await interleaved(calls, steps)).toEqual([200, 200]);
        expect(await stored(id)).toEqual({ name: 'n', groups: [] });
      }),
      { numRuns: sample(100) },
    );
  });

  it('#44: a new name is kept while the followed table changes the groups or deletes the Deployment', async () => {
    await fc.assert(
      fc.asyncProperty(fc.boolean(), fc.boolean(), order, async (isDeleted, isSourceFirst, steps) => {
        const id = `followed_${++count}`;
        await platform.put(rowOf(id, { teams: { SS: ['data-eng'] } }));
        await sync(faultFree, await platform.records());
        await (isDeleted ? platform.remove(id) : platform.put(rowOf(id)));
        const records = await platform.records();
        const follow = async (service: InProcess) =>
          (await sync(service, records)).batchItemFailures.length === 0 ? 0 : 1;
        const calls = [follow, put({ name: 'n' }).call(id)];
        const statuses = await interleaved(isSourceFirst ? calls : calls.toReversed(), steps);
        const [synced, status] = isSourceFirst ? statuses : statuses.toReversed();
        expect(synced).toBe(0);
        const end = [await stored(id), status];
        if (!isDeleted) expect(end).toEqual([{ name: 'n', groups: [] }, 200]);
        // After the deletion, the call registers the Deployment again.
        else {
          const ends = [
            [undefined, 200],
            [{ name: 'n', groups: [] }, 201],
          ];
          expect(ends).toContainEqual(end);
        }
      }),
      { numRuns: sample(150) },
    );
  });

  it('#44: a call that sets a new name and repeats the groups does not restore groups that the followed table removes', async () => {
    await fc.assert(
      fc.asyncProperty(order, async (steps) => {
        const id = `repeated_${++count}`;
        await platform.put(rowOf(id, { teams: { SS: ['data-eng'] } }));
        await sync(faultFree, await platform.records());
        await platform.put(rowOf(id));
        const records = await platform.records();
        const follow = async (service: InProcess) => (await sync(service, records)).batchItemFailures.length;
        const [status] = await interleaved(
          [put({ name: 'n', groups: ['data-eng'] }).call(id), follow],
          steps,
        );
        // The call returns 409 if it ran second: its groups then count as a change, and only the followed table may
        // change groups.
        const name = status === 200 ? 'n' : id;
        expect([200, 409]).toContain(status);
        expect(await stored(id)).toEqual({ name, groups: [] });
      }),
      { numRuns: 30 },
    );
  });

  it('#44: 30 concurrent calls succeed, and no field that they set is lost', async () => {
    const id = `many_${++count}`;
    await faultFree.register(id, before);
    const clients = Array.from({ length: 30 }, () => inProcess(engine));
    const replies = await Promise.all(
      clients.map((client, n) =>
        client.call('PUT', `/deployments/${id}`, {
          ...admin,
          json: n % 2 ? { name: `n${n}` } : { groups: [`g${n}`] },
        }),
      ),
    );
    expect(replies.map(({ status }) => status)).toEqual(Array(30).fill(200));
    const end = await stored(id);
    expect(end?.name).toMatch(/^n\d+$/);
    expect(end?.groups).toEqual([expect.stringMatching(/^g\d+$/)]);
  });
});
