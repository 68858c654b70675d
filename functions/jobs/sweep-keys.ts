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
  /** True while there is time for a further page. */
  hasTime: () => boolean;
}

const PAGE = 100;
/** The pass over all keys, by the name under which its position is kept. */
const PASS = 'KEYS';
const ACTOR = systemActor('sweep');

/**
 * Once a day: report each key that expires within 7 days, has expired or is idle, or has trust rules that bind no
 * tenant, by an event, once. It decides nothing: whether a key is accepted is decided on each read.
 * @returns how many reports were written
 * @throws Error when time ran out: what was marked stays so, and the next run, Lambda's retry or tomorrow's, goes on
 *   behind the last Deployment that was done
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

  /** Where a run that had no more time left off: once, so that a rest that fails is begun anew and blocks nothing. */
  async function takePosition(): Promise<string | undefined> {
    const after = (await readPass(table, PASS))?.after;
    if (after === undefined) return undefined;
    await writePass(table, PASS, { startedAt, after: undefined });
    return String(after.sk);
  }

  async function outOfTime(): Promise<never> {
    if (done !== undefined) await writePass(table, PASS, { startedAt, after: { ...directoryKey(done) } });
    throw new Error('the sweep of keys ran out of time');
  }

  /** @returns how many reports were written */
  async function report(deployment: ListedDeployment, key: ApiKey): Promise<number> {
    const now = clock();
    let written = 0;
    for (const { type, reported, data } of reportsOf(key, now, maxIdleDays)) {
      const keyId = formatKeyId(key.deploymentId, key.ulid);
      const event = newEvent(type, deployment, ACTOR, now, { keyId, name: key.name, ...data });
      // One that somebody has edited meanwhile is looked at again tomorrow.
      if (await markApiKey(table, key, reported, event)) written++;
    }
    return written;
  }
}

interface Report {
  type: EventType;
  /** By what the key's item remembers that it was reported. */
  reported: Parameters<typeof markApiKey>[2];
  data: ServiceEvent['data'];
}

/** What is to be reported about a key and was not reported yet. @param now epoch milliseconds */
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

/** @param from ID to begin after */
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
