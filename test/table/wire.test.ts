import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { openWire } from '../../functions/table/wire.ts';
import {
  answer,
  damaged,
  failure,
  type RecordedCall,
  type Stub,
  startStub,
} from '../support/dynamodb-stub.ts';
import { authorizationOf } from '../support/sigv4.ts';

const { pauses } = vi.hoisted(() => ({ pauses: [] as number[] }));
vi.mock('node:timers/promises', () => ({
  setTimeout: async (ms: number) => {
    pauses.push(ms);
  },
}));

const ACCESS = { region: 'eu-central-1', accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'secret' };
const UNHURRIED = { attemptTimeout: 5000, attempts: 3 };

let stub: Stub;
beforeAll(async () => {
  stub = await startStub();
});
afterAll(() => stub.stop());
beforeEach(() => {
  pauses.length = 0;
  stub.reply(() => answer(200, { ok: true }));
});
const wire = (patience = UNHURRIED) => openWire({ ...ACCESS, endpoint: stub.endpoint }, patience);
const busy = (message: string | RegExp) =>
  expect.objectContaining({
    status: 503,
    headers: { 'Retry-After': '1' },
    cause: expect.objectContaining({ name: 'Unanswered', message: expect.stringMatching(message) }),
  });

describe('a call to DynamoDB', () => {
  it("is a signed POST in DynamoDB's JSON protocol", async () => {
    expect(await wire()('UpdateItem', { a: 1 })).toEqual({ done: true, output: { ok: true } });
    const [call] = stub.calls;
    expect(call).toMatchObject({ method: 'POST', path: '/', input: { a: 1 } });
    expect(call?.headers).toMatchObject({
      host: new URL(stub.endpoint).host,
      'content-type': 'application/x-amz-json-1.0',
      'x-amz-target': 'DynamoDB_20120810.UpdateItem',
      authorization: expect.stringMatching(
        /^AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE\/\d{8}\/eu-central-1\/dynamodb\/aws4_request, /,
      ),
    });
    expect(call?.headers).not.toHaveProperty('x-amz-security-token');
  });

  it("has the same signature as AWS's own signer, with any key on any day", async () => {
    onTestFinished(() => void vi.useRealTimers());
    vi.useFakeTimers({ toFake: ['Date'], now: Date.UTC(2030, 0, 1, 23, 59, 59) });
    const call = wire();
    await call('PutItem', { n: 1 });
    await call('PutItem', { n: 2 });
    vi.setSystemTime(Date.UTC(2030, 0, 2));
    await call('PutItem', { n: 1 });
    expect(stub.calls.map(({ headers }) => headers['x-amz-date'])).toEqual([
      '20300101T235959Z',
      '20300101T235959Z',
      '20300102T000000Z',
    ]);
    for (const one of stub.calls as RecordedCall[]) {
      expect(one.headers.authorization).toBe(await authorizationOf(one, ACCESS));
    }
  });

  it('sends the session token of temporary credentials', async () => {
    await openWire({ ...ACCESS, sessionToken: 'st', endpoint: stub.endpoint }, UNHURRIED)('PutItem', {});
    expect(stub.calls[0]?.headers['x-amz-security-token']).toBe('st');
  });

  it("goes to the endpoint's path and reuses the connection", async () => {
    const call = openWire({ ...ACCESS, endpoint: `${stub.endpoint}/db` }, UNHURRIED);
    await call('PutItem', { n: 1 });
    await call('PutItem', { n: 2 });
    expect(stub.calls.map(({ path }) => path)).toEqual(['/db', '/db']);
    expect(new Set(stub.calls.map(({ port }) => port)).size).toBe(1);
  });

  it.each([
    ['eu-central-1', 'dynamodb.eu-central-1.amazonaws.com'],
    ['cn-north-1', 'dynamodb.cn-north-1.amazonaws.com.cn'],
    ['xx-cn-1', 'dynamodb.xx-cn-1.amazonaws.com'],
  ])('goes to the Region over TLS when no endpoint is given: %s', async (region, host) => {
    const https = process.getBuiltinModule('node:https');
    const request = vi.spyOn(https, 'request').mockImplementation(() => {
      throw new Error('not from here');
    });
    await expect(openWire({ ...ACCESS, region }, UNHURRIED)('PutItem', {})).rejects.toThrow('not from here');
    expect(request.mock.calls[0]?.[0]).toMatchObject({ hostname: host, method: 'POST', path: '/' });
  });

  it('leaves no timer behind, however it ends', async () => {
    const set = vi.spyOn(globalThis, 'setTimeout');
    const clear = vi.spyOn(globalThis, 'clearTimeout');
    /** The timers of attempts, which have the attempt's time limit. */
    const timers = () =>
      set.mock.results.filter((_, n) => set.mock.calls[n]?.[1] === 5000).map(({ value }) => value);
    const cleared = () => clear.mock.calls.map(([timer]) => timer);
    await wire()('PutItem', {});
    stub.reply(() => damaged.reset());
    await expect(wire()('PutItem', {})).rejects.toThrow();
    expect(timers()).toHaveLength(4);
    expect(cleared()).toEqual(expect.arrayContaining(timers()));
  });

  it('accepts a response in several chunks', async () => {
    const output = { text: 'é'.repeat(200_000) };
    stub.reply(() => answer(200, output));
    expect(await wire()('BatchGetItem', {})).toEqual({ done: true, output });
  });
});

describe('a response from DynamoDB', () => {
  it('a response from DynamoDB for a failed condition is returned with the stored item', async () => {
    const Item = { a: { S: 'b' } };
    stub.reply(() => failure(400, 'ConditionalCheckFailedException', { Item }));
    expect(await wire()('UpdateItem', {})).toEqual({ done: false, item: Item });
    stub.reply(() => failure(400, 'ConditionalCheckFailedException'));
    expect(await wire()('UpdateItem', {})).toEqual({ done: false, item: undefined });
    expect(stub.calls).toHaveLength(1);
  });

  it('a response from DynamoDB with an error that a retry cannot fix is thrown with its name', async () => {
    stub.reply(() => failure(400, 'AccessDeniedException'));
    await expect(wire()('UpdateItem', {})).rejects.toMatchObject({
      name: 'AccessDeniedException',
      message: 'AccessDeniedException',
    });
    expect(stub.calls).toHaveLength(1);
  });

  it('a response from DynamoDB for a cancelled transaction contains the reasons', async () => {
    const CancellationReasons = [{ Code: 'None' }, { Code: 'ConditionalCheckFailed' }];
    stub.reply(() => failure(400, 'TransactionCanceledException', { CancellationReasons }));
    await expect(wire()('TransactWriteItems', {})).rejects.toMatchObject({
      name: 'TransactionCanceledException',
      CancellationReasons,
    });
  });

  it('a response from DynamoDB with an error is read even without a message or without the prefix of its name', async () => {
    stub.reply(() => answer(400, { __type: 'ValidationException' }));
    await expect(wire()('UpdateItem', {})).rejects.toMatchObject({
      name: 'ValidationException',
      message: '',
    });
  });

  it('a response from DynamoDB in another format is thrown with its status', async () => {
    for (const reply of [damaged.page(403), answer(403, { x: 1 })]) {
      stub.reply(() => reply);
      await expect(wire()('UpdateItem', {})).rejects.toMatchObject({
        name: 'Error',
        message: 'DynamoDB answered 403',
      });
    }
  });
});

describe('an attempt to call DynamoDB', () => {
  const output = { ok: true };

  it.each([
    ['throttled', () => failure(400, 'ThrottlingException'), /^400 ThrottlingException$/],
    ['a server error', () => failure(500, 'Whatever'), /^500 Whatever$/],
    ["a proxy's HTML page", () => damaged.page(502), /^502 Error$/],
    ['unprocessed keys', () => answer(200, { UnprocessedKeys: { keys: {} } }), /^keys left unprocessed$/],
    ['a wrong checksum', () => damaged.wrongCrc(output), /^the answer is damaged$/],
    ['no checksum', () => damaged.noCrc(output), /^the answer is damaged$/],
    ['no response', () => damaged.empty(), /^the answer is damaged$/],
    ['a truncated response', () => damaged.truncated(output), /^(?!no answer within)./],
    ['a connection reset', () => damaged.reset(), /^(?!no answer within)./],
  ])('is retried after %s, and all failed attempts end in a 503', async (_, reply, message) => {
    stub.reply((_call, n) => (n < 2 ? reply() : answer(200, output)));
    expect(await wire()('BatchGetItem', { n: 1 })).toEqual({ done: true, output });
    expect(stub.calls).toHaveLength(3);
    stub.reply(reply);
    await expect(wire()('BatchGetItem', { n: 2 })).rejects.toEqual(busy(message));
    expect(stub.calls).toHaveLength(3);
  });

  it('is retried after an error with a wrong checksum', async () => {
    const body = JSON.stringify({ __type: 'x#ConditionalCheckFailedException', Item: {} });
    stub.reply(() => (response) => response.writeHead(400, { 'x-amz-crc32': 1 }).end(body));
    await expect(wire()('UpdateItem', {})).rejects.toEqual(busy('the answer is damaged'));
    expect(stub.calls).toHaveLength(3);
  });

  it('needs no checksum on a failed condition, because not every engine sends one with an error', async () => {
    const Item = { n: { N: '1' } };
    const body = JSON.stringify({ __type: 'x#ConditionalCheckFailedException', Item });
    stub.reply(() => (response) => response.writeHead(400).end(body));
    expect(await wire()('UpdateItem', {})).toEqual({ done: false, item: Item });
    expect(stub.calls).toHaveLength(1);
  });

  it('succeeds with a response without unprocessed keys', async () => {
    stub.reply(() => answer(200, { UnprocessedKeys: {} }));
    expect(await wire()('BatchGetItem', {})).toMatchObject({ done: true });
    expect(stub.calls).toHaveLength(1);
  });

  it('follows a random pause of up to 50 ms', async () => {
    vi.spyOn(Math, 'random').mockReturnValue(0.5);
    stub.reply(() => failure(500, 'InternalServerError'));
    await expect(wire()('UpdateItem', {})).rejects.toThrow();
    expect(pauses).toEqual([25, 25]);
  });

  it('is aborted at its time limit', async () => {
    vi.spyOn(performance, 'now').mockReturnValue(0);
    const request = vi.spyOn(process.getBuiltinModule('node:http'), 'request');
    stub.reply(() => damaged.hang());
    await expect(wire({ attemptTimeout: 40, attempts: 2 })('UpdateItem', {})).rejects.toEqual(
      busy(/^no answer within 40 ms$/),
    );
    // The connection is destroyed, so that a late response is ignored.
    expect(request.mock.results.map(({ value }) => value.destroyed)).toEqual([true, true]);
    // One pause between two attempts: whether such a short call reaches the stub depends on the machine.
    expect(pauses).toHaveLength(1);
  });

  it('takes no longer than the remaining total time', async () => {
    // The clock is read once for the deadline, then before each attempt and after it.
    const times = [0, 0, 150, 190, 250];
    vi.spyOn(performance, 'now').mockImplementation(() => times.shift() ?? 300);
    stub.reply(() => damaged.hang());
    await expect(wire({ attemptTimeout: 100, attempts: 2 })('UpdateItem', {})).rejects.toEqual(
      busy(/^no answer within 10 ms$/),
    );
    expect(pauses).toHaveLength(1);
  });

  it('is not made when the total time is over', async () => {
    const times = [0, 0, 10_000];
    vi.spyOn(performance, 'now').mockImplementation(() => times.shift() ?? 10_000);
    stub.reply(() => failure(500, 'InternalServerError'));
    await expect(wire({ attemptTimeout: 5000, attempts: 2 })('UpdateItem', {})).rejects.toEqual(busy('500'));
    expect(stub.calls).toHaveLength(1);
  });

  it('has at least one millisecond', async () => {
    const times = [0, 500];
    vi.spyOn(performance, 'now').mockImplementation(() => times.shift() ?? 500);
    stub.reply(() => damaged.hang());
    await expect(wire({ attemptTimeout: 100, attempts: 2 })('UpdateItem', {})).rejects.toEqual(
      busy(/^no answer within 1 ms$/),
    );
  });
});
