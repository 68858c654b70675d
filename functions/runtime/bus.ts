import { EventBridgeClient, PutEventsCommand } from '@aws-sdk/client-eventbridge';
import type { CloudEvent } from '../domain/cloud-event.ts';

/**
 * Returns a function that sends events to the bus, and returns the number of events that were accepted before the first
 * failure. The client is created once and reused across invocations.
 */
export function openBus(busName: string): (events: CloudEvent[]) => Promise<number> {
  const client = new EventBridgeClient({
    requestHandler: { connectionTimeout: 2000, requestTimeout: 5000, throwOnRequestTimeout: true },
  });
  return async (events) => {
    const { Entries = [] } = await client.send(
      new PutEventsCommand({
        Entries: events.map((event) => ({
          EventBusName: busName,
          Source: event.source,
          DetailType: event.type,
          Time: new Date(event.time),
          Detail: JSON.stringify(event),
        })),
      }),
    );
    const failedAt = Entries.findIndex(({ EventId }) => EventId === undefined);
    return failedAt < 0 ? Entries.length : failedAt;
  };
}
