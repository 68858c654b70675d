import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import {
  BatchGetCommand,
  DeleteCommand,
  DynamoDBDocumentClient,
  PutCommand,
  TransactWriteCommand,
  UpdateCommand,
} from '@aws-sdk/lib-dynamodb';
import { marshall } from '@aws-sdk/util-dynamodb';
import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { ApiKey, SecretHash, Token } from '../../functions/domain/records.ts';
import { TRANSLATION } from '../../functions/table/client.ts';
import { leanTokenStore, type TokenStore } from '../../functions/table/lean-tokens.ts';
import {
  apiKeyKey,
  deploymentKey,
  fromApiKey,
  type Item,
  type ItemKey,
  toApiKey,
  toDeployment,
  toEvent,
  tokenKey,
  toToken,
} from '../../functions/table/schema.ts';
import { openWire } from '../../functions/table/wire.ts';
import { answer, failure, type Stub, startStub } from '../support/dynamodb-stub.ts';
import { sample } from '../support/generated.ts';
import { event } from '../support/records.ts';

const ACCESS = { region: 'eu-central-1', accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'secret' };
const TableName = 'keys';
const ULID = '01ARZ3NDEKTSV4RRFFQ69G5FAV';
const FROM = { address: '192.0.2.1', client: 'curl/8.5.0 (é)' };

let stub: Stub;
let store: TokenStore;
let sdk: DynamoDBDocumentClient;
const malformed: ItemKey[] = [];
beforeAll(async () => {
  stub = await startStub();
  store = leanTokenStore(openWire({ ...ACCESS, endpoint: stub.endpoint }, UNHURRIED), {
    tableName: TableName,
    onMalformed: (key) => malformed.push(key),
  });
  const client = new DynamoDBClient({
    region: ACCESS.region,
    endpoint: stub.endpoint,
    credentials: ACCESS,
    maxAttempts: 1,
  });
  sdk = DynamoDBDocumentClient.from(client, TRANSLATION);
});
afterAll(() => stub.stop());
beforeEach(() => {
  stub.reply(() => answer(200, {}));
  malformed.length = 0;
});
/** A slow machine must not look like a table that hangs. */
const UNHURRIED = { attemptTimeout: 5000, attempts: 3 };

const deploymentIds = fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/);
const ulids = fc.stringMatching(/^[0-7][0-9A-HJKMNP-TV-Z]{25}$/);
const hashes = fc.stringMatching(/^[A-Za-z0-9_-]{43}$/);
const moments = fc.nat({ max: 2_000_000_000_000 });
const seconds = fc.nat({ max: 2_000_000_000 });
const maybe = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined });
const scopes = fc.array(fc.constantFrom('code:deploy', 'airflow:read', 'a'), { maxLength: 4 });

const tokens: fc.Arbitrary<Token> = fc.record({
  deploymentId: deploymentIds,
  ulid: ulids,
  hash: hashes,
  generation: ulids,
  epoch: fc.nat(),
  scopes: maybe(scopes),
  issuedAt: seconds,
  expiresAt: seconds,
});
const secrets: fc.Arbitrary<SecretHash> = fc.record({
  hash: hashes,
  createdAt: moments,
  retiresAt: maybe(moments),
  retiresOnFirstUse: maybe(fc.boolean()),
  lastUsedAt: maybe(moments),
});
const keys: fc.Arbitrary<ApiKey> = fc
  .record({
    deploymentId: deploymentIds,
    ulid: ulids,
    name: fc.string({ unit: 'grapheme', minLength: 1 }),
    description: maybe(fc.string({ unit: 'grapheme' })),
    scopes,
    secrets: fc.array(secrets, { minLength: 1, maxLength: 2 }),
    enabled: fc.boolean(),
    leak: maybe(fc.record({ reportedAt: moments, wasEnabled: fc.boolean() })),
    validUntil: maybe(moments),
    epoch: fc.nat(),
    generation: ulids,
    revision: fc.nat(),
    createdAt: moments,
    createdBy: fc.string({ minLength: 1 }),
    activeSince: maybe(moments),
    lastUsedAt: maybe(moments),
    lastUsedAddress: maybe(fc.string()),
    lastUsedClient: maybe(fc.string({ unit: 'grapheme' })),
    networks: maybe(fc.array(fc.constantFrom('192.0.2.0/24', '2001:db8::/32'), { minLength: 1 })),
    trust: maybe(
      fc.array(
        fc.record({
          issuer: fc.webUrl(),
          claims: fc.constantFrom<Record<string, string | { prefix: string }>>(
            { repository_id: '1' },
            { sub: { prefix: 'repo:acme/' } },
          ),
          singleUse: maybe(fc.boolean()),
        }),
      ),
    ),
  })
  .map((key) => ({ ...key, enabled: key.enabled && !key.leak }));

/** Each write of the store, and the SDK command that it replaces. */
const writes: {
  name: string;
  lean: (token: Token, key: ApiKey, now: number) => Promise<unknown>;
  sdk: (token: Token, key: ApiKey, now: number) => object;
}[] = [
  {
    name: 'a token',
    lean: (token) => store.putToken(() => token),
    sdk: (token) => new PutCommand({ TableName, Item: toToken(token) }),
  },
  {
    name: 'a token by the first use of a new secret',
    lean: (token, key, now) => {
      const [secret] = key.secrets.slice(-1) as [SecretHash];
      return store.putTokenOfFirstUse(token, key, {
        secret,
        secrets: [secret],
        event: event(),
        now,
        from: FROM,
      });
    },
    sdk: (token, key, now) => {
      const [secret] = key.secrets.slice(-1) as [SecretHash];
      const at = `secrets[${key.secrets.findIndex(({ hash }) => hash === secret.hash)}]`;
      return new TransactWriteCommand({
        TransactItems: [
          { Put: { TableName, Item: toToken(token) } },
          {
            Update: {
              TableName,
              Key: apiKeyKey(key.deploymentId, key.ulid),
              UpdateExpression:
                'SET secrets = :secrets, #lastUse = :at, lastUsedAt = :at, lastUsedAddress = :address, lastUsedClient = :client',
              ConditionExpression: `generation = :generation AND revision = :revision AND ${at}.#hash = :hash AND attribute_not_exists(${at}.lastUsedAt)`,
              ExpressionAttributeNames: {
                '#hash': 'hash',
                '#lastUse': `lastUsedAt#${secret.hash.slice(0, 8)}`,
              },
              ExpressionAttributeValues: {
                ':secrets': [secret],
                ':hash': secret.hash,
                ':generation': key.generation,
                ':revision': key.revision,
                ':at': now,
                ':address': FROM.address,
                ':client': FROM.client,
              },
            },
          },
          { Put: { TableName, Item: toEvent(event()) } },
        ],
      });
    },
  },
  {
    name: 'a token for a subject token that may not come again',
    lean: (token, _, now) =>
      store.putTokenOfSubject(token, { hash: 'hash of it', previousHash: 'previous', until: now }),
    sdk: (token, _, now) =>
      new TransactWriteCommand({
        TransactItems: [
          { Put: { TableName, Item: toToken(token) } },
          {
            Put: {
              TableName,
              Item: { pk: 'SUBJECT#hash of it', sk: 'SUBJECT', expiresAt: now },
              ConditionExpression: 'attribute_not_exists(pk)',
            },
          },
          {
            Put: {
              TableName,
              Item: {
                pk: `DEPLOYMENT#${token.deploymentId}`,
                sk: 'SUBJECT#previous',
                generation: token.generation,
                expiresAt: now,
              },
              ConditionExpression: 'attribute_not_exists(pk)',
            },
          },
        ],
      }),
  },
  {
    name: 'the use of a secret on its key',
    lean: (_, key, now) => store.noteExchange(key, key.secrets.at(-1) as SecretHash, 5, now, FROM),
    sdk: (_, key, now) => {
      const { hash } = key.secrets.at(-1) as SecretHash;
      const at = `secrets[${key.secrets.findIndex((one) => one.hash === hash)}]`;
      return new UpdateCommand({
        TableName,
        Key: apiKeyKey(key.deploymentId, key.ulid),
        UpdateExpression:
          'SET #lastUse = :at, lastUsedAt = :at, lastUsedAddress = :address, lastUsedClient = :client',
        ConditionExpression: `${at}.#hash = :hash AND (attribute_not_exists(#lastUse) OR #lastUse <= :before)`,
        ExpressionAttributeNames: { '#hash': 'hash', '#lastUse': `lastUsedAt#${hash.slice(0, 8)}` },
        ExpressionAttributeValues: {
          ':hash': hash,
          ':before': 5,
          ':at': now,
          ':address': FROM.address,
          ':client': FROM.client,
        },
      });
    },
  },
  {
    name: 'the use of a key without a secret',
    lean: (_, key, now) => store.noteSubject(key, 5, now, FROM),
    sdk: (_, key, now) =>
      new UpdateCommand({
        TableName,
        Key: apiKeyKey(key.deploymentId, key.ulid),
        UpdateExpression: 'SET lastUsedAt = :at, lastUsedAddress = :address, lastUsedClient = :client',
        ConditionExpression:
          'attribute_exists(pk) AND (attribute_not_exists(lastUsedAt) OR lastUsedAt <= :before)',
        ExpressionAttributeValues: {
          ':before': 5,
          ':at': now,
          ':address': FROM.address,
          ':client': FROM.client,
        },
      }),
  },
  {
    name: 'that a token is gone',
    lean: (token) => store.deleteToken(token),
    sdk: ({ deploymentId, ulid, hash }) =>
      new DeleteCommand({ TableName, Key: tokenKey(deploymentId, ulid, hash) }),
  },
];

describe('the lean token store compared with the SDK', () => {
  it.each(writes)('sends the same request to write $name', async ({ lean, sdk: command }) => {
    const property = fc.asyncProperty(tokens, keys, moments, async (token, key, now) => {
      stub.calls.length = 0;
      await lean(token, key, now);
      await sdk.send(command(token, key, now) as never);
      const [ours, theirs] = stub.calls.map(({ headers, input: { ClientRequestToken, ...input } }) => ({
        target: headers['x-amz-target'],
        input,
        // DynamoDB treats two transactions with the same token as one.
        isOnce: typeof ClientRequestToken === 'string' && ClientRequestToken.length === 36,
      }));
      expect(stub.calls).toHaveLength(2);
      expect(ours).toStrictEqual(theirs);
    });
    await fc.assert(property, { numRuns: sample(250) });
  });

  it('sends the same request to read a key with its Deployment, and parses the same items', async () => {
    const property = fc.asyncProperty(keys, fc.constantFrom('both', 'key', 'none'), async (key, present) => {
      const deployment = {
        id: key.deploymentId,
        name: 'é',
        groups: ['a'],
        generation: key.generation,
        keyCount: 1,
        createdAt: 0,
        revision: undefined,
      };
      const items: Item[] = [
        ...(present === 'none' ? [] : [toApiKey(key)]),
        ...(present === 'both' ? [toDeployment(deployment)] : []),
      ];
      const Responses = { keys: items.map((item) => marshall(item, { removeUndefinedValues: true })) };
      stub.reply(() => answer(200, { Responses, UnprocessedKeys: {} }));
      stub.calls.length = 0;
      const found = await store.readKey(key.deploymentId, key.ulid);
      const Keys = [deploymentKey(key.deploymentId), apiKeyKey(key.deploymentId, key.ulid)];
      const command = new BatchGetCommand({ RequestItems: { [TableName]: { Keys, ConsistentRead: true } } });
      const { Responses: theirs } = await sdk.send(command);
      expect(found).toStrictEqual({
        deployment: present === 'both' ? deployment : undefined,
        key: fromApiKey(theirs?.keys?.find(({ sk }) => String(sk).startsWith('KEY#'))),
      });
      const [first, second] = stub.calls.map(({ headers, input }) => [headers['x-amz-target'], input]);
      expect(first).toStrictEqual(second);
    });
    await fc.assert(property, { numRuns: sample(500) });
    expect(malformed).toStrictEqual([]);
  });
});

describe('the lean token store, after DynamoDB cancels a transaction', () => {
  const [token] = fc.sample(tokens, { numRuns: 1, seed: 1 }) as [Token];
  const cancelled = (...codes: string[]) =>
    failure(400, 'TransactionCanceledException', { CancellationReasons: codes.map((Code) => ({ Code })) });
  const attempt = () => store.putTokenOfSubject(token, { hash: 'hash', previousHash: 'previous', until: 0 });

  it('issues no token when a condition failed', async () => {
    stub.reply(() => cancelled('None', 'ConditionalCheckFailed'));
    expect(await attempt()).toBe(false);
  });

  it('retries a conflict with a new request until it succeeds', async () => {
    stub.reply(() => (stub.calls.length < 3 ? cancelled('TransactionConflict', 'None') : answer(200, {})));
    expect(await attempt()).toBe(true);
    expect(new Set(stub.calls.map(({ input }) => input.ClientRequestToken)).size).toBe(3);
  });

  it('throws a 503 when the conflict persists', async () => {
    stub.reply(() => cancelled('TransactionConflict', 'None'));
    await expect(attempt()).rejects.toMatchObject({ status: 503 });
  });

  it('repeats the same request when the response was lost', async () => {
    stub.reply((_, n) => (n === 0 ? failure(500, 'InternalServerError') : answer(200, {})));
    expect(await attempt()).toBe(true);
    expect(new Set(stub.calls.map(({ input }) => input.ClientRequestToken)).size).toBe(1);
  });

  it('throws a server error for any other reason, and issues no token', async () => {
    stub.reply(() => cancelled('ValidationError', 'None'));
    await expect(attempt()).rejects.toMatchObject({ name: 'TransactionCanceledException' });
  });
});

it('the lean token store throws a 503 when a key is left unprocessed, because unread must never look like missing', async () => {
  const UnprocessedKeys = { keys: { Keys: [marshall(deploymentKey('etl'))] } };
  const credential = { kind: 'token', deploymentId: 'etl', ulid: ULID } as const;
  for (const read of [() => store.readKey('etl', ULID), () => store.readToken(credential, 'hash')]) {
    stub.reply(() => answer(200, { Responses: { keys: [] }, UnprocessedKeys }));
    await expect(read()).rejects.toMatchObject({ status: 503 });
    stub.reply(() => answer(200, {}));
    await expect(read()).rejects.toMatchObject({ status: 503 });
  }
});

describe('the lean token store reads a token', () => {
  const [token] = fc.sample(tokens, { numRuns: 1, seed: 1 }) as [Token];
  const { deploymentId, ulid, hash } = token;
  const read = async (more: object) => {
    const item = marshall({ ...toToken(token), ...more }, { removeUndefinedValues: true });
    stub.reply(() => answer(200, { Responses: { keys: [item] }, UnprocessedKeys: {} }));
    stub.calls.length = 0;
    return store.readToken({ kind: 'token', deploymentId, ulid }, hash);
  };

  it('the lean token store reads a token with its key, its Deployment and its last use in one strongly consistent read', async () => {
    const used = await read({ lastUsedAt: 7, lastUsedAddress: '192.0.2.1', lastUsedClient: 'curl/8' });
    expect(used.lastUse).toEqual({ at: 7, address: '192.0.2.1', client: 'curl/8' });
    expect(used.token).toMatchObject({ generation: token.generation, expiresAt: token.expiresAt });
    expect([used.key, used.deployment]).toEqual([undefined, undefined]);
    const Keys = [
      deploymentKey(deploymentId),
      apiKeyKey(deploymentId, ulid),
      tokenKey(deploymentId, ulid, hash),
    ];
    expect(stub.calls.map(({ input }) => input)).toEqual([
      { RequestItems: { [TableName]: { Keys: Keys.map((key) => marshall(key)), ConsistentRead: true } } },
    ]);
  });

  it.each<[string, object, unknown]>([
    ['with an unrecorded last use', {}, undefined],
    ['with only the time of its last use', { lastUsedAt: 7 }, { at: 7, address: '', client: '' }],
    ['with a malformed last use', { lastUsedAt: 'x' }, undefined],
    ['with a malformed origin of its last use', { lastUsedAt: 7, lastUsedAddress: 1 }, undefined],
  ])('%s, and the token stays valid', async (_, more, lastUse) => {
    const found = await read(more);
    expect(found.lastUse).toEqual(lastUse);
    expect(found.token).toBeDefined();
  });
});
