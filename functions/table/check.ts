import { ConditionalCheckFailedException } from '@aws-sdk/client-dynamodb';
import { UpdateCommand } from '@aws-sdk/lib-dynamodb';
import type { CheckStore } from '../domain/check.ts';
import { isLive } from '../domain/expiry.ts';
import type { UseOrigin } from '../domain/last-use.ts';
import { ask, readTogether, type Table } from './client.ts';
import { apiKeyKey, CHECKED_ATTRIBUTES, checkedKeys, fromChecked, LAST_USE } from './schema.ts';

/** The store of a check, on the AWS SDK. */
export function checkStore(table: Table): CheckStore {
  return {
    async read(credential, hash) {
      const keys = checkedKeys(credential, hash);
      const found = await readTogether(table, Object.values(keys), CHECKED_ATTRIBUTES);
      return fromChecked(table, keys, found);
    },

    async slide(credential, hash, until, now, from) {
      const isThere = 'attribute_exists(pk)';
      const isStillLive = 'expiresAt > :now';
      const isNotLater = 'expiresAt < :new';
      try {
        await ask(
          table.client.send(
            new UpdateCommand({
              TableName: table.tableName,
              Key: checkedKeys(credential, hash).presented,
              UpdateExpression: `SET expiresAt = :new, ${LAST_USE}`,
              ConditionExpression: `${isThere} AND ${isStillLive} AND ${isNotLater}`,
              ExpressionAttributeValues: {
                ':new': until,
                ':now': Math.floor(now / 1000),
                ...lastUse(now, from),
              },
              ReturnValuesOnConditionCheckFailure: 'ALL_OLD',
            }),
          ),
        );
        return until;
      } catch (error) {
        if (!(error instanceof ConditionalCheckFailedException)) throw error;
        // Another use has slid it further, or it is gone.
        const expiresAt = Number(error.Item?.expiresAt?.N);
        return Number.isSafeInteger(expiresAt) && isLive(expiresAt, now) ? expiresAt : undefined;
      }
    },

    async touch(credential, before, now, from) {
      const isThere = 'attribute_exists(pk)';
      const isDue = '(attribute_not_exists(lastUsedAt) OR lastUsedAt <= :before)';
      await ask(
        table.client.send(
          new UpdateCommand({
            TableName: table.tableName,
            Key: apiKeyKey(credential.deploymentId, credential.ulid),
            UpdateExpression: `SET ${LAST_USE}`,
            ConditionExpression: `${isThere} AND ${isDue}`,
            ExpressionAttributeValues: { ':before': before, ...lastUse(now, from) },
          }),
        ),
      );
    },
  };
}

/** @param now epoch milliseconds */
function lastUse(now: number, { address, client }: UseOrigin) {
  return { ':at': now, ':address': address, ':client': client };
}
