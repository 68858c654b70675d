import type { ServiceEvent } from '../domain/events.ts';
import { isLive } from '../domain/expiry.ts';
import type { Deployment, Generation, Grant, IdempotencyRecord } from '../domain/records.ts';
import { below, listingPages, queryPages, type Table, transact } from './client.ts';
import { isRepeated, recordWrites } from './idempotency.ts';
import {
  deploymentKey,
  fromGrant,
  grantKey,
  grantOf,
  isOfLife,
  PARTITION,
  parse,
  SORT,
  toGrant,
  ulidOfGrant,
} from './schema.ts';

interface Listing {
  /** ULID to begin after. */
  after: string | undefined;
  /** Epoch milliseconds: what has expired is as good as absent, whether TTL has deleted it or not. */
  now: number;
}

/** Most queries that one page costs: one of as many items as it shows, and one of 1 MB. */
const MAX_QUERIES = 2;

/**
 * Temporary tokens of this life of the Deployment that live now, oldest first. Nobody limits how many there are, so a page
 * may be short or empty and have a `next` position all the same.
 * @param isWanted picks some; all of them when left out
 * @param limit most to return
 * @returns `next`: the ULID after which the next page begins; undefined when this is the last one
 */
export async function listGrants(
  table: Table,
  { id, generation }: Deployment,
  { isWanted, limit, after, now }: Listing & { isWanted?: (one: Grant) => boolean; limit: number },
): Promise<{ items: Grant[]; next: string | undefined }> {
  const grants = below(PARTITION.deployment(id), SORT.grant);
  // `~` follows every character of a hash: so begins what comes after all keys of that ULID.
  const start = after === undefined ? undefined : grantKey(id, after, '~');
  const items: Grant[] = [];
  let queries = 0;
  // One more than asked for tells whether there is a next page.
  for await (const page of listingPages(table, grants, limit + 1, start)) {
    for (const item of page.items) {
      const grant = parse(table, item, fromGrant);
      const isValid = grant?.generation === generation && isLive(grant.expiresAt, now);
      if (isValid && (isWanted?.(grant) ?? true)) items.push(grant);
      if (items.length > limit) return { items: items.slice(0, limit), next: items.at(limit - 1)?.ulid };
    }
    queries++;
    if (queries === MAX_QUERIES) return { items, next: page.next && ulidOfGrant(page.next) };
  }
  return { items, next: undefined };
}

/** A temporary token whose item is malformed: enough to delete it. */
export type MalformedGrant = Pick<Grant, 'deploymentId' | 'ulid' | 'hash'> & { sub?: undefined };

/**
 * One temporary token of this life of the Deployment that lives now, or whose item is malformed.
 * @param now epoch milliseconds
 */
export async function readGrant(
  table: Table,
  { id, generation }: Generation,
  ulid: string,
  now: number,
): Promise<Grant | MalformedGrant | undefined> {
  for await (const { items } of queryPages(table, below(PARTITION.deployment(id), grantOf(ulid)))) {
    for (const item of items) {
      const grant = parse(table, item, fromGrant);
      if (!isOfLife(item, generation)) continue;
      if (!grant) return { deploymentId: id, ulid, hash: String(item.sk).slice(grantOf(ulid).length) };
      if (isLive(grant.expiresAt, now)) return grant;
    }
  }
  return undefined;
}

/**
 * @param record of the call's Idempotency-Key
 * @returns `gone` when that life of the Deployment is over, `repeated` when a call with the same Idempotency-Key came
 *   first; in both cases nothing is written
 */
export async function putGrant(
  table: Table,
  grant: Grant,
  event: ServiceEvent,
  record?: IdempotencyRecord,
): Promise<'issued' | 'gone' | 'repeated'> {
  const { tableName: TableName } = table;
  const refused = await transact(
    table,
    [
      {
        ConditionCheck: {
          TableName,
          Key: deploymentKey(grant.deploymentId),
          ConditionExpression: 'generation = :generation',
          ExpressionAttributeValues: { ':generation': grant.generation },
        },
      },
      { Put: { TableName, Item: toGrant(grant), ConditionExpression: 'attribute_not_exists(pk)' } },
      ...recordWrites(table, record, event.createdAt),
    ],
    event,
  );
  if (!refused) return 'issued';
  return isRepeated(refused, record) ? 'repeated' : 'gone';
}

/** @returns false when it is gone already */
export async function deleteGrant(
  table: Table,
  { deploymentId, ulid, hash }: Pick<Grant, 'deploymentId' | 'ulid' | 'hash'>,
  event: ServiceEvent,
): Promise<boolean> {
  const { tableName: TableName } = table;
  const refused = await transact(
    table,
    [
      {
        Delete: {
          TableName,
          Key: grantKey(deploymentId, ulid, hash),
          ConditionExpression: 'attribute_exists(pk)',
        },
      },
    ],
    event,
  );
  return !refused;
}
