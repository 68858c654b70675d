import { describe, expect, it, onTestFinished, vi } from 'vitest';
import type { CheckStore } from '../../functions/domain/check.ts';
import { formatCredential, hashOf, newUlid } from '../../functions/domain/credentials.ts';
import { authorizer } from '../../functions/routes/authorize.ts';
import { whoami } from '../../functions/routes/whoami.ts';
import { CHECKED_ATTRIBUTES, checkStore, rehearseCheck } from '../../functions/table/checks.ts';
import type { Operations, Port } from '../../functions/table/port.ts';
import { CHECK_RETRIES, type Table } from '../../functions/table/retried-calls.ts';
import {
  fromApiKey,
  type Item,
  personKey,
  toApiKey,
  toDeployment,
  toTemporaryToken,
  toToken,
} from '../../functions/table/schema.ts';
import { httpEvent } from '../support/events.ts';
import {
  apiKey,
  deployment,
  GENERATION,
  KEY_ULID,
  MADE_AT,
  seconds,
  temporaryToken,
  token,
} from '../support/records.ts';
import { startStore, tableOn } from '../support/store.ts';

const pk = 'DEPLOYMENT#etl';
const store = await startStore(pk, 'DEPLOYMENT#0');

const HASH = 't'.repeat(43);
const OF_TOKEN = { kind: 'token', deploymentId: 'etl', ulid: KEY_ULID } as const;
const OF_GRANT = { ...OF_TOKEN, kind: 'temporary' } as const;
const ofToken = { pk, sk: `TOKEN#${KEY_ULID}#${HASH}` };
const ofKey = { pk, sk: `KEY#${KEY_ULID}` };
const ofPerson = personKey({ issuer: 'https://login.test', sub: temporaryToken().sub });
const FROM = { address: '192.0.2.1', client: 'curl/8' };
const noted = (at: number) => ({ lastUsedAt: at, lastUsedAddress: '192.0.2.1', lastUsedClient: 'curl/8' });
const END = token().expiresAt;

const stores: [string, CheckStore][] = [
  ['through the SDK', checkStore(store.table, 'https://login.test')],
  ['over HTTPS', checkStore(store.httpsTable, 'https://login.test')],
];

describe.each(stores)('The check store calls DynamoDB %s', (_, check) => {
  describe('read', () => {
    const key = apiKey({ networks: ['10.0.0.0/8'], validUntil: 5, lastUsedAt: 6 });

    it('a check reads the token, key and Deployment with one strongly consistent read of only the attributes it needs', async () => {
      await store.put(toToken(token({ scopes: ['a'] })), toApiKey(key), toDeployment(deployment()));
      const { issuedAt, expiresAt } = token();
      expect(await check.read(OF_TOKEN, HASH)).toEqual({
        readEnd: expect.any(Function),
        deployment: { generation: GENERATION },
        key: {
          scopes: ['code:deploy'],
          enabled: true,
          validUntil: 5,
          epoch: 0,
          generation: GENERATION,
          lastUsedAt: 6,
          networks: ['10.0.0.0/8'],
        },
        token: { generation: GENERATION, epoch: 0, scopes: ['a'], issuedAt, expiresAt },
      });
      expect(store.sent).toHaveLength(1);
      expect(store.sent[0]?.input).toMatchObject({
        RequestItems: { keys: { ConsistentRead: true, ...CHECKED_ATTRIBUTES } },
      });
    });

    it('a check reads a temporary token together with its Deployment', async () => {
      await store.put(toTemporaryToken(temporaryToken()), toDeployment(deployment()), toApiKey(key));
      const { sub, scopes, signedInAt, issuedAt, expiresAt } = temporaryToken();
      expect(await check.read(OF_GRANT, 'g'.repeat(43))).toEqual({
        readEnd: expect.any(Function),
        deployment: { generation: GENERATION },
        temporaryToken: { generation: GENERATION, sub, scopes, signedInAt, issuedAt, expiresAt },
      });
    });

    it("a check reads the time when a person's access ended with a second strongly consistent read", async () => {
      const { readEnd } = await check.read(OF_GRANT, 'g'.repeat(43));
      const endOf = async (attributes?: object) => {
        if (attributes) await store.put({ ...ofPerson, blocked: false, ...attributes });
        const end = await readEnd(temporaryToken());
        await store.remove(ofPerson);
        return end;
      };
      expect(await endOf()).toBeUndefined();
      expect(await endOf({ endedAt: 5 })).toBe(5);
      expect(await endOf({ endedAt: 5, blocked: true })).toBe(Infinity);
      expect(store.malformed).toEqual([]);
      store.sent.length = 0;
      await readEnd(temporaryToken());
      expect(store.sent.map(({ input }) => input)).toMatchObject([
        { RequestItems: { keys: { ConsistentRead: true, Keys: [ofPerson] } } },
      ]);
    });

    it.each([
      { endedAt: 'x' },
      { endedAt: -1 },
      { endedAt: undefined },
      { blocked: undefined },
      { blocked: 'no' },
      { blocked: null },
    ])("treats a person's access as ended when the person's record is malformed: %j", async (attributes) => {
      const { readEnd } = await check.read(OF_GRANT, 'g'.repeat(43));
      await store.put({ ...ofPerson, endedAt: 5, blocked: false, ...attributes });
      expect(await readEnd(temporaryToken())).toBe(Infinity);
      expect(store.malformed).toEqual([ofPerson]);
      await store.remove(ofPerson);
    });

    it('the check store omits malformed items from a read and reports them', async () => {
      expect(await check.read(OF_TOKEN, HASH)).toEqual({ readEnd: expect.any(Function) });
      await store.put(toDeployment(deployment()));
      expect(await check.read(OF_TOKEN, HASH)).toEqual({
        readEnd: expect.any(Function),
        deployment: { generation: GENERATION },
      });
      expect(store.malformed).toEqual([]);
      await store.put({ ...toApiKey(key), enabled: 'true' });
      expect(await check.read(OF_TOKEN, HASH)).toEqual({
        readEnd: expect.any(Function),
        deployment: { generation: GENERATION },
      });
      expect(store.malformed).toEqual([ofKey]);
    });
  });

  describe('extend', () => {
    const extend = (until: number, now: number) => check.extend(OF_TOKEN, HASH, seconds(until), now, FROM);

    it("the check store extends a valid token and records the token's use", async () => {
      await store.put(toToken(token()));
      expect(await extend(END + 1, MADE_AT)).toBe(END + 1);
      expect(await store.get(ofToken)).toEqual({
        ...toToken(token()),
        expiresAt: END + 1,
        ...noted(MADE_AT),
      });
    });

    it('the check store can extend a temporary token', async () => {
      await store.put(toTemporaryToken(temporaryToken()));
      const { hash, expiresAt } = temporaryToken();
      expect(await check.extend(OF_GRANT, hash, seconds(expiresAt + 1), MADE_AT, FROM)).toBe(expiresAt + 1);
    });

    it("the check store never shortens a token's expiry, and returns a later expiry if one is stored", async () => {
      await store.put(toToken(token()));
      for (const until of [END, END - 1]) expect(await extend(until, MADE_AT)).toBe(END);
      expect(await store.get(ofToken)).toEqual(toToken(token()));
    });

    it('the check store does not extend a token that has already expired', async () => {
      await store.put(toToken(token()));
      for (const now of [END * 1000, END * 1000 + 999, (END + 1) * 1000]) {
        expect(await extend(END + 100_000, now)).toBeUndefined();
      }
      expect(await store.get(ofToken)).toEqual(toToken(token()));
      expect(await extend(END + 100_000, END * 1000 - 1)).toBe(END + 100_000);
    });

    it('extending a deleted token does not create the token again', async () => {
      expect(await extend(END + 1, MADE_AT)).toBeUndefined();
      expect(await store.get(ofToken)).toBeUndefined();
    });

    it('the check store does not extend a token whose expiry is not a number', async () => {
      for (const expiresAt of ['x', 0.5, undefined]) {
        await store.put({ ...toToken(token()), expiresAt });
        expect(await extend(END + 1, MADE_AT)).toBeUndefined();
      }
    });
  });

  describe('recordUse', () => {
    const recordUse = (before: number, now: number) =>
      check.recordUse(OF_TOKEN, before, now, FROM).catch(() => {});

    it('records the first use of a key, and later uses when the last recorded use is old enough', async () => {
      await store.put(toApiKey(apiKey()));
      await recordUse(10, 20);
      const activeDays = new Set([0]);
      expect(await store.get(ofKey)).toEqual({ ...toApiKey(apiKey()), ...noted(20), activeDays });
      await recordUse(19, 30);
      expect(await store.get(ofKey)).toMatchObject({ lastUsedAt: 20 });
      await recordUse(20, 30);
      expect(await store.get(ofKey)).toMatchObject({ lastUsedAt: 30 });
    });

    it("adds the day of each recorded use to the key's active days", async () => {
      await store.put(toApiKey(apiKey()));
      for (const day of [0, 1, 1, 2]) await recordUse(day * 86_400_000, day * 86_400_000);
      expect((await store.get(ofKey))?.activeDays).toEqual(new Set([0, 1, 2]));
      expect(fromApiKey(await store.get(ofKey))?.activeDays).toEqual(new Set([0, 1, 2]));
    });

    it('recording a use costs one write unit for a key of 600 bytes with 90 active days', async () => {
      const sizeOf = (item: object) => Buffer.byteLength(JSON.stringify(item));
      const key = apiKey({ activeDays: new Set(Array.from({ length: 89 }, (_, n) => 20_000 + n)) });
      const filled = { ...key, description: 'd'.repeat(600 - sizeOf(toApiKey(key))) };
      await store.put(toApiKey(filled));
      const units: unknown[] = [];
      const metered: Table = {
        ...store.table,
        port: async (operation, input, timeout) => {
          const outcome = await store.table.port(
            operation,
            { ...input, ReturnConsumedCapacity: 'TOTAL' } as typeof input,
            timeout,
          );
          units.push(outcome);
          return outcome;
        },
      };
      await checkStore(metered, 'https://login.test').recordUse(OF_TOKEN, 10, 20_089 * 86_400_000, FROM);
      expect(units).toMatchObject([{ output: { ConsumedCapacity: { CapacityUnits: 1 } } }]);
      expect(fromApiKey(await store.get(ofKey))?.activeDays?.size).toBe(90);
    });

    it('recording a use of a deleted key does not create the key again', async () => {
      await recordUse(10, 20);
      expect(await store.partition(pk)).toEqual([]);
    });
  });

  it('a check does not find a token with the same ULID in a different Deployment', async () => {
    await store.put(
      { ...toToken(token()), pk: 'DEPLOYMENT#other' },
      toDeployment(deployment({ id: 'other' })),
    );
    expect(await check.read({ ...OF_TOKEN, deploymentId: 'other' }, HASH)).toMatchObject({
      token: { epoch: 0 },
    });
    expect(await check.read(OF_TOKEN, HASH)).toEqual({ readEnd: expect.any(Function) });
    await store.clear('DEPLOYMENT#other');
  });
});

describe('The check store handles unexpected responses from DynamoDB', () => {
  const answering = (...items: object[]) =>
    checkStore(tableOn({ send: async () => ({ Responses: { keys: items } }) }), 'https://login.test');

  it('the check store fails when the response does not mention the table', async () => {
    for (const output of [{}, { Responses: {} }, { Responses: { other: [] } }]) {
      const read = checkStore(tableOn({ send: async () => output }), 'https://login.test').read(
        OF_TOKEN,
        HASH,
      );
      await expect(read).rejects.toMatchObject({
        status: 503,
        cause: { message: 'incomplete' },
      });
    }
  });

  it('the check store ignores items in a response that it did not request', async () => {
    const generation = newUlid(0);
    const check = answering(
      {},
      { pk },
      { pk: 'DEPLOYMENT#other', sk: 'DEPLOYMENT', generation },
      { pk, sk: 'OTHER', generation },
      { pk, sk: 'DEPLOYMENT', generation: GENERATION },
    );
    expect(await check.read(OF_TOKEN, HASH)).toEqual({
      readEnd: expect.any(Function),
      deployment: { generation: GENERATION },
    });
  });

  it('the check store treats an item with a value of an unexpected type as malformed', async () => {
    for (const generation of [new Uint8Array(2), new Set([GENERATION]), [GENERATION], null]) {
      expect(await answering({ pk, sk: 'DEPLOYMENT', generation }).read(OF_TOKEN, HASH)).toEqual({
        readEnd: expect.any(Function),
      });
    }
  });
});

it('a check reads from DynamoDB only the attributes that it needs, and no hashes of secrets', async () => {
  const key = apiKey({ description: 'd', networks: ['10.0.0.0/8'], validUntil: 5, lastUsedAt: 6 });
  await store.put(
    toToken(token({ scopes: ['a'] })),
    toTemporaryToken(temporaryToken({ signedInAt: token().issuedAt })),
    toApiKey(key),
    toDeployment(deployment()),
  );
  const items: Item[] = [];
  const port = (async (operation: 'BatchGetItem', ...rest: [Operations['BatchGetItem']['input'], number]) => {
    const outcome = await store.table.port(operation, ...rest);
    if (outcome.kind === 'done') items.push(...(outcome.output.Responses?.keys ?? []));
    return outcome;
  }) as Port;
  const check = checkStore({ ...store.table, port }, 'https://login.test');
  await check.read(OF_TOKEN, HASH);
  await check.read(OF_GRANT, 'g'.repeat(43));
  expect(Object.fromEntries(items.map(({ pk: _, sk, ...item }) => [sk, Object.keys(item).sort()]))).toEqual({
    DEPLOYMENT: ['generation'],
    [ofKey.sk]: ['enabled', 'epoch', 'generation', 'lastUsedAt', 'networks', 'scopes', 'validUntil'],
    [ofToken.sk]: ['epoch', 'expiresAt', 'generation', 'issuedAt', 'scope'],
    [`GRANT#${KEY_ULID}#${'g'.repeat(43)}`]: [
      'expiresAt',
      'generation',
      'issuedAt',
      'scope',
      'signedInAt',
      'sub',
    ],
  });
});

describe('rehearseCheck', () => {
  const rules = { tokenLifetime: 60, slideInterval: 30, scopes: ['a:b'], lastUsedFrom: 'full' } as const;
  const ulid = '0'.repeat(26);
  const presented = formatCredential({ kind: 'token', deploymentId: '0', ulid }, '0'.repeat(43));
  const Keys = ['DEPLOYMENT', `KEY#${ulid}`, `TOKEN#${ulid}#${hashOf(presented)}`].map((sk) => ({
    pk: 'DEPLOYMENT#0',
    sk,
  }));
  const DENIED = { isAuthorized: false, context: {} };

  type Call = Parameters<typeof rehearseCheck>[2];
  const authorize: Call = (rehearsal, authorization) =>
    authorizer(rehearsal)(httpEvent({ headers: { authorization } }));
  const askWhoami: Call = (rehearsal, authorization) =>
    whoami(rehearsal)({ headers: { authorization }, requestContext: { http: {} } } as never);

  /** Rehearses calls of a real handler, and returns its results and all attempts at calls to the table. */
  async function rehearse(port: Port, call: Call) {
    vi.useFakeTimers({ toFake: ['Date', 'performance'], now: MADE_AT + 500 });
    onTestFinished(() => void vi.useRealTimers());
    const attempts: unknown[] = [];
    const results: unknown[] = [];
    const recording = ((...attempt: Parameters<Port>) => {
      attempts.push(attempt);
      return port(...attempt);
    }) as Port;
    const table: Table = { ...store.httpsTable, retryPolicy: CHECK_RETRIES, port: recording };
    const config = { issuer: 'https://login.test', rules };
    const end = rehearseCheck(table, config, async (...rehearsal) => {
      results.push(await call(...rehearsal));
    });
    const error = await end.catch((error: unknown) => error);
    return { attempts, results, error };
  }

  it('a rehearsal makes an allowed call with an invented token between two denied calls, and writes and logs nothing', async () => {
    const output = vi.spyOn(process.stdout, 'write');
    // A real call would report this malformed item.
    await store.put({ pk: 'DEPLOYMENT#0', sk: 'DEPLOYMENT', generation: 'x' });
    const before = await store.partition('DEPLOYMENT#0');
    const { attempts, results, error } = await rehearse(store.httpsTable.port, authorize);
    expect(error).toBeUndefined();
    const access = {
      principalId: `dk_0_${ulid}`,
      principalType: 'api_key',
      deploymentId: '0',
      scope: 'deployment:0 a:b',
      issuedAt: '2027-01-15T08:00:00.000Z',
      // 90.5 seconds after the call, rounded up: the call has extended the token.
      expiresAt: '2027-01-15T08:01:31.000Z',
    };
    expect(results).toEqual([DENIED, { isAuthorized: true, context: access }, DENIED]);
    const RequestItems = { keys: { Keys, ConsistentRead: true, ...CHECKED_ATTRIBUTES } };
    const read = ['BatchGetItem', { RequestItems }, 250];
    expect(attempts).toEqual([read, read]);
    expect(await store.partition('DEPLOYMENT#0')).toEqual(before);
    expect(store.malformed).toEqual([]);
    expect(output).not.toHaveBeenCalled();
  });

  it.each([
    ['authorizer', authorize],
    // This handler turns errors into responses, so the rehearsal ends only because of the report.
    ['whoami', askWhoami],
  ])(
    'a rehearsal fails after one attempt of at most 250 ms if the table does not respond: %s',
    async (_, call) => {
      const cause = new Error('timeout');
      const { attempts, results, error } = await rehearse(
        async () => ({ kind: 'unknown', error: cause }),
        call,
      );
      expect(error).toMatchObject({ status: 503, cause });
      expect(attempts).toEqual([['BatchGetItem', expect.anything(), 250]]);
      expect(results).toEqual([]);
    },
  );
});
