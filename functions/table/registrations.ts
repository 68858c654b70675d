import { type EpochMillis, expiryAfter } from '../domain/expiry.ts';
import type { Deployment } from '../domain/records.ts';
import { SOURCES_PARTITION } from './item-keys.ts';
import {
  inPartition,
  putItem,
  queryPage,
  readItem,
  readTogether,
  type Table,
  type Write,
} from './retried-calls.ts';
import {
  deploymentKey,
  fromDeployment,
  fromMalformedRegistration,
  fromRegistration,
  type Item,
  type MalformedRegistration,
  parse,
  type Registration,
  registrationKey,
  toRegistration,
} from './schema.ts';

export type { MalformedRegistration, Registration } from './schema.ts';

/**
 * How long the service remembers a deletion, in seconds: 90 days. A stream can replay a record for one day, and a
 * dead-letter queue keeps a record for at most 14 days.
 */
const MEMORY = 90 * 24 * 60 * 60;
/** BatchGetItem accepts at most 100 keys, and each Deployment needs two. */
const BATCH = 50;

/** Reads the last known state of a Deployment in the followed table. The read is strongly consistent. */
export async function readRegistration(table: Table, id: string): Promise<Registration | undefined> {
  return parse(table, await readItem(table, registrationKey(id)), fromRegistration);
}

/** Like `readRegistration`, but also reads a malformed item, so that the next change can replace it. */
export async function readKnownRegistration(
  table: Table,
  id: string,
): Promise<Registration | MalformedRegistration | undefined> {
  const item = await readItem(table, registrationKey(id));
  return parse(table, item, fromRegistration) ?? (item && fromMalformedRegistration(item));
}

/** Reads the registration and the Deployment of each ID. Omits malformed items. The read is strongly consistent. */
export async function readRegistered(
  table: Table,
  ids: readonly string[],
): Promise<Map<string, { registration: Registration | undefined; deployment: Deployment | undefined }>> {
  const all = new Map();
  for (let at = 0; at < ids.length; at += BATCH) {
    const some = ids.slice(at, at + BATCH);
    const find = await readTogether(table, [...some.map(registrationKey), ...some.map(deploymentKey)]);
    for (const id of some) {
      all.set(id, {
        registration: parse(table, find(registrationKey(id)), fromRegistration),
        deployment: parse(table, find(deploymentKey(id)), fromDeployment),
      });
    }
  }
  return all;
}

/**
 * Reads a page of registrations in the order of their IDs. The read is strongly consistent.
 * @returns `malformed`: the number of items that are omitted because they are malformed
 */
export async function registrationsPage(
  table: Table,
  { after, limit }: { after: Item | undefined; limit: number },
): Promise<{ registrations: Registration[]; malformed: number; next: Item | undefined }> {
  const { Items = [], LastEvaluatedKey } = await queryPage(table, {
    ...inPartition(SOURCES_PARTITION, ''),
    Limit: limit,
    ExclusiveStartKey: after,
  });
  const registrations = Items.flatMap((item) => parse(table, item, fromRegistration) ?? []);
  return { registrations, malformed: Items.length - registrations.length, next: LastEvaluatedKey };
}

/**
 * Returns the write that stores a registration. The write's condition fails if the registration was changed since it
 * was read.
 * @param known the registration as read
 * @param now epoch milliseconds
 */
export function registrationWrite(
  next: Registration,
  known: Registration | MalformedRegistration | undefined,
  now: EpochMillis,
): Required<Pick<Write, 'Put'>> {
  // The service remembers a deletion only for a limited time, but a Deployment for as long as it exists.
  const expiresAt = next.isPresent ? undefined : expiryAfter(now, MEMORY);
  const Item = toRegistration(next, expiresAt);
  if (!known) return { Put: { Item, ConditionExpression: 'attribute_not_exists(pk)' } };
  return { Put: { Item, ...isAsRead('stored' in known ? known.stored : known) } };
}

/**
 * The condition that the item exists with the attributes that were read. If an attribute had the wrong type, the
 * condition is that it still has the wrong type.
 */
function isAsRead({ lastChange, generation, isPresent }: MalformedRegistration['stored']) {
  const read = { lastChange, generation, isPresent };
  const conditions = Object.entries(read).map(([name, value]) =>
    value === undefined ? `NOT attribute_type(${name}, :type_${name})` : `${name} = :${name}`,
  );
  const values = Object.entries(read).map(([name, value]) =>
    value === undefined ? [`:type_${name}`, name === 'isPresent' ? 'BOOL' : 'S'] : [`:${name}`, value],
  );
  return {
    ConditionExpression: ['attribute_exists(pk)', ...conditions].join(' AND '),
    ExpressionAttributeValues: Object.fromEntries(values),
  };
}

/** Reports a registration as malformed because DynamoDB rejects its row key. */
export function reportMalformedRegistration({ onMalformed }: Table, { id }: Registration): void {
  onMalformed(registrationKey(id));
}

/**
 * Stores a registration for a Deployment that needs no change.
 * @returns false if the registration was changed since it was read
 */
export function storeRegistration(
  table: Table,
  { Put }: ReturnType<typeof registrationWrite>,
): Promise<boolean> {
  return putItem(table, Put);
}
