import { describe, expect, it } from 'vitest';
import { kept } from '../support/assembly.ts';
import { faultyEngine } from '../support/faulty-engine.ts';
import { mistyped } from '../support/mistyped.ts';
import { call, type Reply, runStack } from '../support/stack.ts';

const DAY = 24 * 60 * 60;
const engine = await faultyEngine();
const stack = await runStack({
  synthesise: kept('consumers', async () => (await import('../support/consumers.ts')).synthesiseConsumers),
});

const urlOf = (path: string): string => {
  const url = stack.urls[`${path}/Resource`];
  if (url === undefined) throw new Error(`No API at ${path}.`);
  return url;
};
const APIS = {
  'REST, REQUEST': urlOf('Rest'),
  'HTTP, simple': urlOf('Http'),
  'HTTP, IAM': urlOf('Iam'),
  'REST, TOKEN': urlOf('Token'),
};
type Kind = keyof typeof APIS;

const admin = (method: string, path: string, json?: unknown) =>
  stack
    .signIn('admin')
    .then((token) => stack.call(method, path, { token, ...(json !== undefined && { json }) }));

/** Creates a separate Deployment, key and token for a row. */
async function setUp(id: string, scope?: string) {
  const key = await stack.newKey(id);
  return { id, key, token: await stack.exchangeForToken(key, scope), path: key.path };
}

const expired = await setUp('expired');
stack.clock.advance(DAY + 301);
const good = await setUp('good');
const narrow = await setUp('narrow', 'airflow:read');
const revoked = await setUp('revoked');
await stack.call('POST', '/oauth/revoke', {
  basic: [revoked.key.id, revoked.key.secret],
  form: { token: revoked.token },
});
const keyless = await setUp('keyless');
await admin('DELETE', keyless.path);
const disabled = await setUp('disabled');
await admin('PATCH', disabled.path, { enabled: false });
const gone = await setUp('gone');
await admin('DELETE', '/deployments/gone');

interface Row {
  row: string;
  token?: string;
  deploymentId: string;
  /** The responses that a REST API and an HTTP API are expected to return; by default, 401 and 403. */
  answers?: readonly [rest: 401 | 403, http: 401 | 403];
  /** The reasons that the log may contain; empty if the gateway responds without calling the authorizer. */
  reasons: readonly string[];
  /** Whether a TOKEN authorizer, which receives neither path nor stage variables, can detect the fault. */
  isForToken?: false;
}

const rowOf = (row: string, { id, token }: { id: string; token: string }, ...reasons: string[]): Row => ({
  row,
  token,
  deploymentId: id,
  reasons,
});
const otherRights = { answers: [403, 403], isForToken: false } as const;
const ROWS: Row[] = [
  { row: 'no token', deploymentId: 'good', answers: [401, 401], reasons: [] },
  rowOf('garbage', { ...good, token: 'garbage' }, 'malformed'),
  rowOf('a wrong check', { ...good, token: mistyped(good.token) }, 'malformed'),
  rowOf('an expired token', expired, 'expired', 'unknown'),
  rowOf('a revoked token', revoked, 'unknown'),
  rowOf('a token of a deleted key', keyless, 'deleted', 'unknown'),
  rowOf('a token of a disabled key', disabled, 'disabled'),
  rowOf('a token of a deleted Deployment', gone, 'generation', 'deleted', 'unknown'),
  {
    ...rowOf('a token of another Deployment', { ...narrow, token: good.token }, 'deployment'),
    ...otherRights,
  },
  { ...rowOf('a lacking scope', narrow, 'scope'), ...otherRights },
];

const deploy = (kind: Kind, deploymentId: string, token?: string): Promise<Reply> =>
  call(APIS[kind], 'POST', `/deployments/${deploymentId}/deploys`, { token });

/** The error messages of REST APIs and HTTP APIs differ. */
const REFUSALS: Record<'REST' | 'HTTP', Record<401 | 403, object>> = {
  REST: {
    401: { message: 'Unauthorized' },
    403: { Message: 'User is not authorized to access this resource with an explicit deny' },
  },
  HTTP: { 401: { message: 'Unauthorized' }, 403: { message: 'Forbidden' } },
};

/** Returns the authorizer's log entries about one request. */
const linesOf = (requestId: string | undefined) =>
  stack.logs
    .text('authorize')
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line))
    .filter((line) => requestId !== undefined && line.requestId === requestId);

const idOf = ({ headers }: Reply) => headers['x-amzn-requestid'] ?? headers['apigw-requestid'];
const kinds = Object.keys(APIS) as Kind[];

describe.each(kinds)(
  'The example API with an authorizer of the kind %s denies every invalid call',
  (kind) => {
    const rows = ROWS.filter(({ isForToken = true }) => isForToken || kind !== 'REST, TOKEN');

    it.each(rows)(
      'the example API denies $row',
      async ({ token, deploymentId, answers = [401, 403], reasons }) => {
        const family = kind.startsWith('REST') ? 'REST' : 'HTTP';
        const status = answers[family === 'REST' ? 0 : 1];
        const reply = await deploy(kind, deploymentId, token);
        expect([reply.status, reply.json]).toStrictEqual([status, REFUSALS[family][status]]);
        // The construct adds the challenge. The test creates the TOKEN authorizer by hand, and HTTP APIs cannot have a
        // challenge.
        const challenge = kind === 'REST, REQUEST' && status === 401 ? 'Bearer' : undefined;
        expect(reply.headers['www-authenticate']).toBe(challenge);

        const lines = linesOf(idOf(reply));
        if (kind === 'REST, TOKEN' || reasons.length === 0) return;
        expect(lines).toHaveLength(1);
        expect(reasons).toContain(lines[0].reason);
        expect(lines[0]).toMatchObject({ message: 'denied', apiId: expect.any(String), ChecksRefused: 1 });
        expect(JSON.stringify(lines)).not.toContain(token);
      },
    );

    it('the example API allows a valid token', async () => {
      const reply = await deploy(kind, 'good', good.token);
      expect(reply.status).toBe(202);
      expect(linesOf(idOf(reply))).toStrictEqual([]);
    });

    it.each(['/deployments/good/deploys/', '//deployments/good/deploys'])(
      'the authorizer makes the same decision for the path %s, which API Gateway routes in the same way',
      async (path) => {
        const post = async (token: string) => (await call(APIS[kind], 'POST', path, { token })).status;
        expect(await post(good.token)).toBe(202);
        // A TOKEN authorizer does not receive the path.
        if (kind !== 'REST, TOKEN') expect(await post(narrow.token)).toBe(403);
      },
    );

    it('the example API denies every call while DynamoDB does not respond', async () => {
      engine.fault = { status: 400, name: 'AccessDeniedException' };
      try {
        const reply = await deploy(kind, 'good', good.token);
        const message = kind.startsWith('REST') ? null : 'Internal Server Error';
        expect([reply.status, reply.json]).toStrictEqual([500, { message }]);
        if (kind === 'REST, TOKEN') return;
        expect(linesOf(idOf(reply))).toMatchObject([{ level: 'ERROR', message: 'failed', ChecksFailed: 1 }]);
      } finally {
        engine.fault = undefined;
      }
    });
  },
);

describe("The API behind the authorizer receives the caller's identity", () => {
  const context = () => ({
    principalId: good.key.id,
    principalType: 'api_key',
    deploymentId: 'good',
    scope: 'deployment:good code:deploy airflow:read airflow:write',
    issuedAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.000Z$/),
    expiresAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.000Z$/),
  });

  it.each(['HTTP, IAM', 'REST, TOKEN'] as const)(
    'the API behind the authorizer receives the context as flat strings, without the token: %s',
    async (kind) => {
      const reply = await deploy(kind, 'good', good.token);
      expect(reply.json).toStrictEqual(context());
      expect(reply.text).not.toContain('dkt_');
    },
  );

  it.each(['REST, REQUEST', 'HTTP, simple'] as const)(
    'the example API returns the Deployment and the key that deploys it: %s',
    async (kind) => {
      const reply = await deploy(kind, 'good', good.token);
      expect(reply.json).toStrictEqual({ deploying: 'good', by: good.key.id });
    },
  );

  it.each(['REST, REQUEST', 'HTTP, simple'] as const)(
    'each route of the example API requires its own scope: %s',
    async (kind) => {
      const reply = await call(APIS[kind], 'GET', '/deployments/narrow/dags', { token: narrow.token });
      expect(reply.status).toBe(200);
      expect(reply.json).toStrictEqual({
        deployment: 'narrow',
        dags: ['hourly', 'nightly'],
        scope: 'deployment:narrow airflow:read',
      });
    },
  );
});

it('1,000 checks of one token within one slide interval cause at most one write per worker', async () => {
  const { token, key } = await setUp('busy');
  const other = await stack.exchangeForToken(key);
  stack.clock.advance(1);
  // Uses the key's other token first, so that the key's use is recorded and the following checks only extend tokens.
  await deploy('HTTP, simple', 'busy', other);
  stack.resetCalls();
  const statuses: number[] = [];
  // Each worker of each API has one caller. If DynamoDB is too slow on a busy machine, the authorizer fails closed with
  // 500, and the caller retries.
  const caller = async (kind: Kind) => {
    for (let good = 0; good < 125; ) {
      const { status } = await deploy(kind, 'busy', token);
      statuses.push(status);
      if (status === 202) good++;
    }
  };
  await Promise.all(Array.from({ length: 8 }, (_, n) => caller(n % 2 ? 'REST, REQUEST' : 'HTTP, simple')));
  expect(statuses.filter((status) => status === 202)).toHaveLength(1_000);
  expect(statuses.filter((status) => status !== 202 && status !== 500)).toStrictEqual([]);
  const { BatchGetItem, UpdateItem } = stack.calls('authorize');
  expect(BatchGetItem).toBeGreaterThanOrEqual(1_000);
  expect(UpdateItem).toBeGreaterThanOrEqual(1);
  expect(UpdateItem).toBeLessThanOrEqual(4);
}, 60_000);

it('no log line of the example contains a token or a secret', () => {
  const text = stack.logs.text();
  for (const { token, key } of [good, narrow, revoked, keyless, disabled, gone, expired]) {
    expect(text).not.toContain(token);
    expect(text).not.toContain(key.secret);
  }
});
