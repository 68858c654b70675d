import {
  DynamoDBServiceException,
  ProvisionedThroughputExceededException,
  TransactionCanceledException,
} from '@aws-sdk/client-dynamodb';
import {
  BatchGetCommand,
  BatchWriteCommand,
  DynamoDBDocumentClient,
  QueryCommand,
  TransactWriteCommand,
  UpdateCommand,
} from '@aws-sdk/lib-dynamodb';
import { mockClient } from 'aws-sdk-client-mock';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { check } from '../../functions/domain/check.ts';
import { hashOf, mintCredential } from '../../functions/domain/credentials.ts';
import { ServiceError } from '../../functions/domain/errors.ts';
import { checkStore } from '../../functions/table/checks.ts';
import { deleteItems, itemsOfGeneration } from '../../functions/table/purge.ts';
import { CHECK_RETRIES, transact } from '../../functions/table/retried-calls.ts';
import { apiKeyKey, deploymentKey, type Item, tokenKey } from '../../functions/table/schema.ts';
import { tableOn } from '../support/store.ts';

/** These tests simulate the client, because they need faults that the database engine cannot produce on demand. */
const dynamodb = mockClient(DynamoDBDocumentClient);
const onMalformed = vi.fn();
const table = tableOn(dynamodb, { onMalformed, retryPolicy: CHECK_RETRIES });

const NOW = 1_800_000_000_000;
const ULID = '01ARZ3NDEKTSV4RRFFQ69G5FAV';
const token = mintCredential('token', 'etl', ULID);
const deploymentItem: Item = { ...deploymentKey('etl'), generation: ULID };
const keyItem: Item = {
  ...apiKeyKey('etl', ULID),
  generation: ULID,
  epoch: 0,
  enabled: true,
  scopes: ['code:deploy'],
};
const tokenItem: Item = {
  ...tokenKey('etl', ULID, hashOf(token)),
  generation: ULID,
  epoch: 0,
  issuedAt: NOW / 1000,
  expiresAt: NOW / 1000 + 60,
};
const rules = {
  tokenLifetime: 86_400,
  slideInterval: 300,
  scopes: ['code:deploy'],
  lastUsedFrom: 'full' as const,
};
const use = () => check(token, { store: checkStore(table, 'https://login.test'), clock: () => NOW, rules });

/** Returns the error that the client throws for an error response from DynamoDB. */
const fault = (name: string, httpStatusCode: number) =>
  new DynamoDBServiceException({
    name,
    message: name,
    $fault: httpStatusCode < 500 ? 'client' : 'server',
    $metadata: { httpStatusCode },
  });
const busy = expect.objectContaining({ status: 503, headers: { 'Retry-After': '1' } });

beforeEach(() => {
  dynamodb.reset();
  onMalformed.mockReset();
});

describe('A check fails without a reliable response from DynamoDB (G7)', () => {
  it('a check allows the call and extends the token when DynamoDB returns all three items', async () => {
    dynamodb.on(BatchGetCommand).resolves({ Responses: { keys: [tokenItem, keyItem, deploymentItem] } });
    dynamodb.on(UpdateCommand).resolves({});
    expect(await use()).toMatchObject({ allowed: true, access: { expiresAt: NOW / 1000 + 86_700 } });
  });

  it('a check fails when DynamoDB leaves a key unprocessed, even if all items were returned', async () => {
    dynamodb.on(BatchGetCommand).resolves({
      Responses: { keys: [tokenItem, keyItem, deploymentItem] },
      UnprocessedKeys: { keys: { Keys: [deploymentKey('etl')] } },
    });
    await expect(use()).rejects.toMatchObject({ status: 503, cause: { message: 'unprocessed' } });
  });

  it("a check fails when DynamoDB's response contains no items from the table", async () => {
    dynamodb.on(BatchGetCommand).resolves({});
    await expect(use()).rejects.toEqual(busy);
  });

  it('a check fails when the token must be extended but the write fails', async () => {
    dynamodb.on(BatchGetCommand).resolves({ Responses: { keys: [tokenItem, keyItem, deploymentItem] } });
    dynamodb.on(UpdateCommand).rejects(
      new ProvisionedThroughputExceededException({
        message: 'slow down',
        $metadata: { httpStatusCode: 400 },
      }),
    );
    await expect(use()).rejects.toEqual(busy);
  });

  it('a check throws a 503 error when DynamoDB throttles, fails, hangs or truncates its response', async () => {
    const network = Object.assign(new Error('socket hang up'), { code: 'ECONNRESET' });
    const timeout = Object.assign(new Error('timed out'), { name: 'TimeoutError' });
    const errors = [
      fault('ThrottlingException', 400),
      fault('RequestLimitExceeded', 400),
      fault('InternalServerError', 500),
      fault('ServiceUnavailable', 503),
      network,
      timeout,
      new SyntaxError('Unexpected end of JSON input'),
    ];
    for (const error of errors) {
      dynamodb.on(BatchGetCommand).rejects(error);
      await expect(use(), error.name).rejects.toEqual(busy);
    }
  });

  it('a check throws a server error when the table, or the permission to read it, is missing', async () => {
    for (const name of ['AccessDeniedException', 'ResourceNotFoundException']) {
      const error = fault(name, 400);
      dynamodb.on(BatchGetCommand).rejects(error);
      await expect(use()).rejects.toBe(error);
      expect(error).not.toBeInstanceOf(ServiceError);
    }
  });
});

describe('A check denies the call if an item is malformed', () => {
  const wrong: [string, Item][] = [
    ['token without a generation', { ...tokenItem, generation: undefined }],
    ['token whose expiresAt is text', { ...tokenItem, expiresAt: String(tokenItem.expiresAt) }],
    ['token whose expiresAt is no whole number', { ...tokenItem, expiresAt: NOW / 1000 + 0.5 }],
    ['token without an epoch', { ...tokenItem, epoch: undefined }],
    ['token whose scope is a list', { ...tokenItem, scope: ['code:deploy'] }],
    ['key whose enabled is text', { ...keyItem, enabled: 'true' }],
    ['key without scopes', { ...keyItem, scopes: undefined }],
    ['key whose own expiry is text', { ...keyItem, validUntil: 'never' }],
    ['Deployment whose generation is no ULID', { ...deploymentItem, generation: 'x' }],
  ];
  it.each(wrong)(
    'a check denies the call and reports the malformed item by its keys: %s',
    async (_, item) => {
      const rest = [tokenItem, keyItem, deploymentItem].filter(({ sk }) => sk !== item.sk);
      dynamodb.on(BatchGetCommand).resolves({ Responses: { keys: [...rest, item] } });
      expect(await use()).toMatchObject({ allowed: false });
      expect(onMalformed.mock.calls).toEqual([[{ pk: item.pk, sk: item.sk }]]);
      expect(dynamodb.commandCalls(UpdateCommand)).toHaveLength(0);
    },
  );
});

describe('A transaction is retried only after a conflict', () => {
  const cancelled = (...codes: string[]) =>
    new TransactionCanceledException({
      message: 'cancelled',
      $metadata: { httpStatusCode: 400 },
      CancellationReasons: codes.map((Code) => ({ Code })),
    });

  it('retries a conflicting transaction until it succeeds', async () => {
    dynamodb
      .on(TransactWriteCommand)
      .rejectsOnce(cancelled('None', 'TransactionConflict'))
      .rejectsOnce(cancelled('TransactionConflict', 'None'))
      .resolves({});
    expect(await transact(table, [])).toBeUndefined();
    expect(dynamodb.commandCalls(TransactWriteCommand)).toHaveLength(3);
  });

  it('a transaction that keeps conflicting ends in a 503 error', { timeout: 10_000 }, async () => {
    dynamodb.on(TransactWriteCommand).rejects(cancelled('TransactionConflict'));
    await expect(transact(table, [])).rejects.toEqual(busy);
  });

  it('does not retry a transaction after a failed condition, and reports which condition failed', async () => {
    dynamodb.on(TransactWriteCommand).rejects(cancelled('None', 'ConditionalCheckFailed'));
    expect(await transact(table, [])).toEqual([{ failed: false }, { failed: true, item: undefined }]);
    expect(dynamodb.commandCalls(TransactWriteCommand)).toHaveLength(1);
  });
});

describe('deleteItems', () => {
  const keys = Array.from({ length: 60 }, (_, n) => ({ pk: 'p', sk: String(n) }));
  const requestsOf = (input: { RequestItems: unknown }) =>
    (input.RequestItems as Record<string, { DeleteRequest: { Key: { sk: string } } }[]>).keys ?? [];

  it('resends unprocessed deletions until no deletions are left', async () => {
    const deleted = new Set<string>();
    dynamodb.on(BatchWriteCommand).callsFake((input) => {
      const requests = requestsOf(input);
      const done = requests.slice(0, Math.ceil(requests.length / 2));
      for (const { DeleteRequest } of done) deleted.add(DeleteRequest.Key.sk);
      return { UnprocessedItems: requests.length > done.length ? { keys: requests.slice(done.length) } : {} };
    });
    await deleteItems(table, keys);
    expect(deleted.size).toBe(60);
  });

  it('reports a failed batch of deletions after all batches have ended', async () => {
    let running = 0;
    dynamodb.on(BatchWriteCommand).callsFake(async (input) => {
      running++;
      const isFirst = requestsOf(input).some(({ DeleteRequest }) => DeleteRequest.Key.sk === '0');
      await new Promise((resolve) => setImmediate(resolve));
      running--;
      if (isFirst) throw fault('ThrottlingException', 400);
      return {};
    });
    await expect(deleteItems(table, keys)).rejects.toEqual(busy);
    expect(running).toBe(0);
  });
});

describe('The purge reads its items in pages', () => {
  const generation = { deploymentId: 'etl', generation: ULID };
  const page = (n: number) => ({
    Items: [{ sk: `TOKEN#${n}`, generation: ULID }],
    LastEvaluatedKey: { pk: 'DEPLOYMENT#etl', sk: `TOKEN#${n}` },
  });
  const queries = () => dynamodb.commandCalls(QueryCommand).length;

  it('the purge reads at most one page ahead of the deletions', async () => {
    for (let n = 0; n < 4; n++) dynamodb.on(QueryCommand).resolves(page(n));
    const pages = itemsOfGeneration(table, generation);
    await pages.next();
    expect(queries()).toBe(2);
    await new Promise((resolve) => setImmediate(resolve));
    expect(queries()).toBe(2);
    await pages.next();
    expect(queries()).toBe(3);
    await pages.return(undefined);
  });

  it('leaves no read running when the purge stops early', async () => {
    let running = 0;
    dynamodb.on(QueryCommand).callsFake(async () => {
      running++;
      await new Promise((resolve) => setTimeout(resolve, 20));
      running--;
      return page(0);
    });
    for await (const { keys } of itemsOfGeneration(table, generation)) {
      expect(keys).toHaveLength(1);
      break;
    }
    expect(running).toBe(0);
  });

  it('a failed read of a page stops the purge only when the purge needs that page', async () => {
    dynamodb.on(QueryCommand).resolvesOnce(page(0)).rejects(fault('InternalServerError', 500));
    const pages = itemsOfGeneration(table, generation);
    expect((await pages.next()).value?.keys).toHaveLength(1);
    await new Promise((resolve) => setImmediate(resolve));
    await expect(pages.next()).rejects.toEqual(busy);
  });
});
