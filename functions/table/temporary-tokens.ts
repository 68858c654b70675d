import type { ServiceEvent } from '../domain/events.ts';
import { type EpochMillis, isUnexpired } from '../domain/expiry.ts';
import type { Deployment, Generation, IdempotencyRecord, SignIn, TemporaryToken } from '../domain/records.ts';
import { isRepeated, recordWrites } from './idempotency.ts';
import { deploymentPartition, TEMPORARY_TOKEN_PREFIX } from './item-keys.ts';
import { accessCheck, isRejectedPerson } from './people.ts';
import { inPartition, listPage, queryPages, type Table, transact } from './retried-calls.ts';
import {
  deploymentKey,
  fromTemporaryToken,
  isOfGeneration,
  parse,
  temporaryTokenKey,
  temporaryTokensOf,
  toTemporaryToken,
  ulidOfTemporaryToken,
} from './schema.ts';

interface Listing {
  /** ULID of the token to start after. */
  after: string | undefined;
  /** Current time in epoch milliseconds. The listing omits expired tokens even before TTL deletes them. */
  now: EpochMillis;
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
export async function listTemporaryTokens(
  table: Table,
  { id, generation }: Deployment,
  { isWanted, limit, after, now }: Listing & { isWanted?: (one: TemporaryToken) => boolean; limit: number },
): Promise<{ items: TemporaryToken[]; next: string | undefined }> {
  const { items, next } = await listPage(
    table,
    inPartition(deploymentPartition(id), TEMPORARY_TOKEN_PREFIX),
    {
      // `~` sorts after every character of a hash, so this position is after all sort keys with that ULID.
      start: after === undefined ? undefined : temporaryTokenKey(id, after, '~'),
      limit,
      maxQueries: MAX_QUERIES,
      entryOf: (item) => {
        const temporaryToken = parse(table, item, fromTemporaryToken);
        const isValid =
          temporaryToken?.generation === generation && isUnexpired(temporaryToken.expiresAt, now);
        return isValid && (isWanted?.(temporaryToken) ?? true) ? temporaryToken : undefined;
      },
    },
  );
  return { items, next: next && ulidOfTemporaryToken(next) };
}

/** The readable fields of a temporary token whose item is malformed. These fields are enough to delete the token. */
export type MalformedTemporaryToken = Pick<TemporaryToken, 'deploymentId' | 'ulid' | 'hash'> & {
  sub?: undefined;
  scopes?: undefined;
};

/**
 * Reads a temporary token of a generation of a Deployment.
 * @param now epoch milliseconds
 */
export async function readTemporaryToken(
  table: Table,
  { id, generation }: Generation,
  ulid: string,
  now: EpochMillis,
): Promise<TemporaryToken | MalformedTemporaryToken | undefined> {
  for await (const { items } of queryPages(
    table,
    inPartition(deploymentPartition(id), temporaryTokensOf(ulid)),
  )) {
    for (const item of items) {
      const temporaryToken = parse(table, item, fromTemporaryToken);
      if (!isOfGeneration(item, generation)) continue;
      if (!temporaryToken)
        return { deploymentId: id, ulid, hash: String(item.sk).slice(temporaryTokensOf(ulid).length) };
      if (isUnexpired(temporaryToken.expiresAt, now)) return temporaryToken;
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
export async function putTemporaryToken(
  table: Table,
  temporaryToken: TemporaryToken,
  event: ServiceEvent,
  { record, signIn }: { record?: IdempotencyRecord | undefined; signIn: SignIn | undefined },
): Promise<'issued' | 'gone' | 'repeated' | 'ended'> {
  const rejected = await transact(
    table,
    [
      {
        ConditionCheck: {
          Key: deploymentKey(temporaryToken.deploymentId),
          ConditionExpression: 'generation = :generation',
          ExpressionAttributeValues: { ':generation': temporaryToken.generation },
        },
      },
      { Put: { Item: toTemporaryToken(temporaryToken), ConditionExpression: 'attribute_not_exists(pk)' } },
      ...accessCheck(signIn),
      ...recordWrites(record, event.createdAt),
    ],
    event,
  );
  if (!rejected) return 'issued';
  if (isRepeated(rejected, record)) return 'repeated';
  return isRejectedPerson(signIn, rejected, 2) ? 'ended' : 'gone';
}

/** Revokes a temporary token. @returns false if the token is already deleted */
export async function deleteTemporaryToken(
  table: Table,
  { deploymentId, ulid, hash }: Pick<TemporaryToken, 'deploymentId' | 'ulid' | 'hash'>,
  event: ServiceEvent,
): Promise<boolean> {
  const rejected = await transact(
    table,
    [
      {
        Delete: {
          Key: temporaryTokenKey(deploymentId, ulid, hash),
          ConditionExpression: 'attribute_exists(pk)',
        },
      },
    ],
    event,
  );
  return !rejected;
}
