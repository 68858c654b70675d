import type { AttributeValue } from '@aws-sdk/client-dynamodb';
import { PutCommand } from '@aws-sdk/lib-dynamodb';
import { unmarshall } from '@aws-sdk/util-dynamodb';
import type { DynamoDBRecord } from 'aws-lambda';
import { EVENT_LIFETIME, type ServiceEvent } from '../domain/events.ts';
import { isLive } from '../domain/expiry.ts';
import { timeOfUlid, ulidPrefix } from '../domain/mint.ts';
import { ask, listingPages, type Table } from './client.ts';
import { eventKey, fromEvent, PARTITION, parse, toEvent } from './schema.ts';

/** Write an event that belongs to no change. */
export async function putEvent({ client, tableName }: Table, event: ServiceEvent): Promise<void> {
  await ask(client.send(new PutCommand({ TableName: tableName, Item: toEvent(event) })));
}

/** Most queries that one page costs. */
const MAX_QUERIES = 2;
/** Milliseconds by which the clock of the function that registers a Deployment may be ahead of another's. */
const CLOCK_DIFFERENCE = 1000;

/**
 * What happened to a Deployment in 90 days, newest first. The events of earlier generations and the expired ones are
 * older than the rest, so a page costs what it shows, however many of them there are. Only where many events of
 * another generation lie between those that are shown, a page may be short and have a `next` position all the same.
 * @param after ID to begin after
 * @param limit most to return
 * @param now epoch milliseconds
 * @param generation shows only the events of this one; all generations when left out
 * @returns `next`: the ID after which the next page begins; undefined when this is the last one
 */
export async function listEvents(
  table: Table,
  deploymentId: string,
  {
    after,
    limit,
    now,
    generation,
  }: { after: string | undefined; limit: number; now: number; generation?: string | undefined },
): Promise<{ items: ServiceEvent[]; next: string | undefined }> {
  const oldest = now - (EVENT_LIFETIME + 1) * 1000;
  const registered = generation === undefined ? 0 : timeOfUlid(generation) - CLOCK_DIFFERENCE;
  const first = ulidPrefix(Math.max(oldest, registered));
  // DynamoDB rejects a start outside the range.
  if (after !== undefined && after < first) return { items: [], next: undefined };
  const newestFirst = {
    KeyConditionExpression: 'pk = :pk AND sk >= :first',
    ExpressionAttributeValues: { ':pk': PARTITION.events(deploymentId), ':first': first },
    ScanIndexForward: false,
  };
  const start = after === undefined ? undefined : eventKey(deploymentId, after);
  const items: ServiceEvent[] = [];
  let queries = 0;
  // One more than asked for tells whether there is a next page.
  for await (const page of listingPages(table, newestFirst, limit + 1, start)) {
    for (const item of page.items) {
      const event = parse(table, item, fromEvent);
      const isWanted = generation === undefined || event?.generation === generation;
      if (event && isWanted && isLive(event.expiresAt, now)) items.push(event);
      if (items.length > limit) return { items: items.slice(0, limit), next: items.at(limit - 1)?.id };
    }
    queries++;
    if (queries === MAX_QUERIES) return { items, next: page.next?.sk };
  }
  return { items, next: undefined };
}

/**
 * The event that an INSERT record of the stream tells of.
 * @throws Error without content, for a record of another kind or a damaged image
 */
export function recordedEvent({ eventName, dynamodb }: DynamoDBRecord): ServiceEvent {
  const image = dynamodb?.NewImage as Record<string, AttributeValue> | undefined;
  // Not the options of the document client, which it changes: with those, `unmarshall` expects a single attribute.
  const event =
    eventName === 'INSERT' && image ? fromEvent(unmarshall(image, { wrapNumbers: Number })) : undefined;
  if (!event) throw new Error('not a record of a new event');
  return event;
}
