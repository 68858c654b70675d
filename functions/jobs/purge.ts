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

/** One thing to purge: a life of a Deployment, or the tokens of one deleted key; and how far an earlier run came. */
export interface PurgeTask {
  deploymentId: string;
  /** The life to purge, or the life in which the key was deleted. */
  generation: string;
  /** The deleted key; left out for a whole life. */
  keyUlid?: string | undefined;
  /** Sort key to go on from. */
  after?: string | undefined;
  /** Items deleted by earlier runs. */
  deleted?: number | undefined;
  /** When it was removed, epoch milliseconds; left out by who does not know. */
  since?: number | undefined;
}

export interface PurgeDependencies {
  table: Table;
  clock: Clock;
  /** Hand a task to a later run. */
  defer: (task: PurgeTask) => Promise<void>;
  /** Reports what became of each task, and of each sweep. */
  report: (outcome: PurgeOutcome) => void;
}

/** Markers younger than this, in milliseconds, belong to a purge that the stream has yet to begin or end. */
const MARKER_AGE = 5 * 60 * 1000;

/** True while there is time for a further page. */
export type HasTime = () => boolean;

/**
 * Records of removed Deployments and keys, in their order. The first that fails is reported with all after it, so
 * that none overtakes another; Lambda sends them again from there.
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

/** Tasks of a run that had no time left, or that the sweep found: each stands alone. */
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

/** Runs on a schedule: queues every unfinished purge again. */
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
    // A key that went with its Deployment: the purge of that life takes its tokens too.
    if (state !== 'over') await purgeKey({ ...life, keyUlid, since }, hasTime, dependencies);
    return;
  }
  // A malformed item cannot be of the generation that was removed, unless somebody has put that back. A sweep decides.
  if (state === 'malformed') await leaveMarker(table, life, clock());
  if (state !== 'over') return report({ type: state, deploymentId });
  // By hand or by the API: either way there is a marker from here on, until the purge has ended.
  const isOnRecord = await beginPurge(table, life, clock());
  await purge({ ...life, since }, hasTime, dependencies, isOnRecord);
}

/** What an earlier run or a marker has left to do. */
async function purgeLeft(task: PurgeTask, hasTime: HasTime, dependencies: PurgeDependencies): Promise<void> {
  const { table, report } = dependencies;
  const { keyUlid, deploymentId } = task;
  if (keyUlid) return purgeKey({ ...task, keyUlid }, hasTime, dependencies);
  const state = await stateOf(table, task);
  if (state === 'over') return purge(task, hasTime, dependencies);
  // The marker stays until somebody has repaired or deleted a malformed Deployment: each sweep finds it again.
  if (state === 'current') await endPurge(table, task, undefined);
  report({ type: state, deploymentId });
}

/**
 * Whether a generation is over. One that somebody has put back by hand, from a backup, say, must not be purged by an old
 * record or marker; nor may that of a malformed Deployment, which may be this one.
 */
async function stateOf(
  table: Table,
  { deploymentId, generation }: Life,
): Promise<'over' | 'current' | 'malformed'> {
  const present = await readPresent(table, deploymentId);
  if (!present.isThere) return 'over';
  if (present.generation === undefined) return 'malformed';
  return present.generation === generation ? 'current' : 'over';
}

/** Purges the tokens of a deleted key, unless its item is there: somebody may have put it back by hand. */
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
 * Delete page by page; when time runs out, leave the rest to a later run, and succeed: retries are for failures.
 * @param isOnRecord false where the marker is of this run: then nothing is known of an earlier one
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
  // A record that comes again after the end finds neither marker nor items: it has nothing to tell.
  await endPurge(table, { deploymentId, generation }, isOnRecord || deleted > 0 ? event : undefined);
}

/** @throws Error for a message that is none of ours; it ends in the dead-letter queue */
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
