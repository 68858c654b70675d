import { setTimeout } from 'node:timers/promises';
import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { DeleteCommand, DynamoDBDocumentClient, GetCommand, PutCommand } from '@aws-sdk/lib-dynamodb';
import { marshall, unmarshall } from '@aws-sdk/util-dynamodb';
import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import type { CheckStore } from '../../functions/domain/check.ts';
import { ServiceError } from '../../functions/domain/errors.ts';
import type { Credential } from '../../functions/domain/identifiers.ts';
import { checkStore } from '../../functions/table/check.ts';
import { tableClient } from '../../functions/table/client.ts';
import { CHECK_PATIENCE, type Patience } from '../../functions/table/faults.ts';
import { leanCheckStore } from '../../functions/table/lean-check.ts';
import { apiKeyKey, checkedKeys, deploymentKey, type ItemKey } from '../../functions/table/schema.ts';
import { openWire } from '../../functions/table/wire.ts';
import {
  answer,
  damaged,
  failure,
  type RecordedCall,
  type Reply,
  type Stub,
  startStub,
} from '../support/dynamodb-stub.ts';
import { type Engine, makeTable, startEngine } from '../support/engine.ts';
import { sample, someOf } from '../support/generated.ts';
import { authorizationOf } from '../support/sigv4.ts';

const ACCESS = {
  region: 'eu-central-1',
  accessKeyId: 'AKIDEXAMPLE',
  secretAccessKey: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY',
  sessionToken: 'a session token',
};
const NOW = 1_800_000_000_000;
const FROM = { address: '192.0.2.1', client: 'curl/8.5.0' };
const ULID = '01ARZ3NDEKTSV4RRFFQ69G5FAV';
const OTHER_ULID = '01BX5ZZKBKACTAV9WEVGEMMVRZ';

/** A slow machine must not look like a table that hangs. */
const UNHURRIED: Patience = { ...CHECK_PATIENCE, attemptTimeout: 5000 };

/** The two stores on the same endpoint. Each reports what it found malformed. */
function bothStores(endpoint: string, { patience = UNHURRIED, tables = { lean: 'keys', sdk: 'keys' } } = {}) {
  vi.stubEnv('AWS_REGION', ACCESS.region);
  vi.stubEnv('AWS_ACCESS_KEY_ID', ACCESS.accessKeyId);
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', ACCESS.secretAccessKey);
  vi.stubEnv('AWS_SESSION_TOKEN', ACCESS.sessionToken);
  vi.stubEnv('AWS_ENDPOINT_URL_DYNAMODB', endpoint);
  const malformed = { lean: [] as ItemKey[], sdk: [] as ItemKey[] };
  const lean = leanCheckStore(openWire({ ...ACCESS, endpoint }, patience), {
    tableName: tables.lean,
    onMalformed: (key) => malformed.lean.push(key),
  });
  const sdk = checkStore({
    client: tableClient(patience),
    tableName: tables.sdk,
    onMalformed: (key) => malformed.sdk.push(key),
  });
  return { lean, sdk, malformed };
}

/** The outcome of a call: its value, or the kind of its failure. */
async function outcome<T>(call: Promise<T>): Promise<{ value: T } | { status: number } | { error: string }> {
  try {
    return { value: await call };
  } catch (error) {
    if (error instanceof ServiceError) return { status: error.status };
    return { error: (error as Error).name };
  }
}

let stub: Stub;
beforeAll(async () => {
  stub = await startStub();
});
afterAll(() => stub.stop());

/** Any Deployment ID, ULID and hash that a well-formed token can contain. */
const credentials: fc.Arbitrary<{ credential: Credential; hash: string }> = fc.record({
  credential: fc.record({
    kind: fc.constantFrom('token' as const, 'temporary' as const),
    deploymentId: fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/),
    ulid: fc.stringMatching(/^[0-7][0-9A-HJKMNP-TV-Z]{25}$/),
  }),
  hash: fc.stringMatching(/^[A-Za-z0-9_-]{43}$/),
});

/** An attribute as DynamoDB may send it: usually one that our items have, sometimes one that they never have. */
const anyAttribute = fc.oneof(
  fc.string({ unit: 'grapheme' }).map((S) => ({ S })),
  // DynamoDB does not use exponents where digits are enough. Items of this service have no whole number above
  // 2^53.
  fc
    .oneof(fc.integer(), fc.double({ noNaN: true, min: -(2 ** 53), max: 2 ** 53 }))
    .filter((n) => !String(n).includes('e'))
    .map((n) => ({ N: String(n) })),
  fc.constant({ N: '12345678901234567890' }),
  fc.boolean().map((BOOL) => ({ BOOL })),
  fc.constant({ NULL: true }),
  fc.constant({ B: 'AAEC' }),
  fc.constant({ SS: ['a', 'b'] }),
  fc.constant({ NS: ['1', '2'] }),
  fc
    .array(
      fc.oneof(
        fc.string().map((S) => ({ S })),
        fc.constant({ N: '1' }),
      ),
    )
    .map((L) => ({ L })),
  fc.constant({ M: { a: { S: 'b' } } }),
);
const whole = fc.nat({ max: 2_000_000_000 }).map((n) => ({ N: String(n) }));
const generation = fc.constantFrom({ S: ULID }, { S: OTHER_ULID });
const words = fc.array(fc.constantFrom('code:deploy', 'airflow:read', 'airflow:write'), { maxLength: 3 });
const wellFormed = fc.record(
  {
    generation,
    epoch: fc.constantFrom({ N: '0' }, { N: '1' }),
    enabled: fc.boolean().map((BOOL) => ({ BOOL })),
    scopes: words.map((all) => ({ L: all.map((S) => ({ S })) })),
    scope: words.map((all) => ({ S: all.join(' ') })),
    sub: fc.string().map((S) => ({ S })),
    issuedAt: whole,
    expiresAt: whole,
    validUntil: whole,
    lastUsedAt: whole,
    networks: fc
      .array(fc.constantFrom('192.0.2.0/24', '2001:db8::/32'))
      .map((all) => ({ L: all.map((S) => ({ S })) })),
  },
  { requiredKeys: ['generation', 'epoch', 'enabled', 'scopes', 'sub', 'issuedAt', 'expiresAt'] },
);
const damagedItem = fc
  .tuple(
    wellFormed,
    fc.constantFrom(
      'generation',
      'epoch',
      'enabled',
      'scopes',
      'scope',
      'sub',
      'issuedAt',
      'expiresAt',
      'validUntil',
      'lastUsedAt',
      'networks',
    ),
    fc.option(anyAttribute, { nil: undefined }),
  )
  .map(([item, name, value]) => JSON.parse(JSON.stringify({ ...item, [name]: value })) as typeof item);
const anyItem = fc.oneof({ weight: 3, arbitrary: wellFormed }, damagedItem);

describe('the lean check store compared with the SDK', () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ['Date'], now: NOW }));
  afterEach(() => void vi.useRealTimers());

  /** Both calls, as the stub received them. */
  async function compareCalls(number: number) {
    const [lean, sdk] = [stub.calls.slice(0, number), stub.calls.slice(number)];
    expect(stub.calls).toHaveLength(2 * number);
    for (const [n, one] of lean.entries()) {
      const other = sdk[n] as RecordedCall;
      expect(one.input).toStrictEqual(other.input);
      expect([one.method, one.path]).toStrictEqual([other.method, other.path]);
      const names = ['host', 'content-type', 'x-amz-target', 'x-amz-date', 'x-amz-security-token'];
      for (const name of names) expect([name, one.headers[name]]).toStrictEqual([name, other.headers[name]]);
      expect(one.headers.authorization).toBe(await authorizationOf(one, ACCESS));
      expect(other.headers.authorization).toBe(await authorizationOf(other, ACCESS));
    }
  }

  it('sends the same reads and parses the same items, in any order', { timeout: 60_000 }, async () => {
    const { lean, sdk, malformed } = bothStores(stub.endpoint);
    let allowed = 0;
    const answers = fc.record({
      present: fc.subarray(['deployment', 'key', 'presented'] as const, { minLength: 0 }),
      items: fc.tuple(anyItem, anyItem, anyItem),
      instant: fc.date({ min: new Date(0), max: new Date('2999-12-31'), noInvalidDate: true }),
      reversed: fc.boolean(),
      stray: fc.boolean(),
    });
    const property = fc.asyncProperty(credentials, answers, async ({ credential, hash }, drawn) => {
      vi.setSystemTime(drawn.instant);
      const keys = checkedKeys(credential, hash);
      const items = drawn.present.flatMap((name, n) =>
        keys[name] ? [{ ...marshall(keys[name]), ...drawn.items[n] }] : [],
      );
      if (drawn.stray) items.push({ ...marshall({ pk: 'a', sk: 'b' }), ...drawn.items[0] });
      if (drawn.reversed) items.reverse();
      stub.reply(() => answer(200, { Responses: { keys: items }, UnprocessedKeys: {} }));
      malformed.lean.length = 0;
      malformed.sdk.length = 0;
      const results = [await outcome(lean.read(credential, hash)), await outcome(sdk.read(credential, hash))];
      expect(results[0]).toStrictEqual(results[1]);
      expect(malformed.lean).toStrictEqual(malformed.sdk);
      await compareCalls(1);
      allowed += 'value' in (results[0] ?? {}) ? 1 : 0;
    });
    await fc.assert(property, { numRuns: sample(1500) });
    // Checks that enough items were valid for the other results to mean something. Their number is random.
    expect(allowed).toBeGreaterThan(sample(500));
  });

  it('sends the same writes to record a use on a key', { timeout: 60_000 }, async () => {
    const { lean, sdk } = bothStores(stub.endpoint);
    const whens = fc.nat({ max: 2_000_000_000_000 });
    const property = fc.asyncProperty(credentials, whens, whens, async ({ credential }, before, now) => {
      stub.reply(() => answer(200, {}));
      await lean.touch(credential, before, now, FROM);
      await sdk.touch(credential, before, now, FROM);
      await compareCalls(1);
    });
    await fc.assert(property, { numRuns: sample(200) });
  });

  it('sends the same extensions, whether the condition holds or fails with any item', {
    timeout: 60_000,
  }, async () => {
    const { lean, sdk } = bothStores(stub.endpoint);
    const drawnReply = fc.oneof(
      fc.constant(answer(200, {})),
      fc.constant(failure(400, 'ConditionalCheckFailedException')),
      anyItem.map((Item) => failure(400, 'ConditionalCheckFailedException', { Item })),
      whole.map((expiresAt) => failure(400, 'ConditionalCheckFailedException', { Item: { expiresAt } })),
    );
    const property = fc.asyncProperty(
      credentials,
      drawnReply,
      fc.nat({ max: 2_000_000_000 }),
      fc.nat({ max: 2_000_000_000_000 }),
      async ({ credential, hash }, reply, until, now) => {
        stub.reply(() => reply);
        expect(await outcome(lean.slide(credential, hash, until, now, FROM))).toStrictEqual(
          await outcome(sdk.slide(credential, hash, until, now, FROM)),
        );
        await compareCalls(1);
      },
    );
    await fc.assert(property, { numRuns: sample(1000) });
  });
});

/** Every way in which one attempt can end, and the expected result. */
const READ_OUTPUT = {
  Responses: {
    keys: [
      { ...marshall(deploymentKey('etl')), generation: { S: ULID } },
      {
        ...marshall(apiKeyKey('etl', ULID)),
        generation: { S: ULID },
        epoch: { N: '0' },
        enabled: { BOOL: true },
        scopes: { L: [{ S: 'code:deploy' }] },
      },
    ],
  },
  UnprocessedKeys: {},
};
type End = 'answer' | 'again' | 'never';
interface Fault {
  reply: Reply;
  end: End;
  /** The name of the error that ends the call. */
  error?: string;
  /** Where the SDK differs: it accepts a damaged response, or does not retry it. */
  sdkDiffers?: true;
}
const faultsOf = (output: object): Record<string, Fault> => ({
  'a good answer': { reply: answer(200, output), end: 'answer' },
  throttled: { reply: failure(400, 'ProvisionedThroughputExceededException'), end: 'again' },
  'throttled, by the account': { reply: failure(400, 'ThrottlingException'), end: 'again' },
  'an internal error': { reply: failure(500, 'InternalServerError'), end: 'again' },
  unavailable: { reply: failure(503, 'ServiceUnavailable'), end: 'again' },
  'a page of a proxy, 502': { reply: damaged.page(502), end: 'again' },
  'a reset connection': { reply: damaged.reset(), end: 'again' },
  'no answer in time': { reply: damaged.hang(), end: 'again' },
  'an answer cut off': { reply: damaged.truncated(output), end: 'again', sdkDiffers: true },
  'an answer that lacks its end': { reply: damaged.shortened(output), end: 'again', sdkDiffers: true },
  'a wrong CRC': { reply: damaged.wrongCrc(output), end: 'again', sdkDiffers: true },
  'no CRC': { reply: damaged.noCrc(output), end: 'again', sdkDiffers: true },
  'an empty answer': { reply: damaged.empty(), end: 'again', sdkDiffers: true },
  'no permission': {
    reply: failure(400, 'AccessDeniedException'),
    end: 'never',
    error: 'AccessDeniedException',
  },
  'no table': {
    reply: failure(400, 'ResourceNotFoundException'),
    end: 'never',
    error: 'ResourceNotFoundException',
  },
  'a malformed call': {
    reply: failure(400, 'ValidationException'),
    end: 'never',
    error: 'ValidationException',
  },
});

/** The expected result of two attempts that end like this, and how many are made. */
function expected<T>([first, second]: Fault[], value: T) {
  const last = first?.end === 'again' ? second : first;
  const attempts = first?.end === 'again' ? 2 : 1;
  if (last?.end === 'answer') return { result: { value }, attempts };
  return { result: last?.end === 'never' ? { error: last.error } : { status: 503 }, attempts };
}

describe('a check whose first and second attempts end in every possible way', () => {
  const credential: Credential = { kind: 'token', deploymentId: 'etl', ulid: ULID };
  const hash = 'h'.repeat(43);
  const patience: Patience = { attemptTimeout: 1500, attempts: 2 };

  interface Operation {
    output: (tableName: string) => object;
    call: (store: CheckStore) => Promise<unknown>;
    value: unknown;
  }
  const read: Operation = {
    output: (tableName) => ({
      Responses: { [tableName]: READ_OUTPUT.Responses.keys },
      UnprocessedKeys: {},
    }),
    call: (store) => store.read(credential, hash),
    value: {
      deployment: { generation: ULID },
      key: { scopes: ['code:deploy'], enabled: true, epoch: 0, generation: ULID },
      token: undefined,
    },
  };
  const slide: Operation = {
    output: () => ({}),
    call: (store) => store.slide(credential, hash, NOW / 1000 + 60, NOW, FROM),
    value: NOW / 1000 + 60,
  };
  const operations = { read, slide };

  /** All pairs of endings of the first and second attempt. The table's name tells the stub which pair it is. */
  const pairs = (['lean', 'sdk'] as const).flatMap((store) =>
    (['read', 'slide'] as const).flatMap((operation) =>
      Object.entries(faultsOf({})).flatMap(([first, one], m) =>
        Object.entries(faultsOf({})).map(([second, other], n) => ({
          store,
          operation,
          first,
          second,
          faults: [one, other],
          tableName: [store, operation, m, n].join('-'),
        })),
      ),
    ),
  );
  type Pair = (typeof pairs)[number];
  const ends: (Pair & { result: object; attempts: number })[] = [];

  beforeAll(async () => {
    stub.reply(({ input }, n) => {
      const tableName: string = input.TableName ?? Object.keys(input.RequestItems)[0];
      const [, operation = '', first, second] = tableName.split('-');
      const output = operations[operation as Pair['operation']].output(tableName);
      const fault = Object.values(faultsOf(output))[Number(n === 0 ? first : second)];
      return fault?.reply ?? failure(500, 'InternalServerError');
    });
    const run = async (pair: Pair) => {
      const { tableName, store, operation } = pair;
      const stores = bothStores(stub.endpoint, { patience, tables: { lean: tableName, sdk: tableName } });
      const result = await outcome(operations[operation].call(stores[store]));
      const attempts = stub.calls.filter(({ body }) => body.includes(`"${tableName}"`)).length;
      ends.push({ ...pair, result, attempts });
    };
    // Pairs that do not wait run together. The others run a few at a time, because this is not a load test.
    const waits = ({ first, second }: Pair) => [first, second].includes('no answer in time');
    const lean = pairs.filter(({ store }) => store === 'lean');
    const tried = [...lean, ...someOf(pairs.filter(({ store }) => store === 'sdk'))];
    const waiting = Promise.all(tried.filter(waits).map(run));
    const rest = tried.filter((pair) => !waits(pair));
    while (rest.length > 0) await Promise.all(rest.splice(0, 16).map(run));
    await waiting;
  }, 90_000);

  it.each([
    ['reads', 'read'],
    ['slides', 'slide'],
  ] as const)('%s when one of the attempts succeeds, and otherwise fails closed', (_, operation) => {
    const all = ends.filter((end) => end.store === 'lean' && end.operation === operation);
    expect(all).toHaveLength(256);
    for (const { first, second, faults, result, attempts } of all) {
      const must = expected(faults, operations[operation].value);
      expect({ first, second, result, attempts }).toEqual({ first, second, ...must });
    }
  });

  it.each(['read', 'slide'] as const)(
    'behaves like the SDK in a %s, except for damaged responses',
    (operation) => {
      const alike = ends.filter(
        (end) =>
          end.store === 'sdk' &&
          end.operation === operation &&
          !end.faults.some(({ sdkDiffers }) => sdkDiffers),
      );
      expect(alike.length).toBeGreaterThan(sample(100));
      for (const { first, second, faults, result, attempts } of alike) {
        const must = expected(faults, operations[operation].value);
        expect({ first, second, result, attempts }).toEqual({ first, second, ...must });
      }
    },
  );
});

describe('the lean check store', () => {
  const credential: Credential = { kind: 'token', deploymentId: 'etl', ulid: ULID };
  const hash = 'h'.repeat(43);
  const unprocessed = answer(200, {
    ...READ_OUTPUT,
    UnprocessedKeys: { keys: { Keys: [marshall(deploymentKey('etl'))] } },
  });

  it('requests unprocessed keys again, and fails when they stay unprocessed', async () => {
    const { lean } = bothStores(stub.endpoint);
    stub.reply((_, n) => (n === 0 ? unprocessed : answer(200, READ_OUTPUT)));
    expect(await outcome(lean.read(credential, hash))).toMatchObject({
      value: { deployment: { generation: ULID } },
    });
    stub.reply(() => unprocessed);
    expect(await outcome(lean.read(credential, hash))).toStrictEqual({ status: 503 });
    expect(stub.calls).toHaveLength(2);
  });

  it('does not trust the item of a failed condition with a wrong CRC', async () => {
    const { lean } = bothStores(stub.endpoint);
    const Item = { expiresAt: { N: String(NOW / 1000 + 99) } };
    const body = JSON.stringify({ __type: 'x#ConditionalCheckFailedException', Item });
    stub.reply(() => (response) => response.writeHead(400, { 'x-amz-crc32': 1 }).end(body));
    expect(await outcome(lean.slide(credential, hash, NOW / 1000 + 60, NOW, FROM))).toStrictEqual({
      status: 503,
    });
    stub.reply(() => failure(400, 'ConditionalCheckFailedException', { Item }));
    expect(await outcome(lean.slide(credential, hash, NOW / 1000 + 60, NOW, FROM))).toStrictEqual({
      value: NOW / 1000 + 99,
    });
  });

  it('fails when the response does not mention the table', async () => {
    const { lean } = bothStores(stub.endpoint);
    for (const output of [{}, { Responses: {} }, { Responses: { other: [] } }]) {
      stub.reply(() => answer(200, output));
      expect(await outcome(lean.read(credential, hash))).toStrictEqual({ status: 503 });
    }
  });

  it('stops within its time budget when nothing responds', async () => {
    const { lean } = bothStores(stub.endpoint, { patience: CHECK_PATIENCE });
    stub.reply(() => damaged.hang());
    const begin = performance.now();
    const since = () => performance.now() - begin;
    const budget = CHECK_PATIENCE.attempts * CHECK_PATIENCE.attemptTimeout;
    const [took, late] = await Promise.all([
      expect(outcome(lean.read(credential, hash)))
        .resolves.toStrictEqual({ status: 503 })
        .then(since),
      // A busy machine fires timers late, including this one.
      setTimeout(budget + 400).then(since),
    ]);
    expect(took).toBeGreaterThan(CHECK_PATIENCE.attemptTimeout);
    expect(took).toBeLessThan(late);
    expect(stub.calls).toHaveLength(2);
  });

  it('reuses its connection', async () => {
    const { lean } = bothStores(stub.endpoint);
    stub.reply(() => answer(200, READ_OUTPUT));
    for (let n = 0; n < 10; n++) await lean.read(credential, hash);
    expect(new Set(stub.calls.map(({ port }) => port)).size).toBe(1);
  });

  it('signs without a session token if there is none, and for the exact endpoint', async () => {
    const wire = openWire({ ...ACCESS, sessionToken: undefined, endpoint: stub.endpoint }, CHECK_PATIENCE);
    stub.reply(() => answer(200, {}));
    await wire('UpdateItem', {});
    const [call] = stub.calls;
    expect(call?.headers['x-amz-security-token']).toBeUndefined();
    expect(call?.headers.host).toBe(new URL(stub.endpoint).host);
    expect(call?.headers.authorization).toBe(
      call && (await authorizationOf(call, { ...ACCESS, sessionToken: undefined })),
    );
  });
});

describe('the lean store and the SDK on the engine', () => {
  let engine: Engine;
  let document: DynamoDBDocumentClient;
  beforeAll(async () => {
    engine = await startEngine();
    const client = new DynamoDBClient({ ...ACCESS, endpoint: engine.endpoint, credentials: ACCESS });
    document = DynamoDBDocumentClient.from(client);
    await makeTable(client, 'lean');
    await makeTable(client, 'sdk');
  });
  afterAll(() => engine.stop());

  it('leave the same items after any sequence of operations', { timeout: 60_000 }, async () => {
    const { lean, sdk, malformed } = bothStores(engine.endpoint, { tables: { lean: 'lean', sdk: 'sdk' } });
    const seconds = NOW / 1000;
    const moment = fc.integer({ min: seconds - 3, max: seconds + 3 });
    const step = fc.oneof(
      fc.record({ do: fc.constant('read' as const) }),
      fc.record({ do: fc.constant('slide' as const), until: moment, now: moment }),
      fc.record({
        do: fc.constant('delete' as const),
        what: fc.constantFrom('deployment', 'key', 'presented'),
      }),
      { weight: 2, arbitrary: fc.record({ do: fc.constant('put' as const), expiresAt: moment }) },
    );
    let [steps, slid, refused] = [0, 0, 0];
    const property = fc.asyncProperty(
      credentials,
      fc.subarray(['deployment', 'key', 'presented'] as const),
      fc.tuple(anyItem, anyItem, anyItem),
      fc.array(step, { minLength: 1, maxLength: 5 }),
      async ({ credential, hash }, present, items, todo) => {
        const keys = checkedKeys(credential, hash);
        const put = (key: ItemKey, item: object) =>
          Promise.all(
            ['lean', 'sdk'].map((TableName) =>
              document.send(new PutCommand({ TableName, Item: { ...item, ...key } })),
            ),
          );
        const stored = (TableName: string) =>
          document.send(new GetCommand({ TableName, Key: keys.presented, ConsistentRead: true }));
        for (const [n, name] of present.entries()) {
          if (keys[name]) await put(keys[name], unmarshall(items[n] as never));
        }
        for (const one of todo) {
          if (one.do === 'put')
            await put(keys.presented, { generation: ULID, epoch: 0, issuedAt: 1, expiresAt: one.expiresAt });
          if (one.do === 'delete') {
            const Key = keys[one.what as keyof typeof keys] ?? keys.presented;
            await Promise.all(
              ['lean', 'sdk'].map((TableName) => document.send(new DeleteCommand({ TableName, Key }))),
            );
          }
          const use = (store: CheckStore) =>
            one.do === 'slide'
              ? store.slide(credential, hash, one.until, one.now * 1000, FROM)
              : store.read(credential, hash);
          const [a, b] = await Promise.all([outcome<unknown>(use(lean)), outcome<unknown>(use(sdk))]);
          expect(a).toStrictEqual(b);
          steps++;
          if (one.do === 'slide') 'value' in a && a.value !== undefined ? slid++ : refused++;
        }
        expect(malformed.lean).toStrictEqual(malformed.sdk);
        const [left, right] = await Promise.all([stored('lean'), stored('sdk')]);
        expect(left.Item).toStrictEqual(right.Item);
      },
    );
    await fc.assert(property, { numRuns: sample(400) });
    expect(steps).toBeGreaterThan(sample(400));
    expect(Math.min(slid, refused)).toBeGreaterThan(0);
  });
});
