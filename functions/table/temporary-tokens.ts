import type { ServiceEvent } from '../domain/events.ts';
import { isLive } from '../domain/expiry.ts';
import type { Deployment, Generation, Grant, IdempotencyRecord, SignIn } from '../domain/records.ts';
import { isRepeated, recordWrites } from './idempotency.ts';
import * as PARTITION from './partition-keys.ts';
import { accessCheck, isRejectedPerson } from './people.ts';
import {
  deploymentKey,
  fromGrant,
  grantKey,
  grantOf,
  isOfLife,
  parse,
  toGrant,
  ulidOfGrant,
} from './schema.ts';
import * as SORT from './sort-keys.ts';
import { inPartition, listPage, queryPages, type Table, transact } from './table.ts';

interface Listing {
  /** ULID of the token to start after. */
  after: string | undefined;
  /** Current time in epoch milliseconds. The listing omits expired tokens even before TTL deletes them. */
  now: number;
}

/** Maximum number of queries for one page: one query of the page's size, and one query of 1 MB. */
const MAX_QUERIES = 2;

/**
 * Lists the active temporary tokens for one generation of a Deployment, oldest first. The number of tokens is
 * unlimited, so a page can be short or empty and still have a `next` position.
 * @param isWanted function that selects tokens. @default all
 * @param limit the maximum number of tokens
 * @returns `next`: the ULID after which the next page starts; undefined on the last page
 */
export async function listGrants(
  table: Table,
  { id, generation }: Deployment,
  { isWanted, limit, after, now }: Listing & { isWanted?: (one: Grant) => boolean; limit: number },
): Promise<{ items: Grant[]; next: string | undefined }> {
  const { items, next } = await listPage(table, inPartition(PARTITION.deployment(id), SORT.grant), {
    // `~` sorts after every character of a hash, so this position is after all sort keys with that ULID.
    start: after === undefined ? undefined : grantKey(id, after, '~'),
    limit,
    maxQueries: MAX_QUERIES,
    entryOf: (item) => {
      const grant = parse(table, item, fromGrant);
      const isValid = grant?.generation === generation && isLive(grant.expiresAt, now);
      return isValid && (isWanted?.(grant) ?? true) ? grant : undefined;
    },
  });
  return { items, next: next && ulidOfGrant(next) };
}

/** The readable fields of a temporary token whose item is malformed. These fields are enough to delete the token. */
export type MalformedGrant = Pick<Grant, 'deploymentId' | 'ulid' | 'hash'> & { sub?: undefined };

/**
 * Reads a temporary token of a generation of a Deployment.
 * @param now epoch milliseconds
 */
export async function readGrant(
  table: Table,
  { id, generation }: Generation,
  ulid: string,
  now: number,
): Promise<Grant | MalformedGrant | undefined> {
  for await (const { items } of queryPages(table, inPartition(PARTITION.deployment(id), grantOf(ulid)))) {
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
 * Issues a temporary token.
 * @param record record of the call's Idempotency-Key
 * @returns `gone` if that generation of the Deployment is deleted, `repeated` if an earlier call used the same
 *   Idempotency-Key; in both cases nothing is written
 */
export async function putGrant(
  table: Table,
  grant: Grant,
  event: ServiceEvent,
  { record, signIn }: { record?: IdempotencyRecord | undefined; signIn: SignIn | undefined },
): Promise<'issued' | 'gone' | 'repeated' | 'ended'> {
  const refused = await transact(
    table,
    [
      {
        ConditionCheck: {
          Key: deploymentKey(grant.deploymentId),
          ConditionExpression: 'generation = :generation',
          ExpressionAttributeValues: { ':generation': grant.generation },
        },
      },
      { Put: { Item: toGrant(grant), ConditionExpression: 'attribute_not_exists(pk)' } },
      ...accessCheck(signIn),
      ...recordWrites(record, event.createdAt),
    ],
    event,
  );
  if (!refused) return 'issued';
  if (isRepeated(refused, record)) return 'repeated';
  return isRejectedPerson(signIn, refused, 2) ? 'ended' : 'gone';
}

/** Revokes a temporary token. @returns false if the token is already deleted */
export async function deleteGrant(
  table: Table,
  { deploymentId, ulid, hash }: Pick<Grant, 'deploymentId' | 'ulid' | 'hash'>,
  event: ServiceEvent,
): Promise<boolean> {
  const refused = await transact(
    table,
    [
      {
        Delete: {
          Key: grantKey(deploymentId, ulid, hash),
          ConditionExpression: 'attribute_exists(pk)',
        },
      },
    ],
    event,
  );
  return !refused;
}
