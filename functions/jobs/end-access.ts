import type { SQSRecord } from 'aws-lambda';
import { formatKeyId } from '../domain/credentials.ts';
import { causeOf } from '../domain/errors.ts';
import { newEvent, type ServiceEvent } from '../domain/events.ts';
import type { Clock } from '../domain/expiry.ts';
import { mustBeDisabled, reasonsToHold } from '../domain/held-keys.ts';
import { OF_PEOPLE, systemActor } from '../domain/people.ts';
import type { AccessJob, AccessRecord, ApiKey, MalformedKey, PersonId } from '../domain/records.ts';
import { disabled } from '../domain/rotation.ts';
import { allDeployments, type ListedDeployment } from '../table/deployments.ts';
import { allApiKeys, disableMalformedKey, editApiKey, readApiKey } from '../table/keys.ts';
import {
  countHeldKeys,
  deleteMark,
  finishJob,
  heldKeyWrite,
  markedJobs,
  putHeldKey,
  readAccessRecord,
  readHeldKey,
  writeJob,
} from '../table/people.ts';
import { type Table, untilUnchanged } from '../table/retried-calls.ts';

/**
 * Time reserved for processing one Deployment and for the work after it, in milliseconds. A job whose writes are limited
 * can take 12 s for each key that it disables.
 */
export const RESERVE = 60_000;

export interface EndAccessDependencies {
  table: Table;
  clock: Clock;
  /** Reports whether there is time to disable one more key, or to read the keys of one more Deployment. */
  hasTime: () => boolean;
  /** Starts the job again for the remaining keys. */
  defer: (person: PersonId) => Promise<void>;
  /** Signs the person out everywhere if the stack uses its own user pool; undefined for any other issuer. */
  signOut: ((sub: string) => Promise<void>) | undefined;
}

/** Maximum number of times that the job reads a key if someone changes the key at the same time. */
const ATTEMPTS = 5;
const ACTOR = systemActor('end-access');

/** Runs the jobs for the people that a queue's messages name. */
export async function endAccessFromQueue(
  records: SQSRecord[],
  dependencies: EndAccessDependencies,
): Promise<void> {
  for (const { body } of records) await runJob(parsePerson(body), dependencies);
}

/**
 * Runs all unfinished jobs, which are the jobs whose message was lost or whose run failed. Also deletes the markers of
 * jobs that no longer exist.
 * @throws AggregateError if some jobs failed, after all other jobs have run
 */
export async function endAccessOfAll(dependencies: EndAccessDependencies): Promise<void> {
  const { table, hasTime } = dependencies;
  const errors: unknown[] = [];
  for await (const { jobId, ...person } of markedJobs(table)) {
    if (!hasTime()) break;
    try {
      const isLeftOver = (await runJob(person, dependencies)) === 'nothing to do';
      if (isLeftOver) await deleteMark(table, person, jobId);
    } catch (error) {
      errors.push(error);
    }
  }
  if (errors.length > 0) throw new AggregateError(errors, errors.map(causeOf).join('; '));
}

/**
 * Finds the keys of a person whose access was ended, and disables them if requested. Reads all Deployments and keys
 * with strongly consistent queries, and continues where an earlier run stopped. Each run records at least one key, or
 * completes at least one Deployment, if there is time for that when it starts.
 * @throws Error if other calls kept changing one of the keys. The next run reads all keys again, and skips those that
 *   are recorded
 * @returns `nothing to do` if the job has finished or the person's record was deleted, but not if the record is
 * malformed, because someone can repair it
 */
async function runJob(
  person: PersonId,
  dependencies: EndAccessDependencies,
): Promise<'nothing to do' | undefined> {
  const { table, clock, defer, signOut } = dependencies;
  const { record, isThere } = await readAccessRecord(table, person);
  if (!record) return isThere ? undefined : 'nothing to do';
  if (record.job.finishedAt !== undefined) return 'nothing to do';
  const isFirstRun =
    record.job.after === undefined && record.job.found === 0 && record.job.hasSkipped === undefined;
  if (isFirstRun) await signOut?.(person.sub);
  const { job: searched, isPaused } = await searchKeys(record, dependencies);
  // Count the recorded keys, because an earlier run can have recorded keys without saving its progress.
  const job = { ...searched, ...(await countHeldKeys(table, person, searched.id)) };
  if (isPaused) {
    if (await writeJob(table, person, job)) await defer(person);
    return undefined;
  }
  if (job.hasSkipped) {
    const { after: _, ...again } = job;
    await writeJob(table, person, { ...again, hasSkipped: false });
    throw new Error('a key of the person keeps changing');
  }
  const now = clock();
  const data = { ...person, keys: job.keys, found: job.found, disabled: job.disabled };
  const event = newEvent('person.keys_found', OF_PEOPLE, ACTOR, now, data);
  await finishJob(table, person, { ...job, finishedAt: now }, event);
  return undefined;
}

/** Records the keys of a person until all keys have been read, or until time runs out. Returns the progress. */
async function searchKeys(
  record: AccessRecord,
  dependencies: EndAccessDependencies,
): Promise<{ job: AccessJob; isPaused: boolean }> {
  const { table, hasTime } = dependencies;
  let { job } = record;
  for await (const deployment of allDeployments(table, job.after)) {
    if (!hasTime()) return { job, isPaused: true };
    for await (const key of allApiKeys(table, deployment)) {
      // The next run reads the keys of this Deployment again, and skips the ones that are recorded.
      const result = await hold(key, deployment, record, dependencies);
      if (result === 'keeps changing') job = { ...job, hasSkipped: true };
      if (result !== 'nothing to do' && !hasTime()) return { job, isPaused: true };
    }
    job = { ...job, after: deployment.id };
  }
  return { job, isPaused: false };
}

/**
 * Records a key that belongs to the person, and disables it if required.
 * @returns `nothing to do` if the key does not belong to the person, or if the job has already recorded it;
 *   `keeps changing` if other calls changed the key each time that the job read it
 */
async function hold(
  listed: ApiKey | MalformedKey,
  deployment: ListedDeployment,
  record: AccessRecord,
  { table, clock }: EndAccessDependencies,
): Promise<'recorded' | 'nothing to do' | 'keeps changing'> {
  const keyId = formatKeyId(listed.deploymentId, listed.ulid);
  return (await untilUnchanged(ATTEMPTS, holdOnce)) ?? 'keeps changing';

  /** Records the key, and disables it if required. @returns undefined if someone changed the key first */
  async function holdOnce(attempt: number): Promise<'recorded' | 'nothing to do' | undefined> {
    const key = attempt === 1 ? listed : await readApiKey(table, deployment, listed.ulid);
    const now = clock();
    const reasons = key ? reasonsToHold(key, record.sub, now) : [];
    if (!key || reasons.length === 0) return 'nothing to do';
    const earlier = await readHeldKey(table, record, keyId);
    // An earlier run has already processed this key. If someone has enabled the key since then, it stays enabled.
    if (earlier && earlier !== 'malformed' && earlier.jobId === record.job.id) return 'nothing to do';
    const held = { keyId, jobId: record.job.id, name: key.name ?? keyId, reasons };
    if (!isToDisable(key, record)) {
      await putHeldKey(table, record, { ...held, disabled: false }, earlier);
      return 'recorded';
    }
    const data = { keyId, name: held.name, changed: ['enabled'], sub: record.sub };
    const event = newEvent('api_key.disabled', deployment, ACTOR, now, data);
    const recording = [record, { ...held, disabled: true }, earlier] as const;
    const isDisabled = await disableHeldKey(table, key, recording, event);
    return isDisabled ? 'recorded' : undefined;
  }
}

function isToDisable(key: ApiKey | MalformedKey, record: AccessRecord): boolean {
  if (!('malformed' in key)) return mustBeDisabled(key, record);
  return record.job.keys === 'disable' && key.enabled !== false;
}

/**
 * Disables a key and records it.
 * @returns false if someone changed the key first
 */
async function disableHeldKey(
  table: Table,
  key: ApiKey | MalformedKey,
  recording: Readonly<Parameters<typeof heldKeyWrite>>,
  event: ServiceEvent,
): Promise<boolean> {
  if ('malformed' in key) {
    await disableMalformedKey(table, key, undefined, event);
    await putHeldKey(table, ...recording);
    return true;
  }
  const next = { ...disabled(key), epoch: key.epoch + 1, revision: key.revision + 1 };
  const more = [heldKeyWrite(...recording)];
  return (await editApiKey(table, next, event, { more })) === 'written';
}

/**
 * Parses a message from the queue.
 * @throws Error for any other message, which ends up in the dead-letter queue
 */
function parsePerson(body: string): PersonId {
  const { issuer, sub } = JSON.parse(body);
  if (typeof issuer !== 'string' || typeof sub !== 'string') throw new Error('not a person');
  return { issuer, sub };
}
