import type { AttributeValue } from '@aws-sdk/client-dynamodb';
import { PutCommand } from '@aws-sdk/lib-dynamodb';
import { unmarshall } from '@aws-sdk/util-dynamodb';
import type { DynamoDBRecord } from 'aws-lambda';
import type { ServiceEvent } from '../domain/events.ts';
import { isLive } from '../domain/expiry.ts';
import { ask, below, queryPages, type Table } from './client.ts';
import { eventKey, fromEvent, PARTITION, parse, toEvent } from './schema.ts';

/** Write an event that belongs to no change. */
export async function putEvent({ client, tableName }: Table, event: ServiceEvent): Promise<void> {
  await ask(client.send(new PutCommand({ TableName: tableName, Item: toEvent(event) })));
}

/**
 * What happened to a Deployment in 90 days, in all its lives, newest first.
 * @param after ID to begin after
 * @param limit most to return
 * @param now epoch milliseconds
 * @param isWanted picks some
 */
export async function listEvents(
  table: Table,
  deploymentId: string,
  {
    after,
    limit,
    now,
    isWanted,
  }: { after: string | undefined; limit: number; now: number; isWanted: (one: ServiceEvent) => boolean },
): Promise<{ items: ServiceEvent[]; hasMore: boolean }> {
  const newestFirst = {
    ...below(PARTITION.events(deploymentId), ''),
    ScanIndexForward: false,
    Limit: limit + 1,
  };
  const start = after === undefined ? undefined : eventKey(deploymentId, after);
  const listed: ServiceEvent[] = [];
  for await (const { items } of queryPages(table, newestFirst, start)) {
    for (const item of items) {
      const event = parse(table, item, fromEvent);
      if (event && isLive(event.expiresAt, now) && isWanted(event)) listed.push(event);
    }
    if (listed.length > limit) break;
  }
  return { items: listed.slice(0, limit), hasMore: listed.length > limit };
}

/**
 * The event that an INSERT record of the stream tells of.
 * @throws Error without content, for a record of another kind or a damaged image
 */
export function recordedEvent({ eventName, dynamodb }: DynamoDBRecord): ServiceEvent {
  const image = dynamodb?.NewImage as Record<string, AttributeValue> | undefined;
  const event = eventName === 'INSERT' && image ? fromEvent(unmarshall(image)) : undefined;
  if (!event) throw new Error('not a record of a new event');
  return event;
}
