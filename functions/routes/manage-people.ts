import type { z } from 'zod/mini';
import { cloudEventOf } from '../domain/cloud-event.ts';
import { newUlid, timeOfUlid } from '../domain/credentials.ts';
import { accessEnded, conflict } from '../domain/errors.ts';
import { newEvent } from '../domain/events.ts';
import { type Clock, DAY_MILLIS, type EpochMillis } from '../domain/expiry.ts';
import { OF_PEOPLE, requireAdministrator } from '../domain/people.ts';
import type { AccessJob, AccessRecord, HeldKey, PersonId } from '../domain/records.ts';
import type { Answer } from '../http/answer.ts';
import { fromCursor, toCursor } from '../http/cursor.ts';
import type { ManagementRequest, ManagementRoute } from '../http/management.ts';
import {
  endAccessInput,
  findPersonInput,
  pageInput,
  parseInput,
  restoreAccessInput,
} from '../http/schemas.ts';
import { listEvents } from '../table/events.ts';
import { endAccess, listHeldKeys, listPeople, readAccessRecord, unblockPerson } from '../table/people.ts';
import { type Table, untilUnchanged } from '../table/retried-calls.ts';

/** Maximum number of attempts to make a change if other calls change the same person at the same time. */
const ATTEMPTS = 10;
/** Maximum pause between two of these attempts, in milliseconds. */
const LONGEST_PAUSE = 200;
/** How far the clock of a function can be ahead, in milliseconds: one day. */
const LONGEST_CLOCK_ERROR = DAY_MILLIS;
const CHANGED = "Other calls keep changing this person's access. Try again.";
const MALFORMED = "The record of this person is malformed. End the person's access again first.";

interface Dependencies {
  clock: Clock;
  /** The issuer that signs people in. */
  issuer: string;
  /** Starts the job that finds the person's keys. If this call fails, a schedule starts the job. */
  startJob: (person: PersonId) => Promise<void>;
}

/** Returns the routes that end and restore people's access. Only administrators can call these routes. */
export function peopleRoutes(table: Table, dependencies: Dependencies): Record<string, ManagementRoute> {
  return {
    'POST /people/end-access': (request) => endPersonsAccess(table, dependencies, request),
    'POST /people/restore-access': (request) => restoreAccess(table, dependencies, request),
    'POST /people/find': (request) => findPerson(table, dependencies, request),
    'GET /people': (request) => listEndedAccess(table, request),
    'GET /people/events': (request) => listPeopleEvents(table, dependencies, request),
  };
}

async function endPersonsAccess(
  table: Table,
  { clock, issuer, startJob }: Dependencies,
  request: ManagementRequest,
): Promise<Answer> {
  requireAdministrator(request.person);
  const input = parseInput(endAccessInput, request.body());
  const person = { issuer, sub: input.sub };
  const ended = await untilUnchanged(ATTEMPTS, endOnce, () => LONGEST_PAUSE);
  if (!ended) throw conflict(CHANGED);
  await startJob(person);
  return { status: 202, body: shownPerson(ended) };

  /** Reads the person's record, and ends their access. @returns undefined if another call changed the record first */
  async function endOnce(): Promise<AccessRecord | undefined> {
    const read = await readAccessRecord(table, person);
    const now = clock();
    const next = withEndedAccess(person, read, input, now);
    const data = { ...person, keys: next.job.keys, blocked: next.blocked };
    const event = newEvent('person.access_ended', OF_PEOPLE, request.actor, now, data);
    const replaced = read.record ?? (read.isThere ? 'malformed' : undefined);
    const outcome = await endAccess(table, next, replaced, event, request.person.signIn);
    if (outcome === 'ended') throw accessEnded();
    return outcome === 'written' ? next : undefined;
  }
}

/** Returns a person's record after their access is ended. */
function withEndedAccess(
  person: PersonId,
  { record, isThere }: { record: AccessRecord | undefined; isThere: boolean },
  { keys, block }: z.infer<typeof endAccessInput>,
  now: EpochMillis,
): AccessRecord {
  return {
    ...person,
    // The end of access never moves back, even if the clock of the function that wrote the earlier end was ahead.
    endedAt: Math.max(now, record?.endedAt ?? 0),
    blocked: block || (record?.blocked ?? isThere),
    // A malformed record can have any revision. The current time in milliseconds is higher than any real number of
    // changes.
    revision: record ? record.revision + 1 : now,
    job: newJob(now, keys, record),
  };
}

/**
 * Returns a new job. If a call that only reports keys replaces an unfinished job that disables keys, the new job also
 * disables keys, but none that someone else has enabled since the earlier end of access.
 * @param earlier the record before the call
 */
function newJob(now: EpochMillis, keys: AccessJob['keys'], earlier: AccessRecord | undefined): AccessJob {
  // The ID is later than the replaced job's even if a clock was wrong, because only a later job replaces what the
  // earlier job has recorded. An ID from the far future is damaged, so it does not count.
  const replacedAt = earlier ? timeOfUlid(earlier.job.id) : 0;
  const id = newUlid(replacedAt < now + LONGEST_CLOCK_ERROR ? Math.max(now, replacedAt + 1) : now);
  const job: AccessJob = { id, keys, found: 0, disabled: 0 };
  const isContinued = earlier?.job.keys === 'disable' && earlier.job.finishedAt === undefined;
  if (!isContinued || keys === 'disable') return job;
  return { ...job, keys: 'disable', keepsEnabledAfter: earlier.job.keepsEnabledAfter ?? earlier.endedAt };
}

async function restoreAccess(
  table: Table,
  { clock, issuer }: Dependencies,
  { person, actor, body }: ManagementRequest,
): Promise<Answer> {
  requireAdministrator(person);
  const { sub } = parseInput(restoreAccessInput, body());
  const restored = await untilUnchanged(ATTEMPTS, restoreOnce);
  if (!restored) throw conflict(CHANGED);
  return { status: 200, body: restored };

  /**
   * Reads the person's record, and restores their access.
   * @returns the person for the response; undefined if another call changed the record first
   */
  async function restoreOnce() {
    const record = await accessRecordOf(table, { issuer, sub });
    if (!record) return unknownPerson(sub);
    if (!record.blocked) return shownPerson(record);
    // A transaction cannot both change and check the same item, so callers cannot restore their own access.
    if (person.signIn?.sub === sub) throw conflict('You cannot restore your own access.');
    const event = newEvent('person.access_restored', OF_PEOPLE, actor, clock(), { issuer, sub });
    const outcome = await unblockPerson(table, record, event, person.signIn);
    if (outcome === 'ended') throw accessEnded();
    return outcome === 'written' ? shownPerson({ ...record, blocked: false }) : undefined;
  }
}

async function findPerson(
  table: Table,
  { issuer }: Dependencies,
  { person, routeKey, body }: ManagementRequest,
): Promise<Answer> {
  requireAdministrator(person);
  const { sub, limit, cursor } = parseInput(findPersonInput, body());
  const record = await accessRecordOf(table, { issuer, sub });
  if (!record) return { status: 200, body: { ...unknownPerson(sub), keys: [] } };
  const listing = [routeKey, sub, record.job.id, person.sub];
  const after = fromCursor(listing, cursor);
  const { items, next } = await listHeldKeys(table, record, { jobId: record.job.id, after, limit });
  const nextCursor = next === undefined ? undefined : toCursor(listing, next);
  return { status: 200, body: { ...shownPerson(record), keys: items.map(shownKey), nextCursor } };
}

/**
 * Returns the record of a person whose access was ended; undefined if it never was.
 * @throws ServiceError 409 if the record is malformed
 */
async function accessRecordOf(table: Table, person: PersonId): Promise<AccessRecord | undefined> {
  const { record, isThere } = await readAccessRecord(table, person);
  if (!record && isThere) throw conflict(MALFORMED);
  return record;
}

async function listEndedAccess(
  table: Table,
  { person, query, routeKey }: ManagementRequest,
): Promise<Answer> {
  requireAdministrator(person);
  const { limit, cursor } = parseInput(pageInput, query, 'query');
  const listing = [routeKey, person.sub];
  const { items, next } = await listPeople(table, { after: fromCursor(listing, cursor), limit });
  const nextCursor = next === undefined ? undefined : toCursor(listing, next);
  return { status: 200, body: { items: items.map(shownPerson), nextCursor } };
}

async function listPeopleEvents(
  table: Table,
  { clock }: Dependencies,
  { person, query, routeKey }: ManagementRequest,
): Promise<Answer> {
  requireAdministrator(person);
  const { limit, cursor } = parseInput(pageInput, query, 'query');
  const listing = [routeKey, person.sub];
  const after = fromCursor(listing, cursor);
  const { items, next } = await listEvents(table, OF_PEOPLE.id, { after, limit, now: clock() });
  const nextCursor = next === undefined ? undefined : toCursor(listing, next);
  return { status: 200, body: { items: items.map(cloudEventOf), nextCursor } };
}

function unknownPerson(sub: string) {
  return { sub, blocked: false };
}

function shownPerson({ sub, endedAt, blocked, job }: AccessRecord) {
  const { keys, found, disabled, finishedAt } = job;
  return {
    sub,
    endedAt: new Date(endedAt).toISOString(),
    blocked,
    job: {
      keys,
      status: finishedAt === undefined ? 'running' : 'finished',
      found,
      disabled,
      finishedAt: finishedAt === undefined ? undefined : new Date(finishedAt).toISOString(),
    },
  };
}

function shownKey({ keyId, name, reasons, disabled }: HeldKey) {
  return { id: keyId, name, reasons, disabled };
}
