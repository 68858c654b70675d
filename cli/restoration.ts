import { systemActor } from '../functions/domain/actors.ts';
import { newEvent, type ServiceEvent } from '../functions/domain/events.ts';
import type { Clock } from '../functions/domain/expiry.ts';
import { formatKeyId } from '../functions/domain/identifiers.ts';
import type { Actor, ApiKey, Deployment } from '../functions/domain/records.ts';
import { type Doubt, replayDeployment, replayKey } from '../functions/domain/replay.ts';
import { disabled } from '../functions/domain/rotation.ts';
import type { Table } from '../functions/table/client.ts';
import { deleteDeployment } from '../functions/table/deployments.ts';
import { deleteItems } from '../functions/table/purge.ts';
import {
  allApiKeys,
  dropApiKeys,
  grantKeys,
  identityOf,
  putApiKey,
  putBackDeployment,
  readRestore,
  readRestored,
  scanDeploymentIds,
  writeRestore,
} from '../functions/table/restore.ts';

/** The options and callbacks of a restore. */
export interface Restoration {
  /** The table that point-in-time recovery created. It is only read, unless it is also `into`. */
  from: Table;
  /** The table that the service uses. */
  into: Table;
  /** The moment that was restored, in epoch milliseconds. */
  point: number;
  /** Returns all known events of a Deployment, in any order. Events may occur twice. */
  history: (deploymentId: string) => Promise<ServiceEvent[]>;
  /** The `sub` of each person and the ARN of each IAM principal whose changes are the damage. They are not reapplied. */
  ignored: readonly string[];
  /** True to disable every key, because the later events are not known. */
  disablesAll: boolean;
  isDryRun: boolean;
  clock: Clock;
  onProgress: (done: number, all: number) => void;
  /** Receives each key that a person must check, as soon as it is found. A run that continues does not find it again. */
  onDoubt: (keyId: string, why: Doubt | 'everything is disabled') => void;
}

/** The result of a restore, or what a dry run would do. */
export interface RestoreReport {
  counts: Record<Count, number>;
  /** Deployments that were registered again since the backup. They keep their current generation. */
  otherLives: string[];
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
] as const;
type Count = (typeof COUNTS)[number];

/** Number of Deployments restored concurrently. */
const PARALLEL = 4;
/** Allowance for clock differences and a backup's precision, in milliseconds. Reapplying an event is harmless. */
const MARGIN = 60_000;
const ACTOR = systemActor('restore');

/**
 * Restores a backup to the service's table without making any revoked access valid again. Every key starts a new epoch,
 * every temporary token is deleted, and later deletions, rotations and restrictions are reapplied. Keys created since the
 * backup are disabled. An interrupted restore continues when it is started again; a finished one does nothing.
 *
 * @returns the report, or undefined if this restore already finished
 */
export async function restore(restoration: Restoration): Promise<RestoreReport | undefined> {
  const { from, into, isDryRun, clock, onProgress } = restoration;
  const restoreId = await identityOf(from);
  const isInPlace = restoreId === (await identityOf(into));
  const record = await readRestore(into, restoreId);
  if (record?.finishedAt !== undefined) return undefined;
  const startedAt = record?.startedAt ?? clock();
  if (!isDryRun) await writeRestore(into, restoreId, { startedAt });

  const ids = new Set<string>();
  for await (const id of scanDeploymentIds(from)) ids.add(id);
  for await (const id of scanDeploymentIds(into)) ids.add(id);
  const report: RestoreReport = {
    counts: Object.fromEntries(COUNTS.map((name) => [name, 0])) as Record<Count, number>,
    otherLives: [],
  };
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
        // The other workers finish their current Deployment and start no more.
        waiting.length = 0;
        throw error;
      }),
    ),
  );
  const failed = ends.find((end) => end.status === 'rejected');
  if (failed) throw failed.reason;
  if (!isDryRun) await writeRestore(into, restoreId, { startedAt, finishedAt: clock() });
  return report;
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
  if (restoredBy === restoreId) return count('Deployments restored before the interruption');

  const { events, ignored } = await eventsSince(id, restoration);
  const ofLife = (life: Deployment) => events.filter(({ generation }) => generation === life.generation);
  const back = was && replayDeployment(was, ofLife(was));
  const isOtherLife = stands !== undefined && was !== undefined && stands.generation !== was.generation;
  if (isOtherLife && back) report.otherLives.push(id);
  const life = isOtherLife ? stands : (back ?? (was ? undefined : stands));

  const grants = await grantKeys(into, id);
  count('temporary tokens deleted', grants.length);
  if (!isDryRun) await deleteItems(into, grants);
  if (was && !back) count('Deployments deleted since');
  if (!life) {
    // It only exists if the backup was restored under the service's own table name.
    if (stands && !isDryRun) await deleteDeployment(into, stands, deletionOf(stands));
    return;
  }
  const keyCount = await restoreKeys(life, life === back);
  count(life === back ? 'Deployments restored' : 'Deployments created since');
  const event = newEvent('deployment.restored', life, ACTOR, clock(), {
    restoredTo: new Date(restoration.point).toISOString(),
    keys: keyCount,
  });
  if (!isDryRun) await putBackDeployment(into, { ...life, keyCount }, restoreId, event);

  /** @returns how many keys the generation has afterwards */
  async function restoreKeys(life: Deployment, isBack: boolean): Promise<number> {
    const standing = await allApiKeys(into, life);
    const backed = isBack ? await allApiKeys(from, life) : new Map<string, ApiKey>();
    let kept = 0;
    for (const ulid of new Set([...backed.keys(), ...standing.keys()])) {
      const keyId = formatKeyId(id, ulid);
      const before = backed.get(ulid);
      const isOfKey = ({ data }: ServiceEvent) => data.keyId === keyId;
      const stands = standing.get(ulid);
      const { key, doubts } = before
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
      const written = renewed(restoration.disablesAll ? disabled(key) : key, stands, clock());
      count(before ? 'keys restored' : 'keys disabled');
      if (before && !written.enabled && before.enabled) count('keys disabled');
      if (!isDryRun) await putApiKey(into, written, restoreId);
      for (const why of doubts) restoration.onDoubt(keyId, why);
      if (restoration.disablesAll) restoration.onDoubt(keyId, 'everything is disabled');
      kept++;
    }
    return kept;
  }

  function deletionOf(deployment: Deployment): ServiceEvent {
    return newEvent('deployment.deleted', deployment, ACTOR, clock());
  }

  function count(name: Count, by = 1): void {
    report.counts[name] += by;
  }
}

/** Returns the events since the backup, oldest first. Events that count as damage are in a list of their own. */
async function eventsSince(
  id: string,
  { history, point, ignored }: Restoration,
): Promise<{ events: readonly ServiceEvent[]; ignored: readonly ServiceEvent[] }> {
  const byId = new Map((await history(id)).map((event) => [event.id, event]));
  const since = [...byId.values()]
    .filter(({ createdAt }) => createdAt >= point - MARGIN)
    .sort((a, b) => a.createdAt - b.createdAt || (a.id < b.id ? -1 : 1));
  return {
    events: since.filter(({ actor }) => !isIgnored(actor)),
    ignored: since.filter(({ actor }) => isIgnored(actor)),
  };

  /** Checks the type too: a person can have a `sub` equal to the name of a job or `anonymous`, whose events still count. */
  function isIgnored({ principal, type }: Actor): boolean {
    return (type === 'person' || type === 'iam') && ignored.includes(principal);
  }
}

/**
 * Raises the key's epoch and revision above all earlier values, so that no existing token stays valid and no earlier edit
 * can still be written. This holds even if the key is missing from the table and its tokens are not: normal counting
 * never reaches a time in milliseconds.
 *
 * @param now epoch milliseconds
 */
function renewed(key: ApiKey, standing: ApiKey | undefined, now: number): ApiKey {
  return {
    ...key,
    epoch: Math.max(key.epoch, standing?.epoch ?? 0, now) + 1,
    revision: Math.max(key.revision, standing?.revision ?? 0, now) + 1,
  };
}
