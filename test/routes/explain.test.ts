import { randomUUID } from 'node:crypto';
import { UpdateCommand } from '@aws-sdk/lib-dynamodb';
import fc from 'fast-check';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import type { TrustedIssuer } from '../../functions/domain/trust.ts';
import { openTokenVerifier } from '../../functions/runtime/subject-tokens.ts';
import { startCiIssuer, subjectForm } from '../support/ci-issuer.ts';
import { inProcess, partsOf, startTable } from '../support/in-process.ts';

const ci = await startCiIssuer();
const other = await startCiIssuer('ES256');
const down = await startCiIssuer();
const foreign = await startCiIssuer();
const selfManaged = await startCiIssuer('ES256');
const GITLAB = 'https://gitlab.com';
const engine = await startTable();
afterAll(() => engine.stop());

/** The operations of all calls to the table since a test last emptied this list. */
const calls: string[] = [];
const issuers: TrustedIssuer[] = [
  ci.url,
  other.url,
  down.url,
  GITLAB,
  { issuer: selfManaged.url, preset: 'gitlab' },
];
const verify = openTokenVerifier(() => service.time.now, { issuers });
const service = inProcess(engine, {
  trust: {
    issuers,
    verify: (issuer, jwt) => verify(issuer, jwt),
  },
  around: (when, { operation }) => {
    if (when === 'before') calls.push(operation);
  },
});
const START = service.time.now;
const NOW = Math.floor(START / 1000);
const AUDIENCE = 'https://service.test';
const TIME = '2030-01-01T12:00:00.500Z';
beforeEach(() => {
  service.time.now = START;
  down.answer = undefined;
  for (const one of [ci, foreign]) one.requestCount = 0;
});

let count = 0;
async function newKey(trust: object[], more: object = {}) {
  const deploymentId = `explain-${++count}`;
  await service.register(deploymentId);
  const { id } = await service.createKey(deploymentId, { name: 'ci', trust, ...more });
  return { id, deploymentId, path: `/deployments/${deploymentId}/api-keys/${id}` };
}
const RULE = { issuer: ci.url, claims: { sub: 'pipeline', ref: { prefix: 'refs/heads/' } } };
const CLAIMS = { sub: 'pipeline', ref: 'refs/heads/main', secret_claim: 'not named by any rule' };
const sign = (claims: object = {}, { from = ci, audience = AUDIENCE, expires = NOW + 300 } = {}) =>
  from.sign({ claims: { ...CLAIMS, jti: randomUUID(), ...claims }, audience, expires });
const explain = ({ path }: { path: string }, subject: unknown, as = 'member') =>
  service.call('POST', `${path}/explain`, { as, json: { subject_token: subject } });
const exchange = (id: string, subject: string) =>
  service.call('POST', '/oauth/token', {
    form: subjectForm(id, subject),
  });
/** Returns the explanation for a key that has a single rule. */
const answerOf = (differences: object[], issuer = ci.url) => ({
  status: 'active',
  matches: differences.length === 0,
  rules: [{ index: 0, issuer, matches: differences.length === 0, differences }],
});
const SIGNATURE = {
  kind: 'signature',
  detail:
    'The signature is not valid: no current key of the issuer made it. The claims of the token are not shown.',
};
const UNTRUSTED = {
  kind: 'issuer',
  claim: 'iss',
  expected: ci.url,
  detail: 'The stack does not trust the issuer of the token, so its signature was not verified.',
};
/** Returns the token with a changed payload and the original signature. */
const forged = (jwt: string, claims: object) => {
  const [header, payload = '', signature] = jwt.split('.');
  const old = JSON.parse(Buffer.from(payload, 'base64url').toString());
  return `${header}.${Buffer.from(JSON.stringify({ ...old, ...claims })).toString('base64url')}.${signature}`;
};

describe("POST …/explain shows how a subject token differs from a key's trust rules", () => {
  it('an explanation names the trust rule that matches, and shows how the token differs from the others', async () => {
    const key = await newKey([{ issuer: other.url, claims: { sub: 'pipeline' } }, RULE]);
    const { status, json, headers } = await explain(key, await sign());
    expect([status, headers['Cache-Control']]).toEqual([200, 'no-store']);
    expect(json).toEqual({
      status: 'active',
      matches: true,
      rules: [
        {
          index: 0,
          issuer: other.url,
          matches: false,
          differences: [
            {
              kind: 'issuer',
              claim: 'iss',
              expected: other.url,
              actual: ci.url,
              detail: 'The token is of another issuer than the rule.',
            },
          ],
        },
        { index: 1, issuer: ci.url, matches: true, differences: [] },
      ],
    });
  });

  it.each<[what: string, value: unknown, actual: string | undefined, detail: string]>([
    ['other text', 'tester', 'tester', 'The claim sub is not exactly the expected text.'],
    ['a number', 7, '7', 'The claim sub is not exactly the expected text.'],
    ['true', true, 'true', 'The claim sub is not exactly the expected text.'],
    ['nothing', undefined, undefined, 'The token has no claim sub.'],
    [
      'a fraction',
      0.5,
      '0.5',
      'The claim sub is a number that JSON does not keep exact, which matches nothing.',
    ],
    [
      'a number above 2^53',
      2 ** 53,
      '9007199254740992',
      'The claim sub is a number that JSON does not keep exact, which matches nothing.',
    ],
    ...(
      [
        [['pipeline'], '["pipeline"]'],
        [{ a: 'b' }, '{"a":"b"}'],
        [null, 'null'],
      ] as const
    ).map(([value, shown]): [string, unknown, string, string] => [
      JSON.stringify(value),
      value,
      shown,
      'The claim sub is a list, an object or null. A rule matches only text, a whole number, true or false.',
    ]),
  ])('an explanation describes a claim that differs: %s', async (_, value, actual, detail) => {
    const key = await newKey([RULE]);
    const { json } = await explain(key, await sign({ sub: value }));
    const difference = { kind: 'claim', claim: 'sub', expected: 'pipeline', detail };
    expect(json).toEqual(answerOf([{ ...difference, ...(actual !== undefined && { actual }) }]));
  });

  it('an explanation lists every claim that differs from a trust rule, but no other claims', async () => {
    const key = await newKey([{ ...RULE, claims: { ...RULE.claims, environment: 'production' } }]);
    const reply = await explain(key, await sign({ sub: 'x', ref: 'refs/tags/v1', secret_claim: 'CANARY' }));
    // DynamoDB does not preserve the order of a map's entries.
    const byClaim = (one: { claim: string }, two: { claim: string }) => one.claim.localeCompare(two.claim);
    reply.json.rules[0].differences.sort(byClaim);
    expect(reply.json).toEqual(
      answerOf([
        {
          kind: 'claim',
          claim: 'environment',
          expected: 'production',
          detail: 'The token has no claim environment.',
        },
        {
          kind: 'claim',
          claim: 'ref',
          expected: { prefix: 'refs/heads/' },
          actual: 'refs/tags/v1',
          detail: 'The claim ref does not begin with the expected prefix.',
        },
        {
          kind: 'claim',
          claim: 'sub',
          expected: 'pipeline',
          actual: 'x',
          detail: 'The claim sub is not exactly the expected text.',
        },
      ]),
    );
    expect(reply.text).not.toMatch(/CANARY|secret_claim|jti/);
  });

  it.each<[what: string, value: unknown, shown: string]>([
    ['text', `${'x'.repeat(256)}CANARY`, 'x'.repeat(256)],
    ['characters outside the basic plane', `${'🗝'.repeat(256)}CANARY`, '🗝'.repeat(256)],
    ['a list', ['y'.repeat(300), 'CANARY'], `["${'y'.repeat(254)}`],
  ])('an explanation shows at most 256 characters of a claim: %s', async (_, value, shown) => {
    const key = await newKey([RULE]);
    const reply = await explain(key, await sign({ sub: value }));
    expect(reply.json.rules[0].differences[0].actual).toBe(shown);
    expect(reply.text).not.toContain('CANARY');
  });

  it.each<[aud: string, actual: string]>([
    ['https://other.test', 'https://other.test'],
    [`${AUDIENCE}/`, `${AUDIENCE}/`],
    [`x${'y'.repeat(300)}`, `x${'y'.repeat(255)}`],
  ])("an explanation shows an audience that differs from the service's URL: %s", async (audience, actual) => {
    const { json } = await explain(await newKey([RULE]), await sign({}, { audience }));
    const detail =
      'The token is for another audience. Request it for the expected one, or change audience of the rule.';
    expect(json).toEqual(answerOf([{ kind: 'audience', claim: 'aud', expected: AUDIENCE, actual, detail }]));
  });

  it.each<[what: string, claims: object, expires: number, difference: object]>([
    [
      'has expired',
      {},
      NOW - 60,
      {
        claim: 'exp',
        expected: `later than ${TIME}`,
        actual: '2030-01-01T11:59:00.000Z',
        detail: 'The token has expired. Request a new one directly before the exchange.',
      },
    ],
    [
      'is not valid yet',
      { nbf: NOW + 60 },
      NOW + 300,
      {
        claim: 'nbf',
        expected: `not later than ${TIME}`,
        actual: '2030-01-01T12:01:00.000Z',
        detail: 'The token is not valid yet. Compare the clock of the issuer with the time.',
      },
    ],
    [
      'expires before its issue',
      { iat: NOW + 300 },
      NOW + 300,
      {
        claim: 'exp',
        expected: 'later than iat',
        actual: '2030-01-01T12:05:00.000Z',
        detail: 'The token expires before it was issued: exp must be later than iat.',
      },
    ],
    [
      'expires in more than 24 hours',
      {},
      NOW + 86_401,
      {
        claim: 'exp',
        expected: `at most 24 hours after ${TIME}`,
        actual: '2030-01-02T12:00:01.000Z',
        detail: 'The token expires more than 24 hours from now. Request one with a shorter lifetime.',
      },
    ],
    [
      'has a fractional exp',
      {},
      NOW + 300.5,
      {
        claim: 'exp',
        expected: 'a whole number of seconds since 1970',
        actual: '2030-01-01T12:05:00.500Z',
        detail:
          'A time in the token is malformed: exp must be a whole number of seconds, and nbf and iat numbers.',
      },
    ],
  ])(
    'an explanation describes what is wrong with a token that %s',
    async (_, claims, expires, difference) => {
      const { json } = await explain(await newKey([RULE]), await sign(claims, { expires }));
      expect(json).toEqual(answerOf([{ kind: 'time', ...difference }]));
    },
  );

  it.each([
    ['no exp', {}, 'The token has no exp, so it never expires.'],
    [
      'an exp that is text',
      { exp: 'soon' },
      'A time in the token is malformed: exp must be a whole number of seconds, and nbf and iat numbers.',
    ],
    [
      'an exp of 1e308',
      { exp: 1e308 },
      'A time in the token is malformed: exp must be a whole number of seconds, and nbf and iat numbers.',
    ],
  ])('an explanation describes what is wrong with a token with %s', async (_, claims, detail) => {
    const jwt = await ci.signText(JSON.stringify({ iss: ci.url, aud: AUDIENCE, ...CLAIMS, ...claims }));
    const { json } = await explain(await newKey([RULE]), jwt);
    expect(json.rules[0].differences).toMatchObject([{ kind: 'time', claim: 'exp', detail }]);
  });

  it('an explanation marks a stored trust rule that binds no tenant', async () => {
    const key = await newKey([RULE]);
    const { ulid } = partsOf(key.id);
    await service.table.client.send(
      new UpdateCommand({
        TableName: service.table.tableName,
        Key: { pk: `DEPLOYMENT#${key.deploymentId}`, sk: `KEY#${ulid}` },
        UpdateExpression: 'SET trust = :trust',
        ExpressionAttributeValues: { ':trust': [{ issuer: GITLAB, claims: { sub: 'pipeline' } }] },
      }),
    );
    const { json } = await explain(key, await sign());
    expect(json.rules[0].differences.map(({ kind }: { kind: string }) => kind)).toEqual(['issuer', 'tenant']);
    expect(json.rules[0].differences[1].detail).toBe(
      'The rule matches nothing, because a rule for https://gitlab.com must bind project_id or namespace_id to a number, in digits.',
    );
  });

  it('an explanation shows no claims of a token without a valid signature', async () => {
    const key = await newKey([RULE]);
    const jwt = await sign();
    const [header, payload, signature = ''] = jwt.split('.');
    for (const subject of [
      forged(jwt, { sub: 'CANARY', ref: 'CANARY' }),
      `${header}.${payload}.${Buffer.alloc(256, 1).toString('base64url')}`,
      `${header}.${payload}.${Buffer.from(signature, 'base64url').subarray(1).toString('base64url')}`,
      await foreign.sign({ claims: CLAIMS, audience: AUDIENCE, expires: NOW - 60, iss: ci.url }),
      `${Buffer.from('{"alg":"ES256","kid":"one"}').toString('base64url')}.${payload}.${signature}`,
    ]) {
      const reply = await explain(key, subject);
      expect(reply.json).toEqual(answerOf([SIGNATURE]));
    }
  });

  it('an explanation lists the allowed algorithms if the token is signed with a different one', async () => {
    const key = await newKey([RULE]);
    const [, payload, signature] = (await sign()).split('.');
    const detail =
      'The signature is not valid: the algorithm (alg) of a token of this issuer must be RS256, RS384, RS512, PS256, ' +
      'PS384, PS512, ES256, ES384, ES512 or EdDSA. The claims of the token are not shown.';
    for (const header of [{ alg: 'none' }, { alg: 'HS256', kid: 'one' }]) {
      const part = Buffer.from(JSON.stringify(header)).toString('base64url');
      const reply = await explain(key, `${part}.${payload}.${signature}`);
      expect(reply.json).toEqual(answerOf([{ kind: 'signature', detail }]));
    }
  });

  it("an explanation names the algorithm that the issuer's preset allows if the token is signed with a different one", async () => {
    const { url } = selfManaged;
    const key = await newKey([{ issuer: url, claims: { project_id: '20' } }]);
    const subject = await sign({ project_id: '20' }, { from: selfManaged });
    const detail =
      'The signature is not valid: the algorithm (alg) of a token of this issuer must be RS256. ' +
      'The claims of the token are not shown.';
    expect((await explain(key, subject)).json).toEqual(answerOf([{ kind: 'signature', detail }], url));
    expect((await exchange(key.id, subject)).status).toBe(400);
  });

  it('explaining a token neither contacts nor names an issuer that the stack does not trust', async () => {
    const reply = await explain(await newKey([RULE]), await sign({}, { from: foreign }));
    expect(reply.json).toEqual(answerOf([UNTRUSTED]));
    expect(reply.text).not.toContain(foreign.url);
    expect(foreign.requestCount).toBe(0);
  });

  it.each<[what: string, subject: unknown]>([
    ['empty', ''],
    ['a number', 1],
    ['absent', undefined],
    ['longer than 16 KiB', 'x'.repeat(16 * 1024 + 1)],
  ])('explain rejects a subject token that is %s', async (_, subject) => {
    const reply = await explain(await newKey([RULE]), subject);
    const rule = `${subject === undefined ? 'is required: ' : ''}must be a JWT of 1 to 16384 characters`;
    expect([reply.status, reply.json.errors]).toEqual([400, [{ field: 'subject_token', rule }]]);
  });

  it('explain rejects a malformed subject token without repeating any part of it', async () => {
    const key = await newKey([RULE]);
    const jwt = await sign();
    const [header = '', payload = '', signature = ''] = jwt.split('.');
    const rule =
      'must be a JWT: three parts in base64url without padding, the first two of them JSON objects, with the claim iss';
    for (const subject of [
      'CANARY',
      `${jwt}.${signature}`,
      `${jwt}=`,
      ` ${jwt}`,
      `${header}.${payload}`,
      `${header}.${Buffer.from('[]').toString('base64url')}.${signature}`,
      `${header}.${Buffer.from('{"sub":"x"}').toString('base64url')}.${signature}`,
    ]) {
      const reply = await explain(key, subject);
      expect([reply.status, reply.json]).toEqual([
        400,
        {
          type: '/errors#invalid_request',
          title: 'Bad Request',
          status: 400,
          code: 'invalid_request',
          detail: `subject_token ${rule}`,
          errors: [{ field: 'subject_token', rule }],
        },
      ]);
    }
  });

  it("explain returns 503 while the token's issuer cannot be reached", async () => {
    const key = await newKey([{ ...RULE, issuer: down.url }]);
    down.answer = (_, response) => {
      response.statusCode = 500;
      response.end('CANARY');
    };
    const reply = await explain(key, await sign({}, { from: down }));
    expect([reply.status, reply.headers['Retry-After'], reply.json]).toEqual([
      503,
      '1',
      {
        type: '/errors#temporarily_unavailable',
        title: 'Service Unavailable',
        status: 503,
        code: 'temporarily_unavailable',
        detail:
          'The issuer of the token cannot be reached, or its answer is malformed. Try again in a few seconds.',
      },
    ]);
  });

  it('explain returns 409 for a key with a secret, without contacting the issuer', async () => {
    const deploymentId = `explain-${++count}`;
    await service.register(deploymentId);
    const { id } = await service.createKey(deploymentId);
    const path = `/deployments/${deploymentId}/api-keys/${id}`;
    const { status, json } = await explain({ path }, await sign());
    expect([status, json.code, json.detail]).toEqual([
      409,
      'conflict',
      'This key has a secret and no trust rules, so it accepts no token of a CI.',
    ]);
    expect(ci.requestCount).toBe(0);
  });

  it('explain returns the same 404 for a missing key as for a key that is hidden from the caller', async () => {
    const key = await newKey([RULE]);
    await service.register('explain-hidden', { groups: ['others'] });
    const hidden = await service.createKey('explain-hidden', { name: 'ci', trust: [RULE] });
    const jwt = await sign();
    for (const [path, detail] of [
      [`/deployments/explain-hidden/api-keys/${hidden.id}`, 'No such Deployment.'],
      [`/deployments/explain-absent/api-keys/${key.id}`, 'No such Deployment.'],
      [`/deployments/${key.deploymentId}/api-keys/${hidden.id}`, 'No such API key.'],
    ] as const) {
      const { status, json } = await explain({ path }, jwt);
      expect([status, json.detail]).toEqual([404, detail]);
    }
    expect(ci.requestCount).toBe(0);
  });

  it('an explanation shows the status of a disabled key', async () => {
    const key = await newKey([RULE]);
    await service.call('PATCH', key.path, { as: 'member', json: { enabled: false } });
    const { json } = await explain(key, await sign());
    expect([json.status, json.matches]).toEqual(['disabled', true]);
  });

  it('explaining a token does not use it up, even under a trust rule with singleUse', async () => {
    const key = await newKey([{ ...RULE, singleUse: true }]);
    const jwt = await sign();
    calls.length = 0;
    for (let time = 0; time < 3; time++) {
      expect((await explain(key, jwt)).json).toEqual(answerOf([]));
    }
    expect([...new Set(calls)]).toEqual(['GetItem']);
    expect((await exchange(key.id, jwt)).status).toBe(200);
    expect((await exchange(key.id, jwt)).status).toBe(400);
  });

  it('explain and the token exchange agree on whether a generated token matches generated trust rules', async () => {
    const texts = fc.constantFrom<unknown>(
      'pipeline',
      'refs/heads/main',
      'refs/tags/v1',
      7,
      true,
      null,
      undefined,
      ['pipeline'],
    );
    const rules = fc.record({
      issuer: fc.constantFrom(ci.url, other.url),
      audience: fc.constantFrom(undefined, AUDIENCE, 'https://other.test'),
      claims: fc.record({
        sub: fc.constantFrom('pipeline', '7', 'true'),
        ref: fc.constantFrom('refs/heads/main', { prefix: 'refs/heads/' }, { prefix: 'refs/' }),
      }),
    });
    const { deploymentId } = await newKey([RULE]);
    let matched = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.array(rules, { minLength: 1, maxLength: 3 }),
        fc.record({ sub: texts, ref: texts }),
        fc.record({
          from: fc.constantFrom(ci, other, foreign),
          audience: fc.constantFrom(AUDIENCE, 'https://other.test'),
          expires: fc.constantFrom(NOW + 300, NOW + 300, NOW + 300, NOW - 60, NOW + 90_000),
        }),
        async (trust, claims, signing) => {
          const { id } = await service.createKey(deploymentId, { name: 'ci', trust });
          const key = { id, path: `/deployments/${deploymentId}/api-keys/${id}` };
          const jwt = await sign(claims, signing);
          const explained = await explain(key, jwt);
          const exchanged = await exchange(key.id, jwt);
          expect([explained.status, explained.json.matches]).toEqual([200, exchanged.status === 200]);
          if (explained.json.matches) matched++;
        },
      ),
      {
        numRuns: 40,
        examples: [[[RULE as never], CLAIMS, { from: ci, audience: AUDIENCE, expires: NOW + 300 }]],
      },
    );
    expect(matched).toBeGreaterThan(0);
  });
});
