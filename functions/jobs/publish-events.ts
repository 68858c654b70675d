import type { DynamoDBBatchResponse, DynamoDBRecord } from 'aws-lambda';
import { type CloudEvent, cloudEventOf } from '../domain/cloud-event.ts';
import { causeOf } from '../domain/errors.ts';
import { recordedEvent } from '../table/event-records.ts';

interface Dependencies {
  /** Sends events in order, and returns the number of events that were accepted before the first failure. */
  send: (events: CloudEvent[]) => Promise<number>;
  log: (message: string, fields: Record<string, string | undefined>) => void;
}

/** The maximum number of events that EventBridge accepts in one call. */
const BATCH = 10;

/**
 * Sends new events from the table to the bus. Sends each event at least once. If sending fails, reports the first event
 * that was not sent, and Lambda retries from that event.
 */
export async function publishFromStream(
  records: DynamoDBRecord[],
  { send, log }: Dependencies,
): Promise<DynamoDBBatchResponse> {
  let sent = 0;
  try {
    while (sent < records.length) {
      const batch = eventsOf(records.slice(sent, sent + BATCH));
      const arrived = await send(batch);
      sent += arrived;
      if (arrived < batch.length) throw new Error('the bus rejected an event');
    }
    return { batchItemFailures: [] };
  } catch (error) {
    const sequenceNumber = records[sent]?.dynamodb?.SequenceNumber;
    log('events not sent', { error: causeOf(error), sequenceNumber });
    return { batchItemFailures: [{ itemIdentifier: sequenceNumber ?? '' }] };
  }
}

/**
 * Returns the events before the first malformed record.
 * @throws Error if the first record is malformed
 */
function eventsOf(records: DynamoDBRecord[]): CloudEvent[] {
  const events: CloudEvent[] = [];
  for (const record of records) {
    try {
      events.push(cloudEventOf(recordedEvent(record)));
    } catch (error) {
      if (events.length === 0) throw error;
      break;
    }
  }
  return events;
}
