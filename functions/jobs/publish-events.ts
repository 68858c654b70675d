import type { DynamoDBBatchResponse, DynamoDBRecord } from 'aws-lambda';
import { type CloudEvent, cloudEventOf } from '../domain/cloud-event.ts';
import { recordedEvent } from '../table/events.ts';

interface Dependencies {
  /** Sends events in their order. @returns how many of them, from the first, have arrived */
  send: (events: CloudEvent[]) => Promise<number>;
  log: (message: string, fields: Record<string, string | undefined>) => void;
}

/** Most that EventBridge takes at a time. */
const BATCH = 10;

/**
 * New events of the table on their way to the bus, at least once each. The first that fails is reported with all
 * after it; Lambda sends them again from there.
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
      if (arrived < batch.length) throw new Error('the bus did not take an event');
    }
    return { batchItemFailures: [] };
  } catch (error) {
    const sequenceNumber = records[sent]?.dynamodb?.SequenceNumber;
    log('events not sent', { error: String(error), sequenceNumber });
    return { batchItemFailures: [{ itemIdentifier: sequenceNumber ?? '' }] };
  }
}

/**
 * The events before the first record that is none.
 * @throws Error when that is the first
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
