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

export interface Restoration {
  /** What point-in-time recovery made. It is only read, unless it is `into` too. */
  from: Table;
  /** What the service uses. */
  into: Table;
  /** Epoch milliseconds: the moment that was restored. */
  point: number;
  /** What happened to a Deployment, of any time, in any order; an event may come twice. */
  history: (deploymentId: string) => Promise<ServiceEvent[]>;
  /** Subs of people and ARNs of IAM principals whose changes are the damage: they are not applied again. */
  ignored: readonly string[];
  /** Whether every key is disabled, because what happened since is not known. */
  disablesAll: boolean;
  isDryRun: boolean;
  clock: Clock;
  onProgress: (done: number, all: number) => void;
  /** Told of each key that a person must look at, at once: what an interrupted run has found is not found again. */
  onDoubt: (keyId: string, why: Doubt | 'everything is disabled') => void;
}

/** What a restore has done, or in a dry run would do. */
export interface RestoreReport {
  counts: Record<Count, number>;
  /** Deployments that live another life than the backup has: that one stays. */
  otherLives: string[];
}

const COUNTS = [
  'Deployments back',
  'Deployments that were deleted since',
  'Deployments that were made since',
  'Deployments done before the interruption',
  'keys back',
  'keys that were deleted since',
  'keys disabled',
  'temporary tokens deleted',
] as const;
type Count = (typeof COUNTS)[number];

/** Deployments under way at once. */
const PARALLEL = 4;
/** Milliseconds: clocks of functions, and a backup's own precision. To do something again harms nothing. */
const MARGIN = 60_000;
const ACTOR = systemActor('restore');

/**
 * Puts what a backup holds back where the service uses it, and sees to it that nothing comes back to life: every
 * key begins a new epoch, every temporary token goes, and what was deleted, disabled, rotated or narrowed since is
 * so again. Keys that were made since are disabled. Stopped anywhere, it goes on where it was; done, it does nothing.
 *
 * @returns undefined when it has been done before
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
        // The others end what they are at, and begin nothing more.
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
  if (restoredBy === restoreId) return count('Deployments done before the interruption');

  const { events, ignored } = await eventsSince(id, restoration);
  const ofLife = (life: Deployment) => events.filter(({ generation }) => generation === life.generation);
  const back = was && replayDeployment(was, ofLife(was));
  const isOtherLife = stands !== undefined && was !== undefined && stands.generation !== was.generation;
  if (isOtherLife && back) report.otherLives.push(id);
  const life = isOtherLife ? stands : (back ?? (was ? undefined : stands));

  const grants = await grantKeys(into, id);
  count('temporary tokens deleted', grants.length);
  if (!isDryRun) await deleteItems(into, grants);
  if (was && !back) count('Deployments that were deleted since');
  if (!life) {
    // It stands there only where the backup is restored under the service's own name.
    if (stands && !isDryRun) await deleteDeployment(into, stands, deletionOf(stands));
    return;
  }
  const keyCount = await restoreKeys(life, life === back);
  count(life === back ? 'Deployments back' : 'Deployments that were made since');
  const event = newEvent('deployment.restored', life, ACTOR, clock(), {
    restoredTo: new Date(restoration.point).toISOString(),
    keys: keyCount,
  });
  if (!isDryRun) await putBackDeployment(into, { ...life, keyCount }, restoreId, event);

  /** @returns how many keys the life has then */
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
        : { key: stands && disabled(stands), doubts: new Set<Doubt>(['it was made since']) };
      if (!key) {
        count('keys that were deleted since');
        if (stands && !isDryRun) await dropApiKeys(into, id, [ulid]);
        continue;
      }
      const written = renewed(restoration.disablesAll ? disabled(key) : key, stands, clock());
      count(before ? 'keys back' : 'keys disabled');
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

/** What happened since, oldest first, and apart from it what counts as damage. */
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

  /** A person can have the `sub` of a job or `anonymous`, and is ignored without what those did. */
  function isIgnored({ principal, type }: Actor): boolean {
    return (type === 'person' || type === 'iam') && ignored.includes(principal);
  }
}

/**
 * No token has this epoch, and no edit that was begun before can be written any more: not even where the key is gone
 * from the table, and its tokens are not. Nobody counts up to a moment in milliseconds.
 * @param now epoch milliseconds
 */
function renewed(key: ApiKey, standing: ApiKey | undefined, now: number): ApiKey {
  return {
    ...key,
    epoch: Math.max(key.epoch, standing?.epoch ?? 0, now) + 1,
    revision: Math.max(key.revision, standing?.revision ?? 0, now) + 1,
  };
}
