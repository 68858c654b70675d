import { timeOfUlid } from '../domain/credentials.ts';
import type { ServiceError } from '../domain/errors.ts';
import { newEvent, type ServiceEvent } from '../domain/events.ts';
import type { Clock, EpochSeconds } from '../domain/expiry.ts';
import { systemActor } from '../domain/people.ts';
import type { RejectedCalls } from '../domain/records.ts';
import type { ManagementRequest } from '../http/management.ts';
import { readDeployment } from '../table/deployments.ts';
import { listEvents, putEvent } from '../table/events.ts';
import { countRejectedCall, endedRejectedCalls, moveRejectedCalls } from '../table/rejected-calls.ts';
import type { Table } from '../table/retried-calls.ts';

/**
 * Returns a function that counts rejected calls by Deployment. The function does not read anything about the
 * Deployment, because the caller must not learn whether the Deployment exists.
 */
export function rejectedCallCounter(table: Table, clock: Clock) {
  return async ({ params, routeKey, actor }: ManagementRequest, error: ServiceError): Promise<void> => {
    const { deploymentId } = params;
    if (deploymentId === '') return;
    const { principal, type, address, requestId } = actor;
    const { status, code } = error;
    const call = { at: clock(), call: routeKey, status, code, address, requestId };
    await countRejectedCall(table, { caller: { principal, type }, deploymentId, call });
  };
}

interface Dependencies {
  table: Table;
  clock: Clock;
  /** Reports whether there is time to record one more caller. */
  hasTime: () => boolean;
  log: (message: string, fields: Record<string, string | number>) => void;
}

/**
 * Maximum number of events that name a caller, for each Deployment and run. One additional event summarizes all other
 * callers.
 */
const MAX_CALLERS = 10;

/** The history of a Deployment to which this run adds events, with counts of what the run has added so far. */
interface History {
  /** Current generation; '' if the Deployment no longer exists. */
  generation: string;
  /** When the history expires; undefined if the Deployment exists. */
  expiresAt?: EpochSeconds;
  callers: number;
  others: { calls: number; callers: number };
}

/**
 * Moves the counts of all past hours into the Deployments' events: one event for each caller, hour and Deployment. A
 * deleted Deployment still gets such events until its last event expires, but only administrators see them. No events
 * are written for an ID that was never registered.
 *
 * @returns the number of events written
 * @throws Error if time runs out; the next run continues with the rest
 */
export async function recordRejectedCalls({ table, clock, hasTime, log }: Dependencies): Promise<number> {
  const now = clock();
  const histories = new Map<string, History | undefined>();
  let written = 0;
  try {
    for await (const calls of endedRejectedCalls(table, now)) {
      if (!hasTime()) throw new Error('no time left to record rejected calls');
      await move(calls);
    }
  } finally {
    await writeOthers();
  }
  return written;

  async function move(calls: RejectedCalls): Promise<void> {
    const { caller, hour, callCount, deployments } = calls;
    const existing = [];
    for (const about of deployments) {
      const history = await historyOf(about.deploymentId);
      if (history) existing.push({ ...about, history });
    }
    const named = existing.filter(({ history }) => history.callers < MAX_CALLERS);
    const events = named.map(({ deploymentId, count, last, history }) => {
      const { at, call, status, code, address, requestId } = last;
      // A call cannot belong to a generation that was registered after the call.
      const isOfGeneration = history.generation !== '' && timeOfUlid(history.generation) <= at;
      const generation = isOfGeneration ? history.generation : '';
      const data = { call, status, code, count, lastAt: new Date(at).toISOString() };
      const actor = { ...caller, address, requestId };
      return inHistory(newEvent('call.refused', { id: deploymentId, generation }, actor, now, data), history);
    });
    if (!(await moveRejectedCalls(table, calls, events))) return;
    written += events.length;
    for (const { history, count } of existing) {
      if (history.callers < MAX_CALLERS) history.callers++;
      else {
        history.others.calls += count;
        history.others.callers++;
      }
    }
    const unlisted = callCount - deployments.reduce((sum, { count }) => sum + count, 0);
    if (unlisted > 0) log('rejected calls about further Deployments', { ...caller, hour, calls: unlisted });
  }

  async function historyOf(deploymentId: string): Promise<History | undefined> {
    if (!histories.has(deploymentId)) histories.set(deploymentId, await readHistory(deploymentId));
    return histories.get(deploymentId);
  }

  async function readHistory(deploymentId: string): Promise<History | undefined> {
    const none = { callers: 0, others: { calls: 0, callers: 0 } };
    const deployment = await readDeployment(table, deploymentId);
    if (deployment) return { generation: deployment.generation, ...none };
    const { items } = await listEvents(table, deploymentId, { after: undefined, limit: 1, now });
    return items[0] && { generation: '', expiresAt: items[0].expiresAt, ...none };
  }

  async function writeOthers(): Promise<void> {
    for (const [deploymentId, history] of histories) {
      if (!history || history.others.callers === 0) continue;
      const { calls: count, callers } = history.others;
      const deployment = { id: deploymentId, generation: history.generation };
      const event = newEvent('call.refused', deployment, systemActor('sweep'), now, { count, callers });
      await putEvent(table, inHistory(event, history));
      written++;
    }
  }
}

/**
 * Returns the event, with its expiry limited by that of the history. An event about a deleted Deployment expires with
 * the Deployment's last event, so that it does not extend the history.
 */
function inHistory(event: ServiceEvent, { expiresAt = event.expiresAt }: History): ServiceEvent {
  return { ...event, expiresAt };
}
