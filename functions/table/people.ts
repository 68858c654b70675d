import { accessEnded } from '../domain/errors.ts';
import type { ServiceEvent } from '../domain/events.ts';
import type { EpochMillis } from '../domain/expiry.ts';
import { ERASED, latestEnd, precedesEnd } from '../domain/people.ts';
import type { AccessJob, AccessRecord, HeldKey, PersonId, SignIn } from '../domain/records.ts';
import { KEY_PREFIX, PEOPLE_PARTITION, personPartition } from './item-keys.ts';
import {
  deleteItem,
  inPartition,
  isUpdated,
  listPage,
  type Part,
  putItem,
  queryPages,
  readItem,
  readTogether,
  type Table,
  transact,
  type Write,
} from './retried-calls.ts';
import {
  accessJobKey,
  fromAccessRecord,
  fromHeldKey,
  fromJobMark,
  fromPersonId,
  heldKeyKey,
  type ItemKey,
  parse,
  peopleEntryKey,
  personKey,
  recordKeyOf,
  toAccessRecord,
  toHeldKey,
} from './schema.ts';

/**
 * Returns the part of a transaction that checks that the person's access was not ended. The check takes place when the
 * transaction is applied, so that even a call that is already in progress gives the person nothing after access was
 * ended.
 * @param signIn undefined for an IAM principal or a job, for which nothing is checked
 */
export function accessCheck(signIn: SignIn | undefined): Write[] {
  if (!signIn) return [];
  return [
    {
      ConditionCheck: {
        Key: personKey(signIn),
        // The access check also fails if the person's record is malformed.
        ConditionExpression: 'attribute_not_exists(pk) OR (endedAt < :latest AND blocked = :no)',
        ExpressionAttributeValues: { ':latest': latestEnd(signIn), ':no': false },
      },
    },
  ];
}

/**
 * Reports whether a transaction failed because of its access check.
 * @param at index of the access check in the transaction
 */
export function isRejectedPerson(signIn: SignIn | undefined, rejected: Part[], at: number): boolean {
  return signIn !== undefined && rejected[at]?.failed === true;
}

/** Reads a person's record. @returns the record, and whether an item exists, even if it is malformed */
export async function readAccessRecord(
  table: Table,
  { issuer, sub }: PersonId,
): Promise<{ record: AccessRecord | undefined; isThere: boolean }> {
  const { record, isThere } = await readRecordAt(table, personKey({ issuer, sub }));
  // The item of an erased person does not contain the sub, but its key is a hash of it.
  return { record: record && { ...record, issuer, sub }, isThere };
}

/** Reads the record with a key. The record of an erased person does not contain their `sub`. */
export async function readRecordAt(
  table: Table,
  key: ItemKey,
): Promise<{ record: AccessRecord | undefined; isThere: boolean }> {
  const item = await readItem(table, key);
  return { record: parse(table, item, fromAccessRecord), isThere: item !== undefined };
}

/** The result of changing a person's record; `ended` if the access of the person who makes the change was ended. */
export type AccessChange = 'written' | 'changed' | 'ended';

/**
 * Ends a person's access in one transaction, regardless of the number of sign-ins and temporary tokens that it revokes.
 * @param record the record after the change
 * @param read the record as read; undefined if there was no record, `malformed` if it could not be parsed
 * @param by sign-in of the person who ends the access
 */
export async function endAccess(
  table: Table,
  record: AccessRecord,
  read: AccessRecord | 'malformed' | undefined,
  event: ServiceEvent,
  by: SignIn | undefined,
): Promise<AccessChange> {
  const { issuer, sub, job } = record;
  const writes = [
    { Put: { Item: toAccessRecord(record), ...unchanged(read, record.endedAt) } },
    { Put: { Item: { ...peopleEntryKey(record), issuer, sub } } },
    { Put: { Item: { ...accessJobKey(record), issuer, sub, jobId: job.id } } },
  ];
  return change(table, writes, record, event, by);
}

/**
 * The condition that a person's record has not changed since it was read. Only a later end of access can replace a
 * malformed record.
 */
function unchanged(read: AccessRecord | 'malformed' | undefined, endedAt: EpochMillis) {
  if (read === undefined) return { ConditionExpression: 'attribute_not_exists(pk)' };
  return read === 'malformed'
    ? {
        ConditionExpression: 'attribute_exists(pk) AND NOT endedAt > :endedAt',
        ExpressionAttributeValues: { ':endedAt': endedAt },
      }
    : isRevision(read);
}

const isRevision = ({ revision }: AccessRecord) => ({
  ConditionExpression: 'revision = :read',
  ExpressionAttributeValues: { ':read': revision },
});

/**
 * Restores a person's access, so that the service accepts their new sign-ins again.
 * @param record the record as read
 * @param by sign-in of the person who restores the access
 */
export async function unblockPerson(
  table: Table,
  record: AccessRecord,
  event: ServiceEvent,
  by: SignIn | undefined,
): Promise<AccessChange> {
  const { ConditionExpression, ExpressionAttributeValues: values } = isRevision(record);
  const update = {
    Update: {
      Key: personKey(record),
      UpdateExpression: 'SET blocked = :no, revision = :next',
      ConditionExpression,
      ExpressionAttributeValues: { ...values, ':no': false, ':next': record.revision + 1 },
    },
  };
  return change(table, [update], record, event, by);
}

async function change(
  table: Table,
  writes: Write[],
  person: PersonId,
  event: ServiceEvent,
  by: SignIn | undefined,
): Promise<AccessChange> {
  // Skip the access check if people end their own access: they gain nothing by it, and a transaction cannot check an
  // item that it writes.
  const isOwn = by !== undefined && personKey(by).pk === personKey(person).pk;
  const caller = isOwn ? undefined : by;
  const rejected = await transact(table, [...writes, ...accessCheck(caller)], event);
  if (!rejected) return 'written';
  return isRejectedPerson(caller, rejected, writes.length) ? 'ended' : 'changed';
}

/**
 * Returns the people whose access was ended. The order is not chronological.
 * @param after position to start after
 * @param limit maximum number of items to return
 */
export async function listPeople(
  table: Table,
  { after, limit }: { after: string | undefined; limit: number },
): Promise<{ items: AccessRecord[]; next: string | undefined }> {
  const { items: keys, next } = await listPage(table, inPartition(PEOPLE_PARTITION, personPartition('')), {
    start: after === undefined ? undefined : { pk: PEOPLE_PARTITION, sk: after },
    limit,
    entryOf: recordKeyOf,
  });
  const found = keys.length > 0 ? await readTogether(table, keys) : () => undefined;
  return { items: keys.flatMap((key) => parse(table, found(key), fromAccessRecord) ?? []), next: next?.sk };
}

/**
 * Returns every person whose access was ended, with the key of their record. The record of an erased person has no
 * `sub`.
 */
export async function* allPeople(table: Table): AsyncGenerator<{ person: PersonId; key: ItemKey }> {
  for await (const { items } of queryPages(table, inPartition(PEOPLE_PARTITION, personPartition('')))) {
    for (const item of items) {
      const person = parse(table, item, fromPersonId);
      if (person) yield { person, key: recordKeyOf(item) };
    }
  }
}

/**
 * Writes a record from a backup and restarts its job. The job of an erased person does not start again, because it could
 * not find their keys.
 * @param key key of the record
 * @returns false if a record with a later end of access has been written in the meantime
 */
export async function restorePerson(table: Table, key: ItemKey, record: AccessRecord): Promise<boolean> {
  const { issuer, sub, job, endedAt } = record;
  const rejected = await transact(table, [
    {
      Put: {
        Item: { ...toAccessRecord(record), ...key },
        ConditionExpression: 'attribute_not_exists(pk) OR NOT endedAt > :endedAt',
        ExpressionAttributeValues: { ':endedAt': endedAt },
      },
    },
    { Put: { Item: { ...peopleEntryKey(record), sk: key.pk, issuer, sub } } },
    ...(sub === ERASED ? [] : [{ Put: { Item: { ...accessJobKey(record), issuer, sub, jobId: job.id } } }]),
  ]);
  return !rejected;
}

/** Returns the markers of unfinished jobs, each with its person and the ID of the job. */
export async function* markedJobs(table: Table): AsyncGenerator<PersonId & { jobId: string }> {
  for await (const { items } of queryPages(table, inPartition(PEOPLE_PARTITION, 'JOB#'))) {
    for (const item of items) {
      const mark = parse(table, item, fromJobMark);
      if (mark) yield mark;
    }
  }
}

/** Deletes the marker of a job, unless another job has replaced it. */
export async function deleteMark(table: Table, person: PersonId, jobId: string): Promise<void> {
  await deleteItem(table, markOf(person, jobId));
}

const markOf = (person: PersonId, jobId: string) => ({
  Key: accessJobKey(person),
  ConditionExpression: 'jobId = :id',
  ExpressionAttributeValues: { ':id': jobId },
});

/** Records the progress of a job. @returns false if the job has finished, or if another job has replaced it */
export function writeJob(table: Table, person: PersonId, job: AccessJob): Promise<boolean> {
  return isUpdated(table, jobUpdate(person, job));
}

const jobUpdate = (person: PersonId, job: AccessJob) => ({
  Key: personKey(person),
  UpdateExpression: 'SET #job = :job',
  ConditionExpression: '#job.#id = :id AND attribute_not_exists(#job.finishedAt)',
  ExpressionAttributeNames: { '#job': 'job', '#id': 'id' },
  ExpressionAttributeValues: { ':job': job, ':id': job.id },
});

/** Marks a job as finished. @returns false if another job has replaced it, or if it was already finished */
export async function finishJob(
  table: Table,
  person: PersonId,
  job: AccessJob,
  event: ServiceEvent,
): Promise<boolean> {
  const writes = [{ Update: jobUpdate(person, job) }, { Delete: markOf(person, job.id) }];
  const rejected = await transact(table, writes, event);
  return !rejected;
}

/**
 * Reads the record of a key that a job has found.
 * @returns `malformed` if the record cannot be parsed; undefined if no job has found the key
 */
export async function readHeldKey(
  table: Table,
  person: PersonId,
  keyId: string,
): Promise<HeldKey | 'malformed' | undefined> {
  const item = await readItem(table, heldKeyKey(person, keyId));
  return item && (parse(table, item, fromHeldKey) ?? 'malformed');
}

/**
 * Returns the write that records a found key. Its condition fails if the same job or a later one has recorded it.
 * @param earlier the record that this write replaces, as readHeldKey returned it
 */
export function heldKeyWrite(
  person: PersonId,
  key: HeldKey,
  earlier: Awaited<ReturnType<typeof readHeldKey>>,
): Write {
  // The ID of a job in a malformed record can be any value, even one that seems to be later.
  const isOfOtherJob = earlier === 'malformed' ? 'jobId <> :job' : 'jobId < :job';
  return {
    Put: {
      Item: toHeldKey(person, key),
      ConditionExpression: `attribute_not_exists(pk) OR ${isOfOtherJob}`,
      ExpressionAttributeValues: { ':job': key.jobId },
    },
  };
}

/** Records a key that the job has found but does not change. */
export async function putHeldKey(table: Table, ...held: Parameters<typeof heldKeyWrite>): Promise<void> {
  await putItem(table, heldKeyWrite(...held).Put as never);
}

/**
 * Returns the keys that a job has found.
 * @param after ID of the key to start after
 * @param limit maximum number of items to return
 */
export async function listHeldKeys(
  table: Table,
  person: PersonId,
  { jobId, after, limit }: { jobId: string; after: string | undefined; limit: number },
): Promise<{ items: HeldKey[]; next: string | undefined }> {
  const { items, next } = await listPage(table, inPartition(personKey(person).pk, KEY_PREFIX), {
    start: after === undefined ? undefined : heldKeyKey(person, after),
    limit,
    entryOf: (item) => {
      const key = parse(table, item, fromHeldKey);
      return key?.jobId === jobId ? key : undefined;
    },
  });
  return { items, next: next?.sk.slice(KEY_PREFIX.length) };
}

/** Counts the keys that a job has found, and those of them that it has disabled. */
export async function countHeldKeys(
  table: Table,
  person: PersonId,
  jobId: string,
): Promise<Pick<AccessJob, 'found' | 'disabled'>> {
  const count = { found: 0, disabled: 0 };
  for await (const { items } of queryPages(table, inPartition(personKey(person).pk, KEY_PREFIX))) {
    for (const item of items) {
      const key = parse(table, item, fromHeldKey);
      if (key?.jobId !== jobId) continue;
      count.found++;
      if (key.disabled) count.disabled++;
    }
  }
  return count;
}

/**
 * Returns a function that rejects a person's call if their access was ended after they signed in, or if they are
 * blocked. Each check costs one strongly consistent read. If the person's record is malformed, the function rejects
 * every sign-in.
 * @throws ServiceError 401 from the returned function
 */
export function accessRequirement(table: Table): (signIn: SignIn) => Promise<void> {
  return async (signIn) => {
    const { record, isThere } = await readAccessRecord(table, signIn);
    const isRejected = record ? record.blocked || precedesEnd(record.endedAt, signIn.at) : isThere;
    if (isRejected) throw accessEnded();
  };
}
