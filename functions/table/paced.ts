import { setTimeout } from 'node:timers/promises';
import type { Operation, Operations, Outcome, Port } from './port.ts';
import type { Table } from './table.ts';

/**
 * Time in which a paced job can write one page of items, in seconds. Jobs reserve at least 10 s for their last page.
 */
const PAGE_SECONDS = 5;

/** A clock in milliseconds, and a function that pauses for a number of milliseconds. */
export interface Time {
  now: () => number;
  pause: (milliseconds: number) => Promise<unknown>;
}

/** Estimated write units of each operation, if every item is at most 1 KB. A transaction costs twice as much. */
const ESTIMATES: { [O in Operation]?: (input: Operations[O]['input']) => number } = {
  PutItem: () => 1,
  UpdateItem: () => 1,
  DeleteItem: () => 1,
  BatchWriteItem: ({ RequestItems }) => sum(Object.values(RequestItems ?? {}).map((writes) => writes.length)),
  TransactWriteItems: ({ TransactItems }) => 2 * (TransactItems?.length ?? 0),
};

/**
 * Limits the write units that a job or a command uses, so that it leaves provisioned capacity for calls by pipelines
 * and people. A deadline would include the time for which a call waits, so only the number of attempts and the time
 * limit of each attempt end a call.
 *
 * @param unitsPerSecond limit for one process
 */
export function pacedTable(table: Table, unitsPerSecond: number, time?: Time): Table {
  return {
    ...table,
    port: pacedPort(table.port, unitsPerSecond, time),
    pageSize: Math.max(1, Math.floor(unitsPerSecond * PAGE_SECONDS)),
    deadline: Number.POSITIVE_INFINITY,
  };
}

/**
 * Limits the write units that a port uses. A write is delayed until the limit has allowed the units of all earlier
 * writes. Its timeout begins after the delay. Reads are not delayed.
 *
 * @param unitsPerSecond limit for one process
 */
export function pacedPort(
  port: Port,
  unitsPerSecond: number,
  { now, pause }: Time = { now: () => performance.now(), pause: setTimeout },
): Port {
  const unitsPerMillisecond = unitsPerSecond / 1000;
  /** The time until which the earlier writes have used up the limit, in the clock's milliseconds. */
  let paidAt = 0;
  return (async <O extends Operation>(operation: O, input: Operations[O]['input'], timeout: number) => {
    const estimate = ESTIMATES[operation]?.(input);
    if (estimate === undefined) return port(operation, input, timeout);
    const begin = Math.max(paidAt, now());
    // Update the time before the pause, so that a concurrent write also waits for this write.
    paidAt = begin + estimate / unitsPerMillisecond;
    if (begin > now()) await pause(begin - now());
    const outcome = await port(operation, { ...input, ReturnConsumedCapacity: 'TOTAL' }, timeout);
    paidAt += ((consumedUnits(outcome) ?? estimate) - estimate) / unitsPerMillisecond;
    return outcome;
  }) as Port;
}

/**
 * Returns the write units that an operation used; undefined if DynamoDB did not report them, for example after a failed
 * condition.
 */
function consumedUnits(outcome: Outcome): number | undefined {
  if (outcome.kind !== 'done') return undefined;
  const { ConsumedCapacity: consumed } = outcome.output as { ConsumedCapacity?: Consumed | Consumed[] };
  const units = [consumed ?? []].flat().map(({ CapacityUnits }) => CapacityUnits);
  const known = units.filter((it) => it !== undefined);
  return known.length === 0 ? undefined : sum(known);
}

interface Consumed {
  CapacityUnits?: number;
}

const sum = (numbers: number[]) => numbers.reduce((total, one) => total + one, 0);
