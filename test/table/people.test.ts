import { describe, expect, it } from 'vitest';
import { newUlid } from '../../functions/domain/credentials.ts';
import { accessEnded } from '../../functions/domain/errors.ts';
import type { AccessRecord, HeldKey, PersonId } from '../../functions/domain/records.ts';
import {
  accessRequirement,
  allPeople,
  countHeldKeys,
  deleteMark,
  endAccess,
  finishJob,
  heldKeyWrite,
  listHeldKeys,
  listPeople,
  markedJobs,
  putHeldKey,
  readAccessRecord,
  readHeldKey,
  restorePerson,
  unblockPerson,
  writeJob,
} from '../../functions/table/people.ts';
import { transact } from '../../functions/table/retried-calls.ts';
import { personKey, toAccessRecord, toEvent, toHeldKey } from '../../functions/table/schema.ts';
import { event, seconds } from '../support/records.ts';
import { startStore } from '../support/store.ts';

const ada = { issuer: 'https://login.test', sub: 'ada' };
const bob = { ...ada, sub: 'bob' };
const [ofAda, ofBob] = [personKey(ada), personKey(bob)];
const store = await startStore('PEOPLE', 'EVENTS#etl', ofAda.pk, ofBob.pk);
const { table } = store;

const [EARLIER, JOB, LATER] = [newUlid(1), newUlid(2), newUlid(3)];
const ENDED_AT = 1_800_000_000_000;
const job = { id: JOB, keys: 'report' as const, found: 0, disabled: 0 };
const record = (change: Partial<AccessRecord> = {}): AccessRecord => ({
  ...ada,
  endedAt: ENDED_AT,
  blocked: true,
  revision: 3,
  job,
  ...change,
});
const entryOf = (person: PersonId) => ({ pk: 'PEOPLE', sk: personKey(person).pk, ...person });
const markOf = (person: PersonId, jobId = JOB) => ({
  pk: 'PEOPLE',
  sk: `JOB#${personKey(person).pk}`,
  ...person,
  jobId,
});
const written = async () => [
  await store.get(ofAda),
  await store.partition('PEOPLE'),
  await store.partition('EVENTS#etl'),
];
/** The items after the access of a person has been ended with a record. */
const writtenFor = (of: AccessRecord) => [
  toAccessRecord(of),
  [markOf(ada, of.job.id), entryOf(ada)],
  [toEvent(event())],
];
async function all<T>(values: AsyncIterable<T>): Promise<T[]> {
  const found = [];
  for await (const value of values) found.push(value);
  return found;
}

describe("A person's record is written in one transaction", () => {
  const malformed = { ...toAccessRecord(record({ endedAt: ENDED_AT - 1 })), blocked: 'x' };

  it.each<[string, object | undefined, Parameters<typeof endAccess>[2]]>([
    ['there is no record', undefined, undefined],
    ['the record has not changed', toAccessRecord(record({ revision: 2 })), record({ revision: 2 })],
    ['the record is malformed', malformed, 'malformed'],
    ['the time in a malformed record is not later', { ...malformed, endedAt: ENDED_AT }, 'malformed'],
    ['the time in a malformed record is malformed', { ...malformed, endedAt: 'x' }, 'malformed'],
  ])("ends a person's access if %s", async (_, item, read) => {
    if (item) await store.put({ ...item });
    expect(await endAccess(table, record(), read, event(), undefined)).toBe('written');
    expect(await written()).toEqual(writtenFor(record()));
    expect(store.sent.map(({ operation }) => operation)).toEqual(['TransactWriteItems']);
  });

  it.each<[string, object | undefined, Parameters<typeof endAccess>[2]]>([
    ['another call has written a record', toAccessRecord(record()), undefined],
    ['another call has changed the record', toAccessRecord(record({ revision: 3 })), record({ revision: 2 })],
    ['the record was deleted', undefined, record({ revision: 2 })],
    ['the malformed record was deleted', undefined, 'malformed'],
    ['the time in a malformed record is later', { ...malformed, endedAt: ENDED_AT + 1 }, 'malformed'],
  ])("does not end a person's access if %s", async (_, item, read) => {
    if (item) await store.put({ ...item });
    expect(await endAccess(table, record(), read, event(), undefined)).toBe('changed');
    expect(await written()).toEqual([item, [], []]);
  });

  it("restoring a person's access changes only whether they are blocked", async () => {
    await store.put(toAccessRecord(record()));
    expect(await unblockPerson(table, record(), event(), undefined)).toBe('written');
    expect(await written()).toEqual([
      toAccessRecord(record({ blocked: false, revision: 4 })),
      [],
      [toEvent(event())],
    ]);
    expect(await unblockPerson(table, record(), event({ id: newUlid(1) }), undefined)).toBe('changed');
    expect(await store.partition('EVENTS#etl')).toHaveLength(1);
  });

  const SIGNED_IN_AT = seconds(1_700_000_000);
  const CUTOFF = SIGNED_IN_AT * 1000 - 5000;
  const ofCaller = (change: object) => ({
    ...toAccessRecord(record({ ...bob, blocked: false, endedAt: CUTOFF - 1 })),
    ...change,
  });
  it.each<[string, object | undefined, 'written' | 'ended']>([
    ['never ended', undefined, 'written'],
    ['ended before they signed in', ofCaller({}), 'written'],
    ['ended when they signed in', ofCaller({ endedAt: CUTOFF }), 'ended'],
    ['ended, and they are blocked', ofCaller({ blocked: true }), 'ended'],
    ['recorded without a time', ofCaller({ endedAt: undefined }), 'ended'],
  ])(
    "ending or restoring another person's access checks the caller's own access, which was %s",
    async (_, item, result) => {
      if (item) await store.put({ ...item });
      const by = { ...bob, at: SIGNED_IN_AT };
      expect(await endAccess(table, record(), undefined, event(), by)).toBe(result);
      await store.put(toAccessRecord(record()));
      expect(await unblockPerson(table, record(), event({ id: newUlid(1) }), by)).toBe(result);
      const again = await endAccess(table, record(), undefined, event({ id: newUlid(2) }), by);
      expect(again).toBe(result === 'written' ? 'changed' : 'ended');
      expect(await store.partition('EVENTS#etl')).toHaveLength(result === 'written' ? 2 : 0);
    },
  );

  it('people can end their own access, and a lost race is reported as a changed record', async () => {
    const by = { ...ada, at: SIGNED_IN_AT };
    expect(await endAccess(table, record(), undefined, event(), by)).toBe('written');
    expect(await endAccess(table, record(), undefined, event({ id: newUlid(1) }), by)).toBe('changed');
    expect(await written()).toEqual(writtenFor(record()));
  });
});

describe('A restore writes the record of a person from a backup', () => {
  it.each<[string, object | undefined]>([
    ['there is no record', undefined],
    ['access was ended at the same time', { endedAt: ENDED_AT, blocked: false }],
    ['the time of the record is malformed', { endedAt: 'x' }],
  ])('writes the record, and starts its job again, if %s', async (_, item) => {
    if (item) await store.put({ ...ofAda, ...item });
    expect(await restorePerson(table, ofAda, record())).toBe(true);
    expect(await written()).toEqual([toAccessRecord(record()), [markOf(ada), entryOf(ada)], []]);
  });

  it('does not replace the record if access was ended later', async () => {
    const later = { ...ofAda, endedAt: ENDED_AT + 1 };
    await store.put(later);
    expect(await restorePerson(table, ofAda, record())).toBe(false);
    expect(await written()).toEqual([later, [], []]);
  });

  it('does not start the job of an erased person', async () => {
    const erased = { ...ada, sub: 'erased' };
    expect(await restorePerson(table, ofAda, record(erased))).toBe(true);
    expect(await written()).toEqual([{ ...record(erased), ...ofAda }, [{ ...entryOf(ada), ...erased }], []]);
    // The caller knows the `sub`, but the item does not contain it.
    expect(await readAccessRecord(table, ada)).toEqual({ record: record(), isThere: true });
  });
});

describe('People whose access was ended are listed', () => {
  const people = ['p1', 'p2', 'p3'].map((sub) => ({ ...ada, sub }));
  const sorted = people.map((person) => personKey(person).pk).sort();
  const ofPage = (pks: string[]) =>
    pks.map((pk) => record(people.find((person) => personKey(person).pk === pk) as PersonId));
  const fill = () =>
    store.put(
      ...people.flatMap((person) => [entryOf(person), toAccessRecord(record(person))]),
      markOf(ada),
      entryOf(ada),
      entryOf(bob),
      { ...toAccessRecord(record(bob)), revision: 'x' },
    );

  it('lists people in pages, without those whose record is missing or malformed', async () => {
    await fill();
    const { items, next } = await listPeople(table, { after: undefined, limit: 100 });
    expect([items, next]).toEqual([ofPage(sorted), undefined]);
    expect(store.malformed).toEqual([ofBob]);
    const every = [...sorted, ofAda.pk, ofBob.pk].sort();
    const first = await listPeople(table, { after: undefined, limit: 2 });
    expect(first).toEqual({
      items: ofPage(every.slice(0, 2).filter((pk) => sorted.includes(pk))),
      next: every[1],
    });
    const rest = await listPeople(table, { after: first.next, limit: 3 });
    expect(rest).toEqual({
      items: ofPage(every.slice(2).filter((pk) => sorted.includes(pk))),
      next: undefined,
    });
  });

  it('an empty list costs one query', async () => {
    expect(await listPeople(table, { after: undefined, limit: 2 })).toEqual({ items: [], next: undefined });
    expect(store.sent.map(({ operation }) => operation)).toEqual(['Query']);
  });

  it('returns each person with the key of their record, except for malformed entries', async () => {
    await fill();
    await store.put({ ...entryOf(bob), sub: 7 });
    const found = await all(allPeople(table));
    expect(found).toEqual(
      [...people, ada]
        .map((person) => ({ person, key: personKey(person) }))
        .sort((one, other) => (one.key.pk < other.key.pk ? -1 : 1)),
    );
    expect(store.malformed).toEqual([{ pk: 'PEOPLE', sk: ofBob.pk }]);
  });
});

describe("The job that looks for a person's keys records its progress", () => {
  const done = { ...job, found: 2, disabled: 1, finishedAt: 5 };

  it('returns the marks of unfinished jobs, except for malformed ones', async () => {
    await store.put(markOf(ada), { ...markOf(bob), jobId: 'x' }, entryOf(ada));
    expect(await all(markedJobs(table))).toEqual([{ ...ada, jobId: JOB }]);
    expect(store.malformed).toEqual([{ pk: 'PEOPLE', sk: markOf(bob).sk }]);
  });

  it('deletes the mark of a job only if no other job has replaced it', async () => {
    await store.put(markOf(ada));
    await deleteMark(table, ada, EARLIER);
    expect(await store.partition('PEOPLE')).toEqual([markOf(ada)]);
    await deleteMark(table, ada, JOB);
    expect(await store.partition('PEOPLE')).toEqual([]);
  });

  it.each<[string, object, boolean]>([
    ['is unfinished', record(), true],
    ['has finished', record({ job: done }), false],
    ['was replaced by another job', record({ job: { ...job, id: LATER } }), false],
  ])(
    'records the progress and the end of a job only if it is unfinished: the job %s',
    async (_, item, isWritten) => {
      await store.put({ ...ofAda, ...item }, markOf(ada));
      const progress = { ...job, after: 'etl', found: 1 };
      expect(await writeJob(table, ada, progress)).toBe(isWritten);
      expect(await store.get(ofAda)).toEqual({ ...ofAda, ...item, ...(isWritten && { job: progress }) });
      expect(await finishJob(table, ada, done, event())).toBe(isWritten);
      expect(await written()).toEqual(
        isWritten
          ? [toAccessRecord(record({ job: done })), [], [toEvent(event())]]
          : [{ ...ofAda, ...item }, [markOf(ada)], []],
      );
    },
  );

  it('does not record the end of a job whose mark is of another job', async () => {
    await store.put(toAccessRecord(record()), markOf(ada, LATER));
    expect(await finishJob(table, ada, done, event())).toBe(false);
    expect(await written()).toEqual([toAccessRecord(record()), [markOf(ada, LATER)], []]);
  });
});

describe('A job records the keys that it finds', () => {
  const held = (change: Partial<HeldKey> = {}): HeldKey => ({
    keyId: 'key.etl.1',
    jobId: JOB,
    name: 'ci',
    reasons: ['created', 'secret'],
    disabled: false,
    ...change,
  });
  const ofHeld = { pk: ofAda.pk, sk: 'KEY#key.etl.1' };

  it('reads the record of a key, which can be missing or malformed', async () => {
    expect(await readHeldKey(table, ada, 'key.etl.1')).toBeUndefined();
    await putHeldKey(table, ada, held(), undefined);
    expect(await store.get(ofHeld)).toEqual({ ...ofHeld, ...held() });
    expect(await readHeldKey(table, ada, 'key.etl.1')).toEqual(held());
    await store.put({ ...ofHeld, ...held(), disabled: 'x' });
    expect(await readHeldKey(table, ada, 'key.etl.1')).toBe('malformed');
    expect(store.malformed).toEqual([ofHeld]);
  });

  it.each<[string, string | undefined, HeldKey | 'malformed', boolean]>([
    ['an earlier job', EARLIER, held({ jobId: EARLIER }), true],
    ['the same job', JOB, held({ jobId: JOB }), false],
    ['a later job', LATER, held({ jobId: EARLIER }), false],
    ['a job with a malformed ID', 'zzz', 'malformed', true],
    ['the same job in a malformed record', JOB, 'malformed', false],
  ])(
    'a job replaces the record of a key only if an earlier job wrote it: the writer is %s',
    async (_, jobId, earlier, isWritten) => {
      const stored = { ...ofHeld, ...held({ name: 'stored' }), jobId };
      await store.put(stored);
      await putHeldKey(table, ada, held(), earlier);
      expect(await store.get(ofHeld)).toEqual(isWritten ? toHeldKey(ada, held()) : stored);
      const rejected = await transact(table, [heldKeyWrite(ada, held(), earlier)]);
      expect(rejected).toEqual([{ failed: true }]);
    },
  );

  it('lists and counts the keys that one job has found', async () => {
    const keys = ['a', 'b', 'c', 'd'].map((keyId) => held({ keyId, disabled: keyId === 'b' }));
    await store.put(
      toAccessRecord(record()),
      ...keys.map((key) => toHeldKey(ada, key)),
      toHeldKey(ada, held({ keyId: 'b2', jobId: EARLIER, disabled: true })),
      { ...toHeldKey(ada, held({ keyId: 'b3' })), name: 7 },
    );
    const list = (after: string | undefined, limit: number) =>
      listHeldKeys(table, ada, { jobId: JOB, after, limit });
    expect(await list(undefined, 100)).toEqual({ items: keys, next: undefined });
    expect(await list(undefined, 1)).toEqual({ items: keys.slice(0, 1), next: 'a' });
    expect(await list('a', 2)).toEqual({ items: keys.slice(1, 3), next: 'c' });
    expect(await list('c', 2)).toEqual({ items: keys.slice(3), next: undefined });
    expect(await countHeldKeys(table, ada, JOB)).toEqual({ found: 4, disabled: 1 });
    expect(await countHeldKeys(table, ada, LATER)).toEqual({ found: 0, disabled: 0 });
  });
});

describe("A person's record decides whether their call is accepted", () => {
  const SIGNED_IN_AT = seconds(1_700_000_000);
  const CUTOFF = SIGNED_IN_AT * 1000 - 5000;

  it.each<[string, object | undefined, boolean]>([
    ['never ended', undefined, true],
    ['ended earlier', record({ blocked: false, endedAt: CUTOFF - 1 }), true],
    ['ended at the same time', record({ blocked: false, endedAt: CUTOFF }), false],
    ['ended earlier, but they are blocked', record({ endedAt: CUTOFF - 1 }), false],
    ['recorded in a malformed item', { ...record({ endedAt: CUTOFF - 1 }), revision: 'x' }, false],
  ])(
    "whether the service accepts a call depends on the caller's access, which was %s",
    async (_, item, isAccepted) => {
      if (item) await store.put({ ...ofAda, ...item });
      const call = accessRequirement(table)({ ...ada, at: SIGNED_IN_AT });
      if (isAccepted) await expect(call).resolves.toBeUndefined();
      else await expect(call).rejects.toEqual(accessEnded());
      expect(store.sent).toMatchObject([{ operation: 'GetItem', input: { ConsistentRead: true } }]);
    },
  );
});
