import { ConditionalCheckFailedException } from '@aws-sdk/client-dynamodb';
import { UpdateCommand } from '@aws-sdk/lib-dynamodb';
import type { CheckStore } from '../domain/check.ts';
import { isLive } from '../domain/expiry.ts';
import type { Credential } from '../domain/identifiers.ts';
import { ask, parse, readTogether, type Table } from './client.ts';
import {
  apiKeyKey,
  deploymentKey,
  fromCheckedDeployment,
  fromCheckedGrant,
  fromCheckedKey,
  fromCheckedToken,
  grantKey,
  type ItemKey,
  tokenKey,
} from './schema.ts';

/** What a check reads of each item; a key's secret hashes never leave the table for it. */
const CHECKED = [
  'pk',
  'sk',
  'generation',
  'epoch',
  'enabled',
  'validUntil',
  'scopes',
  'scope',
  'sub',
  'issuedAt',
  'expiresAt',
];

/** The store of a check, on the AWS SDK. */
export function checkStore(table: Table): CheckStore {
  return {
    async read(credential, hash) {
      const { deploymentId, ulid, kind } = credential;
      const deployment = deploymentKey(deploymentId);
      const key = apiKeyKey(deploymentId, ulid);
      const presented = presentedKey(credential, hash);
      const keys = kind === 'temporary' ? [deployment, presented] : [deployment, key, presented];
      const found = await readTogether(table, keys, CHECKED);
      const item = found(presented);
      return {
        deployment: parse(table, found(deployment), fromCheckedDeployment),
        ...(kind === 'temporary'
          ? { grant: parse(table, item, fromCheckedGrant) }
          : { key: parse(table, found(key), fromCheckedKey), token: parse(table, item, fromCheckedToken) }),
      };
    },

    async slide(credential, hash, until, now) {
      const isThere = 'attribute_exists(pk)';
      const isStillLive = 'expiresAt > :now';
      const isNotLater = 'expiresAt < :new';
      try {
        await ask(
          table.client.send(
            new UpdateCommand({
              TableName: table.tableName,
              Key: presentedKey(credential, hash),
              UpdateExpression: 'SET expiresAt = :new',
              ConditionExpression: `${isThere} AND ${isStillLive} AND ${isNotLater}`,
              ExpressionAttributeValues: { ':new': until, ':now': Math.floor(now / 1000) },
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
  };
}

function presentedKey({ kind, deploymentId, ulid }: Credential, hash: string): ItemKey {
  return kind === 'temporary' ? grantKey(deploymentId, ulid, hash) : tokenKey(deploymentId, ulid, hash);
}
