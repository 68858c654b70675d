import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import type { CheckStore, TokenRecords } from '../../functions/domain/check.ts';
import { formatKeyId, mintCredential } from '../../functions/domain/credentials.ts';
import { unavailable } from '../../functions/domain/errors.ts';
import type { CheckedKey } from '../../functions/domain/records.ts';
import { type AuthorizerEvent, authorizer } from '../../functions/routes/authorize.ts';
import { httpEvent, restEvent, tokenEvent } from '../support/events.ts';
import { mistyped } from '../support/mistyped.ts';
import { seconds } from '../support/records.ts';

const NOW = Date.parse('2027-01-15T08:00:00Z');
const ULID = '01ARZ3NDEKTSV4RRFFQ69G5FAV';
const TOKEN = mintCredential('token', 'etl', ULID);
const STAGE = 'arn:aws:execute-api:us-east-1:123456789012:abcdef123/test';
const ORIGIN = { apiId: 'abcdef123', requestId: 'Cz8YXjZPIAMEMXQ=' };
const REST_ORIGIN = { apiId: 'abcdef123', requestId: 'bb5ff0d8-1f1c-4e33-8f2d-1cd2bd1b8c0d' };

const CONTEXT = {
  principalId: formatKeyId('etl', ULID),
  principalType: 'api_key',
  deploymentId: 'etl',
  scope: 'deployment:etl code:deploy',
  issuedAt: '2027-01-15T07:00:00.000Z',
  expiresAt: '2027-01-16T08:05:00.000Z',
};

const allow = (resource: string) => ({
  principalId: CONTEXT.principalId,
  policyDocument: {
    Version: '2012-10-17',
    Statement: [{ Action: 'execute-api:Invoke', Effect: 'Allow', Resource: resource }],
  },
  context: CONTEXT,
});
const DENY = {
  principalId: 'refused',
  policyDocument: {
    Version: '2012-10-17',
    Statement: [{ Action: 'execute-api:Invoke', Effect: 'Deny', Resource: `${STAGE}/*` }],
  },
};
const SIMPLE_REFUSAL = { isAuthorized: false, context: {} };

const GOOD: TokenRecords = {
  deployment: { generation: ULID },
  key: { generation: ULID, epoch: 0, enabled: true, scopes: ['code:deploy'] },
  token: {
    generation: ULID,
    epoch: 0,
    issuedAt: seconds(NOW / 1000 - 3600),
    expiresAt: seconds(NOW / 1000 + 60),
  },
};
const EXPIRED: TokenRecords = {
  ...GOOD,
  token: { generation: ULID, epoch: 0, issuedAt: seconds(NOW / 1000 - 3600), expiresAt: seconds(NOW / 1000) },
};

function setUp(records: TokenRecords = GOOD) {
  const store = {
    read: vi.fn<CheckStore['read']>(async () => ({ ...records, readEnd: async () => undefined })),
    extend: vi.fn<CheckStore['extend']>(async (_credential, _hash, until) => until),
    recordUse: vi.fn<CheckStore['recordUse']>(async () => {}),
  };
  const report = { denied: vi.fn(), failed: vi.fn() };
  const rules = {
    tokenLifetime: 86_400,
    slideInterval: 300,
    scopes: ['code:deploy', 'airflow:read'],
    lastUsedFrom: 'full' as const,
  };
  const handler = authorizer({ store, clock: () => NOW, rules, report });
  return { store, report, handler };
}

/** Expects that the authorizer denies a call for this reason only. @returns the store of the check */
async function expectDenial(event: AuthorizerEvent, answer: object, reason: string) {
  const { handler, report, store } = setUp();
  expect(await handler(event)).toStrictEqual(answer);
  expect(report.denied).toHaveBeenCalledExactlyOnceWith(reason, expect.anything());
  return store;
}

// Authorizer events of each kind with the given Authorization header.
const http = (authorization: string, change: Parameters<typeof httpEvent>[0] = {}) =>
  httpEvent({ headers: { authorization }, ...change });
const iam = (authorization: string, change: Parameters<typeof httpEvent>[0] = {}) =>
  http(authorization, { ...change, stageVariables: { ...change.stageVariables, authorizerResponse: 'iam' } });
const rest = (authorization: string, change: Parameters<typeof restEvent>[0] = {}) =>
  restEvent({ multiValueHeaders: { Authorization: [authorization] }, ...change });

const bearer = `Bearer ${TOKEN}`;

describe('The authorizer allows a call with a valid token', () => {
  it("the authorizer returns a simple response with the caller's details to an HTTP API", async () => {
    const { handler, report } = setUp();
    expect(await handler(http(bearer))).toStrictEqual({ isAuthorized: true, context: CONTEXT });
    expect(report.denied).not.toHaveBeenCalled();
  });

  it.each([
    ['an HTTP API with IAM policy responses', iam(bearer)],
    ['a REST API of type REQUEST', rest(bearer)],
    ['a REST API of type TOKEN', tokenEvent(bearer)],
  ])('the authorizer allows the whole stage of %s when routes require no scopes', async (_, event) => {
    expect(await setUp().handler(event)).toStrictEqual(allow(`${STAGE}/*`));
  });

  it.each([
    [
      'an HTTP API with IAM policy responses',
      iam(bearer, { stageVariables: { requiredScopes: 'GET/request=code:deploy' } }),
    ],
    ['a REST API', rest(bearer, { stageVariables: { requiredScopes: 'GET/request=code:deploy' } })],
  ])('the authorizer allows only the called method of %s when routes require scopes', async (_, event) => {
    expect(await setUp().handler(event)).toStrictEqual(allow(`${STAGE}/GET/request`));
  });

  it('the authorizer finds the Authorization header in a REST API event regardless of its case', async () => {
    const { handler } = setUp();
    expect(await handler(restEvent({ multiValueHeaders: { AUTHORIZATION: [bearer] } }))).toStrictEqual(
      allow(`${STAGE}/*`),
    );
    expect(
      await handler(restEvent({ multiValueHeaders: null, headers: { authorization: bearer } })),
    ).toStrictEqual(allow(`${STAGE}/*`));
  });
});

describe('The authorizer denies a call with an invalid token', () => {
  const cases: [string, string, string, TokenRecords, number][] = [
    ['that is garbage', 'Bearer garbage', 'malformed', GOOD, 0],
    ['with wrong check characters', mistyped(bearer), 'malformed', GOOD, 0],
    ['with another scheme', `Basic ${TOKEN}`, 'malformed', GOOD, 0],
    ['that is unknown', bearer, 'unknown', { ...GOOD, token: undefined }, 1],
    ['that has expired', bearer, 'expired', EXPIRED, 1],
    ['of a deleted key', bearer, 'deleted', { ...GOOD, key: undefined }, 1],
    [
      'of a disabled key',
      bearer,
      'disabled',
      { ...GOOD, key: { generation: ULID, epoch: 1, enabled: false, scopes: [] } },
      1,
    ],
  ];

  // Returns the key ID that the report names. A report about a malformed token names none.
  const idFor = (reason: string) => (reason === 'malformed' ? undefined : CONTEXT.principalId);

  it.each(cases)(
    'the authorizer makes a REST API return 401 for a token %s',
    async (_, header, reason, records, reads) => {
      const { handler, report, store } = setUp(records);
      const client_id = idFor(reason);
      await expect(handler(rest(header))).rejects.toThrow(/^Unauthorized$/);
      await expect(handler(tokenEvent(header))).rejects.toThrow(/^Unauthorized$/);
      expect(report.denied.mock.calls).toStrictEqual([
        [reason, { ...REST_ORIGIN, client_id }],
        [reason, { apiId: 'abcdef123', requestId: undefined, client_id }],
      ]);
      expect(report.failed).not.toHaveBeenCalled();
      expect(store.read).toHaveBeenCalledTimes(2 * reads);
    },
  );

  it.each(cases)(
    'the authorizer makes an HTTP API return 403 for a token %s',
    async (_, header, reason, records) => {
      const { handler, report } = setUp(records);
      const client_id = idFor(reason);
      expect(await handler(http(header))).toStrictEqual(SIMPLE_REFUSAL);
      expect(await handler(iam(header))).toStrictEqual(DENY);
      expect(report.denied.mock.calls).toStrictEqual([
        [reason, { ...ORIGIN, client_id }],
        [reason, { ...ORIGIN, client_id }],
      ]);
    },
  );

  it('the authorizer makes a REST API return 403 for a valid token from outside the allowed IP ranges of its key', async () => {
    const { handler } = setUp({ ...GOOD, key: { ...GOOD.key, networks: ['203.0.113.0/24'] } as CheckedKey });
    expect(await handler(rest(bearer))).toStrictEqual(DENY);
  });

  it('the authorizer denies a call with two tokens, even if one of them is valid', async () => {
    const { handler, store } = setUp();
    await expect(
      handler(restEvent({ multiValueHeaders: { Authorization: [bearer, bearer] } })),
    ).rejects.toThrow(/^Unauthorized$/);
    await expect(
      handler(restEvent({ multiValueHeaders: { Authorization: [bearer], authorization: [bearer] } })),
    ).rejects.toThrow(/^Unauthorized$/);
    expect(await handler(http(`${bearer},${bearer}`))).toStrictEqual(SIMPLE_REFUSAL);
    expect(store.read).not.toHaveBeenCalled();
  });

  it('the authorizer denies a call without a token', async () => {
    const { handler } = setUp();
    expect(await handler(httpEvent())).toStrictEqual(SIMPLE_REFUSAL);
    await expect(handler(restEvent())).rejects.toThrow(/^Unauthorized$/);
  });
});

// Returns calls of a route with the given stage variables, for each kind of API that can return 403.
const ofRoute = (
  template: string,
  path: string,
  pathParameters: Record<string, string>,
  stageVariables: Record<string, string>,
  method = 'GET',
): [string, AuthorizerEvent, object][] => {
  const { requestContext } = httpEvent();
  const change = {
    routeKey: `${method} ${template}`,
    routeArn: `${STAGE}/${method}${path}`,
    pathParameters,
    stageVariables,
    requestContext: { ...requestContext, http: { ...requestContext.http, method } },
  };
  const ofRest = {
    resource: template,
    httpMethod: method,
    methodArn: `${STAGE}/${method}${path}`,
    pathParameters,
    stageVariables,
  };
  return [
    ['HTTP API, simple', http(bearer, change), SIMPLE_REFUSAL],
    ['HTTP API, IAM', iam(bearer, change), DENY],
    ['REST API', rest(bearer, ofRest), DENY],
  ];
};

describe('A token needs the scopes that the route requires', () => {
  const refusals = (requiredScopes: string) => ofRoute('/request', '/request', {}, { requiredScopes });

  it.each(refusals('GET/request=airflow:read'))(
    'the authorizer denies a call without a required scope and does not extend the token: %s',
    async (_, event, answer) => {
      const store = await expectDenial(event, answer, 'scope');
      expect(store.extend).not.toHaveBeenCalled();
    },
  );

  it.each(refusals('GET/request=code:deploy,airflow:read'))(
    'the authorizer denies a call whose token has only one of two required scopes: %s',
    async (_, event, answer) => {
      expect(await setUp().handler(event)).toStrictEqual(answer);
    },
  );

  it.each(
    ['POST/request=any', 'GET/request', 'nonsense', '', 'GET/request=any&GET/request=any'].flatMap(refusals),
  )(
    'the authorizer denies every call if the required scopes are malformed or omit the route: %s',
    async (_, event, answer) => {
      const store = await expectDenial(event, answer, 'configuration');
      expect(store.read).not.toHaveBeenCalled();
    },
  );

  it('the authorizer allows every valid token on a route whose required scopes are "any"', async () => {
    const [[, event] = []] = refusals('GET/request=any');
    expect(await setUp().handler(event as AuthorizerEvent)).toMatchObject({ isAuthorized: true });
  });

  it("the authorizer denies a method that an ANY route's scope rules do not list", async () => {
    const [[, event] = []] = ofRoute(
      '/request',
      '/request',
      {},
      { requiredScopes: 'GET/request=any' },
      'DELETE',
    );
    expect(await setUp().handler(event as AuthorizerEvent)).toStrictEqual(SIMPLE_REFUSAL);
  });

  it('the scope rule "default" applies to the $default route', async () => {
    const event = http(bearer, {
      routeKey: '$default',
      stageVariables: { requiredScopes: 'default=code:deploy' },
    });
    expect(await setUp().handler(event)).toMatchObject({ isAuthorized: true });
  });
});

describe('The authorizer denies a path that the API could read differently', () => {
  const greedy = (proxy: string, name = 'proxy') =>
    ofRoute(
      `/deployments/{deploymentId}/{${name}+}`,
      `/deployments/etl/${proxy}`,
      { deploymentId: 'etl', [name]: proxy },
      {},
    );
  // Generates a character and encodings that a server may decode to this character.
  const encoded = (text: string) =>
    fc.constantFrom(
      text,
      ...['%', '%25', '%2525'].flatMap((it) => [hex(it, text), hex(it, text).toUpperCase()]),
    );
  const hex = (prefix: string, text: string) => `${prefix}${text.charCodeAt(0).toString(16)}`;
  const dot = encoded('.');
  const slash = fc.oneof(encoded('/'), encoded('\\'));
  const segment = fc
    .array(fc.constantFrom(...'ab1.-_~:@%+ '), { minLength: 1, maxLength: 6 })
    .map((characters) => characters.join(''))
    .filter((text) => !/^\.{1,2}$/.test(text));
  const join = (...parts: fc.Arbitrary<string>[]) => fc.tuple(...parts).map((texts) => texts.join(''));
  const nothing = fc.constant('');
  const dots = fc.oneof(dot, join(dot, dot));
  const step = fc.oneof(dots, join(dots, encoded(';'), fc.oneof(nothing, segment)));
  const before = fc.oneof(nothing, join(segment, slash));
  const after = fc.oneof(nothing, join(slash, segment), slash);
  const detour = fc.oneof(
    join(before, step, after),
    join(before, slash, after),
    join(segment, slash, slash, after),
  );

  it('the authorizer denies a path parameter with a segment such as "..", regardless of the encoding', async () => {
    await fc.assert(
      fc.asyncProperty(detour, fc.constantFrom('proxy', 'dag'), async (text, name) => {
        for (const [, event, answer] of greedy(text, name)) {
          const store = await expectDenial(event, answer, 'path');
          expect(store.read).not.toHaveBeenCalled();
        }
      }),
    );
  });

  it('the authorizer allows a path whose parameters contain no segment such as ".."', async () => {
    const plain = join(
      fc.array(segment, { minLength: 1, maxLength: 4 }).map((segments) => segments.join('/')),
      fc.constantFrom('', '/'),
    );
    await fc.assert(
      fc.asyncProperty(plain, async (text) => {
        for (const [, event, refusal] of greedy(text)) {
          expect(await setUp().handler(event)).not.toStrictEqual(refusal);
        }
      }),
    );
  });

  it.each(ofRoute('/{proxy+}', '/../x', { proxy: '../x' }, {}))(
    'the authorizer does not check path segments if the path names no Deployment: %s',
    async (_, event, refusal) => {
      expect(await setUp().handler(event)).not.toStrictEqual(refusal);
    },
  );
});

describe('A token is valid only for its own Deployment', () => {
  const calls = (deploymentId: string, stageVariables = {}, name = 'deploymentId') =>
    ofRoute(
      `/deployments/{${name}}/dags`,
      `/deployments/${deploymentId}/dags`,
      { [name]: deploymentId },
      stageVariables,
    );

  it.each([
    ...calls('other'),
    ...calls('ETL'),
    ...calls('etl2', { requiredScopes: 'GET/deployments/:deploymentId/dags=any' }),
    ...calls('other', { deploymentParameter: 'd' }, 'd'),
  ])(
    "the authorizer denies a call for a Deployment other than the token's before reading the table: %s",
    async (_, event, answer) => {
      const store = await expectDenial(event, answer, 'deployment');
      expect(store.read).not.toHaveBeenCalled();
    },
  );

  it.each([...calls('etl'), ...calls('etl', { deploymentParameter: 'd' }, 'd')])(
    "the authorizer allows a call whose path names the token's Deployment: %s",
    async (_, event, refusal) => {
      expect(await setUp().handler(event)).not.toStrictEqual(refusal);
    },
  );

  it.each(ofRoute('/d/{deploymentId}', '/d/', {}, {}))(
    "the authorizer denies every token when the Deployment's path parameter has no value: %s",
    async (_, event, answer) => {
      expect(await setUp().handler(event)).toStrictEqual(answer);
    },
  );

  it.each(calls('etl', { deploymentParameter: '{d}' }))(
    'the authorizer denies every token when deploymentParameter is not a valid name: %s',
    async (_, event, answer) => {
      expect(await setUp().handler(event)).toStrictEqual(answer);
    },
  );
});

describe('The authorizer denies a path that an IAM policy cannot name exactly', () => {
  const requiredScopes = 'GET/files/:name=any';
  it.each(['*', 'a?', `\${aws:username}`, 'a'.repeat(500)])(
    'the authorizer denies a path that an IAM policy cannot name exactly: %s',
    async (name) => {
      const { handler, report } = setUp();
      const [simple, ...others] = ofRoute('/files/{name}', `/files/${name}`, { name }, { requiredScopes });
      for (const [, event, answer] of others) expect(await handler(event)).toStrictEqual(answer);
      expect(report.denied.mock.calls.map(([reason]) => reason)).toStrictEqual(['path', 'path']);
      expect(await handler(simple?.[1] as AuthorizerEvent)).toMatchObject({ isAuthorized: true });
    },
  );
});

it('the authorizer allows a path whose ARN has 512 characters, and denies a longer one', async () => {
  const start = `${STAGE}/GET/files/`;
  const callTo = (name: string) =>
    rest(bearer, {
      methodArn: start + name,
      resource: '/files/{name}',
      pathParameters: { name },
      stageVariables: { requiredScopes: 'GET/files/:name=any' },
    });
  const longest = 'a'.repeat(512 - start.length);
  expect(await setUp().handler(callTo(longest))).toStrictEqual(allow(start + longest));
  expect(await setUp().handler(callTo(`${longest}a`))).toStrictEqual(DENY);
});

describe('The authorizer fails when it cannot check a token', () => {
  it.each([
    ['HTTP API, simple response', http(bearer), ORIGIN],
    ['HTTP API, IAM policy response', iam(bearer), ORIGIN],
    ['REST API, REQUEST', rest(bearer), REST_ORIGIN],
    ['REST API, TOKEN', tokenEvent(bearer), { apiId: 'abcdef123', requestId: undefined }],
  ])('the authorizer fails, and reports the failure, when DynamoDB fails: %s', async (_, event, origin) => {
    const { handler, report, store } = setUp();
    const error = unavailable(new Error('down'));
    store.read.mockRejectedValue(error);
    await expect(handler(event)).rejects.toBe(error);
    expect(report.failed).toHaveBeenCalledExactlyOnceWith(error, origin);
    expect(report.denied).not.toHaveBeenCalled();
  });

  it('the authorizer fails when the extended expiry of a token cannot be written', async () => {
    const { handler, store } = setUp();
    store.extend.mockRejectedValue(new Error('throttled'));
    await expect(handler(http(bearer))).rejects.toThrow('throttled');
  });
});

describe('The authorizer rejects an unexpected event', () => {
  it.each([
    ['payload 1.0 of an HTTP API', { ...rest(bearer), version: '1.0' }, 'type is REQUEST, version 1.0.'],
    [
      'a WebSocket API',
      { type: 'REQUEST', methodArn: `${STAGE}/$connect`, headers: {}, requestContext: {} },
      'httpMethod is missing.',
    ],
    [
      'an HTTP request',
      { version: '2.0', routeKey: 'GET /', headers: {} },
      'type is undefined, version 2.0.',
    ],
    ['nothing', null, 'type is undefined, version undefined.'],
    ['text', 'TOKEN', 'type is undefined, version undefined.'],
    ['a secret in place of a word', { type: `${bearer} x` }, 'type is string, version undefined.'],
  ])(
    'the authorizer rejects an unexpected event and names the expected types: %s',
    async (_, event, ending) => {
      const { handler, store } = setUp();
      const error = await handler(event as AuthorizerEvent).catch((thrown: Error) => thrown);
      expect(error).toBeInstanceOf(Error);
      expect((error as Error).message).toBe(
        `Expected the event of an authorizer: of an HTTP API with payload format 2.0, or of a REST API, type REQUEST or TOKEN; ${ending}`,
      );
      expect(store.read).not.toHaveBeenCalled();
    },
  );

  it('the authorizer rejects an event if the stage variable authorizerResponse is neither simple nor iam', async () => {
    await expect(
      setUp().handler(http(bearer, { stageVariables: { authorizerResponse: 'IAM' } })),
    ).rejects.toThrow('The stage variable authorizerResponse must be simple or iam, or be left out.');
  });
});
