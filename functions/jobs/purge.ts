import type { DynamoDBBatchResponse, DynamoDBRecord, SQSBatchResponse, SQSRecord } from 'aws-lambda';
import { systemActor } from '../domain/actors.ts';
import { causeOf } from '../domain/errors.ts';
import { newEvent } from '../domain/events.ts';
import type { Clock } from '../domain/expiry.ts';
import { isDeploymentId, isUlid } from '../domain/identifiers.ts';
import type { PurgeOutcome } from '../domain/purge-outcome.ts';
import type { Table } from '../table/client.ts';
import {
  beginPurge,
  deleteItems,
  endPurge,
  hasApiKey,
  itemsOfLife,
  type Life,
  leaveMarker,
  readPresent,
  tokensOfKey,
  unfinishedPurges,
} from '../table/purge.ts';
import { removedThing } from '../table/removed.ts';

/** What to purge: a generation of a Deployment or the tokens of a deleted key, and how far an earlier run came. */
export interface PurgeTask {
  deploymentId: string;
  /** The generation to purge, or the one in which the key was deleted. */
  generation: string;
  /** The deleted key; undefined for a whole generation. */
  keyUlid?: string | undefined;
  /** Sort key after which to continue. */
  after?: string | undefined;
  /** Items deleted by earlier runs. */
  deleted?: number | undefined;
  /** When the Deployment or key was deleted, in epoch milliseconds; undefined if that is unknown. */
  since?: number | undefined;
}

export interface PurgeDependencies {
  table: Table;
  clock: Clock;
  /** Passes a task to a later run. */
  defer: (task: PurgeTask) => Promise<void>;
  /** Called with the outcome of each task and of each sweep. */
  report: (outcome: PurgeOutcome) => void;
}

/** How old a marker must be, in milliseconds, before the sweep takes it up. The stream handles younger ones. */
const MARKER_AGE = 5 * 60 * 1000;

/** Returns whether there is time for another page. */
export type HasTime = () => boolean;

/**
 * Purges what the records of removed Deployments and keys name, in order. On a failure, it reports the first failed
 * record, and Lambda retries from there, so that no record overtakes another.
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
      const sequenceNumber = record.dynamodb?.SequenceNumber;
      dependencies.report({ type: 'failed', error: String(error), sequenceNumber });
      return { batchItemFailures: [{ itemIdentifier: sequenceNumber ?? '' }] };
    }
  }
  return { batchItemFailures: [] };
}

/**
 * Purges the tasks in a queue: those of runs that ran out of time, and those that a sweep found. The tasks are
 * independent.
 */
export async function purgeFromQueue(
  records: SQSRecord[],
  hasTime: HasTime,
  dependencies: PurgeDependencies,
): Promise<SQSBatchResponse> {
  const failed: string[] = [];
  for (const { messageId, body } of records) {
    try {
      await purgeLeft(parseTask(body), hasTime, dependencies);
    } catch (error) {
      dependencies.report({ type: 'failed', error: causeOf(error), messageId });
      failed.push(messageId);
    }
  }
  return { batchItemFailures: failed.map((itemIdentifier) => ({ itemIdentifier })) };
}

/** Queues every unfinished purge again. Runs on a schedule. */
export async function sweepMarkers({ table, clock, defer, report }: PurgeDependencies): Promise<void> {
  let found = 0;
  for await (const { createdAt, ...life } of unfinishedPurges(table, clock(), MARKER_AGE)) {
    await defer({ ...life, since: createdAt });
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
  const { keyUlid, ...life } = removedThing(record);
  const { deploymentId } = life;
  const seconds = record.dynamodb?.ApproximateCreationDateTime;
  const since = seconds === undefined ? undefined : seconds * 1000;
  const state = await stateOf(table, life);
  if (keyUlid) {
    // If the key was deleted with its Deployment, the purge of that generation also deletes the key's tokens.
    if (state !== 'deleted') await purgeKey({ ...life, keyUlid, since }, hasTime, dependencies);
    return;
  }
  // A malformed item can belong to the removed generation only if someone restored it. A later sweep decides.
  if (state === 'malformed') await leaveMarker(table, life, clock());
  if (state !== 'deleted') return report({ type: state, deploymentId });
  // Whether it was deleted by hand or by the API, from here on it has a marker until the purge is complete.
  const isOnRecord = await beginPurge(table, life, clock());
  await purge({ ...life, since }, hasTime, dependencies, isOnRecord);
}

/** Continues what an earlier run or a marker left to do. */
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
 * Reports whether a generation is deleted. A generation that someone restored by hand, for example from a backup, must
 * not be purged because of an old record or marker. The same holds for a malformed Deployment, which may be of this
 * generation.
 */
async function stateOf(
  table: Table,
  { deploymentId, generation }: Life,
): Promise<'deleted' | 'current' | 'malformed'> {
  const present = await readPresent(table, deploymentId);
  if (!present.isThere) return 'deleted';
  if (present.generation === undefined) return 'malformed';
  return present.generation === generation ? 'current' : 'deleted';
}

/** Purges the tokens of a deleted key, unless its item exists: someone may have restored it by hand. */
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
 * Deletes items page by page. When time runs out, it leaves the rest to a later run and succeeds, because retries are
 * only for failures.
 * @param isOnRecord false if this run created the marker, so that no earlier run is known
 */
async function purge(
  task: PurgeTask,
  hasTime: HasTime,
  dependencies: PurgeDependencies,
  isOnRecord = true,
): Promise<void> {
  const { table, clock, defer, report } = dependencies;
  const { keyUlid, after, since, ...life } = task;
  let deleted = task.deleted ?? 0;
  const pages = keyUlid
    ? tokensOfKey(table, { deploymentId: life.deploymentId, ulid: keyUlid }, after)
    : itemsOfLife(table, life, after);
  for await (const { keys, next } of pages) {
    await deleteItems(table, keys);
    deleted += keys.length;
    if (next !== undefined && !hasTime()) {
      report({ type: 'deferred', deploymentId: life.deploymentId, keyUlid, deleted });
      return defer({ ...life, keyUlid, after: next, deleted, since });
    }
  }
  if (!keyUlid) await endLife(life, deleted, isOnRecord, dependencies);
  const now = clock();
  const lag = since === undefined ? undefined : Math.max(0, now - since);
  report({ type: 'purged', deploymentId: life.deploymentId, keyUlid, deleted, lag, time: now });
}

async function endLife(
  { deploymentId, generation }: Life,
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
  // A record that is delivered again after the end finds neither a marker nor items. It must not cause another event.
  await endPurge(table, { deploymentId, generation }, isOnRecord || deleted > 0 ? event : undefined);
}

/**
 * Parses a message of the queue.
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
