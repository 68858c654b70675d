import { beforeEach, describe, expect, it, vi } from 'vitest';
import type { ClientRejection } from '../../functions/domain/client-rejection.ts';
import { hashOf, mintCredential, newUlid } from '../../functions/domain/credentials.ts';
import { authenticate } from '../../functions/operations/authenticate-client.ts';
import type { Port } from '../../functions/table/port.ts';
import type { Table } from '../../functions/table/retried-calls.ts';
import { apiKeyKey, deploymentKey, type Item } from '../../functions/table/schema.ts';
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

/** A fake DynamoDB that contains the given items and supports only the calls that this test makes. */
const dynamodb = vi.fn<Port>();
const table = {
  port: dynamodb,
  tableName: 'keys',
  retryPolicy: { attemptTimeout: 1000, attempts: 1 },
  onMalformed: vi.fn(),
} as unknown as Table;
const holding = (...items: Item[]) =>
  dynamodb.mockResolvedValue({ kind: 'done', output: { Responses: { keys: items } } as never });
const authenticateWith = (clientSecret: string, clientId = `dk_etl_${ULID}`) =>
  authenticate(table, { client: { clientId, clientSecret }, caller: {} }, () => NOW);

beforeEach(() => {
  dynamodb.mockReset();
  compares.mockReset();
});

const refusedFor = (reason: ClientRejection) =>
  expect.objectContaining({
    status: 401,
    code: 'invalid_client',
    message: 'Client authentication failed.',
    cause: reason,
  });
/** The number of hash comparisons that every authentication makes. */
const COMPARISONS = 4;
const leak = { reportedAt: NOW - 1, wasEnabled: true };
const retired = [
  { hash: hashOf(secret), createdAt: NOW - 2, retiresAt: NOW },
  { hash: hashOf('another'), createdAt: NOW - 1 },
];
const wrong = mintCredential('secret', 'etl', ULID);

describe('The duration of client authentication reveals nothing about a key', () => {
  it.each<[string, string, Item[], ClientRejection]>([
    ['a wrong secret', wrong, [deploymentItem, keyItem], 'wrong_secret'],
    ['an unknown key', wrong, [deploymentItem], 'unknown_key'],
    ['an unknown Deployment', wrong, [], 'unknown_deployment'],
    ['a key of an unknown Deployment', secret, [keyItem], 'unknown_deployment'],
    ['a disabled key', secret, [deploymentItem, { ...keyItem, enabled: false }], 'disabled'],
    ['an expired key', secret, [deploymentItem, { ...keyItem, validUntil: NOW }], 'expired'],
    [
      'a key of an earlier generation',
      secret,
      [deploymentItem, { ...keyItem, generation: newUlid(0) }],
      'generation',
    ],
    ['a leaked key', secret, [deploymentItem, { ...keyItem, enabled: false, leak }], 'leaked'],
    ['a retired secret', secret, [deploymentItem, { ...keyItem, secrets: retired }], 'retired_secret'],
    ['a damaged key', secret, [deploymentItem, { ...keyItem, secrets: undefined }], 'unknown_key'],
  ])(
    'rejects client authentication with %s after one read and the usual number of hash comparisons',
    async (_, presented, items, reason) => {
      holding(...items);
      await expect(authenticateWith(presented)).rejects.toEqual(refusedFor(reason));
      expect(dynamodb.mock.calls).toStrictEqual([
        [
          'BatchGetItem',
          {
            RequestItems: {
              keys: {
                ConsistentRead: true,
                Keys: [deploymentKey('etl'), apiKeyKey('etl', ULID)],
              },
            },
          },
          expect.any(Number),
        ],
      ]);
      expect(compares).toHaveBeenCalledTimes(COMPARISONS);
    },
  );

  it('client authentication with the right secret makes one read and the usual number of hash comparisons', async () => {
    holding(deploymentItem, keyItem);
    expect((await authenticateWith(secret)).key.ulid).toBe(ULID);
    expect(dynamodb).toHaveBeenCalledTimes(1);
    expect(compares).toHaveBeenCalledTimes(COMPARISONS);
  });

  it.each<[string, string, ClientRejection]>([
    ['a wrong checksum', mistyped(secret), 'malformed_secret'],
    ['a token', mintCredential('token', 'etl', ULID), 'malformed_secret'],
    ['a temporary token', mintCredential('temporary', 'etl', ULID), 'malformed_secret'],
    ['the secret of another key', mintCredential('secret', 'etl', newUlid(0)), 'other_key'],
    ['the secret of another Deployment', mintCredential('secret', 'other', ULID), 'other_key'],
    ['unrelated text', 'password', 'malformed_secret'],
  ])('rejects client authentication with %s without reading the table', async (_, presented, reason) => {
    await expect(authenticateWith(presented)).rejects.toEqual(refusedFor(reason));
    expect(dynamodb).not.toHaveBeenCalled();
  });

  it('rejects client authentication with a malformed key ID without reading the table', async () => {
    for (const id of ['', 'etl', ULID, `dk_etl_${ULID}\n`, `dks_etl_${ULID}`]) {
      await expect(authenticateWith(secret, id)).rejects.toEqual(refusedFor('malformed_id'));
    }
    expect(dynamodb).not.toHaveBeenCalled();
  });
});
