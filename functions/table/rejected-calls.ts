import { hashOf } from '../domain/credentials.ts';
import type { ServiceEvent } from '../domain/events.ts';
import { type EpochMillis, type EpochSeconds, expiryAfter } from '../domain/expiry.ts';
import type { RejectedCall, RejectedCalls } from '../domain/records.ts';
import { REJECTED_CALLS_PARTITION } from './item-keys.ts';
import {
  inPartition,
  isUpdated,
  NOT_REPEATABLE,
  queryPages,
  type Table,
  transact,
  updateItem,
} from './retried-calls.ts';
import { fromRejectedCalls, parse, rejectedCallsAttributes, rejectedCallsKey, toEvent } from './schema.ts';

/**
 * Maximum number of Deployments that one item lists. A caller can send any number of IDs. With ten IDs of maximum
 * length, the item stays below 5 KB.
 */
export const MAX_DEPLOYMENTS = 10;
/** How long the table keeps an item for the sweep, in seconds: 7 days. */
const LIFETIME = 7 * 24 * 60 * 60;
const HOUR = 60 * 60 * 1000;

type Caller = RejectedCalls['caller'];

const keyOf = ({ type, principal }: Caller, hour: string) =>
  rejectedCallsKey(hashOf(JSON.stringify([type, principal])), hour);

/** Returns the hour of a time, in UTC, such as `2030-01-01T12`. */
const hourOf = (at: EpochMillis) => new Date(at).toISOString().slice(0, 13);

const SET_COMMON = 'SET principal = :principal, principalType = :type, expiresAt = :expiresAt';

/**
 * Counts a rejected call in the item of its caller and hour. The request to DynamoDB is the same whether or not the
 * Deployment exists, so that its timing and cost do not reveal to the caller which is the case.
 */
export async function countRejectedCall(
  table: Table,
  { caller, deploymentId, call }: { caller: Caller; deploymentId: string; call: RejectedCall },
): Promise<void> {
  const Key = keyOf(caller, hourOf(call.at));
  const { count, last } = rejectedCallsAttributes(deploymentId);
  const expiresAt: EpochSeconds = expiryAfter(call.at + HOUR, LIFETIME);
  const values = {
    ':principal': caller.principal,
    ':type': caller.type,
    ':expiresAt': expiresAt,
    ':one': 1,
  };
  const isCounted = await isUpdated(
    table,
    {
      Key,
      UpdateExpression: `${SET_COMMON}, #last = :last ADD callCount :one, #count :one, deployments :ids`,
      ConditionExpression:
        'attribute_not_exists(deployments) OR contains(deployments, :id) OR size(deployments) < :most',
      ExpressionAttributeNames: { '#count': count, '#last': last },
      ExpressionAttributeValues: {
        ...values,
        ':last': call,
        ':id': deploymentId,
        ':ids': new Set([deploymentId]),
        ':most': MAX_DEPLOYMENTS,
      },
    },
    NOT_REPEATABLE,
  );
  if (isCounted) return;
  await updateItem(
    table,
    {
      Key,
      UpdateExpression: `${SET_COMMON} ADD callCount :one`,
      ExpressionAttributeValues: values,
    },
    NOT_REPEATABLE,
  );
}

/**
 * Returns the rejected calls of all past hours, but not of the current hour, because its items still change.
 * @param now epoch milliseconds
 */
export async function* endedRejectedCalls(table: Table, now: EpochMillis): AsyncGenerator<RejectedCalls> {
  const current = hourOf(now);
  for await (const { items } of queryPages(table, inPartition(REJECTED_CALLS_PARTITION, ''))) {
    for (const item of items) {
      const calls = parse(table, item, fromRejectedCalls);
      if (calls && calls.hour < current) yield calls;
    }
  }
}

/**
 * Replaces the counts of one caller and hour with events, in one transaction.
 * @returns false if the counts were changed or moved since they were read
 */
export async function moveRejectedCalls(
  table: Table,
  { caller, hour, callCount }: RejectedCalls,
  events: ServiceEvent[],
): Promise<boolean> {
  const rejected = await transact(table, [
    {
      Delete: {
        Key: keyOf(caller, hour),
        ConditionExpression: 'callCount = :read',
        ExpressionAttributeValues: { ':read': callCount },
      },
    },
    ...events.map((event) => ({ Put: { Item: toEvent(event) } })),
  ]);
  return !rejected;
}
