import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { formatCredential, hashOf, mintCredential, newUlid } from '../../functions/domain/credentials.ts';
import * as ENV from '../../functions/runtime/env.ts';
import { CHECKED_ATTRIBUTES } from '../../functions/table/checks.ts';
import { openConnection } from '../../functions/table/retried-calls.ts';
import { deploymentKey } from '../../functions/table/schema.ts';
import { bundleFunctions } from '../../infra/bundle.ts';
import { bundlesDirectory, WARMED_UP } from '../../infra/bundles.ts';
import { answer, damaged, type Stub, startStub } from '../support/dynamodb-stub.ts';
import { httpEvent } from '../support/events.ts';
import { temporaryFolder } from '../support/temporary.ts';

/**
 * Row 64 of docs/faults.md: the state that Lambda's init phase leaves behind must not make the first check slower or
 * less reliable. Each test runs the function's module in a separate process, against a stub of DynamoDB.
 */
const NOTHING = answer(200, { Responses: { keys: [] } });
const folder = temporaryFolder('warm-up');
const script = join(folder, 'function.mjs');
writeFileSync(
  script,
  `const { handler } = await import(process.argv[2]);
  process.send({ ready: true });
  process.on('message', async ({ event, idle }) => {
    const now = Date.now;
    Date.now = () => now() + idle;
    process.send(await handler(event).then((answer) => ({ answer }), (error) => ({ error: String(error) })));
  });`,
);
const UNKNOWN = mintCredential('token', 'etl', newUlid(0));
const CHECK = httpEvent({ headers: { authorization: `Bearer ${UNKNOWN}` } });
/** Functions that check a token during init. */
const CHECKS = ['authorize', 'whoami'];
const DENIED = { answer: { isAuthorized: false, context: {} } };

let stub: Stub;
let running: ChildProcess | undefined;
beforeAll(() => bundleFunctions());
beforeEach(async () => {
  stub = await startStub();
  stub.reply(() => NOTHING);
});
afterEach(async () => {
  running?.kill();
  await stub.stop();
});

const entryOf = (name: string) => join(bundlesDirectory, name, 'entry.mjs');

/** Starts a function and waits until its init phase has ended. */
async function init(name: string, endpoint = stub.endpoint): Promise<void> {
  running = fork(script, [entryOf(name)], {
    execPath: process.execPath,
    silent: true,
    env: {
      AWS_REGION: 'eu-west-1',
      AWS_ACCESS_KEY_ID: 'AKIDEXAMPLE',
      AWS_SECRET_ACCESS_KEY: 'example',
      AWS_ENDPOINT_URL_DYNAMODB: endpoint,
      [ENV.tableName]: 'keys',
      [ENV.tokenLifetime]: '86400',
      [ENV.slideInterval]: '300',
      [ENV.lastUsedFrom]: 'full',
      [ENV.scopes]: 'code:deploy',
      [ENV.issuer]: 'https://login.example.com',
    },
  });
  // If a function fails during init, its process ends.
  const message = await Promise.race([
    once(running, 'message').then(([it]) => it),
    once(running, 'exit').then(() => String(running?.stderr?.read())),
  ]);
  expect(message).toEqual({ ready: true });
}

/** Sends the first check, `idle` milliseconds after init. */
async function check(idle = 0): Promise<unknown> {
  running?.send({ event: CHECK, idle });
  const [message] = await once(running as ChildProcess, 'message');
  return message;
}

/** The stub responds on every connection except the silent one. */
const blackHole = (port: number | undefined) =>
  stub.reply((call) => (call.port === port ? damaged.hang() : NOTHING));

describe('#64: Functions that callers wait for open their connection during init', () => {
  it.each(WARMED_UP.filter((name) => !CHECKS.includes(name)))(
    '#64: init opens the connection by reading an item that cannot exist: %s',
    async (name) => {
      await init(name);
      expect(stub.calls.map(({ headers, input }) => [headers['x-amz-target'], input])).toEqual([
        [
          'DynamoDB_20120810.BatchGetItem',
          { RequestItems: { keys: { Keys: [{ pk: { S: 'DEPLOYMENT#' }, sk: { S: 'DEPLOYMENT' } }] } } },
        ],
      ]);
    },
  );

  it.each(CHECKS)(
    '#64: init reads the table for a token that does not exist, twice on one connection, and writes nothing: %s',
    async (name) => {
      await init(name);
      const ulid = '0'.repeat(26);
      const token = formatCredential({ kind: 'token', deploymentId: '0', ulid }, '0'.repeat(43));
      const Keys = ['DEPLOYMENT', `KEY#${ulid}`, `TOKEN#${ulid}#${hashOf(token)}`].map((sk) => ({
        pk: { S: 'DEPLOYMENT#0' },
        sk: { S: sk },
      }));
      const call = [
        'DynamoDB_20120810.BatchGetItem',
        {
          RequestItems: {
            keys: { Keys: expect.arrayContaining(Keys), ConsistentRead: true, ...CHECKED_ATTRIBUTES },
          },
        },
      ];
      expect(stub.calls.map(({ headers, input }) => [headers['x-amz-target'], input])).toEqual([call, call]);
      expect(new Set(stub.calls.map(({ port }) => port)).size).toBe(1);
      expect(running?.stdout?.read()).toBeNull();
    },
  );

  it('#64: init waits at most 500 ms for the table', async () => {
    const port = vi.fn(async () => ({ kind: 'unknown' as const, error: new Error('timeout') }));
    const table = {
      port: port as never,
      tableName: 'keys',
      retryPolicy: { attempts: 9, attemptTimeout: 9000 },
    };
    await openConnection({ ...table, onMalformed: () => {} });
    const input = { RequestItems: { keys: { Keys: [deploymentKey('')] } } };
    expect(port.mock.calls).toEqual([['BatchGetItem', input, 500]]);
  });
});

describe('#64: The first check after init is fast and reliable', () => {
  it('#64: the first check uses the connection that init opened', async () => {
    await init('authorize');
    expect(await check()).toEqual(DENIED);
    expect(stub.calls).toHaveLength(3);
    expect(new Set(stub.calls.map(({ port }) => port)).size).toBe(1);
  });

  it.each([
    ['never answered', damaged.hang()],
    ['reset the connection', damaged.reset()],
    ['sent a damaged response', damaged.wrongCrc({ Responses: {} })],
    ['failed', damaged.page(500)],
  ])('#64: the first check succeeds after an init during which the table %s', async (_, reply) => {
    stub.reply(() => reply);
    await init('authorize');
    stub.reply(() => NOTHING);
    expect(await check()).toEqual(DENIED);
    expect(stub.calls).toHaveLength(1);
  });

  it('#64: the first check succeeds after an init during which the table was down', async () => {
    const closed = createServer().listen(0, '127.0.0.1');
    await once(closed, 'listening');
    const { port } = closed.address() as { port: number };
    closed.close();
    await init('authorize', `http://127.0.0.1:${port}`);
    const server = createServer((socket) => {
      const upstream = new URL(stub.endpoint);
      import('node:net').then(({ connect }) => {
        const onward = connect(Number(upstream.port), upstream.hostname);
        socket.pipe(onward).pipe(socket);
        for (const end of [socket, onward]) end.on('error', () => {});
      });
    }).listen(port, '127.0.0.1');
    await once(server, 'listening');
    expect(await check()).toEqual(DENIED);
    server.close();
  });

  it('#64: the first check succeeds on the second attempt if the open connection went silent after init', async () => {
    await init('authorize');
    const kept = stub.calls[0]?.port;
    blackHole(kept);
    expect(await check()).toEqual(DENIED);
    expect(stub.calls).toHaveLength(2);
    expect(stub.calls[1]?.port).not.toBe(kept);
  });

  it('#64: the first check does not use a connection that has been idle for more than 10 seconds', async () => {
    await init('authorize');
    const kept = stub.calls[0]?.port;
    blackHole(kept);
    expect(await check(10_500)).toEqual(DENIED);
    expect(stub.calls.map(({ port }) => port === kept)).toEqual([false]);
  });
});
