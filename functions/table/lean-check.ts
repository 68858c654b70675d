import type { CheckStore } from '../domain/check.ts';
import { isLive } from '../domain/expiry.ts';
import type { UseOrigin } from '../domain/last-use.ts';
import {
  apiKeyKey,
  CHECKED_ATTRIBUTES,
  checkedKeys,
  fromChecked,
  LAST_USE,
  type OnMalformed,
} from './schema.ts';
import { plainItem, readBatch, type Wire, type WireItem, wireKey } from './wire.ts';

/** The store of a check without the AWS SDK. A test runs it against the one that has it. */
export function leanCheckStore(
  wire: Wire,
  { tableName, onMalformed }: { tableName: string; onMalformed: OnMalformed },
): CheckStore {
  return {
    async read(credential, hash) {
      const keys = checkedKeys(credential, hash);
      const found = await readBatch(wire, tableName, Object.values(keys), CHECKED_ATTRIBUTES);
      return fromChecked({ onMalformed }, keys, (key) => plainItem(found(key)));
    },

    async slide(credential, hash, until, now, from) {
      const isThere = 'attribute_exists(pk)';
      const isStillLive = 'expiresAt > :now';
      const isNotLater = 'expiresAt < :new';
      const outcome = await wire('UpdateItem', {
        TableName: tableName,
        Key: wireKey(checkedKeys(credential, hash).presented),
        UpdateExpression: `SET expiresAt = :new, ${LAST_USE}`,
        ConditionExpression: `${isThere} AND ${isStillLive} AND ${isNotLater}`,
        ExpressionAttributeValues: {
          ':new': { N: String(until) },
          ':now': { N: String(Math.floor(now / 1000)) },
          ...lastUse(now, from),
        },
        ReturnValuesOnConditionCheckFailure: 'ALL_OLD',
      });
      if (outcome.done) return until;
      // Another use has slid it further, or it is gone.
      const expiresAt = Number(outcome.item?.expiresAt?.N);
      return Number.isSafeInteger(expiresAt) && isLive(expiresAt, now) ? expiresAt : undefined;
    },

    async touch({ deploymentId, ulid }, before, now, from) {
      const isThere = 'attribute_exists(pk)';
      const isDue = '(attribute_not_exists(lastUsedAt) OR lastUsedAt <= :before)';
      await wire('UpdateItem', {
        TableName: tableName,
        Key: wireKey(apiKeyKey(deploymentId, ulid)),
        UpdateExpression: `SET ${LAST_USE}`,
        ConditionExpression: `${isThere} AND ${isDue}`,
        ExpressionAttributeValues: { ':before': { N: String(before) }, ...lastUse(now, from) },
      });
    },
  };
}

/** @param now epoch milliseconds */
function lastUse(now: number, { address, client }: UseOrigin): WireItem {
  return { ':at': { N: String(now) }, ':address': { S: address }, ':client': { S: client } };
}
