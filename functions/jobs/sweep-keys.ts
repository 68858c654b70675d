import { formatKeyId } from '../domain/credentials.ts';
import { type EventType, newEvent, type ServiceEvent } from '../domain/events.ts';
import type { Clock, EpochMillis } from '../domain/expiry.ts';
import { noticeOf } from '../domain/key-notices.ts';
import { type KeyPolicy, policyViolations } from '../domain/key-policy.ts';
import { outdatedDays } from '../domain/last-use.ts';
import { systemActor } from '../domain/people.ts';
import type { ApiKey } from '../domain/records.ts';
import { type TrustedIssuer, unboundRules } from '../domain/trust.ts';
import { allDeployments, type ListedDeployment } from '../table/deployments.ts';
import { allApiKeys, markApiKey, removeActiveDays } from '../table/keys.ts';
import { readPassProgress, writePassProgress } from '../table/reconcile.ts';
import type { Table } from '../table/retried-calls.ts';
import { directoryKey } from '../table/schema.ts';

/**
 * Time reserved for one key or caller and the work after it, in milliseconds. A sweep whose writes are limited can take a
 * minute for the events about one caller.
 */
export const RESERVE = 120_000;

interface Dependencies {
  table: Table;
  clock: Clock;
  maxIdleDays: number | undefined;
  /** Issuers that the stack trusts. */
  issuers: readonly TrustedIssuer[];
  /** The stack's rules for keys. A key that is older than the rules can violate them. */
  policy: KeyPolicy;
  /** Reports whether there is time for one more key. */
  hasTime: () => boolean;
}

/** Name under which the pass over all keys stores its position. */
const PASS = 'KEYS';
const ACTOR = systemActor('sweep');

/**
 * Reports keys that expire within 7 days, have expired, are idle, have trust rules that do not bind a tenant, or violate
 * the key policy. It reports each of these conditions once, with an event. It also removes outdated active days. The
 * sweep has no effect on whether a key is accepted, because the service decides that each time it reads the key.
 * @returns the number of events written
 * @throws Error if time runs out. Earlier reports are kept, and the next run (Lambda's retry or the next day's run)
 *   continues after the last completed Deployment.
 */
export async function sweepKeys({
  table,
  clock,
  maxIdleDays,
  issuers,
  policy,
  hasTime,
}: Dependencies): Promise<number> {
  const startedAt = clock();
  let marked = 0;
  let done = await takePosition();
  for await (const deployment of allDeployments(table, done)) {
    for await (const key of allApiKeys(table, deployment)) {
      if ('malformed' in key) continue;
      if (!hasTime()) return outOfTime();
      marked += await report(deployment, key);
      const outdated = outdatedDays(key.activeDays, clock());
      if (outdated.length > 0) await removeActiveDays(table, key, outdated);
    }
    done = deployment.id;
    if (!hasTime()) return outOfTime();
  }
  return marked;

  /**
   * Returns and clears the position at which an earlier run ran out of time. If this run also fails, the next run
   * starts from the beginning, so that one position cannot block the sweep forever.
   */
  async function takePosition(): Promise<string | undefined> {
    const after = (await readPassProgress(table, PASS))?.after;
    if (after === undefined) return undefined;
    await writePassProgress(table, PASS, { startedAt, after: undefined });
    return typeof after.sk === 'string' ? after.sk : undefined;
  }

  async function outOfTime(): Promise<never> {
    if (done !== undefined)
      await writePassProgress(table, PASS, { startedAt, after: { ...directoryKey(done) } });
    throw new Error('the sweep of keys ran out of time');
  }

  /** Writes the due reports about a key. Returns the number of events written. */
  async function report(deployment: ListedDeployment, key: ApiKey): Promise<number> {
    const now = clock();
    let written = 0;
    for (const { type, reported, data } of reportsOf(key, now, { maxIdleDays, issuers, policy })) {
      const keyId = formatKeyId(key.deploymentId, key.ulid);
      const event = newEvent(type, deployment, ACTOR, now, { keyId, name: key.name, ...data });
      // If someone has edited the key in the meantime, the sweep checks it again the next day.
      if (await markApiKey(table, key, reported, event)) written++;
    }
    return written;
  }
}

interface Report {
  type: EventType;
  /** Data to record in the key's item, so that the sweep does not repeat a report. */
  reported: Parameters<typeof markApiKey>[2];
  data: ServiceEvent['data'];
}

/**
 * Returns the reports about a key that are due and have not been written yet.
 * @param now epoch milliseconds
 */
function reportsOf(
  key: ApiKey,
  now: EpochMillis,
  { maxIdleDays, issuers, policy }: Pick<Dependencies, 'maxIdleDays' | 'issuers' | 'policy'>,
): Report[] {
  const reports: Report[] = [];
  const notice = noticeOf(key, now, maxIdleDays);
  if (notice && (notice.type !== key.notice?.type || notice.of !== key.notice.of)) {
    const moment = new Date(notice.of).toISOString();
    const data: Report['data'] = notice.type === 'idle' ? { lastActiveAt: moment } : { expiresAt: moment };
    reports.push({ type: `api_key.${notice.type}`, reported: { notice }, data });
  }
  const unbound = unboundRules(key.trust, issuers);
  if (unbound.length > 0 && key.unboundReportedAt === undefined) {
    const ignored = unbound.filter((rule) => rule.ignored).length;
    const data = { ignoredRules: ignored, acceptedRules: unbound.length - ignored };
    reports.push({ type: 'api_key.trust_unbound', reported: { unboundReportedAt: now }, data });
  }
  const violations = policyViolations(key, policy);
  // A key that was reported for one violation is reported again if a later policy has another one.
  if (violations.some((violation) => !key.reportedViolations?.includes(violation))) {
    const reported = { reportedViolations: violations };
    reports.push({ type: 'api_key.policy_violated', reported, data: { violations } });
  }
  return reports;
}
