import { isDeepStrictEqual } from 'node:util';
import { formatKeyId, isUlid, timeOfUlid } from '../functions/domain/credentials.ts';
import { erasedIn } from '../functions/domain/erasure.ts';
import { newEvent, type ServiceEvent } from '../functions/domain/events.ts';
import type { Clock, EpochMillis } from '../functions/domain/expiry.ts';
import { ERASED, OF_PEOPLE, systemActor } from '../functions/domain/people.ts';
import type { ApiKey, Deployment, PersonId } from '../functions/domain/records.ts';
import {
  type Doubt,
  isUnderstood,
  replayDeployment,
  replayKey,
  replayPerson,
} from '../functions/domain/replay.ts';
import { disabled } from '../functions/domain/rotation.ts';
import { isOfSource } from '../functions/operations/follow-source.ts';
import { deleteDeployment } from '../functions/table/deployments.ts';
import { erasePeople } from '../functions/table/erasure.ts';
import { allPeople, readRecordAt, restorePerson } from '../functions/table/people.ts';
import { deleteItems } from '../functions/table/purge.ts';
import {
  readKnownRegistration,
  readRegistration,
  registrationWrite,
} from '../functions/table/registrations.ts';
import {
  allApiKeys,
  dropApiKeys,
  type History,
  identityOf,
  putApiKey,
  putBackDeployment,
  type RestoreOptions,
  type RestoreRecord,
  readRestore,
  readRestored,
  scanDeploymentIds,
  temporaryTokenKeys,
  writeRestore,
} from '../functions/table/restore.ts';
import type { Table, Write } from '../functions/table/retried-calls.ts';
import { type ItemKey, personKey } from '../functions/table/schema.ts';
import { Failure } from './failure.ts';

/** The options and callbacks of a restore. */
export interface Restoration {
  /** The table that point-in-time recovery created. The restore only reads this table, unless it is also `into`. */
  from: Table;
  /** The table that the service uses. */
  into: Table;
  /** The time to which the backup was restored, in epoch milliseconds. */
  point: EpochMillis;
  /** Returns all known events for a Deployment, in any order. The list can contain an event more than once. */
  history: (deploymentId: string) => Promise<History>;
  /**
   * The actors who did the damage: the `sub` of each person, the ARN of each IAM principal, and `source` for deletions
   * that the followed table caused. The restore does not reapply these changes.
   */
  ignored: readonly string[];
  /** True to disable every key, because the events since the backup are not known. */
  disablesAll: boolean;
  /**
   * The path of the archive whose events `history` includes. The restore uses the path only to compare it with that of
   * an interrupted run.
   */
  archive?: string | undefined;
  /**
   * True to restore the same backup again, with different options, after an earlier restore has finished. @default
   * false
   */
  again?: boolean;
  isDryRun: boolean;
  clock: Clock;
  onProgress: (done: number, all: number) => void;
  /**
   * Receives each key that a person must check, as soon as the restore finds it. A run that continues an interrupted
   * restore does not report such a key again.
   */
  onDoubt: (keyId: string, why: Doubt | 'everything is disabled') => void;
}

/** The result of a restore, or the changes that a dry run would make. */
export interface RestoreReport {
  counts: Record<Count, number>;
  /** Deployments that were registered again since the backup. They keep their current generation. */
  otherGenerations: string[];
  /**
   * Restored Deployments of the followed table whose row is not known, because both tables have no valid registration
   * for them. A comparison with the followed table does not find these Deployments.
   */
  unfollowed: string[];
  /** The principals in `ignored` that caused no change since the backup, for example because of a typing error. */
  unmatched: string[];
}

const COUNTS = [
  'Deployments restored',
  'Deployments deleted since',
  'Deployments created since',
  'Deployments restored before the interruption',
  'keys restored',
  'keys deleted since',
  'keys disabled',
  'temporary tokens deleted',
  'people whose access stays ended',
  'items of erased people',
] as const;
type Count = (typeof COUNTS)[number];

/** Number of Deployments to restore concurrently. */
const PARALLEL = 4;
/**
 * Allowance for clock differences and for the precision of a backup's time, in milliseconds. Events within it may be
 * reapplied, which is harmless.
 */
const MARGIN = 60_000;
const ACTOR = systemActor('restore');

/**
 * Restores a backup to the service's table without making any revoked access valid again. Every key starts a new epoch,
 * every temporary token is deleted, and later deletions, rotations and restrictions are reapplied. Keys created since
 * the backup are disabled. An interrupted restore continues when it is started again with the same options; a finished
 * restore does nothing, unless `again` is set.
 *
 * @returns the report, or undefined if this restore already finished
 * @throws OtherOptions if the restore was started with other options; nothing is changed
 */
export async function restore(restoration: Restoration): Promise<RestoreReport | undefined> {
  const { from, into, isDryRun, clock, onProgress } = restoration;
  const backup = await identityOf(from);
  const isInPlace = backup === (await identityOf(into));
  const { restoreId, record } = await currentRun(backup, restoration);
  if (record?.finishedAt !== undefined) return undefined;
  const options = optionsOf(restoration);
  requireSame(record, options);
  const run = { startedAt: record?.startedAt ?? clock(), options };
  const isStarted = isDryRun || (await writeRestore(into, restoreId, { ...run, finishedAt: undefined }));
  if (!isStarted) {
    // A second process has started or finished the same restore since this process read the record.
    requireSame(await readRestore(into, restoreId), options);
    return undefined;
  }

  const ids = new Set<string>();
  for await (const id of scanDeploymentIds(from)) ids.add(id);
  for await (const id of scanDeploymentIds(into)) ids.add(id);
  const report: RestoreReport = {
    counts: Object.fromEntries(COUNTS.map((name) => [name, 0])) as Record<Count, number>,
    otherGenerations: [],
    unfollowed: [],
    unmatched: [...options.ignored],
  };
  await restorePeople(restoration, report);
  const waiting = [...ids].sort().reverse();
  let done = 0;
  const worker = async () => {
    for (let id = waiting.pop(); id !== undefined; id = waiting.pop()) {
      await restoreDeployment(id, { restoreId, isInPlace }, restoration, report);
      onProgress(++done, ids.size);
    }
  };
  const ends = await Promise.allSettled(
    Array.from({ length: PARALLEL }, () =>
      worker().catch((error: unknown) => {
        // The other workers finish their current Deployment, and then stop.
        waiting.length = 0;
        throw error;
      }),
    ),
  );
  const failed = ends.find((end) => end.status === 'rejected');
  if (failed) throw failed.reason;
  await erasePeopleAgain(restoration, report);
  if (!isDryRun) await writeRestore(into, restoreId, { ...run, finishedAt: clock() });
  return report;
}

/**
 * Thrown when an interrupted restore was started with options that differ from those of this run. Continuing it would
 * apply the new options to some Deployments and the earlier options to the rest.
 */
class OtherOptions extends Failure {
  constructor({ point, ignored, disablesAll, archive }: RestoreOptions) {
    const given = [
      `--point ${new Date(point).toISOString()}`,
      ...(archive === undefined ? [] : [`--archive ${archive}`]),
      ...(disablesAll ? ['--disable-all'] : []),
      ...ignored.map((principal) => `--ignore-principal ${principal}`),
    ];
    super(
      `This restore was started with other options: ${given.join(' ')}. Nothing was changed.\n` +
        'Finish it with exactly these options. Then, if they were wrong, run it with the right ones and --again.',
    );
  }
}

/** Compares the options of an unfinished restore with those of this run. @throws OtherOptions if they differ */
function requireSame(record: RestoreRecord | undefined, options: RestoreOptions): void {
  if (!record?.options) return;
  const { archive, ...others } = record.options;
  if (!isDeepStrictEqual({ ...others, archive }, options)) throw new OtherOptions(record.options);
}

const optionsOf = ({ point, ignored, disablesAll, archive }: Restoration): RestoreOptions => ({
  point,
  ignored: [...new Set(ignored)].sort(),
  disablesAll,
  archive,
});

/**
 * Returns the run that this call starts or continues: the first restore of the backup, or the latest repetition. With
 * `again`, a new repetition follows a finished run.
 */
async function currentRun(
  backup: string,
  { into, again = false }: Restoration,
): Promise<{ restoreId: string; record: RestoreRecord | undefined }> {
  let current = { restoreId: backup, record: await readRestore(into, backup) };
  for (let run = 2; current.record?.finishedAt !== undefined; run++) {
    const restoreId = `${backup} #${run}`;
    const record = await readRestore(into, restoreId);
    if (!record && !again) break;
    current = { restoreId, record };
  }
  return current;
}

/**
 * Keeps the latest end of each person's access: from the backup, from the service's table, or from an event since the
 * backup. A person whose block is recorded only in an event stays blocked.
 */
async function restorePeople(restoration: Restoration, report: RestoreReport): Promise<void> {
  const { from, into, isDryRun, clock } = restoration;
  const { events } = await eventsSince(OF_PEOPLE.id, restoration, report);
  const people = new Map<string, { person: PersonId; key: ItemKey }>();
  for (const table of [from, into]) {
    for await (const { person, key } of allPeople(table)) {
      // The table may no longer contain the sub of an erased person whom the backup still names.
      if (person.sub !== ERASED || !people.has(key.pk)) people.set(key.pk, { person, key });
    }
  }
  for (const { data } of events) {
    const person = { issuer: String(data.issuer), sub: String(data.sub) };
    const key = personKey(person);
    if (data.issuer !== undefined && person.sub !== ERASED) people.set(key.pk, { person, key });
  }
  for (const { person, key } of people.values()) {
    const { record: was } = await readRecordAt(from, key);
    const { record: stands } = await readRecordAt(into, key);
    const known = stands && { ...stands, endedAt: Math.max(stands.endedAt, was?.endedAt ?? 0) };
    const record = replayPerson(person, known ?? was, events, clock());
    if (!record) continue;
    report.counts['people whose access stays ended']++;
    const isAsItStands = record.endedAt === stands?.endedAt && record.blocked === stands.blocked;
    if (!isAsItStands && !isDryRun) await restorePerson(into, key, record);
  }
}

/**
 * Erases the people from the restored data whom an event says were erased. All known events count, because an erasure
 * may have continued after the backup.
 */
async function erasePeopleAgain({ into, isDryRun, history }: Restoration, report: RestoreReport) {
  const isErased = erasedIn((await history(OF_PEOPLE.id)).events);
  if (!isErased) return;
  const counts = await erasePeople(into, isErased, isDryRun);
  report.counts['items of erased people'] = Object.values(counts).reduce((sum, count) => sum + count, 0);
}

async function restoreDeployment(
  id: string,
  { restoreId, isInPlace }: { restoreId: string; isInPlace: boolean },
  restoration: Restoration,
  report: RestoreReport,
): Promise<void> {
  const { from, into, isDryRun, clock } = restoration;
  const { deployment: was } = await readRestored(from, id);
  const { deployment: stands, restoredBy } = await readRestored(into, id);
  // An earlier run did not report which principals match. Read the events of this Deployment again.
  const { events, ignored, isComplete } = await eventsSince(id, restoration, report);
  if (restoredBy === restoreId) return count('Deployments restored before the interruption');

  const ofGeneration = (deployment: Deployment) =>
    events.filter(({ generation }) => generation === deployment.generation);
  const back = was && replayDeployment(was, ofGeneration(was));
  const isOtherGeneration = stands !== undefined && was !== undefined && stands.generation !== was.generation;
  if (isOtherGeneration && back) report.otherGenerations.push(id);
  const deployment = isOtherGeneration ? stands : (back ?? (was ? undefined : stands));

  const temporaryTokens = await temporaryTokenKeys(into, id);
  count('temporary tokens deleted', temporaryTokens.length);
  if (!isDryRun) await deleteItems(into, temporaryTokens);
  if (was && !back) count('Deployments deleted since');
  if (!deployment) {
    // This record exists only if the backup was restored under the service's own table name.
    if (stands && !isDryRun) await deleteDeployment(into, stands, deletionOf(stands));
    return;
  }
  const keyCount = await restoreKeys(deployment, deployment === back);
  count(deployment === back ? 'Deployments restored' : 'Deployments created since');
  const isLossIgnored = ignored.some(
    ({ type, actor, generation }) =>
      type === 'deployment.deleted' && actor.type === 'system' && generation === deployment.generation,
  );
  const registration = deployment === back ? await followedAgain(deployment, isLossIgnored) : undefined;
  const event = newEvent('deployment.restored', deployment, ACTOR, clock(), {
    restoredTo: new Date(restoration.point).toISOString(),
    keys: keyCount,
  });
  if (!isDryRun)
    await putBackDeployment(
      into,
      { ...deployment, keyCount },
      { restoreId, previousGroups: stands?.groups, registration },
      event,
    );

  /** Restores the keys of a generation. @returns the number of keys in the generation after the restore */
  async function restoreKeys(deployment: Deployment, isBack: boolean): Promise<number> {
    const standing = await allApiKeys(into, deployment);
    const backed = isBack ? await allApiKeys(from, deployment) : new Map<string, ApiKey>();
    let kept = 0;
    for (const ulid of new Set([...backed.keys(), ...standing.keys()])) {
      const keyId = formatKeyId(id, ulid);
      const before = backed.get(ulid);
      const isOfKey = ({ data }: ServiceEvent) => data.keyId === keyId;
      const stands = standing.get(ulid);
      const { key, doubts: found } = before
        ? replayKey(before, {
            events: events.filter(isOfKey),
            ignored: ignored.filter(isOfKey),
            today: isInPlace ? undefined : stands,
            point: restoration.point,
          })
        : { key: stands && disabled(stands), doubts: new Set<Doubt>(['it was created since']) };
      if (!key) {
        count('keys deleted since');
        if (stands && !isDryRun) await dropApiKeys(into, id, [ulid]);
        continue;
      }
      const doubts = new Set(found);
      if (!isComplete) doubts.add('an event of its Deployment is malformed, so it may have been revoked');
      const disables = restoration.disablesAll || !isComplete;
      const written = renewed(disables ? disabled(key) : key, stands, clock());
      count(before ? 'keys restored' : 'keys disabled');
      if (before && !written.enabled && before.enabled) count('keys disabled');
      if (!isDryRun) await putApiKey(into, written, restoreId);
      for (const why of doubts) restoration.onDoubt(keyId, why);
      if (restoration.disablesAll) restoration.onDoubt(keyId, 'everything is disabled');
      kept++;
    }
    return kept;
  }

  /**
   * Returns the write that marks a restored Deployment as having a row in the followed table. With this mark,
   * reconciliation and `backfill --prune` notice that the row is missing, and delete the Deployment. Keeps the last
   * applied change, so that no older change is applied
   * again. Uses the backup's registration if the current one is missing or malformed.
   * @returns undefined if the Deployment does not follow the source, or if its registration needs no change
   */
  async function followedAgain(deployment: Deployment, isLossIgnored: boolean): Promise<Write | undefined> {
    const backed = await readRegistration(from, id);
    if (!isLossIgnored && !isOfSource(deployment, backed)) return undefined;
    const known = await readKnownRegistration(into, id);
    const valid = known && 'row' in known ? known : undefined;
    if (valid && isOfSource(deployment, valid)) return undefined;
    const base = valid ?? backed;
    if (!base) {
      report.unfollowed.push(id);
      return undefined;
    }
    const { lastChange = base.lastChange } = known ?? {};
    const next = { ...base, lastChange, generation: deployment.generation, isPresent: true };
    return registrationWrite(next, known, clock());
  }

  function deletionOf(deployment: Deployment): ServiceEvent {
    return newEvent('deployment.deleted', deployment, ACTOR, clock());
  }

  function count(name: Count, by = 1): void {
    report.counts[name] += by;
  }
}

/**
 * Returns the events since the backup, oldest first. Events that count as damage are in a separate list. `isComplete`
 * is false if there is a malformed event that may belong to this period. Removes the principals that caused an event from
 * `report.unmatched`.
 */
async function eventsSince(
  id: string,
  { history, point, ignored }: Restoration,
  report: RestoreReport,
): Promise<{
  events: readonly ServiceEvent[];
  ignored: readonly ServiceEvent[];
  isComplete: boolean;
}> {
  const { events, malformed } = await history(id);
  const from = point - MARGIN;
  const isSince = (eventId: string) => isUlid(eventId) && timeOfUlid(eventId) >= from;
  const byId = new Map(events.map((event) => [event.id, event]));
  const since = [...byId.values()]
    .filter(({ id: eventId, createdAt }) => createdAt >= from || isSince(eventId))
    .sort((a, b) => a.createdAt - b.createdAt || (a.id < b.id ? -1 : 1));
  const damage = since.filter(isIgnored);
  const causes = new Set(damage.map(({ actor }) => actor.principal));
  report.unmatched = report.unmatched.filter((principal) => !causes.has(principal));
  return {
    events: since.filter((event) => !isIgnored(event)),
    ignored: damage,
    isComplete:
      since.every(isUnderstood) && !malformed.some((eventId) => !isUlid(eventId) || isSince(eventId)),
  };

  /**
   * Check the type too: a person's `sub` can equal `anonymous` or the name of a job, and that person's events still
   * count. Among the jobs, only the job that follows the platform's table can do damage: it deletes Deployments when
   * that table loses rows.
   */
  function isIgnored({ type, actor }: ServiceEvent): boolean {
    const isLoss = actor.type === 'system' && actor.principal === 'source' && type === 'deployment.deleted';
    return (isLoss || actor.type === 'person' || actor.type === 'iam') && ignored.includes(actor.principal);
  }
}

/**
 * Raises the key's epoch and revision above all earlier values, so that no existing token stays valid and no earlier
 * edit can still be written. This works even if the table still contains the key's tokens but not the key: the new
 * epoch is a time in milliseconds, which normal counting never reaches.
 *
 * @param now epoch milliseconds
 */
function renewed(key: ApiKey, standing: ApiKey | undefined, now: EpochMillis): ApiKey {
  return {
    ...key,
    epoch: Math.max(key.epoch, standing?.epoch ?? 0, now) + 1,
    revision: Math.max(key.revision, standing?.revision ?? 0, now) + 1,
  };
}
