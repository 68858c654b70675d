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
  type Replayed,
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
  type MalformedRegistration,
  type Registration,
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
  onDoubt: (keyId: string, why: KeyDoubt) => void;
}

/** A reason why a person must check a key. */
type KeyDoubt = Doubt | 'everything is disabled';

/** A restore that has started. */
interface Run extends Restoration {
  /** Identifies the restore in the records of the service's table. */
  restoreId: string;
  /** Whether the backup was restored under the service's own table name, so that `from` and `into` are one table. */
  isInPlace: boolean;
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
      await restoreDeployment(id, { ...restoration, restoreId, isInPlace }, report);
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
  const { events, ignored } = eventsSince(await restoration.history(OF_PEOPLE.id), restoration);
  markMatched(report, ignored);
  for (const { person, key } of await knownPeople([from, into], events)) {
    const { record: before } = await readRecordAt(from, key);
    const { record: today } = await readRecordAt(into, key);
    const latest = today && { ...today, endedAt: Math.max(today.endedAt, before?.endedAt ?? 0) };
    const record = replayPerson(person, latest ?? before, events, clock());
    if (!record) continue;
    report.counts['people whose access stays ended']++;
    const isAsToday = record.endedAt === today?.endedAt && record.blocked === today.blocked;
    if (!isAsToday && !isDryRun) await restorePerson(into, key, record);
  }
}

/** Returns the people whom the tables and the events name, each with the key of their record. */
async function knownPeople(
  tables: readonly Table[],
  events: readonly ServiceEvent[],
): Promise<Iterable<{ person: PersonId; key: ItemKey }>> {
  const people = new Map<string, { person: PersonId; key: ItemKey }>();
  for (const table of tables) {
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
  return people.values();
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

/** Restores one Deployment. Reads everything first, then plans all changes, and then applies them. */
async function restoreDeployment(id: string, run: Run, report: RestoreReport): Promise<void> {
  const { deployment: before } = await readRestored(run.from, id);
  const { deployment: today, restoredBy } = await readRestored(run.into, id);
  const since = eventsSince(await run.history(id), run);
  // An interrupted run did not report which principals matched, so match the events of every Deployment again.
  markMatched(report, since.ignored);
  if (restoredBy === run.restoreId) {
    report.counts['Deployments restored before the interruption']++;
    return;
  }
  const outcome = outcomeOf({ before, today }, since.events);
  const contents = await readContents(id, outcome, since, run);
  const plan = planOf(outcome, contents, { ...run, deploymentId: id, since, now: run.clock() });
  addToReport(report, id, plan);
  await apply(plan, run);
}

/** A record in the backup and in the service's table; undefined if a table does not have it. */
interface Versions<T> {
  before: T | undefined;
  today: T | undefined;
}

/** What a restore does with a Deployment. */
interface Outcome {
  /** The Deployment in the service's table before the restore. */
  today: Deployment | undefined;
  /** The Deployment after the restore; undefined if it was deleted since the backup. */
  kept: Deployment | undefined;
  /** Whether `kept` comes from the backup. Otherwise it was created since. */
  isFromBackup: boolean;
  /** Whether the generation in the backup was deleted since. */
  isDeletedSince: boolean;
  /** Whether the Deployment was registered again, so that the generation in the backup is not restored. */
  isOtherGeneration: boolean;
}

/**
 * Decides whether a Deployment is restored from the backup, stays as it is today, or stays deleted.
 *
 * @param events events of all generations, oldest first, without the ignored events
 */
function outcomeOf({ before, today }: Versions<Deployment>, events: readonly ServiceEvent[]): Outcome {
  const ofGeneration = events.filter(({ generation }) => generation === before?.generation);
  const replayed = before && replayDeployment(before, ofGeneration);
  const isReplaced = before !== undefined && today !== undefined && today.generation !== before.generation;
  return {
    today,
    kept: isReplaced || !before ? today : replayed,
    isFromBackup: !isReplaced && replayed !== undefined,
    isDeletedSince: before !== undefined && replayed === undefined,
    isOtherGeneration: isReplaced && replayed !== undefined,
  };
}

/** What the tables contain about a Deployment, in addition to its own item. */
interface Contents {
  /** Keys of the kept generation in the backup, by ULID. Empty if the Deployment is not restored from the backup. */
  keysBefore: ReadonlyMap<string, ApiKey>;
  /** Keys of the kept generation in the service's table, by ULID. */
  keysToday: ReadonlyMap<string, ApiKey>;
  /** Undefined if the Deployment is not restored from the backup, or does not follow the source. */
  registrations: Registrations | undefined;
  /** Keys of the temporary tokens of all generations in the service's table. */
  temporaryTokens: ItemKey[];
}

/** The registration of a Deployment in the backup and in the service's table. */
interface Registrations {
  before: Registration | undefined;
  today: Registration | MalformedRegistration | undefined;
}

async function readContents(
  id: string,
  { kept, isFromBackup }: Outcome,
  { ignored }: EventsSince,
  run: Run,
): Promise<Contents> {
  const restored = isFromBackup ? kept : undefined;
  return {
    keysBefore: restored ? await allApiKeys(run.from, restored) : new Map(),
    keysToday: kept ? await allApiKeys(run.into, kept) : new Map(),
    registrations: restored && (await readRegistrations(restored, ignored, run)),
    temporaryTokens: await temporaryTokenKeys(run.into, id),
  };
}

/** Reads the registration in both tables. @returns undefined if the Deployment does not follow the source */
async function readRegistrations(
  deployment: Deployment,
  ignored: readonly ServiceEvent[],
  { from, into }: Run,
): Promise<Registrations | undefined> {
  const before = await readRegistration(from, deployment.id);
  const isLossIgnored = ignored.some(
    ({ type, actor, generation }) =>
      type === 'deployment.deleted' && actor.type === 'system' && generation === deployment.generation,
  );
  if (!isLossIgnored && !isOfSource(deployment, before)) return undefined;
  return { before, today: await readKnownRegistration(into, deployment.id) };
}

/** All changes that the restore of a Deployment makes. */
interface Plan extends Outcome {
  /** Item keys of the temporary tokens to delete. */
  temporaryTokens: ItemKey[];
  keys: readonly KeyPlan[];
  /** The write that changes the registration; undefined if the registration does not change. */
  registration: Write | undefined;
  /** Whether the Deployment follows the source, but neither table has a valid registration for it. */
  isUnfollowed: boolean;
}

/** What a restore does with an API key. */
interface KeyPlan extends Versions<ApiKey> {
  id: string;
  /** The key after the restore; undefined if it was deleted since the backup. */
  kept: ApiKey | undefined;
  doubts: readonly KeyDoubt[];
}

/** What a plan depends on, in addition to the tables. */
interface Context extends Pick<Run, 'point' | 'disablesAll' | 'isInPlace'> {
  deploymentId: string;
  since: EventsSince;
  now: EpochMillis;
}

/** Plans all changes to a Deployment from what was read. Does not read or write the tables. */
function planOf(outcome: Outcome, contents: Contents, context: Context): Plan {
  const { keysBefore, keysToday, registrations, temporaryTokens } = contents;
  const ulids = new Set([...keysBefore.keys(), ...keysToday.keys()]);
  const keys = [...ulids].map((ulid) =>
    planKey(ulid, { before: keysBefore.get(ulid), today: keysToday.get(ulid) }, context),
  );
  const keyCount = keys.filter(({ kept }) => kept).length;
  const kept = outcome.kept && { ...outcome.kept, keyCount };
  return {
    ...outcome,
    kept,
    keys,
    temporaryTokens,
    registration: kept && registrations && presentAgain(kept, registrations, context.now),
    isUnfollowed: registrations !== undefined && !baseOf(registrations),
  };
}

function planKey(ulid: string, versions: Versions<ApiKey>, context: Context): KeyPlan {
  const { disablesAll, since, now } = context;
  const id = formatKeyId(context.deploymentId, ulid);
  const { key, doubts } = keySince(id, versions, context);
  if (!key) return { ...versions, id, kept: undefined, doubts: [] };
  const reasonsToDisable: KeyDoubt[] = [];
  if (!since.isComplete) {
    reasonsToDisable.push('an event of its Deployment is malformed, so it may have been revoked');
  }
  if (disablesAll) reasonsToDisable.push('everything is disabled');
  const kept = renewed(reasonsToDisable.length > 0 ? disabled(key) : key, versions.today, now);
  return { ...versions, id, kept, doubts: [...doubts, ...reasonsToDisable] };
}

/** Returns the key with the changes since the backup. A key that was created since is disabled. */
function keySince(
  keyId: string,
  { before, today }: Versions<ApiKey>,
  { since: { events, ignored }, point, isInPlace }: Context,
): Replayed {
  if (!before) return { key: today && disabled(today), doubts: new Set(['it was created since']) };
  const isOfKey = ({ data }: ServiceEvent) => data.keyId === keyId;
  return replayKey(before, {
    events: events.filter(isOfKey),
    ignored: ignored.filter(isOfKey),
    today: isInPlace ? undefined : today,
    point,
  });
}

/**
 * Raises the key's epoch and revision above all earlier values, so that no existing token stays valid and no earlier
 * edit can still be written. This works even if the table still contains the key's tokens but not the key: the new
 * epoch is a time in milliseconds, which normal counting never reaches.
 *
 * @param now epoch milliseconds
 */
function renewed(key: ApiKey, today: ApiKey | undefined, now: EpochMillis): ApiKey {
  return {
    ...key,
    epoch: Math.max(key.epoch, today?.epoch ?? 0, now) + 1,
    revision: Math.max(key.revision, today?.revision ?? 0, now) + 1,
  };
}

/**
 * Returns the write that marks a restored Deployment as having a row in the followed table. With this mark,
 * reconciliation and `backfill --prune` notice that the row is missing, and delete the Deployment. Keeps the last
 * applied change, so that no older change is applied again.
 *
 * @param now epoch milliseconds
 * @returns undefined if the registration needs no change, or if neither table has a valid one
 */
function presentAgain(
  deployment: Deployment,
  registrations: Registrations,
  now: EpochMillis,
): Write | undefined {
  const { today } = registrations;
  const base = baseOf(registrations);
  if (!base || (base === today && isOfSource(deployment, base))) return undefined;
  const { lastChange = base.lastChange } = today ?? {};
  const next = { ...base, lastChange, generation: deployment.generation, isPresent: true };
  return registrationWrite(next, today, now);
}

/** Returns the current registration, or that of the backup if the current one is missing or malformed. */
function baseOf({ before, today }: Registrations): Registration | undefined {
  return today && 'row' in today ? today : before;
}

/** Makes the changes in a plan, except in a dry run, and reports each key that a person must check. */
async function apply(plan: Plan, run: Run): Promise<void> {
  const { into, isDryRun, onDoubt } = run;
  if (!isDryRun) await deleteItems(into, plan.temporaryTokens);
  for (const key of plan.keys) {
    if (!isDryRun) await applyKey(key, run);
    for (const why of key.doubts) onDoubt(key.id, why);
  }
  if (!isDryRun) await applyDeployment(plan, run);
}

async function applyKey({ kept, today }: KeyPlan, { into, restoreId }: Run): Promise<void> {
  if (kept) return putApiKey(into, kept, restoreId);
  if (today) await dropApiKeys(into, today.deploymentId, [today.ulid]);
}

async function applyDeployment({ kept, today, registration }: Plan, run: Run): Promise<void> {
  const { into, restoreId, point, clock } = run;
  if (kept) {
    const data = { restoredTo: new Date(point).toISOString(), keys: kept.keyCount };
    const event = newEvent('deployment.restored', kept, ACTOR, clock(), data);
    await putBackDeployment(into, kept, { restoreId, previousGroups: today?.groups, registration }, event);
  } else if (today) {
    // This record exists only if the backup was restored under the service's own table name.
    await deleteDeployment(into, today, newEvent('deployment.deleted', today, ACTOR, clock()));
  }
}

function addToReport(report: RestoreReport, deploymentId: string, plan: Plan): void {
  const { kept, isFromBackup, isDeletedSince, isOtherGeneration, isUnfollowed } = plan;
  const counts: Count[] = plan.keys.flatMap(countsOf);
  if (isDeletedSince) counts.push('Deployments deleted since');
  if (kept) counts.push(isFromBackup ? 'Deployments restored' : 'Deployments created since');
  for (const name of counts) report.counts[name]++;
  report.counts['temporary tokens deleted'] += plan.temporaryTokens.length;
  if (isOtherGeneration) report.otherGenerations.push(deploymentId);
  if (isUnfollowed) report.unfollowed.push(deploymentId);
}

function countsOf({ before, kept }: KeyPlan): Count[] {
  if (!kept) return ['keys deleted since'];
  if (!before) return ['keys disabled'];
  return before.enabled && !kept.enabled ? ['keys restored', 'keys disabled'] : ['keys restored'];
}

/** What happened since the backup, to a Deployment or to people. */
interface EventsSince {
  /** Oldest first, without the events that count as damage. */
  events: readonly ServiceEvent[];
  /** The events that count as damage. */
  ignored: readonly ServiceEvent[];
  /** False if there is a malformed event that may belong to this period. */
  isComplete: boolean;
}

function eventsSince(
  { events, malformed }: History,
  { point, ignored }: Pick<Restoration, 'point' | 'ignored'>,
): EventsSince {
  const from = point - MARGIN;
  const isSince = (eventId: string) => isUlid(eventId) && timeOfUlid(eventId) >= from;
  const byId = new Map(events.map((event) => [event.id, event]));
  const since = [...byId.values()]
    .filter(({ id, createdAt }) => createdAt >= from || isSince(id))
    .sort((a, b) => a.createdAt - b.createdAt || (a.id < b.id ? -1 : 1));
  return {
    events: since.filter((event) => !isDamage(event, ignored)),
    ignored: since.filter((event) => isDamage(event, ignored)),
    isComplete:
      since.every(isUnderstood) && !malformed.some((eventId) => !isUlid(eventId) || isSince(eventId)),
  };
}

/**
 * Reports whether an ignored actor caused the event. Checks the type too: a person's `sub` can equal `anonymous` or the
 * name of a job, and that person's events still count. Among the jobs, only the job that follows the platform's table
 * can do damage: it deletes Deployments when that table loses rows.
 */
function isDamage({ type, actor }: ServiceEvent, ignored: Restoration['ignored']): boolean {
  const isLoss = actor.type === 'system' && actor.principal === 'source' && type === 'deployment.deleted';
  return (isLoss || actor.type === 'person' || actor.type === 'iam') && ignored.includes(actor.principal);
}

/** Removes the principals that caused an ignored event from `report.unmatched`. */
function markMatched(report: RestoreReport, ignored: readonly ServiceEvent[]): void {
  const causes = new Set(ignored.map(({ actor }) => actor.principal));
  report.unmatched = report.unmatched.filter((principal) => !causes.has(principal));
}
