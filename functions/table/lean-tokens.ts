import { randomUUID } from 'node:crypto';
import { marshall } from '@aws-sdk/util-dynamodb';
import type { CheckedRecords } from '../domain/check.ts';
import type { ServiceEvent } from '../domain/events.ts';
import type { Credential } from '../domain/identifiers.ts';
import type { LastUse, UseOrigin } from '../domain/last-use.ts';
import type { ApiKey, SecretHash, Token } from '../domain/records.ts';
import type { UsedSubject } from '../domain/subject-token.ts';
import {
  apiKeyKey,
  checkedKeys,
  deploymentKey,
  fromApiKey,
  fromChecked,
  fromDeployment,
  fromLastUse,
  type Item,
  type ItemKey,
  type KeyRecords,
  LAST_USE,
  lastUseOf,
  type OnMalformed,
  parse,
  previousSubjectKey,
  subjectKey,
  toEvent,
  tokenKey,
  toToken,
} from './schema.ts';
import { settle } from './transaction.ts';
import { plainItem, readBatch, type Wire, type WireItem } from './wire.ts';

/** The first use of a secret whose key has another one. */
export interface FirstUse {
  /** The secret, as it was read. */
  secret: SecretHash;
  /** All secrets of the key after this use. */
  secrets: SecretHash[];
  /** Tells that another secret retires with this use; undefined when none does. */
  event?: ServiceEvent | undefined;
  /** Epoch milliseconds. */
  now: number;
  from: UseOrigin;
}

/** What the calls of pipelines read and write: the exchange, introspection and revocation. */
export interface TokenStore {
  /** One strongly consistent read of a key with its Deployment. */
  readKey(deploymentId: string, ulid: string): Promise<KeyRecords>;
  /** One strongly consistent read of all that a token stands on, and of its last use. */
  readToken(
    credential: Credential,
    hash: string,
  ): Promise<CheckedRecords & { lastUse?: LastUse | undefined }>;
  /**
   * One write. The sort key ends in the hash of 256 random bits, so nothing can be in its place.
   * @param newToken creates another token for each attempt, so that an attempt that reaches the table late, perhaps after
   *   the token was revoked, writes a token that nobody has. The last token created is the one to hand out.
   */
  putToken(newToken: () => Token): Promise<void>;
  /**
   * Writes a token together with the first use of the secret that it was exchanged for, while the key has another one.
   * @returns false when the key was changed, or the secret used, since it was read: then there is no token
   */
  putTokenOfFirstUse(token: Token, key: ApiKey, use: FirstUse): Promise<boolean>;
  /**
   * A token for a subject token that is accepted once.
   * @returns false when the subject token was used before: then there is no token
   */
  putTokenOfSubject(token: Token, subject: UsedSubject): Promise<boolean>;
  /**
   * Records that a key was used by one of its secrets, unless a use after `before` is recorded, the key's secrets have
   * changed or it is gone.
   * @param before epoch milliseconds
   * @param now epoch milliseconds
   */
  noteExchange(key: ApiKey, secret: SecretHash, before: number, now: number, from: UseOrigin): Promise<void>;
  /**
   * Records that a key was used without a secret, unless a use after `before` is recorded or it is gone.
   * @param before epoch milliseconds
   * @param now epoch milliseconds
   */
  noteSubject(key: ApiKey, before: number, now: number, from: UseOrigin): Promise<void>;
  /** One write; also when the token is gone already. A slide on its way finds nothing to update. */
  deleteToken(token: Pick<Token, 'deploymentId' | 'ulid' | 'hash'>): Promise<void>;
}

/** The store of the functions that pipelines call, without the AWS SDK: they start in a third of the time. */
export function leanTokenStore(
  wire: Wire,
  { tableName: TableName, onMalformed }: { tableName: string; onMalformed: OnMalformed },
): TokenStore {
  /** All or nothing. @returns whether every condition held */
  const transact = (TransactItems: object[]) =>
    settle(() => wire('TransactWriteItems', { TransactItems, ClientRequestToken: randomUUID() })).then(
      (refused) => refused === undefined,
    );

  async function readTogether(keys: ItemKey[]): Promise<(key: ItemKey) => Item | undefined> {
    const found = await readBatch(wire, TableName, keys);
    return (key) => plainItem(found(key));
  }

  return {
    async readKey(deploymentId, ulid) {
      const keys = { deployment: deploymentKey(deploymentId), key: apiKeyKey(deploymentId, ulid) };
      const found = await readTogether(Object.values(keys));
      return {
        deployment: parse({ onMalformed }, found(keys.deployment), fromDeployment),
        key: parse({ onMalformed }, found(keys.key), fromApiKey),
      };
    },

    async readToken(credential, hash) {
      const keys = checkedKeys(credential, hash);
      const found = await readTogether(Object.values(keys));
      return { ...fromChecked({ onMalformed }, keys, found), lastUse: fromLastUse(found(keys.presented)) };
    },

    async putToken(newToken) {
      await wire('PutItem', () => ({ TableName, Item: wireItem(toToken(newToken())) }));
    },

    putTokenOfFirstUse(token, key, { secret, secrets, event, now, from: { address, client } }) {
      const at = pathOf(secret, key);
      const isUnused = `${at}.#hash = :hash AND attribute_not_exists(${at}.lastUsedAt)`;
      return transact([
        { Put: { TableName, Item: wireItem(toToken(token)) } },
        {
          Update: {
            TableName,
            Key: wireItem(apiKeyKey(key.deploymentId, key.ulid)),
            UpdateExpression: `SET secrets = :secrets, #lastUse = :at, ${LAST_USE}`,
            // Every rotation and every edit begins a new revision.
            ConditionExpression: `generation = :generation AND revision = :revision AND ${isUnused}`,
            ExpressionAttributeNames: { '#hash': 'hash', '#lastUse': lastUseOf(secret.hash) },
            ExpressionAttributeValues: wireItem({
              ':secrets': secrets,
              ':hash': secret.hash,
              ':generation': key.generation,
              ':revision': key.revision,
              ':at': now,
              ':address': address,
              ':client': client,
            }),
          },
        },
        ...(event ? [{ Put: { TableName, Item: wireItem(toEvent(event)) } }] : []),
      ]);
    },

    putTokenOfSubject(token, { hash, previousHash, until: expiresAt }) {
      const used = { ...subjectKey(hash), expiresAt };
      // For one release: the previous one remembers the hash of the whole JWT, and answers calls while this one is
      // deployed. In the next release delete `usedBefore`, `previousSubjectKey` and `previousHash`.
      const { deploymentId, generation } = token;
      const usedBefore = { ...previousSubjectKey(deploymentId, previousHash), generation, expiresAt };
      const isNew = 'attribute_not_exists(pk)';
      return transact([
        { Put: { TableName, Item: wireItem(toToken(token)) } },
        { Put: { TableName, Item: wireItem(used), ConditionExpression: isNew } },
        { Put: { TableName, Item: wireItem(usedBefore), ConditionExpression: isNew } },
      ]);
    },

    async noteExchange(key, secret, before, now, { address, client }) {
      const isDue = '(attribute_not_exists(#lastUse) OR #lastUse <= :before)';
      await wire('UpdateItem', {
        TableName,
        Key: wireItem(apiKeyKey(key.deploymentId, key.ulid)),
        UpdateExpression: `SET #lastUse = :at, ${LAST_USE}`,
        ConditionExpression: `${pathOf(secret, key)}.#hash = :hash AND ${isDue}`,
        ExpressionAttributeNames: { '#hash': 'hash', '#lastUse': lastUseOf(secret.hash) },
        ExpressionAttributeValues: wireItem({
          ':hash': secret.hash,
          ':before': before,
          ':at': now,
          ':address': address,
          ':client': client,
        }),
      });
    },

    async noteSubject({ deploymentId, ulid }, before, now, { address, client }) {
      const isDue = '(attribute_not_exists(lastUsedAt) OR lastUsedAt <= :before)';
      await wire('UpdateItem', {
        TableName,
        Key: wireItem(apiKeyKey(deploymentId, ulid)),
        UpdateExpression: `SET ${LAST_USE}`,
        ConditionExpression: `attribute_exists(pk) AND ${isDue}`,
        ExpressionAttributeValues: wireItem({
          ':before': before,
          ':at': now,
          ':address': address,
          ':client': client,
        }),
      });
    },

    async deleteToken({ deploymentId, ulid, hash }) {
      await wire('DeleteItem', { TableName, Key: wireItem(tokenKey(deploymentId, ulid, hash)) });
    },
  };
}

/** Where a secret stands in its key's item. */
function pathOf({ hash }: SecretHash, { secrets }: ApiKey): string {
  return `secrets[${secrets.findIndex((secret) => secret.hash === hash)}]`;
}

function wireItem(item: object): WireItem {
  return marshall(item, { removeUndefinedValues: true }) as WireItem;
}
