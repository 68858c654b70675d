import type { DynamoDBBatchResponse, DynamoDBRecord, SQSBatchResponse, SQSRecord } from 'aws-lambda';
import { isDeploymentId, isUlid } from '../domain/credentials.ts';
import { causeOf } from '../domain/errors.ts';
import { newEvent } from '../domain/events.ts';
import type { Clock, EpochMillis } from '../domain/expiry.ts';
import { systemActor } from '../domain/people.ts';
import type { PurgeOutcome } from '../domain/purge-outcome.ts';
import {
  beginPurge,
  type DeploymentGeneration,
  deleteItems,
  endPurge,
  hasApiKey,
  itemsOfGeneration,
  leaveMarker,
  readPresent,
  removalOf,
  tokensOfKey,
  unfinishedPurges,
} from '../table/purge.ts';
import type { Table } from '../table/retried-calls.ts';

/** Time reserved for the last page of a run and the work after it, in milliseconds. */
export const RESERVE = 10_000;

/**
 * A purge to run: what to purge (a generation of a Deployment, or the tokens of a deleted key), and the progress of
 * earlier runs.
 */
export interface PurgeTask {
  deploymentId: string;
  /** The generation to purge, or the generation in which the key was deleted. */
  generation: string;
  /** The deleted key; undefined to purge a whole generation. */
  keyUlid?: string | undefined;
  /** Sort key of the item after which to continue. */
  after?: string | undefined;
  /** Number of items that earlier runs deleted. */
  deleted?: number | undefined;
  /** When the Deployment or key was deleted, in epoch milliseconds; undefined if the time is unknown. */
  since?: EpochMillis | undefined;
}

export interface PurgeDependencies {
  table: Table;
  clock: Clock;
  /** Passes a task on to a later run. */
  defer: (task: PurgeTask) => Promise<void>;
  /** Called with the outcome of each task and each sweep. */
  report: (outcome: PurgeOutcome) => void;
}

/** Minimum age of a marker, in milliseconds, before the sweep handles it. The stream handles younger markers. */
const MARKER_AGE = 5 * 60 * 1000;

/** Reports whether there is time for one more page. */
export type HasTime = () => boolean;

/**
 * Runs the purges for stream records of removed Deployments and keys, in order. If a purge fails, reports the first
 * failed record. Lambda then retries from that record, so that no record overtakes another.
 */
export async function purgeFromStream(
  records: DynamoDBRecord[],
  hasTime: HasTime,
  dependencies: PurgeDependencies,
): Promise<DynamoDBBatchResponse> {
  for (const record of records) {
    try {
      await purgeRemoved(record, hasTime, dependencies);
    } catch (error) {
      const { SequenceNumber: sequenceNumber, Keys } = record.dynamodb ?? {};
      const { pk, sk } = { pk: Keys?.pk?.S, sk: Keys?.sk?.S };
      dependencies.report({ type: 'failed', error: causeOf(error), sequenceNumber, pk, sk });
      return { batchItemFailures: [{ itemIdentifier: sequenceNumber ?? '' }] };
    }
  }
  return { batchItemFailures: [] };
}

/**
 * Runs the purge tasks in a queue: tasks left over from runs that ran out of time, and tasks that a sweep found. The
 * tasks are independent of each other.
 */
export async function purgeFromQueue(
  records: SQSRecord[],
  hasTime: HasTime,
  dependencies: PurgeDependencies,
): Promise<SQSBatchResponse> {
  const failed: string[] = [];
  for (const { messageId, body } of records) {
    let task: PurgeTask | undefined;
    try {
      task = parseTask(body);
      await purgeLeft(task, hasTime, dependencies);
    } catch (error) {
      const { deploymentId, keyUlid } = task ?? {};
      dependencies.report({ type: 'failed', error: causeOf(error), messageId, deploymentId, keyUlid });
      failed.push(messageId);
    }
  }
  return { batchItemFailures: failed.map((itemIdentifier) => ({ itemIdentifier })) };
}

/** Requeues every unfinished purge. A schedule runs this function. */
export async function sweepMarkers({ table, clock, defer, report }: PurgeDependencies): Promise<void> {
  let found = 0;
  for await (const { createdAt, ...target } of unfinishedPurges(table, clock(), MARKER_AGE)) {
    await defer({ ...target, since: createdAt });
    found++;
  }
  report({ type: 'swept', found });
}

async function purgeRemoved(
  record: DynamoDBRecord,
  hasTime: HasTime,
  dependencies: PurgeDependencies,
): Promise<void> {
  const { table, clock, report } = dependencies;
  const { keyUlid, ...target } = removalOf(record);
  const { deploymentId } = target;
  const seconds = record.dynamodb?.ApproximateCreationDateTime;
  const since = seconds === undefined ? undefined : seconds * 1000;
  const state = await stateOf(table, target);
  if (keyUlid) {
    // If the key was deleted with its Deployment, the purge of that generation also deletes the key's tokens.
    if (state !== 'deleted') await purgeKey({ ...target, keyUlid, since }, hasTime, dependencies);
    return;
  }
  // A malformed item can belong to the removed generation only if someone has restored the item. A later sweep decides
  // whether to purge it.
  if (state === 'malformed') await leaveMarker(table, target, clock());
  if (state !== 'deleted') return report({ type: state, deploymentId });
  // The marker stays until the purge is complete, whether the Deployment was deleted by hand or through the API.
  const isOnRecord = await beginPurge(table, target, clock());
  await purge({ ...target, since }, hasTime, dependencies, isOnRecord);
}

/** Continues a purge that an earlier run or a marker left unfinished. */
async function purgeLeft(task: PurgeTask, hasTime: HasTime, dependencies: PurgeDependencies): Promise<void> {
  const { table, report } = dependencies;
  const { keyUlid, deploymentId } = task;
  if (keyUlid) return purgeKey({ ...task, keyUlid }, hasTime, dependencies);
  const state = await stateOf(table, task);
  if (state === 'deleted') return purge(task, hasTime, dependencies);
  // The marker of a malformed Deployment stays until someone repairs or deletes it. Each sweep finds the marker again.
  if (state === 'current') await endPurge(table, task, undefined);
  report({ type: state, deploymentId });
}

/**
 * Returns whether a generation was deleted. If someone has restored the generation by hand, for example from a backup,
 * an old record or marker must not cause a purge of it. The same applies if the Deployment's item is malformed, because
 * the item might belong to this generation.
 */
async function stateOf(
  table: Table,
  { deploymentId, generation }: DeploymentGeneration,
): Promise<'deleted' | 'current' | 'malformed'> {
  const present = await readPresent(table, deploymentId);
  if (!present.isThere) return 'deleted';
  if (present.generation === undefined) return 'malformed';
  return present.generation === generation ? 'current' : 'deleted';
}

/**
 * Purges the tokens of a deleted key. Does nothing if the key's item exists, because someone might have restored it by
 * hand.
 */
async function purgeKey(
  task: PurgeTask & { keyUlid: string },
  hasTime: HasTime,
  dependencies: PurgeDependencies,
): Promise<void> {
  const { deploymentId, keyUlid } = task;
  if (await hasApiKey(dependencies.table, deploymentId, keyUlid)) {
    return dependencies.report({ type: 'key_exists', deploymentId, keyUlid });
  }
  await purge(task, hasTime, dependencies);
}

/**
 * Deletes items page by page. If time runs out, leaves the remaining items to a later run and reports success, because
 * retries are only for failures.
 * @param isOnRecord false if this run created the marker, which means that no earlier run is known
 */
async function purge(
  task: PurgeTask,
  hasTime: HasTime,
  dependencies: PurgeDependencies,
  isOnRecord = true,
): Promise<void> {
  const { table, clock, defer, report } = dependencies;
  const { keyUlid, after, since, ...target } = task;
  let deleted = task.deleted ?? 0;
  const pages = keyUlid
    ? tokensOfKey(table, { deploymentId: target.deploymentId, ulid: keyUlid }, after)
    : itemsOfGeneration(table, target, after);
  for await (const { keys, next } of pages) {
    await deleteItems(table, keys);
    deleted += keys.length;
    if (next !== undefined && !hasTime()) {
      report({ type: 'deferred', deploymentId: target.deploymentId, keyUlid, deleted });
      return defer({ ...target, keyUlid, after: next, deleted, since });
    }
  }
  if (!keyUlid) await finishPurge(target, deleted, isOnRecord, dependencies);
  const now = clock();
  const lag = since === undefined ? undefined : Math.max(0, now - since);
  report({ type: 'purged', deploymentId: target.deploymentId, keyUlid, deleted, lag, time: now });
}

async function finishPurge(
  { deploymentId, generation }: DeploymentGeneration,
  deleted: number,
  isOnRecord: boolean,
  { table, clock }: PurgeDependencies,
) {
  const event = newEvent(
    'deployment.purged',
    { id: deploymentId, generation },
    systemActor('purge'),
    clock(),
    {
      deleted,
    },
  );
  // If a record is delivered again after the purge has finished, no marker and no items are left. Such a record must
  // not cause another event.
  await endPurge(table, { deploymentId, generation }, isOnRecord || deleted > 0 ? event : undefined);
}

/**
 * Parses a message from the queue.
 * @throws Error for any other message, which ends up in the dead-letter queue
 */
function parseTask(body: string): PurgeTask {
  const { deploymentId, generation, keyUlid, after, deleted, since } = JSON.parse(body);
  const isTask =
    isText(deploymentId) &&
    isDeploymentId(deploymentId) &&
    isText(generation) &&
    isUlid(generation) &&
    (keyUlid === undefined || (isText(keyUlid) && isUlid(keyUlid))) &&
    (after === undefined || (isText(after) && after !== '')) &&
    (deleted === undefined || (Number.isSafeInteger(deleted) && deleted >= 0)) &&
    (since === undefined || Number.isFinite(since));
  if (!isTask) throw new Error('not a purge task');
  return { deploymentId, generation, keyUlid, after, deleted, since };
}

const isText = (value: unknown): value is string => typeof value === 'string';
