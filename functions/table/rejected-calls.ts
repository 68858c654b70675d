import { UpdateCommand } from '@aws-sdk/lib-dynamodb';
import type { ServiceEvent } from '../domain/events.ts';
import type { RejectedCall, RejectedCalls } from '../domain/records.ts';
import { hashOf } from '../domain/secrets.ts';
import { ask, below, isWritten, queryPages, type Table, transact } from './client.ts';
import {
  fromRejectedCalls,
  PARTITION,
  parse,
  rejectedCallsAttributes,
  rejectedCallsKey,
  toEvent,
} from './schema.ts';

/**
 * Most Deployments that one item lists. A caller can name any number of IDs; ten of the longest keep the item below
 * 5 KB.
 */
export const MAX_DEPLOYMENTS = 10;
/** How long an item waits for the sweep at most, in seconds: 7 days. */
const LIFETIME = 7 * 24 * 60 * 60;
const HOUR = 60 * 60 * 1000;

type Caller = RejectedCalls['caller'];

const keyOf = ({ type, principal }: Caller, hour: string) =>
  rejectedCallsKey(hashOf(JSON.stringify([type, principal])), hour);

/** @param at epoch milliseconds */
const hourOf = (at: number) => new Date(at).toISOString().slice(0, 13);

const SET_COMMON = 'SET principal = :principal, principalType = :type, expiresAt = :expiresAt';

/**
 * Count a rejected call in the item of its caller and hour. The request is the same whether the Deployment exists or
 * not, so that neither its time nor its cost tells the caller which.
 *
 * An attempt that timed out may have been applied, so a call may be counted twice.
 */
export async function countRejectedCall(
  { client, tableName: TableName }: Table,
  { caller, deploymentId, call }: { caller: Caller; deploymentId: string; call: RejectedCall },
): Promise<void> {
  const Key = keyOf(caller, hourOf(call.at));
  const { count, last } = rejectedCallsAttributes(deploymentId);
  const values = {
    ':principal': caller.principal,
    ':type': caller.type,
    ':expiresAt': Math.ceil((call.at + HOUR) / 1000) + LIFETIME,
    ':one': 1,
  };
  const isCounted = await isWritten(
    client.send(
      new UpdateCommand({
        TableName,
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
      }),
    ),
  );
  if (isCounted) return;
  await ask(
    client.send(
      new UpdateCommand({
        TableName,
        Key,
        UpdateExpression: `${SET_COMMON} ADD callCount :one`,
        ExpressionAttributeValues: values,
      }),
    ),
  );
}

/**
 * The rejected calls of all hours that have ended. Calls of the current hour still change their item.
 * @param now epoch milliseconds
 */
export async function* endedRejectedCalls(table: Table, now: number): AsyncGenerator<RejectedCalls> {
  const current = hourOf(now);
  for await (const { items } of queryPages(table, below(PARTITION.rejectedCalls, ''))) {
    for (const item of items) {
      const calls = parse(table, item, fromRejectedCalls);
      if (calls && calls.hour < current) yield calls;
    }
  }
}

/**
 * Replace the counts of one caller and hour by events, in one transaction.
 * @returns false when the counts have changed or have been moved since they were read
 */
export async function moveRejectedCalls(
  table: Table,
  { caller, hour, callCount }: RejectedCalls,
  events: ServiceEvent[],
): Promise<boolean> {
  const { tableName: TableName } = table;
  const rejected = await transact(table, [
    {
      Delete: {
        TableName,
        Key: keyOf(caller, hour),
        ConditionExpression: 'callCount = :read',
        ExpressionAttributeValues: { ':read': callCount },
      },
    },
    ...events.map((event) => ({ Put: { TableName, Item: toEvent(event) } })),
  ]);
  return !rejected;
}
