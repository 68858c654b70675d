import { marshall } from '@aws-sdk/util-dynamodb';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { mintCredential, newUlid } from '../../functions/domain/mint.ts';
import { hashOf } from '../../functions/domain/secrets.ts';
import { authenticate } from '../../functions/operations/authenticate-client.ts';
import { leanTokenStore } from '../../functions/table/lean-tokens.ts';
import { apiKeyKey, deploymentKey, type Item } from '../../functions/table/schema.ts';
import type { Wire } from '../../functions/table/wire.ts';
import { mistyped } from '../support/mistyped.ts';

const { compares } = vi.hoisted(() => ({ compares: vi.fn() }));
vi.mock('node:crypto', async (load) => {
  const crypto = await load<typeof import('node:crypto')>();
  const timingSafeEqual: typeof crypto.timingSafeEqual = (a, b) => {
    compares();
    return crypto.timingSafeEqual(a, b);
  };
  return { ...crypto, timingSafeEqual };
});

const NOW = 1_800_000_000_000;
const ULID = '01ARZ3NDEKTSV4RRFFQ69G5FAV';
const secret = mintCredential('secret', 'etl', ULID);
const deploymentItem: Item = {
  ...deploymentKey('etl'),
  name: 'ETL',
  groups: [],
  generation: ULID,
  keyCount: 1,
  createdAt: NOW,
};
const keyItem: Item = {
  ...apiKeyKey('etl', ULID),
  name: 'ci',
  scopes: ['code:deploy'],
  secrets: [{ hash: hashOf(secret), createdAt: NOW }],
  enabled: true,
  epoch: 0,
  generation: ULID,
  revision: 0,
  createdAt: NOW,
  createdBy: 'ada',
};

/** A fake DynamoDB with these items. It supports only the calls of this test. */
const dynamodb = vi.fn<Wire>();
const store = leanTokenStore(dynamodb, { tableName: 'keys', onMalformed: vi.fn() });
const holding = (...items: Item[]) =>
  dynamodb.mockResolvedValue({
    done: true,
    output: { Responses: { keys: items.map((item) => marshall(item, { removeUndefinedValues: true })) } },
  });
const ask = (clientSecret: string, clientId = `dk_etl_${ULID}`) =>
  authenticate(store, { client: { clientId, clientSecret }, caller: {} }, () => NOW);

beforeEach(() => {
  dynamodb.mockReset();
  compares.mockReset();
});

const refused = expect.objectContaining({
  status: 401,
  code: 'invalid_client',
  message: 'Client authentication failed.',
});
const wrong = mintCredential('secret', 'etl', ULID);

describe('a client authentication', () => {
  it.each<[string, string, Item[]]>([
    ['a wrong secret', wrong, [deploymentItem, keyItem]],
    ['an unknown key', wrong, [deploymentItem]],
    ['an unknown Deployment', wrong, []],
    ['a key of an unknown Deployment', secret, [keyItem]],
    ['a disabled key', secret, [deploymentItem, { ...keyItem, enabled: false }]],
    ['an expired key', secret, [deploymentItem, { ...keyItem, validUntil: NOW }]],
    ['a key of an earlier generation', secret, [deploymentItem, { ...keyItem, generation: newUlid(0) }]],
    ['a damaged key', secret, [deploymentItem, { ...keyItem, secrets: undefined }]],
  ])('is rejected after one read and one comparison with %s', async (_, presented, items) => {
    holding(...items);
    await expect(ask(presented)).rejects.toEqual(refused);
    expect(dynamodb.mock.calls).toStrictEqual([
      [
        'BatchGetItem',
        {
          RequestItems: {
            keys: {
              ConsistentRead: true,
              Keys: [deploymentKey('etl'), apiKeyKey('etl', ULID)].map((key) => marshall(key)),
            },
          },
        },
      ],
    ]);
    expect(compares).toHaveBeenCalledTimes(1);
  });

  it('succeeds after one read and one comparison with the right secret', async () => {
    holding(deploymentItem, keyItem);
    expect((await ask(secret)).key.ulid).toBe(ULID);
    expect(dynamodb).toHaveBeenCalledTimes(1);
    expect(compares).toHaveBeenCalledTimes(1);
  });

  it.each([
    ['a wrong checksum', mistyped(secret)],
    ['a token', mintCredential('token', 'etl', ULID)],
    ['a temporary token', mintCredential('temporary', 'etl', ULID)],
    ['the secret of another key', mintCredential('secret', 'etl', newUlid(0))],
    ['the secret of another Deployment', mintCredential('secret', 'other', ULID)],
    ['unrelated text', 'password'],
  ])('is rejected without a read when it presents %s', async (_, presented) => {
    await expect(ask(presented)).rejects.toEqual(refused);
    expect(dynamodb).not.toHaveBeenCalled();
  });

  it('is rejected without a read when it presents an invalid key ID', async () => {
    for (const id of ['', 'etl', ULID, `dk_etl_${ULID}\n`, `dks_etl_${ULID}`]) {
      await expect(ask(secret, id)).rejects.toEqual(refused);
    }
    expect(dynamodb).not.toHaveBeenCalled();
  });
});
