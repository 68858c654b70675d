import type { AttributeValue } from '@aws-sdk/client-dynamodb';
import type { DynamoDBRecord } from 'aws-lambda';
import type { ServiceEvent } from '../domain/events.ts';
import { fromEvent } from './schema.ts';
import { plainItem } from './sdk-transport.ts';

/**
 * Returns the event that an INSERT record of the stream contains.
 * @throws Error for any other record, and for a malformed event; the message does not contain any part of the record
 */
export function recordedEvent({ eventName, dynamodb }: DynamoDBRecord): ServiceEvent {
  const image = dynamodb?.NewImage as Record<string, AttributeValue> | undefined;
  const event = eventName === 'INSERT' && image ? fromEvent(plainItem(image)) : undefined;
  if (!event) throw new Error('not a record of a new event');
  return event;
}
