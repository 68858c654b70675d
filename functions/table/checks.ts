import type { CheckStore } from '../domain/check.ts';
import { type EpochMillis, type EpochSeconds, isUnexpired } from '../domain/expiry.ts';
import { dayOf, type UseOrigin } from '../domain/last-use.ts';
import type { ApiKey, PersonId } from '../domain/records.ts';
import {
  ADD_DAY,
  apiKeyKey,
  CHECKED_ATTRIBUTES,
  checkedKeys,
  fromChecked,
  fromEnd,
  LAST_USE,
  personKey,
} from './schema.ts';
import { deadlineOf, readTogether, type Table, updateItem } from './table.ts';

/**
 * Returns the store that a check reads from and writes to.
 * @param issuer the issuer that signs people in
 */
export function checkStore(table: Table, issuer: string): CheckStore {
  return {
    async read(credential, hash) {
      // The read of the token's records and the read of the holder's end of access share the time budget of one read.
      const inTime = { ...table, deadline: deadlineOf(table.retryPolicy) };
      const keys = checkedKeys(credential, hash);
      const found = await readTogether(inTime, Object.values(keys), CHECKED_ATTRIBUTES);
      return {
        ...fromChecked(table, keys, found),
        readEnd: ({ sub }) => readEnd(inTime, { issuer, sub }),
      };
    },

    async extend(credential, hash, until, now, from) {
      // The update's condition also fails if the token's item does not exist, so that the update never creates an item.
      const isStillValid = 'expiresAt>:now';
      const isNotLater = 'expiresAt<:new';
      const outcome = await updateItem(table, {
        Key: checkedKeys(credential, hash).presented,
        UpdateExpression: `SET expiresAt = :new, ${LAST_USE}`,
        ConditionExpression: `${isStillValid} AND ${isNotLater}`,
        ExpressionAttributeValues: {
          ':new': until,
          ':now': Math.floor(now / 1000),
          ...lastUse(now, from),
        },
        ReturnValuesOnConditionCheckFailure: 'ALL_OLD',
      });
      if (outcome.kind === 'done') return until;
      // The condition failed: another use has extended the token further, or the token was deleted.
      const expiresAt = outcome.reasons[0]?.Item?.expiresAt as EpochSeconds;
      return Number.isSafeInteger(expiresAt) && isUnexpired(expiresAt, now) ? expiresAt : undefined;
    },

    recordUse: (...use) => recordUse(table, ...use),
  };
}

/**
 * Returns when a person's access was ended. Uses one strongly consistent read.
 * @returns epoch milliseconds; undefined if access was never ended
 */
export async function readEnd(table: Table, person: PersonId): Promise<EpochMillis | undefined> {
  const key = personKey(person);
  return fromEnd(table, (await readTogether(table, [key]))(key));
}

/**
 * Records a use of a key, unless a use after `before` is already recorded or the key was deleted.
 * @param before epoch milliseconds
 * @param now epoch milliseconds
 */
export async function recordUse(
  table: Table,
  { deploymentId, ulid }: Pick<ApiKey, 'deploymentId' | 'ulid'>,
  before: EpochMillis,
  now: EpochMillis,
  from: UseOrigin,
): Promise<void> {
  await updateItem(table, {
    Key: apiKeyKey(deploymentId, ulid),
    UpdateExpression: `SET ${LAST_USE} ${ADD_DAY}`,
    // DynamoDB evaluates a comparison with a missing attribute as false.
    ConditionExpression: 'attribute_exists(pk) AND NOT lastUsedAt>:before',
    ExpressionAttributeValues: { ':before': before, ...keyUse(now, from) },
  });
}

/** Returns the values of `LAST_USE`. @param now epoch milliseconds */
function lastUse(now: EpochMillis, { address, client }: UseOrigin) {
  return { ':at': now, ':ip': address, ':agent': client };
}

/** Returns the values of `LAST_USE` and `ADD_DAY`. @param now epoch milliseconds */
export function keyUse(now: EpochMillis, from: UseOrigin) {
  return { ...lastUse(now, from), ':day': new Set([dayOf(now)]) };
}
