import { timeOfUlid, ulidPrefix } from '../domain/credentials.ts';
import { EVENT_LIFETIME, type ServiceEvent } from '../domain/events.ts';
import { type EpochMillis, isUnexpired } from '../domain/expiry.ts';
import { eventsPartition } from './item-keys.ts';
import { listPage, putItem, type Table } from './retried-calls.ts';
import { eventKey, fromEvent, parse, toEvent } from './schema.ts';

/** Writes an event on its own, without a change that it describes. */
export async function putEvent(table: Table, event: ServiceEvent): Promise<void> {
  await putItem(table, { Item: toEvent(event) });
}

/** Maximum number of queries for one page. */
const MAX_QUERIES = 2;
/** Tolerated difference between the clocks of two functions, in milliseconds. */
const CLOCK_DIFFERENCE = 1000;

/** Filter for a listing of events. By default, a listing shows all events. */
interface EventFilter {
  type?: string | undefined;
  keyId?: string | undefined;
}

interface EventsPage {
  /** ID of the event to start after. */
  after: string | undefined;
  /** Maximum number of events to return. */
  limit: number;
  /** Current time in epoch milliseconds. */
  now: EpochMillis;
  /** Selects the events of one generation. @default all */
  generation?: string | undefined;
  filter?: EventFilter;
}

/**
 * Lists a Deployment's events from the last 90 days, newest first. Expired events and events of earlier generations
 * normally come last, so their number does not affect the cost of a page. If many events of another generation lie
 * between the wanted events, a page can be short and still have a `next` position. With a filter, a page reads at
 * most 1 MB, and can be short or empty while still having `next`.
 * @returns `next`: the ID after which the next page starts; undefined on the last page
 */
export async function listEvents(
  table: Table,
  deploymentId: string,
  { after, limit, now, generation, filter = {} }: EventsPage,
): Promise<{ items: ServiceEvent[]; next: string | undefined }> {
  const first = firstEventId(generation, now);
  // DynamoDB rejects a start position outside the query's range.
  if (after !== undefined && after < first) return { items: [], next: undefined };
  const { ExpressionAttributeValues: values, ...filtered } = filterExpression(filter);
  // DynamoDB applies a filter only after reading. If the query had the page's limit, it would read only a few events
  // and return almost none of them.
  const isSelective = filtered.FilterExpression !== undefined;
  const newestFirst = {
    KeyConditionExpression: 'pk = :pk AND sk >= :first',
    ...filtered,
    ExpressionAttributeValues: { ':pk': eventsPartition(deploymentId), ':first': first, ...values },
    ScanIndexForward: false,
  };
  const { items, next } = await listPage(table, newestFirst, {
    start: after === undefined ? undefined : eventKey(deploymentId, after),
    limit,
    isSelective,
    maxQueries: isSelective ? 1 : MAX_QUERIES,
    entryOf: (item) => {
      const event = parse(table, item, fromEvent);
      const isOfGeneration = generation === undefined || event?.generation === generation;
      return event && isOfGeneration && isUnexpired(event.expiresAt, now) ? event : undefined;
    },
  });
  return { items, next: next?.sk };
}

/** Returns an ID that sorts before all unexpired events of the generation, or of all generations. */
function firstEventId(generation: string | undefined, now: EpochMillis): string {
  const oldest = now - (EVENT_LIFETIME + 1) * 1000;
  const registered = generation === undefined ? 0 : timeOfUlid(generation) - CLOCK_DIFFERENCE;
  return ulidPrefix(Math.max(oldest, registered));
}

/** Returns the Query parameters that exclude events outside the filter. */
function filterExpression({ type, keyId }: EventFilter): Filtered {
  const wanted = [
    { path: '#type', placeholder: '#type', name: 'type', value: type },
    { path: '#data.keyId', placeholder: '#data', name: 'data', value: keyId },
  ].filter(({ value }) => value !== undefined);
  if (wanted.length === 0) return {};
  return {
    FilterExpression: wanted.map(({ path, name }) => `${path} = :${name}`).join(' AND '),
    ExpressionAttributeNames: Object.fromEntries(wanted.map(({ placeholder, name }) => [placeholder, name])),
    ExpressionAttributeValues: Object.fromEntries(wanted.map(({ name, value }) => [`:${name}`, value])),
  };
}

interface Filtered {
  FilterExpression?: string;
  ExpressionAttributeNames?: Record<string, string>;
  ExpressionAttributeValues?: Record<string, unknown>;
}
