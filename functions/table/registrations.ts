import { PutCommand, QueryCommand } from '@aws-sdk/lib-dynamodb';
import type { Deployment } from '../domain/records.ts';
import { ask, isWritten, readItem, readTogether, type Table, type Write } from './client.ts';
import {
  deploymentKey,
  fromDeployment,
  fromMalformedRegistration,
  fromRegistration,
  type Item,
  type MalformedRegistration,
  PARTITION,
  parse,
  type Registration,
  registrationKey,
  toRegistration,
} from './schema.ts';

export type { MalformedRegistration, Registration } from './schema.ts';

/**
 * How long a deletion is remembered, in seconds: 90 days. A stream can replay a record for one day, and what a
 * failure queue holds is 14 days old at most.
 */
const MEMORY = 90 * 24 * 60 * 60;
/** BatchGetItem takes at most 100 keys; each Deployment has two. */
const BATCH = 50;

/** What was last heard of a Deployment. Strongly consistent. */
export async function readRegistration(table: Table, id: string): Promise<Registration | undefined> {
  return parse(table, await readItem(table, registrationKey(id)), fromRegistration);
}

/** What was last heard of a Deployment, also by a malformed item, which must not stop what follows. Strongly consistent. */
export async function readKnownRegistration(
  table: Table,
  id: string,
): Promise<Registration | MalformedRegistration | undefined> {
  const item = await readItem(table, registrationKey(id));
  return parse(table, item, fromRegistration) ?? (item && fromMalformedRegistration(item));
}

/** What was last heard of each Deployment, and what it is now. Malformed items are left out. Strongly consistent. */
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

/** Registrations in the order of their IDs, strongly consistent. */
export async function registrationsPage(
  table: Table,
  { after, limit }: { after: Item | undefined; limit: number },
): Promise<{ registrations: Registration[]; next: Item | undefined }> {
  const { client, tableName } = table;
  const { Items = [], LastEvaluatedKey } = await ask(
    client.send(
      new QueryCommand({
        TableName: tableName,
        KeyConditionExpression: 'pk = :sources',
        ExpressionAttributeValues: { ':sources': PARTITION.sources },
        ConsistentRead: true,
        Limit: limit,
        ExclusiveStartKey: after,
      }),
    ),
  );
  const registrations = Items.flatMap((item) => parse(table, item, fromRegistration) ?? []);
  return { registrations, next: LastEvaluatedKey };
}

/**
 * The part of a transaction that notes what was heard. It is refused when something else has been noted since.
 * @param known what was noted when it was last read
 * @param now epoch milliseconds
 */
export function registrationWrite(
  { tableName: TableName }: Table,
  next: Registration,
  known: Registration | MalformedRegistration | undefined,
  now: number,
): Write & { Put: object } {
  // A deletion is forgotten in the end; what is there is not.
  const expiresAt = next.isPresent ? undefined : Math.ceil(now / 1000) + MEMORY;
  const Item = toRegistration(next, expiresAt);
  if (!known) return { Put: { TableName, Item, ConditionExpression: 'attribute_not_exists(pk)' } };
  return { Put: { TableName, Item, ...isAsRead('stored' in known ? known.stored : known) } };
}

/** The condition that the item exists and its attributes are as they were read: not of their type where they were not. */
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

/** Note what was heard where the Deployment needs no change. @returns false when something else was noted since */
export function noteRegistration(
  table: Table,
  { Put }: ReturnType<typeof registrationWrite>,
): Promise<boolean> {
  return isWritten(table.client.send(new PutCommand(Put as never)));
}
