import { systemActor } from '../domain/actors.ts';
import { type EventType, newEvent, type ServiceEvent } from '../domain/events.ts';
import type { Clock } from '../domain/expiry.ts';
import { formatKeyId } from '../domain/identifiers.ts';
import { noticeOf } from '../domain/key-status.ts';
import type { ApiKey } from '../domain/records.ts';
import { unboundRules } from '../domain/trust.ts';
import type { Table } from '../table/client.ts';
import { type ListedDeployment, listDeployments } from '../table/deployments.ts';
import { listApiKeys, markApiKey } from '../table/keys.ts';
import { readPass, writePass } from '../table/reconcile.ts';
import { directoryKey } from '../table/schema.ts';

interface Dependencies {
  table: Table;
  clock: Clock;
  maxIdleDays: number | undefined;
  /** Whether there is time for another key. */
  hasTime: () => boolean;
}

const PAGE = 100;
/** Name under which the pass over all keys stores its position. */
const PASS = 'KEYS';
const ACTOR = systemActor('sweep');

/**
 * Reports keys that expire within 7 days, have expired, are idle, or have trust rules that bind no tenant. Each is
 * reported once, by an event. The sweep does not change whether a key is accepted: every read decides that.
 * @returns the number of events written
 * @throws Error when time ran out. Reports so far are kept, and the next run (Lambda's retry or the next day's)
 *   continues after the last Deployment that was completed.
 */
export async function sweepKeys({ table, clock, maxIdleDays, hasTime }: Dependencies): Promise<number> {
  const startedAt = clock();
  let marked = 0;
  let done = await takePosition();
  for await (const deployment of deployments(table, done)) {
    for await (const key of keysOf(table, deployment)) {
      if (!hasTime()) return outOfTime();
      marked += await report(deployment, key);
    }
    done = deployment.id;
    if (!hasTime()) return outOfTime();
  }
  return marked;

  /**
   * Returns where an earlier run stopped for lack of time, and clears it. If this run also fails, the next starts from
   * the beginning, so that one position cannot block the sweep forever.
   */
  async function takePosition(): Promise<string | undefined> {
    const after = (await readPass(table, PASS))?.after;
    if (after === undefined) return undefined;
    await writePass(table, PASS, { startedAt, after: undefined });
    return typeof after.sk === 'string' ? after.sk : undefined;
  }

  async function outOfTime(): Promise<never> {
    if (done !== undefined) await writePass(table, PASS, { startedAt, after: { ...directoryKey(done) } });
    throw new Error('the sweep of keys ran out of time');
  }

  /** Returns the number of events written. */
  async function report(deployment: ListedDeployment, key: ApiKey): Promise<number> {
    const now = clock();
    let written = 0;
    for (const { type, reported, data } of reportsOf(key, now, maxIdleDays)) {
      const keyId = formatKeyId(key.deploymentId, key.ulid);
      const event = newEvent(type, deployment, ACTOR, now, { keyId, name: key.name, ...data });
      // A key that someone has edited in the meantime is checked again the next day.
      if (await markApiKey(table, key, reported, event)) written++;
    }
    return written;
  }
}

interface Report {
  type: EventType;
  /** What to record in the key's item, so that it is not reported again. */
  reported: Parameters<typeof markApiKey>[2];
  data: ServiceEvent['data'];
}

/**
 * Returns what has not been reported about a key yet.
 * @param now epoch milliseconds
 */
function reportsOf(key: ApiKey, now: number, maxIdleDays: number | undefined): Report[] {
  const reports: Report[] = [];
  const notice = noticeOf(key, now, maxIdleDays);
  if (notice && (notice.type !== key.notice?.type || notice.of !== key.notice.of)) {
    const moment = new Date(notice.of).toISOString();
    const data: Report['data'] = notice.type === 'idle' ? { lastActiveAt: moment } : { expiresAt: moment };
    reports.push({ type: `api_key.${notice.type}`, reported: { notice }, data });
  }
  const unbound = unboundRules(key.trust);
  if (unbound.length > 0 && key.unboundReportedAt === undefined) {
    const ignored = unbound.filter((rule) => rule.ignored).length;
    const data = { ignoredRules: ignored, acceptedRules: unbound.length - ignored };
    reports.push({ type: 'api_key.trust_unbound', reported: { unboundReportedAt: now }, data });
  }
  return reports;
}

/** Lists all Deployments after the given ID. */
async function* deployments(table: Table, from: string | undefined): AsyncGenerator<ListedDeployment> {
  let after = from;
  do {
    const { items, hasMore } = await listDeployments(table, { after, limit: PAGE });
    yield* items;
    after = hasMore ? items.at(-1)?.id : undefined;
  } while (after !== undefined);
}

async function* keysOf(table: Table, deployment: ListedDeployment): AsyncGenerator<ApiKey> {
  let after: string | undefined;
  do {
    const { items, hasMore } = await listApiKeys(table, deployment, { after, limit: PAGE });
    for (const key of items) if (!('malformed' in key)) yield key;
    after = hasMore ? items.at(-1)?.ulid : undefined;
  } while (after !== undefined);
}
