import { Agent, request } from 'node:http';
import fc from 'fast-check';
import { afterAll, expect, it } from 'vitest';
import { mintCredential, parseCredential } from '../../functions/domain/credentials.ts';
import { sample } from '../support/generated.ts';
import { repeatWhileBusy, runStack } from '../support/stack.ts';

/**
 * Sends random requests to the token, introspection and revocation endpoints. Each request consists of parts, and each
 * part declares its effect: the request stays valid (`keeps`), must fail (`spoils`), or may do either (`may`). Changing
 * a byte can even make an invalid body valid (`blurs`). The test judges responses by these effects, not by the code
 * under test.
 */
const REQUESTS = sample(10_000);
const AT_ONCE = 20;
/** Maximum share of requests that may get a 503 on a busy machine. The test repeats such requests. */
const BUSY = 0.02;

const stack = await runStack();
await Promise.all([stack.register('etl'), stack.register('other_team'), stack.register('gone')]);
const [broad, narrow, foreign, disabled, deleted, orphan] = await Promise.all([
  stack.createKey('etl'),
  stack.createKey('etl', { name: 'narrow', scopes: ['code:deploy'] }),
  stack.createKey('other_team'),
  stack.createKey('etl', { name: 'disabled' }),
  stack.createKey('etl', { name: 'deleted' }),
  stack.createKey('gone'),
]);
const admin = await stack.signIn('admin');
await stack.call('PATCH', `/deployments/etl/api-keys/${disabled.id}`, {
  token: admin,
  json: { enabled: false },
});
await stack.call('DELETE', `/deployments/etl/api-keys/${deleted.id}`, { token: admin });
await stack.call('DELETE', '/deployments/gone', { token: admin });
const live = [broad, narrow, foreign];
/** The number of tokens is large enough that some stay active while others are revoked. */
const tokens = await Promise.all(
  live.flatMap((key) => Array.from({ length: 60 }, () => stack.exchangeForToken(key))),
);
/** Tokens that were revoked, or may have been revoked, by the client to which they belong. */
const givenUp = new Set<string>();

type Effect = 'keeps' | 'spoils' | 'may' | 'blurs';
interface Part<T> {
  readonly value: T;
  readonly effect: Effect;
}
const part = <T>(effect: Effect, value: T): Part<T> => ({ value, effect });
/** Generates a valid value three times as often as an invalid one, so that enough requests are valid. */
const mostly = <T>(good: fc.Arbitrary<T>, bad: fc.Arbitrary<T>) =>
  fc.oneof({ arbitrary: good, weight: 3 }, { arbitrary: bad, weight: 1 });
const among = <T>(effect: Effect, ...values: T[]) =>
  fc.constantFrom(...values).map((value) => part(effect, value));

const method = mostly(
  among('keeps', 'POST'),
  among('spoils', 'GET', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'HEAD', 'PROPFIND'),
);
const CALLS = ['/oauth/token', '/oauth/introspect', '/oauth/revoke'] as const;
const path = mostly(
  among('keeps', ...CALLS, '/oauth/token'),
  among('spoils', '/oauth//token', '/OAUTH/token', '/oauth/token%00', '/oauth', '/oauth/token/x', '/%'),
);

/** Values to send as the client's ID and secret. */
const client = mostly(
  among('keeps', ...live),
  fc.oneof(
    among(
      'spoils',
      disabled,
      deleted,
      orphan,
      { ...broad, secret: narrow.secret },
      { ...narrow, id: foreign.id },
    ),
    fc
      .constantFrom(...live)
      .map((key) => part('spoils', { ...key, secret: mintCredential('secret', 'etl', key.id.slice(-26)) })),
    fc.constantFrom(...live).map((key) => part('spoils', { ...key, secret: tokens[0] as string })),
    fc
      .constantFrom(...live)
      .chain((key) =>
        fc
          .nat(key.secret.length - 1)
          .map((at) =>
            part('spoils', { ...key, secret: key.secret.slice(0, at) + key.secret.slice(at + 1) }),
          ),
      ),
    fc
      .record({
        id: fc.string({ unit: 'binary' }),
        secret: fc.string({ unit: 'binary' }),
        scopes: fc.constant([]),
      })
      .map((key) => part('spoils', key)),
  ),
);
type Client = typeof client extends fc.Arbitrary<Part<infer T>> ? T : never;

const percent = (text: string) =>
  [...Buffer.from(text)].map((byte) => `%${byte.toString(16).padStart(2, '0')}`).join('');
const basic = (id: string, secret: string) => `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}`;
const inBody = ({ id, secret }: Client) =>
  [
    ['client_id', id],
    ['client_secret', secret],
  ] as [string, string][];

/** Where credentials are sent: in headers, in body parameters or in the query. */
interface Placed {
  readonly authorization?: string | string[];
  readonly parameters?: [string, string][];
  readonly query?: string;
}
const placement = mostly(
  among<(client: Client) => Placed>(
    'keeps',
    ({ id, secret }) => ({ authorization: basic(id, secret) }),
    ({ id, secret }) => ({ authorization: basic(percent(id), percent(secret)) }),
    ({ id, secret }) => ({ authorization: basic(id, secret).replace('Basic ', 'bASIC  ') }),
    ({ id, secret }) => ({ authorization: basic(id, secret), parameters: [['client_id', id]] }),
    (one) => ({ parameters: inBody(one) }),
  ),
  among<(client: Client) => Placed>(
    'spoils',
    () => ({}),
    ({ secret }) => ({ authorization: `Bearer ${percent(secret)}` }),
    ({ id, secret }) => ({ authorization: basic(id, secret).slice(0, -3) }),
    ({ id, secret }) => ({ authorization: basic(id, secret).replace('Basic ', '') }),
    ({ id, secret }) => ({ authorization: [basic(id, secret), basic(id, secret)] }),
    (one) => ({
      authorization: basic(one.id, one.secret),
      parameters: inBody({ ...one, secret: one.secret || 'x' }),
    }),
    (one) => ({ query: new URLSearchParams(inBody(one)).toString() }),
    ({ id, secret }) => ({ authorization: basic(id, secret), query: 'client_id=x' }),
    ({ id, secret }) => ({ authorization: basic(id, secret), parameters: [['client_id', `${id}x`]] }),
    ({ id, secret }) => ({
      parameters: [
        ['client_id', id],
        ['client_id', id],
        ['client_secret', secret],
      ],
    }),
  ),
);

const GRANT = 'client_credentials';
const grant = mostly(
  among<[string, string][]>('keeps', [['grant_type', GRANT]]),
  fc.oneof(
    among<[string, string][]>(
      'spoils',
      [],
      [['grant_type', '']],
      [['grant_type', 'password']],
      [
        ['grant_type', GRANT],
        ['grant_type', GRANT],
      ],
    ),
    fc
      .string({ unit: 'binary' })
      .filter((text) => text !== GRANT)
      .map((text) => part<[string, string][]>('spoils', [['grant_type', text]])),
  ),
);
const scope = mostly(
  among<[string, string][]>('keeps', [], [['scope', '']], [['scope', 'code:deploy']]),
  fc.oneof(
    among<[string, string][]>(
      'spoils',
      [['scope', 'airflow:delete']],
      [['scope', 'code:deploy  code:deploy']],
      [['scope', 'deployment:gone']],
      [
        ['scope', 'a'],
        ['scope', 'b'],
      ],
    ),
    fc.string({ unit: 'binary' }).map((text) => part<[string, string][]>('may', [['scope', text]])),
  ),
);
const presented = fc.oneof(
  fc.constantFrom(...tokens).map((one) => part('keeps', one)),
  among('spoils', '', broad.secret, 'garbage', mintCredential('token', 'etl', broad.id.slice(-26))),
  fc.string({ unit: 'binary' }).map((one) => part('spoils', one)),
);

/** Encodes parameters as a body. Form encoding preserves all text except lone surrogates. */
type Encode = (parameters: [string, string][]) => { type?: string; body: Buffer };
const form = (parameters: [string, string][]) => Buffer.from(new URLSearchParams(parameters).toString());
/** Writes every pair, even if its name occurs more than once. */
const json = (parameters: [string, string][]) =>
  `{${parameters.map((pair) => pair.map((text) => JSON.stringify(text)).join(':'))}}`;
const FORM = 'application/x-www-form-urlencoded';
const encoding = mostly(
  among<Encode>(
    'keeps',
    (parameters) => ({ type: FORM, body: form(parameters) }),
    (parameters) => ({ type: `${FORM.toUpperCase()} ; charset=UTF-8`, body: form(parameters) }),
    (parameters) => ({
      type: FORM,
      body: Buffer.from(parameters.map((pair) => pair.map(percent).join('=')).join('&&')),
    }),
  ),
  fc.oneof(
    among<Encode>(
      'spoils',
      (parameters) => ({ type: FORM, body: Buffer.concat([form(parameters), Buffer.from('&x=%zz')]) }),
      (parameters) => ({ type: FORM, body: Buffer.concat([form(parameters), Buffer.from([0x26, 0xff])]) }),
      (parameters) => ({ type: FORM, body: Buffer.concat([form(parameters), Buffer.alloc(70_000, 'x')]) }),
      (parameters) => ({ type: 'text/plain', body: form(parameters) }),
      (parameters) => ({ body: form(parameters) }),
      (parameters) => ({ type: 'multipart/form-data; boundary=x', body: form(parameters) }),
      (parameters) => ({ type: FORM, body: Buffer.from(JSON.stringify(Object.fromEntries(parameters))) }),
      (parameters) => ({ type: 'application/json', body: form(parameters) }),
      (parameters) => ({ type: 'application/json', body: Buffer.from(JSON.stringify(parameters)) }),
      (parameters) => ({
        type: 'application/json',
        body: Buffer.from(JSON.stringify({ ...Object.fromEntries(parameters), x: {} })),
      }),
      () => ({ type: 'application/json', body: Buffer.from('['.repeat(30_000)) }),
    ),
    among<Encode>('may', (parameters) => ({ type: 'application/json', body: Buffer.from(json(parameters)) })),
    fc
      .uint8Array({ maxLength: 200 })
      .map((bytes) => part<Encode>('spoils', () => ({ type: FORM, body: Buffer.from(bytes) }))),
    fc.tuple(fc.nat(), fc.nat(255)).map(([at, byte]) =>
      part<Encode>('blurs', (parameters) => {
        const body = form(parameters);
        body[at % Math.max(body.length, 1)] = byte;
        return { type: FORM, body };
      }),
    ),
  ),
);

const TAKEN = ['client_id', 'client_secret', 'grant_type', 'scope', 'token', 'token_type_hint'];
const extra = fc.uniqueArray(
  fc.tuple(
    fc
      .string({ unit: 'grapheme' })
      .filter((name) => !TAKEN.includes(name) && name.isWellFormed() && !name.includes('\uFFFD')),
    fc.string({ unit: 'grapheme' }).filter((value) => value.isWellFormed() && !value.includes('\uFFFD')),
  ),
  { selector: ([name]) => name, maxLength: 3 },
);
const headers = fc.dictionary(
  fc.constantFrom(
    'x-forwarded-for',
    'x-forwarded-proto',
    'accept',
    'origin',
    'cookie',
    'user-agent',
    'x-amzn-trace-id',
  ),
  fc.stringMatching(/^[\x21-\x7e]{0,40}$/),
  { maxKeys: 3 },
);

const requests = fc.record({
  method,
  path,
  client,
  placement,
  grant,
  scope,
  presented,
  encoding,
  extra,
  headers,
});
type Fuzzed = typeof requests extends fc.Arbitrary<infer T> ? T : never;

const agent = new Agent({ keepAlive: true, maxSockets: AT_ONCE });
afterAll(() => agent.destroy());

interface Answer {
  readonly status: number;
  readonly type: string;
  readonly text: string;
}

function send(
  method: string,
  path: string,
  sent: Record<string, string | string[]>,
  body: Buffer,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const outgoing = request(`${stack.url}${path}`, { method, agent, headers: sent }, async (incoming) => {
      const chunks: Buffer[] = [];
      for await (const chunk of incoming) chunks.push(chunk);
      const { statusCode: status = 0 } = incoming;
      resolve({
        status,
        type: incoming.headers['content-type'] ?? '',
        text: Buffer.concat(chunks).toString(),
      });
    });
    outgoing.on('error', reject);
    outgoing.end(body);
  });
}

/**
 * Returns the effect of a whole request.
 * @param ofBody effects of parts that are in the body, or in a header that must match the body
 */
function together(effects: Effect[], ofBody: Effect[], encoding: Effect): Effect {
  const all = encoding === 'blurs' ? [...effects, 'may'] : [...effects, ...ofBody, encoding];
  if (all.includes('spoils')) return 'spoils';
  return all.includes('may') ? 'may' : 'keeps';
}

/** The fields of the endpoints' JSON bodies. */
interface Answered {
  error?: string;
  access_token?: string;
  scope?: string;
  active?: boolean;
}

/** Sends a request, and repeats it while the service is busy. */
function sendFuzzed(fuzzed: Fuzzed, isTokenCall: boolean): Promise<Answer> {
  const placed = fuzzed.placement.value(fuzzed.client.value);
  const own = isTokenCall
    ? [...fuzzed.grant.value, ...fuzzed.scope.value]
    : [['token', fuzzed.presented.value] as [string, string]];
  const { type, body } = fuzzed.encoding.value([...own, ...(placed.parameters ?? []), ...fuzzed.extra]);
  const sent = {
    ...fuzzed.headers,
    'content-length': String(body.length),
    ...(type !== undefined && { 'content-type': type }),
    ...(placed.authorization !== undefined && { authorization: placed.authorization }),
  };
  const target = placed.query ? `${fuzzed.path.value}?${placed.query}` : fuzzed.path.value;
  return repeatWhileBusy(async () => {
    const response = await send(fuzzed.method.value, target, sent, body);
    if (response.status === 503) seen.busy++;
    return response;
  });
}

async function sendAndCheck(fuzzed: Fuzzed): Promise<void> {
  const isTokenCall = !['/oauth/introspect', '/oauth/revoke'].includes(fuzzed.path.value);
  const answer = await sendFuzzed(fuzzed, isTokenCall);
  const answered: Answered | undefined =
    /json/.test(answer.type) && answer.text ? JSON.parse(answer.text) : undefined;

  expect(answer.status).toBeGreaterThanOrEqual(200);
  expect(answer.status).toBeLessThan(500);
  if (answered?.error) {
    expect(Object.keys(answered)).toStrictEqual(['error', 'error_description']);
    expect(answer.text).toMatch(/^[\x20-\x7e]*$/);
  }

  const common = [fuzzed.method.effect, fuzzed.path.effect, fuzzed.client.effect];
  const ofBody = [
    fuzzed.placement.effect,
    ...(isTokenCall ? [fuzzed.grant.effect, fuzzed.scope.effect] : []),
  ];
  const effect = together(common, ofBody, fuzzed.encoding.effect);
  if (isTokenCall) checkIssued(fuzzed, effect, answer, answered);
  else if (fuzzed.path.value === '/oauth/revoke') checkRevocation(fuzzed, effect, answer);
  else checkIntrospection(fuzzed, effect, answered);
}

/** Checks that a valid request gets a token, and that a token belongs to the key of the request. */
function checkIssued(fuzzed: Fuzzed, effect: Effect, answer: Answer, answered: Answered | undefined): void {
  const { value: who } = fuzzed.client;
  const { access_token: issued, scope = '' } = answered ?? {};
  const isGranted = issued !== undefined;
  if (effect !== 'may') expect(isGranted, `${effect}: ${answer.text}`).toBe(effect === 'keeps');
  if (!isGranted) return;
  seen.granted++;
  expect(answer.status).toBe(200);
  const { deploymentId, ulid } = parseCredential(issued) ?? {};
  expect(`dk_${deploymentId}_${ulid}`).toBe(who.id);
  const [first, ...scopes] = scope.split(' ');
  expect(first).toBe(`deployment:${deploymentId}`);
  expect(who.scopes).toEqual(expect.arrayContaining(scopes));
}

/** Checks that an invalid request fails. Records the token that a valid request may have revoked. */
function checkRevocation(fuzzed: Fuzzed, effect: Effect, answer: Answer): void {
  const { value: shown } = fuzzed.presented;
  const owner = parseCredential(shown);
  if (effect === 'spoils') expect(answer.status, answer.text).toBeGreaterThanOrEqual(400);
  const isOwn = owner !== undefined && fuzzed.client.value.id === `dk_${owner.deploymentId}_${owner.ulid}`;
  if (effect !== 'spoils' && isOwn) givenUp.add(shown);
  if (answer.status === 200) seen.revoked++;
}

/** Checks that only valid requests show a token as active, and only a token of the client's own Deployment. */
function checkIntrospection(fuzzed: Fuzzed, effect: Effect, answered: Answered | undefined): void {
  const { value: shown } = fuzzed.presented;
  if (effect === 'spoils') expect(answered?.active).toBeUndefined();
  if (!answered?.active) return;
  seen.active++;
  expect(tokens).toContain(shown);
  expect(parseCredential(shown)?.deploymentId).toBe(/^dk_(.*)_/.exec(fuzzed.client.value.id)?.[1]);
}

const seen = { granted: 0, active: 0, revoked: 0, busy: 0 };

it('random requests to the OAuth endpoints cause no 5xx response and grant no unauthorized access', {
  timeout: 300_000,
}, async () => {
  stack.logs.clear();
  const property = () =>
    fc.assert(fc.asyncProperty(requests, sendAndCheck), { numRuns: Math.ceil(REQUESTS / AT_ONCE) });
  await Promise.all(Array.from({ length: AT_ONCE }, property));
  expect(seen.busy).toBeLessThanOrEqual(REQUESTS * BUSY);
  // Checks that enough requests were valid to make the other results meaningful.
  expect(seen.granted).toBeGreaterThan(sample(200));
  expect(seen.active).toBeGreaterThan(sample(10));
  expect(seen.revoked).toBeGreaterThan(sample(100));
  const kept = tokens.filter((one) => !givenUp.has(one));
  expect(kept.length).toBeGreaterThan(100);
  const statuses = await Promise.all(kept.map((token) => stack.use(token)));
  expect(new Set(statuses)).toStrictEqual(new Set([200]));

  const log = stack.logs.text();
  const problems = log.split('\n').filter((line) => /"level":"(ERROR|WARN)"/.test(line));
  // A request that got a 503 on a busy machine was repeated, and its first attempt has its own log lines.
  expect(problems.filter((line) => !(seen.busy && /"message":"(call )?failed"/.test(line)))).toStrictEqual(
    [],
  );
  for (const secret of [
    ...[broad, narrow, foreign, disabled, deleted, orphan].map((key) => key.secret),
    ...tokens,
  ]) {
    expect(log).not.toContain(secret);
  }
});
